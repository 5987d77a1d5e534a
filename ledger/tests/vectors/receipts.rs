//! Receipts: those recorded, those made of every entry of every ledger, and what is wrong with each altered one.

use std::path::PathBuf;

use ledger::receipt::{CoseReceipt, Covering, UnverifiedReceipt};
use ledger::{Digest, Entries, Entry, PublicKey, SIGNATURES_MAP, TxId};
use serde_json::Value;

use crate::real::{Ledger, each};

fn service_of(ledger: &Ledger) -> PublicKey {
    PublicKey::of_certificate(&ledger.service_certificate()).unwrap()
}

/// Recorded receipts with this extension.
fn recorded(ledger: &Ledger, extension: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(files) = std::fs::read_dir(ledger.folder().join("receipts")) else {
        return Vec::new();
    };
    files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

/// Makes a receipt of every entry that is signed, in every form there is for it, and verifies it. Of a ledger with several
/// identities only the last service's can be verified without endorsements.
#[test]
fn every_signed_entry_has_a_receipt() {
    let mut made = (0, 0);
    each("every_signed_entry_has_a_receipt", |name, ledger| {
        let secrets = ledger.secrets();
        let service = service_of(ledger);
        let mut waiting: Vec<Vec<u8>> = Vec::new();
        for chunk in &ledger.chunks {
            let mut entries = Entries::new(chunk).unwrap();
            while let Some((_, entry)) = entries.next_entry().unwrap() {
                if entry.section(SIGNATURES_MAP).is_none() {
                    waiting.push(entry.bytes.to_vec());
                    continue;
                }
                let covered = std::mem::take(&mut waiting);
                let Ok(signature) = Covering::of(&entry) else {
                    continue;
                };
                let current = signature.of_itself().verify_with_key(&service).is_ok();
                for bytes in covered {
                    let entry = Entry::parse(&bytes).unwrap();
                    let secret = secrets.covering(entry.seqno).unwrap();
                    let evidence = secret.commit_evidence(entry.id());
                    let receipt = signature.json(&entry, Some(&evidence)).unwrap();
                    let again = json(&receipt);
                    assert_eq!(UnverifiedReceipt::from_json(&again).unwrap(), receipt);
                    assert_eq!(receipt.verify_with_key(&service).is_ok(), current, "{name}");
                    made.0 += 1;
                    let Ok(cose) = signature.cose(&entry, &evidence) else {
                        continue;
                    };
                    let parsed = CoseReceipt::from_bytes(&cose).unwrap();
                    if current {
                        let claims = entry.claims_digest.unwrap();
                        let proven = parsed.verify_leaf(&service, &claims, &entry.leaf());
                        assert_eq!(proven.unwrap(), evidence.as_str(), "{name}");
                    }
                    made.1 += 1;
                }
            }
        }
    });
    assert!(made == (0, 0) || (made.0 > 300 && made.1 > 50), "{made:?}");
}

fn json(receipt: &UnverifiedReceipt) -> Value {
    serde_json::to_value(receipt).unwrap()
}

/// The receipts that were recorded are those that we make.
#[test]
fn recorded_receipts_are_ours() {
    each("recorded_receipts_are_ours", |name, ledger| {
        let secrets = ledger.secrets();
        for (path, bytes) in recorded(ledger, "json") {
            let want: Value = serde_json::from_slice(&bytes).unwrap();
            let proven = UnverifiedReceipt::from_json(&want).unwrap();
            let id = proven.verify(&ledger.service_certificate()).unwrap();
            let id = id.transaction.unwrap();
            let (entry, signature) = entry_and_signature(ledger, id);
            let entry = Entry::parse(&entry).unwrap();
            let evidence = secrets.covering(id.seqno).unwrap().commit_evidence(id);
            let ours = signature.json(&entry, Some(&evidence)).unwrap();
            assert_eq!(json(&ours), want, "{name} {id}");
            let cose = std::fs::read(path.with_extension("cose")).unwrap();
            let ours = signature.cose(&entry, &evidence).unwrap();
            assert!(ours == cose, "{name} {id}");
        }
    });
}

fn entry_and_signature(ledger: &Ledger, id: TxId) -> (Vec<u8>, Covering) {
    let mut found = None;
    for chunk in &ledger.chunks {
        let mut entries = Entries::new(chunk).unwrap();
        while let Some((_, entry)) = entries.next_entry().unwrap() {
            if entry.id() == id {
                found = Some(entry.bytes.to_vec());
            } else if let Some(found) = &found
                && entry.section(SIGNATURES_MAP).is_some()
            {
                return (found.clone(), Covering::of(&entry).unwrap());
            }
        }
    }
    panic!("{id} is not there, or not signed");
}

#[test]
fn cose_receipts_prove_their_claims_and_nothing_else() {
    each(
        "cose_receipts_prove_their_claims_and_nothing_else",
        |name, ledger| {
            let service = service_of(ledger);
            for (path, bytes) in recorded(ledger, "cose") {
                let claims = std::fs::read_to_string(path.with_extension("claims")).unwrap();
                let claims: Digest = claims.trim().parse().unwrap();
                let receipt = CoseReceipt::from_bytes(&bytes).unwrap();
                let proven = receipt.verify(&service, &claims).unwrap();
                assert!(proven.starts_with("ce:"), "{name}");
                assert!(
                    receipt
                        .verify(&service, &Digest::of(b"another claim"))
                        .is_err()
                );
                let member = ledger.folder().join("common/member0_cert.pem");
                let member = std::fs::read_to_string(member).unwrap();
                let foreign = PublicKey::of_certificate(&member).unwrap();
                assert!(receipt.verify(&foreign, &claims).is_err());
                // The payload is detached: CBOR's `undefined` in the place of `null` says the same.
                let payload = bytes.len() - 96 - 2 - 1;
                assert_eq!(bytes[payload], 0xf6);
                for at in (0..bytes.len()).filter(|at| *at != payload) {
                    let mut altered = bytes.clone();
                    altered[at] ^= 1 << (at % 8);
                    let refused = match CoseReceipt::from_bytes(&altered) {
                        Ok(receipt) => receipt.verify(&service, &claims).is_err(),
                        Err(_) => true,
                    };
                    assert!(refused, "{name}: bit of byte {at}");
                    assert!(
                        CoseReceipt::from_bytes(&bytes[..at]).is_err(),
                        "cut to {at}"
                    );
                }
                let longer = [bytes.as_slice(), &[0]].concat();
                assert!(CoseReceipt::from_bytes(&longer).is_err());
            }
        },
    );
}
