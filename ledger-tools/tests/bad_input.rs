//! What is done to files: cut, turned, swapped, doubled, missing, foreign. Each ends in an error that says where, and
//! nothing is ever called verified.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use ledger::WriteSet;
use ledger_tools::{
    Anchor, AuditError, Check, Checkpoint, Replay, Verdict, VerifyOptions, verify_directory,
};
use tests::ledger_writer::{LedgerWriter, SERVICE_INFO};

/// A ledger of three finished chunks and an open one, all signed; its service certificate.
fn ledger(directory: &Path) -> String {
    let mut writer = LedgerWriter::new(directory);
    let founding = writer.founding();
    writer.write(&founding);
    for chunk in 0..4_u8 {
        for row in 0..20_u8 {
            let mut set = WriteSet::new();
            set.put("public:rows", vec![row], vec![chunk; 50]);
            set.put("private", vec![row], "hidden");
            writer.write(&set);
        }
        if chunk < 3 {
            writer.sign_and_finish();
        } else {
            writer.sign();
        }
    }
    writer.service_certificate
}

struct Case {
    _folder: tempfile::TempDir,
    directory: PathBuf,
    options: VerifyOptions,
}

fn case() -> Case {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("ledger");
    let options = VerifyOptions {
        service_certificate: Some(ledger(&directory)),
        ..VerifyOptions::default()
    };
    Case {
        _folder: folder,
        directory,
        options,
    }
}

impl Case {
    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(&self.directory)
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        files.sort_by_key(|file| ledger::ChunkName::parse(file.file_name()?.to_str()?));
        files
    }

    fn verify(&self) -> Result<ledger_tools::Report, AuditError> {
        verify_directory(&self.directory, &self.options)
    }

    #[track_caller]
    fn refused(&self, check: Check) -> AuditError {
        let error = self.verify().unwrap_err();
        assert_eq!(
            error.fault().map(|fault| fault.check),
            Some(check),
            "{error}"
        );
        error
    }
}

#[test]
fn the_ledger_holds_as_it_is() {
    let case = case();
    let report = case.verify().unwrap();
    assert_eq!(report.verdict(), Verdict::Verified);
    assert!(matches!(report.anchor, Anchor::Service { .. }));
    assert_eq!(
        (report.chunks, report.signatures, report.entries),
        (4, 4, 85)
    );
}

#[test]
fn a_missing_a_foreign_and_a_doubled_file_are_found() {
    let case = case();
    let files = case.files();
    // Missing in the middle.
    let bytes = fs::read(&files[1]).unwrap();
    fs::remove_file(&files[1]).unwrap();
    let error = case.refused(Check::ChunkName);
    assert!(
        error.to_string().contains("ledger_44-64.committed"),
        "{error}"
    );
    fs::write(&files[1], &bytes).unwrap();
    // The same file again, under a name that overlaps.
    let double = case.directory.join("ledger_22");
    fs::write(&double, &bytes).unwrap();
    case.refused(Check::ChunkName);
    fs::remove_file(&double).unwrap();
    // Another ledger's file of the same name: the entries fit, the roots do not.
    let other = self::case();
    fs::copy(&other.files()[1], &files[1]).unwrap();
    let error = case.refused(Check::Root);
    assert!(
        error.to_string().contains("ledger_23-43.committed at byte"),
        "{error}"
    );
    assert!(error.to_string().contains("seqno"), "{error}");
    // Files that are none of the ledger do not matter.
    fs::write(&files[1], &bytes).unwrap();
    fs::write(case.directory.join("ledger_2.ignored"), "x").unwrap();
    fs::write(case.directory.join("notes.txt"), "x").unwrap();
    case.verify().unwrap();
}

#[test]
fn swapped_files_are_found() {
    let case = case();
    let files = case.files();
    let (one, two) = (fs::read(&files[1]).unwrap(), fs::read(&files[2]).unwrap());
    fs::write(&files[1], two).unwrap();
    fs::write(&files[2], one).unwrap();
    case.refused(Check::Seqno);
}

