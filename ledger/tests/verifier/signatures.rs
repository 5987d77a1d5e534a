//! Signatures, and who may make them (LED-07 to LED-16).

use ledger::{
    COSE_SIGNATURES_MAP, Check, Digest, MerkleTree, SIGNATURES_MAP, SINGLE_KEY, Seqno, Signer as _,
    TREE_MAP, WriteSet,
};
use serde_json::json;
use tests::ledger_writer::{Key, NODES_CERTIFICATES, NODES_INFO};

use crate::forge::Forge;

#[test]
fn led_07_signatures_write_nothing_else() {
    for map in ["public:rows", "private"] {
        let mut forge = Forge::new();
        forge.sign_altered(|set| set.put(map, "k", "v"));
        assert_eq!(forge.refused(), Check::SignatureMaps, "{map}");
    }
}

#[test]
fn led_08_to_10_signature_rows() {
    let mut forge = Forge::new();
    forge.sign_altered(|set| set.put(SIGNATURES_MAP, SINGLE_KEY, "{}"));
    assert_eq!(forge.refused(), Check::SignatureRow);
    // Another row of the table, or none, passes for no signature.
    let changes: [fn(&mut WriteSet); 2] = [
        |set| set.put(SIGNATURES_MAP, "k", "{}"),
        |set| set.remove(SIGNATURES_MAP, SINGLE_KEY),
    ];
    for change in changes {
        let mut forge = Forge::new();
        forge.sign().sign_altered(change);
        assert_eq!(forge.refused(), Check::SignatureRow);
    }
    let mut forge = Forge::new();
    forge.sign_row(|row| row["root"] = json!(Digest::of(b"another").to_hex()));
    assert_eq!(forge.refused(), Check::Root);
    for (field, value) in [("seqno", 9), ("view", 9)] {
        let mut forge = Forge::new();
        forge.sign_row(|row| row[field] = json!(value));
        assert_eq!(forge.refused(), Check::SignatureId, "{field}");
    }
}

#[test]
fn led_11_only_nodes_that_were_trusted_sign() {
    for info in [r#"{"status":"Pending"}"#, r#"{"status":""}"#] {
        let mut forge =
            Forge::altered(|genesis, forge| genesis.put(NODES_INFO, forge.node.key_id(), info));
        assert_eq!(forge.sign().refused(), Check::Node, "{info}");
    }
    let mut forge = Forge::new();
    forge.node = Key::generate();
    assert_eq!(forge.sign().refused(), Check::Node);
}

#[test]
fn led_12_the_certificate_is_the_nodes() {
    let mut forge = Forge::altered(|genesis, forge| {
        let other = Key::generate().node_certificate(&forge.service);
        genesis.put(NODES_CERTIFICATES, forge.node.key_id(), other);
    });
    assert_eq!(forge.sign().refused(), Check::NodeCertificate);
    let mut forge = Forge::new();
    let other = Key::generate().node_certificate(&forge.service);
    forge.sign_row(|row| row["cert"] = json!(other));
    assert_eq!(forge.refused(), Check::NodeCertificate);
    let mut forge =
        Forge::altered(|genesis, forge| genesis.remove(NODES_CERTIFICATES, forge.node.key_id()));
    assert_eq!(forge.sign().refused(), Check::NodeCertificate);
}

#[test]
fn led_13_the_certificate_was_issued_by_the_service() {
    let mut forge = Forge::altered(|genesis, forge| {
        let other = forge.node.node_certificate(&Key::generate());
        genesis.put(NODES_CERTIFICATES, forge.node.key_id(), other);
    });
    assert_eq!(forge.sign().refused(), Check::NodeEndorsement);
}

#[test]
fn led_14_the_node_signed() {
    let mut forge = Forge::new();
    let other = Key::generate();
    let root = forge.tree.root();
    let signature = ledger::Base64(other.sign_root(&root).unwrap());
    forge.sign_row(|row| row["sig"] = json!(signature));
    assert_eq!(forge.refused(), Check::NodeSignature);
}

#[test]
fn led_15_the_tree_is_the_tree() {
    let mut other = MerkleTree::new();
    other.append(Digest::of(b"another"));
    let other = other.serialise(Seqno(0)).unwrap();
    let mut forge = Forge::new();
    forge.sign_altered(|set| set.put(TREE_MAP, SINGLE_KEY, other));
    assert_eq!(forge.refused(), Check::Tree);
    let mut forge = Forge::new();
    forge.sign_altered(|set| set.put(TREE_MAP, SINGLE_KEY, "short"));
    assert_eq!(forge.refused(), Check::Tree);
    let mut forge = Forge::new();
    forge.sign_altered(|set| set.remove(TREE_MAP, SINGLE_KEY));
    assert_eq!(forge.refused(), Check::Tree);
}

#[test]
fn led_16_the_service_signed_this_entry() {
    // The signature of another ledger's same position: another key, another root.
    let mut other = Forge::new();
    let mut foreign = Vec::new();
    other.sign_altered(|set| foreign = cose_row(set));
    let mut forge = Forge::new();
    forge.sign_altered(|set| set.put(COSE_SIGNATURES_MAP, SINGLE_KEY, foreign));
    assert_eq!(forge.refused(), Check::CoseSignature);
    // An earlier one of the same service.
    let mut forge = Forge::new();
    let mut earlier = Vec::new();
    forge.sign_altered(|set| earlier = cose_row(set));
    forge.sign_altered(|set| set.put(COSE_SIGNATURES_MAP, SINGLE_KEY, earlier));
    assert_eq!(forge.refused(), Check::CoseSignature);
}

/// The service's signature in a signature transaction.
fn cose_row(set: &WriteSet) -> Vec<u8> {
    let row = set.operation(COSE_SIGNATURES_MAP, &SINGLE_KEY);
    row.unwrap().unwrap().to_vec()
}
