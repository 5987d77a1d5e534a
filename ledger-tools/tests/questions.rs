//! What an auditor asks, asked of real ledgers. No ledger is named here.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use constitution::{InProcess, Limits};
use ledger::SINGLE_KEY;
use ledger_tools::{
    Access, AuditError, Bundle, BundleError, Comparison, Csv, DecryptError, Export, JsonLines,
    Judge, Moment, Recoveries, ReportPage, RsaPrivateKey, SealedSecrets, Seqno, Side, Sqlite,
    Timeline, TxId, VerifyOptions, What, compare_directories, decrypt_directory, private_changes,
    replay_signed,
};
use serde::Deserialize;
use tests::vectors;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    ledger: PathBuf,
    member_keys: PathBuf,
    service_certificate: PathBuf,
    ledger_secrets_from: Vec<u64>,
}

struct Real {
    name: String,
    ledger: PathBuf,
    keys: PathBuf,
    options: VerifyOptions,
    facts: Facts,
}

fn real_ledgers(test: &str) -> Vec<Real> {
    let Some(root) = vectors("ledgers", test) else {
        return Vec::new();
    };
    let index = fs::read(root.join("index.json")).unwrap();
    let index: BTreeMap<String, Facts> = serde_json::from_slice(&index).unwrap();
    assert!(!index.is_empty());
    let real = |(name, facts): (String, Facts)| Real {
        name,
        ledger: root.join(&facts.ledger),
        keys: root.join(&facts.member_keys),
        options: VerifyOptions {
            service_certificate: Some(
                fs::read_to_string(root.join(&facts.service_certificate)).unwrap(),
            ),
            ..VerifyOptions::default()
        },
        facts,
    };
    index.into_iter().map(real).collect()
}

/// Private encryption keys of members beside a ledger.
fn member_keys(folder: &Path) -> Vec<RsaPrivateKey> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|item| item.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with("_enc_privk.pem"))
        .collect();
    files.sort();
    let key = |path| RsaPrivateKey::from_pem(&fs::read_to_string(path).unwrap()).unwrap();
    files.iter().map(key).collect()
}

