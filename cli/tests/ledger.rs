//! The demonstration's ledger, questioned as an auditor would.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn cleanroom(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cleanroom"))
        .args(arguments)
        .output()
        .unwrap()
}

fn ask(arguments: &[&str]) -> Value {
    let answer = cleanroom(&[arguments, &["--json"]].concat());
    let errors = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&answer.stdout).unwrap()
}

fn play(folder: &Path) {
    let played = cleanroom(&["demo", "--dir", folder.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&played.stdout).into_owned();
    assert!(played.status.success(), "{said}");
}

#[test]
fn an_auditor_learns_what_the_demonstration_did() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("demo");
    play(&place);
    let path = |name: &str| place.join(name).to_str().unwrap().to_owned();
    let (ledger, certificate) = (path("ledger"), path("recovered_service_cert.pem"));
    let pinned = ["--service-cert", &certificate];
    let of_ledger = |words: &[&str], more: &[&str]| {
        ask(&[&["ledger"], words, &[&ledger], &pinned, more].concat())
    };

    let releases = of_ledger(&["releases"], &[]);
    let outcomes: Vec<_> = releases
        .as_array()
        .unwrap()
        .iter()
        .map(|release| {
            assert_eq!(release["proven"], true);
            assert_eq!(release["decision"]["state"], "Accepted");
            release["record"]["outcome"].as_str().unwrap()
        })
        .collect();
    // The demonstration ends with a stop, a recovery, and another grant.
    assert_eq!(outcomes, ["granted", "denied", "granted"]);
    let granted = of_ledger(&["releases"], &["--outcome", "granted", "--kind", "secret"]);
    let granted = granted.as_array().unwrap();
    assert_eq!(granted.len(), 2);
    let record = &granted[0]["record"];
    let contract = record["contractId"].as_str().unwrap();
    let secret = record["subject"].as_str().unwrap();
    assert_eq!(
        of_ledger(&["releases"], &["--contract", "another"]),
        Value::Array(vec![])
    );

    // Who could read it at the end, and who before the vote on the policy.
    let question = ["--contract", contract, "--secret", secret];
    let now = of_ledger(&["could-read"], &question);
    assert_eq!(now["received"].as_array().unwrap().len(), 2);
    assert_eq!(
        now["policy"]["claims"]["x-ms-sevsnpvm-hostdata"][0],
        record["code"]["hostData"]
    );
    let decided = now["policy"]["basis"]["decision"]["transaction"]
        .as_str()
        .unwrap();
    let decided: u64 = decided.split('.').nth(1).unwrap().parse().unwrap();
    let before = (decided - 1).to_string();
    let earlier = of_ledger(
        &["could-read"],
        &[&question[..], &["--at", &before]].concat(),
    );
    assert!(earlier["policy"].is_null() && !earlier["accepted"].is_null());

    let verified = of_ledger(&["verify"], &[]);
    assert!(verified["governance"]["breach"].is_null() && verified["pinned"] == true);
    assert!(verified["governance"]["applied"].as_u64().unwrap() >= 4);
    assert_eq!(verified["governance"]["recoveries"], 1);

    let timeline = of_ledger(&["timeline"], &[]);
    let events: Vec<_> = timeline
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(events[..2], ["serviceCreated", "serviceStatus"]);
    for wanted in [
        "memberActive",
        "ballotCast",
        "proposalDecided",
        "contractAccepted",
        "policyClaimSet",
    ] {
        assert!(events.contains(&wanted), "{wanted}");
    }
    let identities = of_ledger(&["recoveries"], &[]);
    assert_eq!(identities[0]["key"], identities[0]["endorses"]);
    assert_eq!(
        identities[0]["key"], identities[1]["endorses"],
        "the recovered service names the one before"
    );

    // The secret is in the ledger, for the members who can recover it and nobody else.
    let keys = ["alba", "bruno"].map(|member| path(&format!("members/{member}/enc_privk.pem")));
    let table = format!("secrets-{contract}");
    let opened = of_ledger(
        &["decrypt"],
        &[
            "--member-key",
            &keys[0],
            "--member-key",
            &keys[1],
            "--table",
            &table,
        ],
    );
    assert_eq!(opened.as_array().unwrap().len(), 1);
    assert_eq!(opened[0]["table"], table.as_str());
    assert!(
        opened[0]["value"].is_null(),
        "values are shown on request only"
    );
    let refused = cleanroom(&["ledger", "decrypt", &ledger, "--member-key", &keys[0]]);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && error.contains("1 shares, want 2"),
        "{error}"
    );

    let history = of_ledger(
        &["show", "key"],
        &[
            "--table",
            "public:ccf.gov.service.info",
            "--key",
            "0x0000000000000000",
        ],
    );
    let statuses: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|change| &change["value"]["status"])
        .collect();
    assert_eq!(statuses[..2], ["Opening", "Open"]);

    let page = folder.path().join("report.html");
    of_ledger(&["report"], &["--out", page.to_str().unwrap()]);
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(
        html.contains("Members decided what it says")
            && html.contains("simulated platform")
            && html.contains(contract)
    );
}

