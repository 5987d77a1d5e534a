//! CCF's own tools and ours on every real ledger: the same signatures, verified to the same transaction; the chain of
//! ledger secrets; the same tables in every snapshot.
//!
//! The tools run where `CLEANROOM_CCF_PYTHON` names a Python interpreter that has them (PyPI `ccf` with `cbor2<6`).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;

use ledger::Snapshot;
use ledger_tools::{VerifyOptions, verify_directory};
use serde_json::Value;

/// Shows every ledger of the index with the interpreter.
fn each(test: &str, check: impl Fn(&str, &Path, &Value, &Path)) {
    let Some(root) = tests::vectors("ledgers", test) else {
        return;
    };
    let Some(python) = std::env::var_os("CLEANROOM_CCF_PYTHON").map(PathBuf::from) else {
        println!("SKIPPED {test}: CLEANROOM_CCF_PYTHON names no interpreter with CCF's tools");
        return;
    };
    let index = std::fs::read(root.join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    for (name, facts) in index.as_object().unwrap() {
        check(name, &root, facts, &python);
    }
}

/// What a command of the interpreter says; it has to succeed.
fn said(name: &str, python: &Path, arguments: &[&str]) -> String {
    let output = Command::new(python).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {text}");
    text
}

fn script(python: &Path, name: &str) -> String {
    python.with_file_name(name).to_str().unwrap().to_owned()
}

#[test]
fn ccfs_reader_agrees_on_every_ledger() {
    let test = "ccfs_reader_agrees_on_every_ledger";
    each(test, |name, root, facts, python| {
        let directory = root.join(facts["ledger"].as_str().unwrap());
        let reader = script(python, "read_ledger.py");
        for committed_only in [false, true] {
            let options = VerifyOptions {
                committed_only,
                ..VerifyOptions::default()
            };
            let ours = verify_directory(&directory, &options).unwrap();
            let mut arguments = vec![reader.as_str(), "-q", directory.to_str().unwrap()];
            if !committed_only {
                arguments.push("--uncommitted");
            }
            let text = said(name, python, &arguments);
            // The reader succeeds on nothing too, so only the exact line counts.
            let want = format!(
                "Found {} signatures, and verified until {}",
                ours.signatures,
                ours.verified_until.unwrap()
            );
            assert!(text.contains(&want), "{name}: want {want:?} in {text}");
        }
    });
}

#[test]
fn ccfs_tool_finds_the_chain_of_secrets_of_every_ledger() {
    let test = "ccfs_tool_finds_the_chain_of_secrets_of_every_ledger";
    each(test, |name, root, facts, python| {
        let directory = root.join(facts["ledger"].as_str().unwrap());
        let tool = script(python, "verify_ledger_secrets_chain.py");
        let ledger = directory.to_str().unwrap();
        said(name, python, &[&tool, "--uncommitted", ledger]);
    });
}

/// CCF's class verifies the receipt as it opens a file. What it takes from it is what we take.
#[test]
fn ccfs_reader_agrees_on_every_snapshot() {
    const READ: &str = "import ccf.ledger, json, sys\n\
        s = ccf.ledger.Snapshot(sys.argv[1])\n\
        d = s.get_public_domain()\n\
        rows = {name: len(rows) for name, rows in d.get_tables().items() if rows}\n\
        print(json.dumps([d.get_seqno(), rows]))";
    let test = "ccfs_reader_agrees_on_every_snapshot";
    each(test, |name, root, facts, python| {
        let folder = root.join(facts["ledger"].as_str().unwrap());
        let folder = folder.with_file_name("snapshots");
        for file in facts["snapshots"].as_array().unwrap() {
            let path = folder.join(file.as_str().unwrap());
            let theirs = said(name, python, &["-c", READ, path.to_str().unwrap()]);
            let theirs: Value = serde_json::from_str(theirs.trim()).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let ours = Snapshot::read(&bytes).unwrap();
            assert_eq!(theirs[0], ours.id.seqno.0, "{name} {file}");
            let maps = ours.maps.iter().filter(|map| !map.rows.is_empty());
            let rows: serde_json::Map<String, Value> = maps
                .map(|map| (map.name.to_owned(), map.rows.len().into()))
                .collect();
            assert_eq!(theirs[1], Value::Object(rows), "{name} {file}");
        }
    });
}
