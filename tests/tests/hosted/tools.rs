//! CCF's own tools against the demo and the node.
//!
//! They run where `CLEANROOM_CCF_PYTHON` names a Python interpreter that has them (PyPI `ccf` with `cbor2<6`).

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use governance::Identity;
use governance::client::Request;
use governance::member::Ballot;
use http::header;
use serde_json::{Value, json};
use tests::service::{Host, Service, program};

fn python(test: &str) -> Option<PathBuf> {
    let python = std::env::var_os("CLEANROOM_CCF_PYTHON").map(PathBuf::from);
    if python.is_none() {
        println!("SKIPPED {test}: CLEANROOM_CCF_PYTHON names no interpreter with CCF's tools");
    }
    python
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Plays the demo into a folder.
fn demo(folder: &Path, more: &[&str]) -> String {
    let output = Command::new(program())
        .args(["demo", "--dir"])
        .arg(folder)
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

fn verified_until(folder: &Path) -> String {
    let output = Command::new(program())
        .args(["ledger", "verify", "--json"])
        .arg(folder.join("ledger"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["verifiedUntil"].as_str().unwrap().to_owned()
}

/// CCF's reader finds the demo's ledger good to its last transaction.
fn read_ledger(python: &Path, folder: &Path) {
    let output = Command::new(python)
        .arg(python.with_file_name("read_ledger.py"))
        .args(["-q", "--uncommitted"])
        .arg(folder.join("ledger"))
        .output()
        .unwrap();
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    let want = format!("verified until {}", verified_until(folder));
    assert!(text.contains(&want), "want {want:?} in {text}");
}

#[test]
fn the_demo_tells_its_story_and_its_ledger_is_ccfs() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("demo");
    let story = demo(&folder, &[]);
    for line in [
        "it is Alba's secret",
        "it is refused",
        "HostDataMismatch",
        "binds exactly this record",
    ] {
        assert!(story.contains(line), "{line:?} is not in\n{story}");
    }
    let options = ledger_tools::VerifyOptions::default();
    let (_, government) = ledger_tools::judge_directory(&folder.join("ledger"), &options).unwrap();
    assert!(government.holds(), "{government:?}");
    if let Some(python) = python("the_demo_tells_its_story_and_its_ledger_is_ccfs") {
        read_ledger(&python, &folder);
    }
}

#[test]
fn the_demo_takes_real_evidence() {
    let Some(vectors) = tests::vectors("attestation", "the_demo_takes_real_evidence") else {
        return;
    };
    let evidence = vectors.join("caci/acr-caci-enc");
    if !evidence.is_dir() {
        println!(
            "SKIPPED the_demo_takes_real_evidence: {} not found",
            evidence.display()
        );
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("demo");
    let story = demo(&folder, &["--evidence", evidence.to_str().unwrap()]);
    for line in [
        "verifies to the AMD and Microsoft roots",
        "it is Alba's secret",
        "it is refused",
    ] {
        assert!(story.contains(line), "{line:?} is not in\n{story}");
    }
    if let Some(python) = python("the_demo_takes_real_evidence") {
        read_ledger(&python, &folder);
    }
}

/// Opening a service takes a snapshot, as on CCF; members may ask for another.
#[test]
fn snapshots_are_ccfs() {
    let mut scene = tests::scene::Scene::set();
    let folder = scene.service.folder().join("snapshots");
    let first = committed(&folder, 1, || {});
    let client = scene.service.client();
    let latest = client.exchange(Request::get("/node/snapshot")).unwrap();
    assert_eq!(latest.status(), 308);
    let path = format!("/node/snapshot/{}", first[0]);
    let served = client.send(Request::get(path.clone())).unwrap();
    let stored = std::fs::read(folder.join(&first[0])).unwrap();
    assert_eq!(served.body(), stored);
    let part = Request::get(path).header(
        header::RANGE,
        header::HeaderValue::from_static("bytes=8-15"),
    );
    let part = client.exchange(part).unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.body(), &stored[8..16]);
    // What is private is so here too.
    assert!(!crate::releases::contains(
        &stored,
        tests::scene::SECRET.as_bytes()
    ));
    let actions = governance::member::Actions::new().action("trigger_snapshot", Value::Null);
    scene.service.accept(&scene.members, &actions);
    // It is taken at the next signature, should the first be finished then.
    let draft = |n: u32| {
        Request::put(format!("/app/contracts/next{n}"))
            .json(&serde_json::json!({ "data": "terms" }))
    };
    let drafts = std::cell::Cell::new(0);
    let second = committed(&folder, 2, || {
        drafts.set(drafts.get() + 1);
        client.send(draft(drafts.get()).unwrap()).unwrap();
    });
    scene.service.stop();
    let ledger = ledger_tools::verify_directory(
        &scene.service.ledger(),
        &ledger_tools::VerifyOptions::default(),
    )
    .unwrap();
    assert_eq!(ledger.last, ledger.verified_until);
    let Some(python) = python("snapshots_are_ccfs") else {
        return;
    };
    // CCF's class verifies the receipt as it opens a file, and reads every public table. (Its script would stop at a key
    // that is no text, which CCF's own virtual platform writes too.)
    let script = "import ccf.ledger, sys\n\
                  s = ccf.ledger.Snapshot(sys.argv[1])\n\
                  d = s.get_public_domain()\n\
                  print(d.get_seqno(), s.is_committed(), len(d.get_tables()) > 10)";
    for name in second {
        let output = Command::new(&python)
            .args(["-c", script])
            .arg(folder.join(&name))
            .output()
            .unwrap();
        let at = name.split('_').nth(1).unwrap();
        assert_eq!(text(&output).trim(), format!("{at} True True"), "{name}");
    }
}

/// The committed snapshots of a folder, once there are so many. While there are not, `meanwhile` is done now and then.
fn committed(folder: &Path, count: usize, meanwhile: impl Fn()) -> Vec<String> {
    for attempt in 1..3000 {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".committed"))
            .collect();
        if names.len() >= count {
            names.sort();
            return names;
        }
        if attempt % 50 == 0 {
            meanwhile();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("fewer than {count} snapshots in {}", folder.display());
}

/// A member's messages, signed by `ccf_cose_sign1`.
struct ForeignSigner<'a> {
    python: PathBuf,
    identity: &'a Identity,
    folder: &'a Path,
}

impl ForeignSigner<'_> {
    fn sign(&self, kind: &str, proposal: Option<&str>, payload: &str) -> Vec<u8> {
        let file = |name: &str, text: &str| {
            let path = self.folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let created = time_text(now);
        let mut command = Command::new(self.python.with_file_name("ccf_cose_sign1"));
        command
            .args([
                "--ccf-gov-msg-type",
                kind,
                "--ccf-gov-msg-created_at",
                &created,
            ])
            .arg("--signing-key")
            .arg(file("key.pem", &self.identity.private_key_pem().unwrap()))
            .arg("--signing-cert")
            .arg(file("cert.pem", &self.identity.certificate().to_pem()))
            .arg("--content")
            .arg(file("content.json", payload));
        if let Some(id) = proposal {
            command.args(["--ccf-gov-msg-proposal_id", id]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        output.stdout
    }
}

/// ISO 8601, as the tool reads it.
fn time_text(seconds: u64) -> String {
    let output = Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%S"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_member_may_sign_with_ccfs_tool() {
    let Some(python) = python("a_member_may_sign_with_ccfs_tool") else {
        return;
    };
    let identity = Identity::generate("member0", Duration::from_secs(3600))
        .unwrap()
        .with_encryption_key()
        .unwrap();
    let service = Service::start(&Host::Embedded { simulated: false }, &[&identity]);
    let scratch = tempfile::tempdir().unwrap();
    let signer = ForeignSigner {
        python,
        identity: &identity,
        folder: scratch.path(),
    };
    let client = service.client();
    let send = |path: &str, message: Vec<u8>| -> Value {
        let request = Request::post(format!("{path}?api-version=2024-07-01")).cose(message);
        let response = client.send(request).unwrap();
        response.json().unwrap_or_default()
    };
    let id = identity.id();
    let digest = format!("/gov/members/state-digests/{id}");
    let update = send(
        &format!("{digest}:update"),
        signer.sign("state_digest", None, ""),
    );
    let ack = json!({"stateDigest": update["stateDigest"]}).to_string();
    send(&format!("{digest}:ack"), signer.sign("ack", None, &ack));
    let open = json!({"actions": [{
        "name": "transition_service_to_open",
        "args": {"next_service_identity": service.certificate()},
    }]});
    let create = "/gov/members/proposals:create";
    let proposal = send(create, signer.sign("proposal", None, &open.to_string()));
    assert_eq!(proposal["proposalState"], "Open");
    let proposal = proposal["proposalId"].as_str().unwrap();
    let ballot = json!({"ballot": Ballot::For.source()}).to_string();
    let path = format!("/gov/members/proposals/{proposal}/ballots/{id}:submit");
    let outcome = send(&path, signer.sign("ballot", Some(proposal), &ballot));
    assert_eq!(outcome["proposalState"], "Accepted");
    assert_eq!(client.network().unwrap().service_status.as_str(), "Open");
}

/// A key that stays in its vault: CCF's tools prepare what it signs and put the message together.
#[test]
fn a_member_may_sign_in_two_steps_with_ccfs_tools() {
    let Some(python) = python("a_member_may_sign_in_two_steps_with_ccfs_tools") else {
        return;
    };
    let identity = Identity::generate("member0", Duration::from_secs(3600)).unwrap();
    let service = Service::start(&Host::Embedded { simulated: false }, &[&identity]);
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let key = file("key.pem", &identity.private_key_pem().unwrap());
    let certificate = file("cert.pem", &identity.certificate().to_pem());
    let content = file("content", "");
    let run = |tool: &str, more: &[&std::ffi::OsStr]| {
        let output = Command::new(python.with_file_name(tool))
            .args(["--ccf-gov-msg-type", "state_digest"])
            .args(["--ccf-gov-msg-created_at", "2026-01-01T00:00:00"])
            .arg("--signing-cert")
            .arg(&certificate)
            .arg("--content")
            .arg(&content)
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        output.stdout
    };
    let prepared = run("ccf_cose_sign1_prepare", &[]);
    let prepared = file("prepared", &String::from_utf8(prepared).unwrap());
    // What a vault does: it signs the digest, and gives r and s as one value.
    let vault = "import base64, json, sys\n\
        from cryptography.hazmat.primitives import hashes, serialization\n\
        from cryptography.hazmat.primitives.asymmetric import ec, utils\n\
        key = serialization.load_pem_private_key(open(sys.argv[1], 'rb').read(), None)\n\
        digest = base64.b64decode(json.load(open(sys.argv[2]))['value'])\n\
        size = (key.curve.key_size + 7) // 8\n\
        kind = {32: hashes.SHA256, 48: hashes.SHA384, 64: hashes.SHA512}[len(digest)]()\n\
        r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(utils.Prehashed(kind))))\n\
        both = r.to_bytes(size, 'big') + s.to_bytes(size, 'big')\n\
        print(json.dumps({'value': base64.urlsafe_b64encode(both).decode()}))";
    let output = Command::new(&python)
        .args(["-c", vault])
        .args([&key, &prepared])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let signature = file("signature", &String::from_utf8(output.stdout).unwrap());
    let message = run(
        "ccf_cose_sign1_finish",
        &["--signature".as_ref(), signature.as_os_str()],
    );
    let id = identity.id();
    let path = format!("/gov/members/state-digests/{id}:update?api-version=2024-07-01");
    let answer = service.client().send(Request::post(path).cose(message));
    let answer: Value = answer.unwrap().json().unwrap();
    assert_eq!(answer["stateDigest"].as_str().unwrap().len(), 64);
}

/// A receipt of a write, as any user gets it, holds for CCF's own functions.
#[test]
fn a_receipt_holds_for_ccfs_tool() {
    let Some(python) = python("a_receipt_holds_for_ccfs_tool") else {
        return;
    };
    let scene = tests::scene::Scene::set();
    let draft = Request::put("/app/contracts/receipted")
        .json(&json!({ "data": "terms" }))
        .unwrap();
    let written = scene.members[0].client().send(draft).unwrap();
    let id = written.transaction().unwrap();
    let path = format!("/app/receipt?transaction_id={id}");
    let receipt = scene.service.client().send(Request::get(path)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (receipt_file, service) = (folder.path().join("receipt"), folder.path().join("service"));
    std::fs::write(&receipt_file, receipt.body()).unwrap();
    std::fs::write(&service, scene.service.certificate()).unwrap();
    let script = "import ccf.receipt, hashlib, json, sys\n\
        from cryptography.x509 import load_pem_x509_certificate as load\n\
        r = json.load(open(sys.argv[1]))\n\
        service = load(open(sys.argv[2], 'rb').read())\n\
        node = load(r['cert'].encode())\n\
        c = r['leaf_components']\n\
        evidence = hashlib.sha256(c['commit_evidence'].encode()).digest()\n\
        leaf = hashlib.sha256(bytes.fromhex(c['write_set_digest']) + evidence + bytes.fromhex(c['claims_digest']))\n\
        root = ccf.receipt.root(leaf.hexdigest(), r['proof'])\n\
        ccf.receipt.verify(root, r['signature'], node)\n\
        ccf.receipt.check_endorsements(node, service, [])\n\
        print('holds', c['commit_evidence'].split(':')[1])";
    let output = Command::new(&python)
        .args(["-c", script])
        .args([&receipt_file, &service])
        .output()
        .unwrap();
    assert_eq!(text(&output).trim(), format!("holds {id}"));
}
