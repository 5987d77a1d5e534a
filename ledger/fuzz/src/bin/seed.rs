//! Writes the corpus: one small good input or two for each target. Run it when a format changes.

use std::fs;
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use ciborium::Value;
use ledger::{
    ChunkBuilder, Digest, LedgerSecret, MerkleTree, SINGLE_KEY, Seqno, SnapshotMap, SnapshotPoint,
    TREE_MAP, TxId, WrappingSecret, WriteSet, encode, encode_snapshot,
};
use serde_json::{Value as Json, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rng = SystemRandom::new();
    let secret = LedgerSecret::generate(&rng)?;
    let entry = |seqno: u64| -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let mut set: WriteSet = WriteSet::new();
        set.put("public:rows", "key", vec![seqno as u8; 5]);
        set.remove("public:rows", "gone");
        set.put("private", "key", "value");
        Ok(encode(TxId::new(2, seqno), 0, Digest::ZERO, &set, &secret)?.bytes)
    };
    write("entry", "one", &entry(1)?)?;
    write(
        "sections",
        "public",
        entry(1)?.get(125..).unwrap_or_default(),
    )?;
    let mut builder = ChunkBuilder::new(Seqno(1));
    let mut chunk = ChunkBuilder::open_header().to_vec();
    for seqno in 1..4 {
        let bytes = entry(seqno)?;
        if builder.push(bytes.len()) {
            chunk.extend(bytes);
        }
    }
    write("chunk", "open", &chunk)?;
    write("walk", "open", &chunk)?;
    let (table, header) = builder.finish();
    chunk.extend(table);
    chunk.splice(..8, header);
    write("chunk", "finished", &chunk)?;
    write("chunk_name", "committed", b"ledger_1-3.committed")?;
    write("chunk_name", "recovery", b"ledger_4.recovery")?;
    let mut tree = MerkleTree::new();
    for leaf in 1..11 {
        tree.append(Digest::of(&[leaf]));
    }
    write("tree", "whole", &tree.serialise(Seqno(0))?)?;
    tree.flush(Seqno(7));
    write("tree", "flushed", &tree.serialise(Seqno(7))?)?;
    let wrapping = WrappingSecret::generate(&rng)?;
    write("share", "full", wrapping.full_share().to_bytes().as_ref())?;
    write("snapshot", "one", &snapshot(&secret)?)?;
    messages()?;
    rows()
}

/// A snapshot with the two tables it must have; its receipt is none.
fn snapshot(secret: &LedgerSecret) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut tree = MerkleTree::new();
    tree.append(Digest::of(b"1"));
    let serialised = tree.serialise(Seqno(0))?;
    let row = json!({
        "node": "n", "root": tree.root(), "seqno": 2, "sig": "", "view": 2,
    })
    .to_string();
    let map = |name, value| SnapshotMap {
        name,
        version: Seqno(2),
        rows: vec![(&SINGLE_KEY[..], value, Seqno(2))],
    };
    let maps = vec![
        map(TREE_MAP, serialised.as_slice()),
        map(ledger::SIGNATURES_MAP, row.as_bytes()),
    ];
    let point = SnapshotPoint {
        seqno: Seqno(2),
        leaf: Digest::of(b"2"),
        view_history: &[Seqno(1), Seqno(1)],
    };
    let mut bytes = encode_snapshot(point, maps, secret)?;
    bytes.extend_from_slice(b"{}");
    Ok(bytes)
}

/// COSE messages of the three kinds. The signatures are none.
fn messages() -> Result<(), Box<dyn std::error::Error>> {
    let label = |n: i64| Value::Integer(n.into());
    let text = |text: &str| Value::Text(text.to_owned());
    let ccf = Value::Map(vec![(text("txid"), text("2.3"))]);
    let root = Value::Map(vec![
        (label(1), label(-35)),
        (label(4), Value::Bytes(vec![b'a'; 64])),
        (label(395), label(2)),
        (
            label(15),
            Value::Map(vec![
                (label(6), label(1)),
                (label(1), text("i")),
                (label(2), text("s")),
            ]),
        ),
        (text("ccf.v1"), ccf),
    ]);
    let signature = message(&root, Value::Map(vec![]), Value::Null)?;
    write("cose_signature", "one", &signature)?;
    let hash = || Value::Bytes(vec![7; 32]);
    let proof = Value::Map(vec![
        (
            label(1),
            Value::Array(vec![hash(), text("ce:2.1:00"), hash()]),
        ),
        (
            label(2),
            Value::Array(vec![Value::Array(vec![Value::Bool(true), hash()])]),
        ),
    ]);
    let proofs = Value::Map(vec![(
        label(-1),
        Value::Array(vec![Value::Bytes(cbor(&proof)?)]),
    )]);
    let unprotected = Value::Map(vec![(label(396), proofs)]);
    let receipt = message(&root, unprotected, Value::Null)?;
    write("cose_receipt", "one", &receipt)?;
    let member = Value::Map(vec![
        (label(1), label(-35)),
        (label(4), Value::Bytes(vec![b'b'; 64])),
        (text("ccf.gov.msg.type"), text("ballot")),
        (text("ccf.gov.msg.created_at"), label(1)),
        (text("ccf.gov.msg.proposal_id"), text("p")),
    ]);
    let ballot = message(&member, Value::Map(vec![]), Value::Bytes(b"{}".to_vec()))?;
    write("governance_message", "ballot", &ballot)
}

fn message(
    protected: &Value,
    unprotected: Value,
    payload: Value,
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    cbor(&Value::Tag(
        18,
        Box::new(Value::Array(vec![
            Value::Bytes(cbor(protected)?),
            unprotected,
            payload,
            Value::Bytes(vec![9; 96]),
        ])),
    ))
}

fn cbor(value: &Value) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes)?;
    Ok(bytes)
}

/// JSON rows and files.
fn rows() -> Result<(), Box<dyn std::error::Error>> {
    let hash = Digest::of(b"x");
    let put =
        |target: &str, name: &str, value: &Json| write(target, name, value.to_string().as_bytes());
    let receipt = json!({
        "cert": "", "node_id": "n", "signature": "AAAA", "proof": [{ "left": hash }],
        "leaf_components": {
            "claims_digest": hash, "commit_evidence": "ce:2.1:00", "write_set_digest": hash,
        },
    });
    put("json_receipt", "one", &receipt)?;
    let checkpoint = json!({
        "format": "ledger-checkpoint/1", "txid": "2.4", "root": hash, "service_certificate": "",
        "node_certificate": "", "node_signature": "AAAA", "cose_signature": "AAAA",
    });
    put("checkpoint", "one", &checkpoint)?;
    let endorsement = json!({
        "endorsement": "AAAA", "endorsing_key": "AAAA", "endorsement_epoch_begin": "2.1",
        "endorsement_epoch_end": "2.9", "previous_version": 4,
    });
    put("tables", "endorsement", &endorsement)?;
    let shares = json!({
        "encrypted_shares": { "m": "AAAA" }, "wrapped_latest_ledger_secret": "AAAA",
    });
    put("tables", "shares", &shares)?;
    let secret = json!({
        "next_version": 5, "previous_ledger_secret": { "encrypted_data": "AAAA", "version": 1 },
    });
    put("tables", "secret", &secret)
}

fn write(target: &str, name: &str, bytes: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(name), bytes)?)
}