#[test]
fn two_demonstrations_are_a_fork_and_a_damaged_ledger_answers_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    play(&one);
    play(&other);
    let ledger = |place: &Path| place.join("ledger").to_str().unwrap().to_owned();
    let compared = cleanroom(&["ledger", "compare", &ledger(&one), &ledger(&other)]);
    assert_eq!(compared.status.code(), Some(4));

    // Another service's certificate, then a turned bit: no question is answered.
    let theirs = other.join("service_cert.pem");
    let pinned = ["--service-cert", theirs.to_str().unwrap()];
    let mut file = std::fs::read_dir(one.join("ledger"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let out = folder.path().join("out.jsonl");
    let questions: [&[&str]; 4] = [
        &["timeline"],
        &["releases"],
        &["could-read", "--contract", "c"],
        &[
            "export",
            "--format",
            "jsonl",
            "--out",
            out.to_str().unwrap(),
        ],
    ];
    for question in questions {
        let one = ledger(&one);
        let answer = cleanroom(&[&["ledger"], question, &[&one], &pinned].concat());
        assert_eq!(answer.status.code(), Some(4), "{question:?}");
        assert!(answer.stdout.is_empty());
    }
    assert!(!out.exists(), "no half of an export is left");
    for item in std::fs::read_dir(one.join("ledger")).unwrap() {
        let path = item.unwrap().path();
        if path.to_string_lossy().ends_with(".committed") {
            file = path;
        }
    }
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    for question in questions {
        let one = ledger(&one);
        let answer = cleanroom(&[&["ledger"], question, &[&one]].concat());
        assert_eq!(answer.status.code(), Some(4), "{question:?}");
        assert!(answer.stdout.is_empty());
    }
}

#[test]
fn a_receipt_proves_a_release_without_the_ledger_and_a_watch_notices_a_roll_back() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("demo");
    play(&place);
    let path = |name: &str| place.join(name).to_str().unwrap().to_owned();
    let (ledger, certificate) = (path("ledger"), path("recovered_service_cert.pem"));
    let released = ask(&["ledger", "releases", &ledger, "--outcome", "granted"]);
    let transaction = released[0]["transaction"].as_str().unwrap();
    let file = folder
        .path()
        .join("receipt.json")
        .to_str()
        .unwrap()
        .to_owned();
    let keys = ["alba", "bruno"].map(|member| path(&format!("members/{member}/enc_privk.pem")));
    let made = [
        "ledger",
        "receipt",
        "make",
        &ledger,
        "--transaction",
        transaction,
        "--out",
        &file,
    ];
    let with_keys = [
        &made[..],
        &["--member-key", &keys[0], "--member-key", &keys[1]],
    ]
    .concat();
    for (command, cose) in [(&made[..], false), (&with_keys, true)] {
        ask(command);
        let proven = ask(&[
            "ledger",
            "receipt",
            "verify",
            &file,
            "--service-cert",
            &certificate,
        ]);
        assert_eq!(proven["transaction"]["transaction"], transaction);
        assert_eq!(proven["cose"], cose);
    }
    // Of another service it proves nothing.
    let stranger = path("members/alba/cert.pem");
    let refused = cleanroom(&[
        "ledger",
        "receipt",
        "verify",
        &file,
        "--service-cert",
        &stranger,
    ]);
    assert_eq!(refused.status.code(), Some(4));

    let watched = cleanroom(&[
        "ledger",
        "watch",
        &ledger,
        "--idle",
        "1",
        "--interval",
        "1",
        "--json",
    ]);
    let lines = String::from_utf8(watched.stdout).unwrap();
    assert_eq!(
        lines.lines().count(),
        ask(&["ledger", "timeline", &ledger])
            .as_array()
            .unwrap()
            .len()
    );

    // An older copy does not hold the checkpoint.
    let checkpoint = path("checkpoint.json");
    ask(&[
        "ledger",
        "verify",
        &ledger,
        "--save-checkpoint",
        &checkpoint,
    ]);
    let older = folder.path().join("older");
    std::fs::create_dir(&older).unwrap();
    for item in std::fs::read_dir(&ledger).unwrap() {
        let item = item.unwrap();
        if item.file_name().to_string_lossy().starts_with("ledger_1-") {
            std::fs::copy(item.path(), older.join(item.file_name())).unwrap();
        }
    }
    let older = older.to_str().unwrap();
    let refused = cleanroom(&[
        "ledger",
        "watch",
        older,
        "--idle",
        "0",
        "--checkpoint",
        &checkpoint,
    ]);
    assert_eq!(
        refused.status.code(),
        Some(4),
        "{}",
        String::from_utf8_lossy(&refused.stderr)
    );
    assert!(refused.stdout.is_empty());
}

