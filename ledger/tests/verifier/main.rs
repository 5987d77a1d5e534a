//! Each check on ledgers by number: a small ledger that holds, and one forgery per check.
//!
//! The forgeries are consistent otherwise: they are encoded, hashed and signed by the real
//! keys after the change, so that the check named is what finds them.
#![allow(clippy::unwrap_used, missing_docs)]

mod entries;
mod forge;
mod service;
mod signatures;

use ledger::{Check, ChunkName, Seqno, TxId};
use tests::ledger_writer::SERVICE_INFO;

use crate::forge::{Forge, verify};

#[test]
fn the_honest_ledger_holds() {
    let mut forge = Forge::new();
    let open = forge.service_info("Open");
    forge
        .sign()
        .put(SERVICE_INFO, open)
        .put("public:rows", "v")
        .sign();
    let report = forge.verify().unwrap();
    assert_eq!(report.verified_until, Some(TxId::new(2, 5)));
    assert_eq!(
        (report.entries, report.signatures, report.cose_signatures),
        (5, 2, 2)
    );
    assert!(report.pinned && report.unsigned_tail == 0);
}

#[test]
fn numbers_are_those_of_the_documentation() {
    let ids = [
        Check::ChunkLayout,
        Check::Root,
        Check::CoseSignature,
        Check::Signed,
    ]
    .map(Check::id);
    assert_eq!(ids, ["LED-01", "LED-09", "LED-16", "LED-21"]);
}

#[test]
fn led_21_something_is_signed_and_the_tail_is_reported() {
    let forge = Forge::new();
    let open = ChunkName::open(Seqno(1));
    assert_eq!(
        verify(None, &[(open, forge.bytes.clone())]),
        Err(Check::Signed)
    );
    assert_eq!(verify(None, &[]), Err(Check::Signed));
    let mut forge = Forge::new();
    forge.sign().put("public:rows", "v").put("public:rows", "w");
    let report = verify(None, &[(open, forge.bytes.clone())]).unwrap();
    assert_eq!(
        (report.verified_until, report.unsigned_tail),
        (Some(TxId::new(2, 2)), 2)
    );
}

#[test]
fn what_a_killed_writer_left_behind_is_reported_and_verifies_to_the_last_whole_signature() {
    let mut forge = Forge::new();
    let mut ends = vec![(0, None), (forge.bytes.len(), None)];
    forge.sign();
    ends.push((forge.bytes.len(), Some(TxId::new(2, 2))));
    forge.put("public:rows", "v");
    ends.push((forge.bytes.len(), Some(TxId::new(2, 2))));
    forge.sign();
    ends.push((forge.bytes.len(), Some(TxId::new(2, 4))));
    let open = ChunkName::open(Seqno(1));
    for length in 8..=forge.bytes.len() {
        let (whole, want) = *ends.iter().rev().find(|(end, _)| *end <= length).unwrap();
        let outcome = verify(None, &[(open, forge.bytes[..length].to_vec())]);
        match want {
            None => assert_eq!(outcome, Err(Check::Signed), "cut to {length}"),
            Some(_) => {
                let report = outcome.unwrap();
                assert_eq!(report.verified_until, want, "cut to {length}");
                assert_eq!(
                    report.torn_bytes,
                    (length - whole) as u64,
                    "cut to {length}"
                );
            }
        }
    }
    // Nothing follows a torn entry, and a finished chunk has none.
    let torn = forge.bytes[..forge.bytes.len() - 1].to_vec();
    let next = (ChunkName::open(Seqno(4)), forge.bytes[..8].to_vec());
    assert_eq!(verify(None, &[(open, torn), next]), Err(Check::ChunkLayout));
}
