//! What is written, byte by byte where the format is particular about it, and what a reader lets pass.
#![allow(clippy::unwrap_used, missing_docs)]

use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ciborium::Value as Cbor;
use ledger::{
    COSE_SIGNATURES_MAP, ChunkBuilder, ChunkName, Digest, Entry, EntryType, LedgerSecret,
    LedgerVerifier, MerkleTree, RecoveryMembers, RecoverySharesRow, RsaPrivateKey, SIGNATURES_MAP,
    SINGLE_KEY, Seqno, SignatureInputs, Signer as _, TREE_MAP, TxId, WriteSet, encode,
    signature_write_set,
};
use tests::ledger_writer::{Key, NODES_CERTIFICATES, NODES_INFO, SERVICE_INFO};

/// A signature over a tree of which leaves before `from` are flushed.
fn signature(service: &Key, node: &Key, tree: &MerkleTree, from: Seqno) -> WriteSet {
    signature_write_set(&SignatureInputs {
        id: TxId::new(2, tree.last().0 + 1),
        tree,
        tree_from: from,
        node_key: node,
        node_certificate: &node.node_certificate(service),
        service_key: service,
        issuer: "issuer",
        subject: "subject",
        issued_at: 1_780_000_000,
    })
    .unwrap()
}

fn keys(map: &Cbor) -> Vec<String> {
    let entries = map.as_map().unwrap();
    let key = |(key, _): &(Cbor, Cbor)| match key {
        Cbor::Integer(number) => i128::from(*number).to_string(),
        other => other.as_text().unwrap().to_owned(),
    };
    entries.iter().map(key).collect()
}

#[test]
fn signatures_write_three_tables_with_headers_in_ccfs_order() {
    let (service, node) = (Key::generate(), Key::generate());
    let mut tree = MerkleTree::new();
    (1..=6_u64).for_each(|leaf| tree.append(Digest::of(&leaf.to_le_bytes())));
    for from in [0, 1, 4, 6] {
        let set = signature(&service, &node, &tree, Seqno(from));
        let maps: Vec<&str> = set.maps().map(|(name, _)| name).collect();
        assert_eq!(maps, [COSE_SIGNATURES_MAP, SIGNATURES_MAP, TREE_MAP]);
        let row = |map: &str| set.operation(map, &SINGLE_KEY).unwrap().unwrap();

        // Leaves here and leaves flushed are all before this entry.
        let (counts, _) = row(TREE_MAP).split_first_chunk::<16>().unwrap();
        let (counts, _) = counts.as_chunks::<8>();
        let counts: Vec<u64> = counts.iter().map(|n| u64::from_be_bytes(*n)).collect();
        assert_eq!(counts, [7 - from, from]);

        let text: String = serde_json::from_slice(row(COSE_SIGNATURES_MAP)).unwrap();
        let message = STANDARD.decode(text).unwrap();
        let message: Cbor = ciborium::from_reader(&message[..]).unwrap();
        let Cbor::Tag(18, fields) = message else {
            panic!("{message:?}");
        };
        let fields = fields.into_array().unwrap();
        let protected: Cbor = ciborium::from_reader(&fields[0].as_bytes().unwrap()[..]).unwrap();
        assert_eq!(keys(&protected), ["1", "4", "395", "15", "ccf.v1"]);
        let value = |index: usize| &protected.as_map().unwrap()[index].1;
        let kid = service.key_id();
        assert_eq!(*value(0), Cbor::from(-35));
        assert_eq!(value(1).as_bytes().unwrap(), kid.as_bytes());
        assert_eq!(*value(2), Cbor::from(2));
        assert_eq!(keys(value(3)), ["6", "1", "2"]);
        let ccf = value(4).as_map().unwrap();
        assert_eq!(ccf, &[("txid".into(), "2.7".into())]);
        assert_eq!(fields[1], Cbor::Map(vec![]));
        assert_eq!(fields[2], Cbor::Null);
        assert_eq!(fields[3].as_bytes().unwrap().len(), 96);
    }
}