#[test]
fn identities_on_the_timeline_are_those_that_signed() {
    for real in real_ledgers("identities_on_the_timeline_are_those_that_signed") {
        let (mut timeline, mut recoveries) = (Timeline::default(), Recoveries::default());
        let report = replay_signed(&real.ledger, &real.options, |shown| {
            timeline.transaction(&shown.entry);
            recoveries.transaction(&shown.entry);
        })
        .unwrap();
        let events = timeline.finish();
        let begun: Vec<_> = events
            .iter()
            .filter_map(|event| match &event.what {
                What::ServiceCreated { identity, .. } => Some(identity.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(begun, report.identities, "{}", real.name);
        let identities = recoveries.finish();
        let keys: Vec<_> = identities.iter().map(|identity| &identity.key).collect();
        assert_eq!(
            keys,
            report.identities.iter().collect::<Vec<_>>(),
            "{}",
            real.name
        );
        // Each recovered identity took shares, or says how else it opened.
        for (before, identity) in identities.iter().zip(identities.iter().skip(1)) {
            assert_ne!(before.key, identity.key);
            assert!(
                !identity.shares.is_empty() || identity.by.is_some(),
                "{}: {identity:?}",
                real.name
            );
        }
        for (earlier, later) in events.iter().zip(events.iter().skip(1)) {
            assert!(earlier.transaction.seqno <= later.transaction.seqno);
        }
    }
}

#[test]
fn members_keys_open_every_private_table() {
    for real in real_ledgers("members_keys_open_every_private_table") {
        let mut sealed = SealedSecrets::default();
        replay_signed(&real.ledger, &real.options, |shown| {
            sealed.transaction(&shown.entry);
        })
        .unwrap();
        let keys = member_keys(&real.keys);
        let (keys, secrets) = match sealed.open(&keys) {
            Ok(secrets) => (&keys[..], secrets),
            // Some of the keys may be of members who never had a share: the error names who has one.
            Err(DecryptError::NotAHolder { .. }) => (&keys[..1], sealed.open(&keys[..1]).unwrap()),
            Err(error) => panic!("{}: {error}", real.name),
        };
        let starts: Vec<_> = secrets.starts().map(|seqno| seqno.0).collect();
        assert_eq!(starts, real.facts.ledger_secrets_from, "{}", real.name);
        let mut rows = 0;
        replay_signed(&real.ledger, &real.options, |shown| {
            let changes = private_changes(&shown.entry, &secrets)
                .unwrap_or_else(|error| panic!("{} {}: {error}", real.name, shown.entry.id()));
            rows += changes.len();
        })
        .unwrap();
        println!("{}: {rows} private rows", real.name);
        let mut shown = 0;
        decrypt_directory(&real.ledger, &real.options, keys, |_, _| shown += 1).unwrap();
        assert_eq!(shown, rows, "{}", real.name);
    }
}

#[test]
fn a_stranger_s_key_opens_nothing() {
    let stranger = RsaPrivateKey::generate().unwrap();
    for real in real_ledgers("a_stranger_s_key_opens_nothing") {
        let mut sealed = SealedSecrets::default();
        replay_signed(&real.ledger, &real.options, |shown| {
            sealed.transaction(&shown.entry);
        })
        .unwrap();
        let refused = sealed.open(std::slice::from_ref(&stranger));
        assert!(matches!(
            refused.err().unwrap(),
            DecryptError::NotAHolder { index: 1, .. }
        ));
    }
}

#[test]
fn a_ledger_and_its_own_beginning_are_no_fork() {
    for real in real_ledgers("a_ledger_and_its_own_beginning_are_no_fork") {
        let open = VerifyOptions::default();
        let same = compare_directories(&real.ledger, &real.ledger, &open).unwrap();
        assert!(
            matches!(same, Comparison::Same { last: Some(_) }),
            "{same:?}"
        );
        let cut = tempfile::tempdir().unwrap();
        let mut files: Vec<_> = fs::read_dir(&real.ledger)
            .unwrap()
            .map(|item| item.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with(".committed"))
            .collect();
        files.sort_by_key(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let first = name
                .trim_start_matches("ledger_")
                .split('-')
                .next()
                .unwrap();
            first.parse::<u64>().unwrap()
        });
        for file in files.iter().take(1) {
            fs::copy(file, cut.path().join(file.file_name().unwrap())).unwrap();
        }
        let longer = compare_directories(cut.path(), &real.ledger, &open).unwrap();
        let Comparison::Longer { longer, by, .. } = longer else {
            panic!("{}: {longer:?}", real.name);
        };
        assert_eq!(longer, Side::Right);
        assert!(by > 0);
        let turned = compare_directories(&real.ledger, cut.path(), &open).unwrap();
        assert!(matches!(
            turned,
            Comparison::Longer {
                longer: Side::Left,
                ..
            }
        ));
    }
}

#[test]
fn ledgers_of_different_services_part_at_once() {
    let real = real_ledgers("ledgers_of_different_services_part_at_once");
    for (left, right) in real.iter().zip(real.iter().skip(1)) {
        let open = VerifyOptions::default();
        match compare_directories(&left.ledger, &right.ledger, &open).unwrap() {
            Comparison::Fork {
                common, differing, ..
            } => {
                assert_eq!(common, None);
                assert!(!differing.is_empty());
            }
            other => panic!("{} and {}: {other:?}", left.name, right.name),
        }
    }
}

#[test]
fn exports_hold_every_signed_transaction() {
    for real in real_ledgers("exports_hold_every_signed_transaction") {
        let folder = tempfile::tempdir().unwrap();
        let (mut lines, mut csv) = (Vec::new(), Vec::new());
        let database = folder.path().join("ledger.sqlite");
        let mut sqlite = Box::new(Sqlite::create(&database).unwrap());
        let report = {
            let mut lines = JsonLines(&mut lines);
            let mut csv = Csv::new(&mut csv).unwrap();
            replay_signed(&real.ledger, &real.options, |shown| {
                lines.transaction(&shown.entry).unwrap();
                csv.transaction(&shown.entry).unwrap();
                sqlite.transaction(&shown.entry).unwrap();
            })
            .unwrap()
        };
        sqlite.finish().unwrap();
        let signed = report.verified_until.unwrap().seqno.0;
        let lines: Vec<serde_json::Value> = String::from_utf8(lines)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len() as u64, signed);
        let changes: i64 = lines
            .iter()
            .map(|line| line["changes"].as_array().unwrap().len() as i64)
            .sum();
        let connection = rusqlite::Connection::open(&database).unwrap();
        let count =
            |query: &str| -> i64 { connection.query_row(query, [], |row| row.get(0)).unwrap() };
        assert_eq!(count("SELECT count(*) FROM transactions") as u64, signed);
        assert_eq!(count("SELECT count(*) FROM changes"), changes);
        assert!(count("SELECT count(*) FROM rows WHERE tbl = 'public:ccf.gov.service.info'") == 1);
        // An existing database is not added to.
        assert!(Sqlite::create(&database).is_err());
    }
}

#[test]
fn who_can_recover_is_told_as_of_any_moment() {
    for real in real_ledgers("who_can_recover_is_told_as_of_any_moment") {
        let ask = |moment| {
            let mut access = Access::to("none", None, moment);
            replay_signed(&real.ledger, &real.options, |shown| {
                access.transaction(&shown.entry);
            })
            .unwrap();
            access.finish()
        };
        let now = ask(Moment::End).unwrap();
        assert!(!now.nodes.is_empty(), "{}", real.name);
        assert!(now.accepted.is_none() && now.policy.is_none());
        let holders = now.recovery.participants.len() + now.recovery.owners.len();
        assert!(holders > 0, "{}", real.name);
        let first = ask(Moment::Seqno(Seqno(1))).unwrap();
        assert_eq!(first.after.seqno, Seqno(1));
        assert!(
            first.recovery.participants.is_empty(),
            "shares exist only once the service is open"
        );
        assert!(ask(Moment::Time(0)).is_none());
    }
}

#[test]
fn the_report_is_a_page_that_runs_nothing() {
    for real in real_ledgers("the_report_is_a_page_that_runs_nothing") {
        let mut page = ReportPage::default();
        let mut engine = InProcess::new(Limits::default());
        let mut judge = Judge::new(&mut engine);
        let report = replay_signed(&real.ledger, &real.options, |shown| {
            page.transaction(&shown.entry);
            judge.transaction(shown);
        })
        .unwrap();
        let html = page.finish(&report, &judge.finish());
        assert!(html.contains("Verified against the service identity that was given"));
        assert!(html.contains("default-src 'none'"));
        assert!(!html.contains("<script") && !html.contains("src="));
        assert_eq!(
            html.matches("<table>").count(),
            html.matches("</table>").count()
        );
    }
}

#[test]
fn receipts_of_every_transaction_verify_offline() {
    for real in real_ledgers("receipts_of_every_transaction_verify_offline") {
        let certificate = real.options.service_certificate.clone().unwrap();
        let mut ids = Vec::new();
        // The service's certificates, and from where on each was in force.
        let mut certificates: Vec<(TxId, String)> = Vec::new();
        replay_signed(&real.ledger, &real.options, |shown| {
            let id = shown.entry.id();
            ids.push(id);
            let service = shown.entry.section("public:ccf.gov.service.info");
            if let Some(row) = service.and_then(|section| section.value(&SINGLE_KEY)) {
                let row: serde_json::Value = serde_json::from_slice(row).unwrap();
                certificates.push((id, row["cert"].as_str().unwrap().to_owned()));
            }
        })
        .unwrap();
        let keys = member_keys(&real.keys);
        let first = certificates.first().unwrap().0;
        let opened = Bundle::make(&real.ledger, &real.options, first, &keys[..1]).is_ok();
        let keys = if opened { &keys[..1] } else { &keys[..0] };
        // The first and last ones, and some of each epoch between.
        let step = (ids.len() / 6).max(1);
        let last_proven = ids.len().saturating_sub(2);
        let some = ids
            .iter()
            .step_by(step)
            .chain(ids.get(last_proven))
            .filter(|id| Some(*id) != ids.last());
        for id in some {
            for keys in [&[], keys] {
                let bundle = match Bundle::make(&real.ledger, &real.options, *id, keys) {
                    Ok(bundle) => bundle,
                    Err(error) => panic!("{} {id}: {error}", real.name),
                };
                let sent = serde_json::to_vec(&bundle).unwrap();
                let received = Bundle::from_json(&sent).unwrap();
                let proven = match received.verify(&certificate) {
                    Ok(proven) => proven,
                    // CCF 1.x to 4.x endorsed no previous identity.
                    Err(error) if error.to_string().contains("REC-13: REC-04") => {
                        assert!(
                            real.facts.ledger_secrets_from.len() > 1,
                            "{} {id}",
                            real.name
                        );
                        // The identity of its own day vouches for it.
                        let (_, then) = certificates
                            .iter()
                            .rfind(|(from, _)| from.seqno <= id.seqno)
                            .unwrap();
                        let proven = received.verify(then).unwrap();
                        assert_eq!(proven.transaction.transaction, *id);
                        refuses_alterations(&sent, then);
                        continue;
                    }
                    Err(error) => panic!("{} {id}: {error}", real.name),
                };
                assert_eq!(proven.transaction.transaction, *id);
                refuses_alterations(&sent, &certificate);
            }
        }
        // Nothing behind the last signature proves it.
        let last = *ids.last().unwrap();
        let unproven = Bundle::make(&real.ledger, &real.options, last, &[]);
        assert!(matches!(
            unproven,
            Err(BundleError::Audit(AuditError::Absent { .. }))
        ));
    }
}

/// Other bytes in the entry, another transaction, another leaf: none of it verifies.
fn refuses_alterations(sent: &[u8], certificate: &str) {
    let good: serde_json::Value = serde_json::from_slice(sent).unwrap();
    let mut bad = Vec::new();
    for (path, value) in [
        ("/transaction", serde_json::json!("2.999999")),
        ("/entry", serde_json::json!("AQAAAAAAAAAA")),
        (
            "/receipt/proof",
            serde_json::json!([{ "left": "11".repeat(32) }]),
        ),
        ("/version", serde_json::json!(2)),
    ] {
        let mut altered = good.clone();
        *altered.pointer_mut(path).unwrap() = value;
        bad.push((path, altered));
    }
    for (path, altered) in bad {
        let bytes = serde_json::to_vec(&altered).unwrap();
        let outcome = Bundle::from_json(&bytes).and_then(|bundle| bundle.verify(certificate));
        assert!(outcome.is_err(), "{path}");
    }
}
