//! CCF's own Python tools as judges of what this node writes and takes.
//!
//! They run where `CLEANROOM_CCF_PYTHON` names a Python interpreter that has them (PyPI
//! `ccf` with `cbor2<6`); `.ci/run` makes one. Without it the tests say that they were skipped.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ccf_rs::Application;
use node::identity::{IdentityKey, Subject, Validity, self_signed_node};
use node::service::{GenesisMember, NewService, Node, ServiceConfiguration, Settings};

fn python(test: &str) -> Option<PathBuf> {
    let python = std::env::var_os("CLEANROOM_CCF_PYTHON").map(PathBuf::from);
    if python.is_none() {
        println!("SKIPPED {test}: CLEANROOM_CCF_PYTHON names no interpreter with CCF's tools");
    }
    python
}

fn service(member: &str) -> NewService {
    NewService {
        constitution: "export function validate(text) { return { valid: true }; }".into(),
        members: vec![GenesisMember {
            certificate: member.to_owned(),
            encryption_key: None,
            data: None,
            recovery_role: None,
        }],
        configuration: ServiceConfiguration::default(),
        subject: "CN=CCF Service".into(),
        validity_days: 1,
        cose_claims: ("service.example.org".into(), "ledger.signature".into()),
    }
}

fn member() -> String {
    let key = IdentityKey::generate().unwrap();
    let subject = Subject {
        name: "CN=member0".into(),
        alternative_names: vec![],
    };
    let from = node::identity::parse_valid_from("2026-01-01T00:00:00Z").unwrap();
    self_signed_node(&key, &subject, Validity { from, days: 365 }).unwrap()
}

fn read_ledger(python: &Path, directory: &Path) -> Output {
    let script = python.with_file_name("read_ledger.py");
    Command::new(python)
        .arg(script)
        .args(["-q", "--uncommitted"])
        .arg(directory)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_ledger_verifies_our_ledger_to_its_last_transaction() {
    let Some(python) = python("read_ledger_verifies_our_ledger_to_its_last_transaction") else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("ledger");
    let application = Application {
        title: "empty",
        version: "1",
        endpoints: vec![],
        indexed: vec![],
    };
    let node = Node::start(
        Settings::local(directory.clone()),
        service(&member()),
        application,
    )
    .await
    .unwrap();
    node.stop().await;

    let ours = ledger_tools::verify_directory(&directory, &ledger_tools::VerifyOptions::default())
        .unwrap();
    let theirs = read_ledger(&python, &directory);
    let text = String::from_utf8_lossy(&theirs.stdout).into_owned()
        + &String::from_utf8_lossy(&theirs.stderr);
    assert!(theirs.status.success(), "{text}");
    // The tool succeeds on an empty ledger too, so only the exact line counts.
    let want = format!(
        "Found {} signatures, and verified until {}",
        ours.signatures,
        ours.verified_until.unwrap()
    );
    assert!(text.contains(&want), "want {want:?} in {text}");
    assert_eq!(ours.last, ours.verified_until);
}
