//! CCF's own reader and ours on every real ledger: the same signatures, verified to the same transaction.
//!
//! The reader runs where `CLEANROOM_CCF_PYTHON` names a Python interpreter that has it (PyPI `ccf` with `cbor2<6`).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::PathBuf;
use std::process::Command;

use ledger_tools::{VerifyOptions, verify_directory};
use serde_json::Value;

#[test]
fn ccfs_reader_agrees_on_every_ledger() {
    const TEST: &str = "ccfs_reader_agrees_on_every_ledger";
    let Some(root) = tests::vectors("ledgers", TEST) else {
        return;
    };
    let Some(python) = std::env::var_os("CLEANROOM_CCF_PYTHON").map(PathBuf::from) else {
        println!("SKIPPED {TEST}: CLEANROOM_CCF_PYTHON names no interpreter with CCF's tools");
        return;
    };
    let index = std::fs::read(root.join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    for (name, facts) in index.as_object().unwrap() {
        let directory = root.join(facts["ledger"].as_str().unwrap());
        for committed_only in [false, true] {
            let options = VerifyOptions {
                committed_only,
                ..VerifyOptions::default()
            };
            let ours = verify_directory(&directory, &options).unwrap();
            let mut reader = Command::new(&python);
            reader
                .arg(python.with_file_name("read_ledger.py"))
                .arg("-q");
            if !committed_only {
                reader.arg("--uncommitted");
            }
            let output = reader.arg(&directory).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {text}");
            // The reader succeeds on nothing too, so only the exact line counts.
            let want = format!(
                "Found {} signatures, and verified until {}",
                ours.signatures,
                ours.verified_until.unwrap()
            );
            assert!(text.contains(&want), "{name}: want {want:?} in {text}");
        }
    }
}
