//! Real ledgers against the facts their index states, and what happens to them when a bit is
//! turned. No ledger is named here: another folder of the same shape can take the place.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ledger_tools::{AuditError, VerifyOptions, verify_directory};
use serde::Deserialize;
use tests::vectors;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    ledger: PathBuf,
    chunks: u64,
    transactions: u64,
    last: String,
    last_signed: String,
    committed_until: String,
    signatures: u64,
    cose_signatures: u64,
    service_certificate: PathBuf,
}

fn each(test: &str, check: impl Fn(&str, &Path, &Facts)) {
    let Some(root) = vectors("ledgers", test) else {
        return;
    };
    let index = std::fs::read(root.join("index.json")).unwrap();
    let index: BTreeMap<String, Facts> = serde_json::from_slice(&index).unwrap();
    assert!(!index.is_empty());
    for (name, facts) in index {
        check(&name, &root, &facts);
    }
}

fn copy(from: &Path, to: &Path) {
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        std::fs::copy(item.path(), to.join(item.file_name())).unwrap();
    }
}

#[test]
fn real_ledgers_verify_to_the_transaction_their_index_states() {
    each(
        "real_ledgers_verify_to_the_transaction_their_index_states",
        |name, root, facts| {
            let report = verify_directory(&root.join(&facts.ledger), &VerifyOptions::default())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(
                report.verified_until.unwrap().to_string(),
                facts.last_signed,
                "{name}"
            );
            assert_eq!(report.last.unwrap().to_string(), facts.last, "{name}");
            assert_eq!(
                (
                    report.entries,
                    report.chunks,
                    report.signatures,
                    report.cose_signatures
                ),
                (
                    facts.transactions,
                    facts.chunks,
                    facts.signatures,
                    facts.cose_signatures
                ),
                "{name}"
            );
            assert!(!report.pinned);
        },
    );
}

#[test]
fn committed_chunks_alone_verify_to_their_end() {
    each(
        "committed_chunks_alone_verify_to_their_end",
        |name, root, facts| {
            let options = VerifyOptions {
                committed_only: true,
                ..VerifyOptions::default()
            };
            let report = verify_directory(&root.join(&facts.ledger), &options).unwrap();
            assert_eq!(
                report.verified_until.unwrap().to_string(),
                facts.committed_until,
                "{name}"
            );
        },
    );
}

#[test]
fn led_20_the_pinned_identity_is_compared() {
    each(
        "led_20_the_pinned_identity_is_compared",
        |name, root, facts| {
            let certificate =
                std::fs::read_to_string(root.join(&facts.service_certificate)).unwrap();
            let options = VerifyOptions {
                service_certificate: Some(certificate),
                ..VerifyOptions::default()
            };
            assert!(
                verify_directory(&root.join(&facts.ledger), &options)
                    .unwrap()
                    .pinned,
                "{name}"
            );
            let member = root
                .join(&facts.service_certificate)
                .with_file_name("member0_cert.pem");
            let foreign = std::fs::read_to_string(member).unwrap();
            let options = VerifyOptions {
                service_certificate: Some(foreign),
                ..VerifyOptions::default()
            };
            let error = verify_directory(&root.join(&facts.ledger), &options).unwrap_err();
            assert!(error.to_string().starts_with("LED-20"), "{name}: {error}");
        },
    );
}

#[test]
fn a_turned_bit_in_a_signed_entry_is_always_found() {
    each(
        "a_turned_bit_in_a_signed_entry_is_always_found",
        |name, root, facts| {
            let scratch = tempfile::tempdir().unwrap();
            copy(&root.join(&facts.ledger), scratch.path());
            let options = VerifyOptions {
                committed_only: true,
                ..VerifyOptions::default()
            };
            let mut files: Vec<_> = std::fs::read_dir(scratch.path())
                .unwrap()
                .map(|item| item.unwrap().path())
                .filter(|path| path.extension().is_some_and(|e| e == "committed"))
                .collect();
            files.sort();
            // The last chunk's final entry is signed by nothing behind it, so another file is used.
            let file = files
                .iter()
                .find(|file| {
                    file.file_name()
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .starts_with("ledger_1-")
                })
                .unwrap();
            let good = std::fs::read(file).unwrap();
            let step = (good.len() / 24).max(1);
            let end = if files.len() > 1 {
                good.len()
            } else {
                good.len() / 2
            };
            for at in (0..end).step_by(step) {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << (at % 8);
                std::fs::write(file, bytes).unwrap();
                assert!(
                    verify_directory(scratch.path(), &options).is_err(),
                    "{name}: bit {} of byte {at}",
                    at % 8
                );
            }
        },
    );
}

#[test]
fn a_cut_a_gap_and_an_empty_directory_are_errors() {
    each(
        "a_cut_a_gap_and_an_empty_directory_are_errors",
        |name, root, facts| {
            let scratch = tempfile::tempdir().unwrap();
            let nothing = verify_directory(scratch.path(), &VerifyOptions::default());
            assert!(matches!(nothing, Err(AuditError::Empty { .. })));
            copy(&root.join(&facts.ledger), scratch.path());
            let mut files: Vec<_> = std::fs::read_dir(scratch.path())
                .unwrap()
                .map(|item| item.unwrap().path())
                .collect();
            files.sort();
            let first = files
                .iter()
                .find(|file| {
                    file.file_name()
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .starts_with("ledger_1-")
                })
                .unwrap();
            let good = std::fs::read(first).unwrap();
            for length in [0, 7, 9, good.len() / 3, good.len() - 1] {
                std::fs::write(first, &good[..length]).unwrap();
                assert!(
                    verify_directory(scratch.path(), &VerifyOptions::default()).is_err(),
                    "{name}: cut to {length}"
                );
            }
            std::fs::remove_file(first).unwrap();
            let error = verify_directory(scratch.path(), &VerifyOptions::default()).unwrap_err();
            assert!(error.to_string().contains("LED-02"), "{name}: {error}");
        },
    );
}