#[test]
fn an_older_copy_and_what_follows_a_snapshot_verify_against_the_service_of_today() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("demo");
    play(&place);
    let path = |name: &str| place.join(name).to_str().unwrap().to_owned();
    let (ledger, today) = (path("ledger"), path("recovered_service_cert.pem"));
    let endorsements = path("endorsements.json");
    let pinned = ["--service-cert", today.as_str()];
    let asked = ["--endorsements", endorsements.as_str()];
    let save = ["--save-endorsements", endorsements.as_str()];
    let identities = ask(&[&["ledger", "recoveries", &ledger][..], &pinned, &save].concat());
    let seqno = |id: &Value| {
        let (_, seqno) = id.as_str().unwrap().split_once('.').unwrap();
        seqno.parse::<u64>().unwrap()
    };
    let recovered = seqno(&identities[1]["from"]);

    // A copy from before the recovery, whose service is no more.
    let older = folder.path().join("older");
    copy(&place.join("ledger"), &older, |_, last| last < recovered);
    let older = older.to_str().unwrap();
    let refused = cleanroom(&[&["ledger", "verify", older][..], &pinned].concat());
    assert_eq!(refused.status.code(), Some(4));
    let verified = ask(&[&["ledger", "verify", older][..], &pinned, &asked].concat());
    assert_eq!(verified["anchor"]["kind"], "successor");
    assert_eq!(verified["anchor"]["endorsements"], 1);
    assert_eq!(verified["pinned"], true);
    // Endorsements by whoever else vouch for nothing.
    let stranger = path("service_cert.pem");
    let theirs = ["--service-cert", stranger.as_str()];
    let outcome = cleanroom(&[&["ledger", "verify", &ledger][..], &theirs, &asked].concat());
    assert_eq!(
        outcome.status.code(),
        Some(5),
        "it vouches for the beginning only"
    );

    // From the newest snapshot on, with the files before it gone.
    let mut snapshots: Vec<_> = std::fs::read_dir(place.join("snapshots"))
        .unwrap()
        .map(|item| item.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "committed"))
        .collect();
    let at = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        name.split('_').nth(1).unwrap().parse::<u64>().unwrap()
    };
    snapshots.sort_by_key(|path| at(path));
    let newest = snapshots.pop().unwrap();
    assert!(at(&newest) > recovered);
    let behind = folder.path().join("behind");
    copy(&place.join("ledger"), &behind, |first, _| {
        first > at(&newest)
    });
    let behind = behind.to_str().unwrap();
    let from = |ledger: &str, snapshot: &Path, more: &[&str]| {
        let words = ["ledger", "verify", ledger, "--integrity-only", "--json"];
        let snapshot = ["--snapshot", snapshot.to_str().unwrap()];
        cleanroom(&[&words[..], &snapshot, &pinned, more].concat())
    };
    let answer = from(behind, &newest, &[]);
    let errors = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "{errors}");
    let report: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(seqno(&report["fromSnapshot"]), at(&newest));
    assert_eq!(
        report["entries"].as_u64().unwrap(),
        seqno(&report["last"]) - at(&newest)
    );
    // One of the identity before needs its endorsement.
    let first = &snapshots[0];
    assert!(at(first) < recovered);
    assert_eq!(from(&ledger, first, &[]).status.code(), Some(4));
    assert_eq!(from(&ledger, first, &asked).status.code(), Some(0));
    // A snapshot that was altered, and one with a piece of the ledger missing behind it.
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    let altered = folder.path().join("snapshot_altered");
    std::fs::write(&altered, bytes).unwrap();
    assert_eq!(from(behind, &altered, &[]).status.code(), Some(4));
    assert_eq!(from(behind, first, &asked).status.code(), Some(4));
}

/// Copies the files of a ledger whose first and last position are wanted; open ones have no last.
fn copy(from: &Path, to: &Path, wanted: impl Fn(u64, u64) -> bool) {
    std::fs::create_dir(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let name = item.file_name().to_str().unwrap().to_owned();
        let range = name.trim_start_matches("ledger_");
        let (range, _) = range.split_once('.').unwrap_or((range, ""));
        let (first, last) = range.split_once('-').unwrap_or((range, ""));
        let first: u64 = first.parse().unwrap();
        if wanted(first, last.parse().unwrap_or(u64::MAX)) {
            std::fs::copy(item.path(), to.join(name)).unwrap();
        }
    }
}