#[test]
fn a_turned_bit_is_found_wherever_it_is() {
    let case = case();
    let file = &case.files()[1];
    let good = fs::read(file).unwrap();
    for at in (0..good.len()).step_by(37) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(file, &bytes).unwrap();
        let error = case.verify().unwrap_err();
        assert!(
            matches!(error, AuditError::Located(_)),
            "byte {at}: {error}"
        );
        assert!(Replay::open(&case.directory, &case.options).is_err());
    }
}

#[test]
fn a_cut_file_is_an_error_or_reported_as_not_whole() {
    let case = case();
    let files = case.files();
    for (index, file) in files.iter().enumerate() {
        let good = fs::read(file).unwrap();
        for length in (0..good.len()).step_by(good.len() / 40) {
            fs::write(file, &good[..length]).unwrap();
            match case.verify() {
                // Only an open chunk may end early, and then what is left is said.
                Ok(report) => {
                    assert_eq!(index, files.len() - 1, "cut to {length}");
                    let whole = report.verdict() == Verdict::Verified;
                    assert_eq!(whole, report.torn_bytes + report.unsigned_tail == 0);
                }
                Err(error) => assert!(error.fault().is_some(), "{error}"),
            }
        }
        fs::write(file, good).unwrap();
    }
}

/// Where the entries of an open chunk begin, and the end of the last.
fn entries(bytes: &[u8]) -> Vec<usize> {
    let mut entries = ledger::Entries::new(bytes).unwrap();
    let mut at = Vec::new();
    while let Some((offset, _)) = entries.next_entry().unwrap() {
        at.push(offset);
    }
    at.push(bytes.len());
    at
}