#[test]
fn entries_are_of_the_one_type_and_without_claims_claim_zeros() {
    let secret = LedgerSecret::generate(&SystemRandom::new()).unwrap();
    let mut set: WriteSet = WriteSet::new();
    set.put("records", "k", "v");
    let written = encode(TxId::new(2, 7), 0, Digest::ZERO, &set, &secret).unwrap();
    let entry = Entry::parse(&written.bytes).unwrap();
    assert_eq!(entry.entry_type, EntryType::WithBoth);
    assert_eq!(entry.claims_digest, Some(Digest::ZERO));
    let evidence = written.commit_evidence.digest();
    assert_eq!(entry.commit_evidence_digest, Some(evidence));
    assert_eq!((entry.reserved, entry.flags), (0, 0));
    assert!(entry.sections.is_empty() && entry.has_private_domain());
}

/// The key that wraps the ledger secret is used with a constant nonce: it must be another each time.
#[test]
fn every_row_of_shares_has_a_wrapping_key_of_its_own() {
    let rng = SystemRandom::new();
    let secret = LedgerSecret::generate(&rng).unwrap();
    let key = RsaPrivateKey::generate().unwrap();
    let mut members = RecoveryMembers::default();
    members.participants.insert("a".into(), key.public_key());
    let row = || RecoverySharesRow::issue(&secret, &members, 1, None, &rng).unwrap();
    let (one, other) = (row(), row());
    assert_ne!(
        one.wrapped_latest_ledger_secret,
        other.wrapped_latest_ledger_secret
    );
    let share = one.open_share("a", &key).unwrap();
    let opened = one.latest_secret(std::slice::from_ref(&share), 1).unwrap();
    assert_eq!(opened.expose_bytes(), secret.expose_bytes());
    assert!(other.latest_secret(&[share], 1).is_err());
}

#[test]
fn rows_with_unknown_fields_and_free_form_json_are_read() {
    let (service, node) = (Key::generate(), Key::generate());
    let secret = LedgerSecret::generate(&SystemRandom::new()).unwrap();
    let certificate = serde_json::to_string(&service.service_certificate()).unwrap();
    let mut founding: WriteSet = WriteSet::new();
    let row = format!(
        "{{ \"status\":\"Opening\",\n\"of tomorrow\":[1, {{}}], \"cert\" : {certificate}}}"
    );
    founding.put(SERVICE_INFO, SINGLE_KEY, row);
    let id = node.key_id();
    founding.put(
        NODES_INFO,
        id.as_str(),
        "{\"z\":null,\n \"status\":\"Trusted\",\"acme\":{\"a\":1}}",
    );
    founding.put(
        NODES_CERTIFICATES,
        id.as_str(),
        node.node_certificate(&service),
    );
    let mut tree = MerkleTree::new();
    let mut builder = ChunkBuilder::new(Seqno(1));
    let mut bytes = ChunkBuilder::open_header().to_vec();
    let mut append = |set: &WriteSet, tree: &mut MerkleTree| {
        let id = TxId::new(2, tree.last().0 + 1);
        let entry = encode(id, 0, Digest::ZERO, set, &secret).unwrap();
        assert!(builder.push(entry.bytes.len()));
        tree.append(entry.leaf);
        bytes.extend(entry.bytes);
    };
    append(&founding, &mut tree);
    let mut signed = signature(&service, &node, &tree, Seqno(0));
    let row = signed.operation(SIGNATURES_MAP, &SINGLE_KEY).unwrap();
    let row: serde_json::Value = serde_json::from_slice(row.unwrap()).unwrap();
    let mut free = serde_json::to_string_pretty(&row).unwrap();
    free.insert_str(1, "\"of tomorrow\": true,");
    signed.put(SIGNATURES_MAP, SINGLE_KEY, free);
    append(&signed, &mut tree);
    let mut verifier = LedgerVerifier::new(None);
    verifier.chunk(&ChunkName::open(Seqno(1)), &bytes).unwrap();
    let report = verifier.finish().unwrap();
    assert_eq!(report.verified_until, Some(TxId::new(2, 2)));
}
