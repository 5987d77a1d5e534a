//! What the service says of itself, its nodes and its snapshots (LED-17, LED-18, LED-20, LED-22, LED-24).

use ledger::{
    Anchor, Check, ChunkName, Digest, ENDORSEMENT_MAP, EndorsementRow, LedgerVerifier, PublicKey,
    SINGLE_KEY, SNAPSHOT_EVIDENCE_MAP, Seqno, Signer as _, Trust, TxId, Verdict,
};
use serde_json::json;
use tests::ledger_writer::{Key, NODES_INFO, SERVICE_INFO};

use crate::forge::{Forge, verify};

#[test]
fn led_17_statuses_follow_each_other() {
    let walk = |statuses: &[&str]| {
        let mut forge = Forge::new();
        for status in statuses {
            forge.put(SERVICE_INFO, forge.service_info(status));
        }
        forge.sign().verify().map(|_| ())
    };
    for good in [
        &["Opening"][..],
        &["Open", "Open"],
        &["Open", "Recovering", "WaitingForRecoveryShares", "Open"],
        &["WaitingForRecoveryShares", "Open", "Opening"],
    ] {
        assert_eq!(walk(good), Ok(()), "{good:?}");
    }
    for bad in [
        &["Recovering"][..],
        &["Open", "WaitingForRecoveryShares"],
        &["Open", "Recovering", "Open"],
        &["Closed"],
    ] {
        assert_eq!(walk(bad), Err(Check::ServiceStatus), "{bad:?}");
    }
    let first = Forge::altered(|genesis, forge| {
        genesis.put(SERVICE_INFO, SINGLE_KEY, forge.service_info("Open"));
    });
    assert_eq!(first.refused(), Check::ServiceStatus);
}

#[test]
fn led_18_node_rows() {
    let forge = Forge::altered(|genesis, forge| genesis.put(NODES_INFO, forge.node.key_id(), "[]"));
    assert_eq!(forge.refused(), Check::NodeInfo);
}

#[test]
fn led_20_pinned_identity() {
    let mut forge = Forge::new();
    forge.sign();
    let other = PublicKey::from_spki_der(Key::generate().public_key_der()).unwrap();
    let name = ChunkName::committed(Seqno(1), Seqno(2));
    assert_eq!(
        verify(Some(other), &[(name, forge.chunk())]),
        Err(Check::PinnedIdentity)
    );
}

#[test]
fn led_20_an_identity_that_is_only_named_vouches_for_nothing() {
    let key = |key: &Key| PublicKey::from_spki_der(key.public_key_der()).unwrap();
    let named = |other: &Key, status: &str| {
        let cert = other.service_certificate();
        json!({ "cert": cert, "status": status }).to_string()
    };
    // A ledger that another service signs throughout, which names the pinned one behind its last signature.
    let mut forge = Forge::new();
    let (open, pinned) = (forge.service_info("Open"), Key::generate());
    forge.put(SERVICE_INFO, open).sign();
    let signed = TxId::new(2, forge.next() - 1);
    forge.put(SERVICE_INFO, named(&pinned, "Recovering"));
    let ledger = [(ChunkName::open(Seqno(1)), forge.bytes.clone())];
    assert_eq!(
        verify(Some(key(&pinned)), &ledger),
        Err(Check::PinnedIdentity)
    );
    // To the service that signed it, it is a recovery that was cut off before its first signature.
    let service = key(&forge.service).id();
    let report = verify(Some(key(&forge.service)), &ledger).unwrap();
    assert_eq!(
        report.anchor,
        Anchor::Service {
            identity: service.clone()
        }
    );
    assert_eq!(report.verdict(), Verdict::Incomplete);
    assert_eq!(
        (report.verified_until, report.unsigned_tail),
        (Some(signed), 1)
    );
    assert_eq!(report.service_identity.as_ref(), Some(&service));
    assert_eq!(report.identities, [service]);
    assert!(report.signed_root.is_some());
    // Nor does an identity that endorses the one that is only named.
    let later = Key::generate();
    let first = EndorsementRow::self_endorsement(&pinned, TxId::new(2, 1), 1).unwrap();
    let (until, created) = (Seqno(9), TxId::new(4, 10));
    let row =
        EndorsementRow::of_previous(&later, &first, until, created, &Digest::of(b"x"), 1).unwrap();
    let trust = Trust {
        service: Some(key(&later)),
        endorsements: vec![row],
        ..Trust::default()
    };
    let mut verifier = LedgerVerifier::trusting(trust);
    verifier.chunk(&ledger[0].0, &ledger[0].1).unwrap();
    assert_eq!(
        verifier.finish().map_err(|fault| fault.check),
        Err(Check::PinnedIdentity)
    );
}

#[test]
fn led_22_endorsements_are_the_services() {
    let with = |key: &Key, endorsed: &Key| {
        let mut row = EndorsementRow::self_endorsement(key, TxId::new(2, 1), 1).unwrap();
        row.endorsing_key = ledger::Base64(endorsed.public_key_der().to_vec());
        serde_json::to_vec(&row).unwrap()
    };
    let mut forge = Forge::new();
    let honest = with(&forge.service, &forge.service);
    forge.put(ENDORSEMENT_MAP, honest).sign();
    assert_eq!(forge.verify().map(|_| ()), Ok(()));
    let mut forge = Forge::new();
    let other = Key::generate();
    let foreign = with(&other, &other);
    assert_eq!(
        forge.put(ENDORSEMENT_MAP, foreign).sign().refused(),
        Check::Endorsement
    );
    let mut forge = Forge::new();
    let lie = with(&other, &forge.service);
    assert_eq!(
        forge.put(ENDORSEMENT_MAP, lie).sign().refused(),
        Check::Endorsement
    );
    // Of an earlier service that never signed here.
    let mut forge = Forge::new();
    let first = EndorsementRow::self_endorsement(&other, TxId::new(2, 1), 1).unwrap();
    let created = TxId::new(4, 9);
    let row = EndorsementRow::of_previous(
        &forge.service,
        &first,
        Seqno(3),
        created,
        &Digest::of(b"x"),
        1,
    );
    let row = serde_json::to_vec(&row.unwrap()).unwrap();
    assert_eq!(
        forge.put(ENDORSEMENT_MAP, row).sign().refused(),
        Check::Endorsement
    );
}

#[test]
fn led_24_evidence_of_a_snapshot_is_claimed() {
    let mut forge = Forge::new();
    let row = json!({ "hash": Digest::of(b"snapshot"), "version": 1 }).to_string();
    forge.put(SNAPSHOT_EVIDENCE_MAP, row);
    assert_eq!(forge.sign().refused(), Check::SnapshotEvidence);
}