#[test]
fn what_is_swapped_between_the_readings_is_noticed() {
    // Offsets in an entry.
    const TAG: usize = 8;
    const IV: usize = 24;
    const VIEW: usize = 32;
    const POSITION: usize = 45;
    type Change = fn(&mut [u8], &[usize]);
    let changes: [(&str, Change); 6] = [
        ("the last signature is of another view", |bytes, at| {
            bytes[at[at.len() - 2] + VIEW] ^= 4;
        }),
        ("and what it signs is other", |bytes, at| {
            bytes[at[at.len() - 2] + VIEW] ^= 4;
            bytes[at[1] - 1] ^= 1;
        }),
        ("what it signs is other", |bytes, at| bytes[at[1] - 1] ^= 1),
        ("what it signs is of another view", |bytes, at| {
            bytes[at[0] + VIEW] ^= 4;
        }),
        ("the last signature is other", |bytes, at| {
            bytes[at[at.len() - 2] + TAG] ^= 1;
        }),
        ("the last signature stands further on", |bytes, at| {
            bytes[at[at.len() - 2] + POSITION] ^= 0x80;
        }),
    ];
    let case = case();
    for tail in [false, true] {
        let file = case.files().pop().unwrap();
        let good = fs::read(&file).unwrap();
        let at = entries(&good);
        if tail {
            // Without a root over everything the last signature has to be told by itself.
            let mut again = good[at[0]..at[1]].to_vec();
            let next = case.verify().unwrap().last.unwrap().seqno.0 + 1;
            for place in [IV, POSITION] {
                again[place..place + 8].copy_from_slice(&next.to_le_bytes());
            }
            fs::write(&file, [&good[..], &again].concat()).unwrap();
        }
        let good = fs::read(&file).unwrap();
        for (what, change) in changes {
            let mut replay = Replay::open(&case.directory, &case.options).unwrap();
            assert_eq!(replay.report().unsigned_tail, u64::from(tail));
            let mut bytes = good.clone();
            change(&mut bytes, &at);
            fs::write(&file, &bytes).unwrap();
            let outcome = loop {
                match replay.next_transaction() {
                    Ok(Some(_)) => {}
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            assert!(
                matches!(outcome, Err(AuditError::Changed { .. })),
                "{what}: {outcome:?}"
            );
            fs::write(&file, &good).unwrap();
        }
    }
}

#[test]
fn absurd_lengths_cost_nothing_and_are_located() {
    let case = case();
    let file = &case.files()[0];
    let good = fs::read(file).unwrap();
    // Size of the first entry, length of its public domain, offset of the table.
    for (at, width) in [(10, 6), (44, 8), (0, 8)] {
        let mut bytes = good.clone();
        bytes[at..at + width].fill(0xff);
        fs::write(file, &bytes).unwrap();
        let error = case.refused(Check::ChunkLayout);
        assert!(
            error.to_string().contains("ledger_1-22.committed at byte"),
            "{error}"
        );
    }
}

#[test]
fn hostile_rows_are_errors() {
    let deep = "[".repeat(100_000);
    let hostile = [
        deep.as_str(),
        "{\"cert\":1,\"status\":\"Opening\"}",
        "{\"status\":\"Opening\"}",
        "\u{0}",
        "{\"cert\":\"-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n\",\"status\":\"Opening\"}",
    ];
    for row in hostile {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = LedgerWriter::new(folder.path());
        let mut founding = writer.founding();
        founding.put(SERVICE_INFO, ledger::SINGLE_KEY, row);
        writer.write(&founding);
        writer.sign();
        let error = verify_directory(folder.path(), &VerifyOptions::default()).unwrap_err();
        let check = error.fault().unwrap().check;
        assert_eq!(check, Check::ServiceStatus, "{row:.40}");
    }
}

#[test]
fn led_23_a_checkpoint_shows_a_cut_and_another_history() {
    let mut case = case();
    let checkpoint = case.verify().unwrap().checkpoint.unwrap();
    let saved = serde_json::to_vec(&checkpoint).unwrap();
    let checkpoint = Checkpoint::from_json(&saved).unwrap();
    case.options.checkpoint = Some(checkpoint.clone());
    case.verify().unwrap();
    // Cut behind what was seen: the files that are left hold.
    fs::remove_file(case.files().last().unwrap()).unwrap();
    case.refused(Check::Checkpoint);
    // Another history, by another service.
    let mut other = self::case();
    other.options.checkpoint = Some(checkpoint);
    other.refused(Check::Checkpoint);
    // A checkpoint nobody signed.
    let mut forged: serde_json::Value = serde_json::from_slice(&saved).unwrap();
    forged["root"] = serde_json::json!("00".repeat(32));
    let forged = Checkpoint::from_json(forged.to_string().as_bytes()).unwrap();
    other.options.checkpoint = Some(forged);
    let refused = other.verify().unwrap_err();
    assert!(matches!(refused, AuditError::Checkpoint(_)), "{refused}");
}

#[test]
fn led_20_an_earlier_identity_vouches_for_its_part_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LedgerWriter::new(folder.path());
    let founding = writer.founding();
    writer.write(&founding);
    let open = writer.service_info("Open", 0);
    let mut set = WriteSet::new();
    set.put(SERVICE_INFO, ledger::SINGLE_KEY, open);
    writer.write(&set);
    writer.sign();
    let first = writer.service_certificate.clone();
    writer.recover();
    let mut set = writer.founding();
    let recovering = writer.service_info("Recovering", 1);
    set.put(SERVICE_INFO, ledger::SINGLE_KEY, recovering);
    writer.write(&set);
    writer.sign();
    let verify = |certificate: &str| {
        let options = VerifyOptions {
            service_certificate: Some(certificate.to_owned()),
            ..VerifyOptions::default()
        };
        verify_directory(folder.path(), &options)
    };
    let report = verify(&first).unwrap();
    assert!(matches!(report.anchor, Anchor::Predecessor { until, .. } if until.seqno.0 == 3));
    assert_eq!(report.verdict(), Verdict::Unanchored);
    let report = verify(&writer.service_certificate).unwrap();
    assert_eq!(report.verdict(), Verdict::Verified);
    assert_eq!(report.identities.len(), 2);
}
