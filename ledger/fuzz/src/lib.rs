//! Fuzz targets: each takes any bytes, and must come back without a panic, and with the same value from what it writes again.
//!
//! `cargo fuzz run chunk` (nightly) drives them with libFuzzer; `cargo run --bin smoke` drives the same functions on a stable
//! compiler for a given time, from the same corpus.

use ledger::receipt::{CoseReceipt, UnverifiedReceipt};
use ledger::{
    Checkpoint, ChunkName, CoseRootSignature, EndorsementRow, Entries, Entry, GovernanceMessage,
    HistoricalSecretRow, LedgerVerifier, MerkleTree, Piece, Pieces, RecoverySharesRow, Seqno,
    Share, Snapshot, parse_sections,
};

/// A target by name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("checkpoint", checkpoint),
    ("chunk", chunk),
    ("chunk_name", chunk_name),
    ("cose_receipt", cose_receipt),
    ("cose_signature", cose_signature),
    ("entry", entry),
    ("governance_message", governance_message),
    ("json_receipt", json_receipt),
    ("sections", sections),
    ("share", share),
    ("snapshot", snapshot),
    ("tables", tables),
    ("tree", tree),
    ("walk", walk),
];

/// A saved checkpoint.
pub fn checkpoint(bytes: &[u8]) {
    if let Ok(checkpoint) = Checkpoint::from_json(bytes) {
        let _ = checkpoint.verify(None);
    }
}

/// A chunk in memory and in pieces: the same entries, or none.
pub fn chunk(bytes: &[u8]) {
    let mut whole = Vec::new();
    let mut good = false;
    if let Ok(mut entries) = Entries::new(bytes) {
        while let Ok(found) = entries.next_entry() {
            let Some((_, entry)) = found else {
                good = true;
                break;
            };
            whole.extend_from_slice(entry.bytes);
        }
    }
    let mut read = Vec::new();
    if let Ok(mut pieces) = Pieces::new(bytes) {
        let mut piece = Piece::default();
        while let Ok(true) = pieces.next_piece(&mut piece, 64) {
            read.extend_from_slice(piece.bytes());
        }
    }
    // Pieces do not look into entries, so they may go on where an entry does not parse.
    assert!(read.starts_with(&whole));
    assert!(!good || read == whole);
}

/// The name of a chunk file.
pub fn chunk_name(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some(name) = ChunkName::parse(text)
    {
        assert_eq!(ChunkName::parse(&name.to_string()), Some(name));
    }
}

/// A receipt in COSE.
pub fn cose_receipt(bytes: &[u8]) {
    let _ = CoseReceipt::from_bytes(bytes);
}

/// The service's signature over a root.
pub fn cose_signature(bytes: &[u8]) {
    let _ = CoseRootSignature::from_bytes(bytes);
    let _ = CoseRootSignature::from_row(bytes);
}

/// One transaction.
pub fn entry(bytes: &[u8]) {
    if let Ok(entry) = Entry::parse(bytes) {
        assert_eq!(Entry::length(bytes), Ok(entry.bytes.len()));
        let _ = entry.leaf();
    }
}

/// A member's signed message.
pub fn governance_message(bytes: &[u8]) {
    if let Ok(message) = GovernanceMessage::from_bytes(bytes) {
        let _ = message.verify("");
    }
}

/// A receipt in JSON.
pub fn json_receipt(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice(bytes)
        && let Ok(receipt) = UnverifiedReceipt::from_json(&value)
    {
        let _ = receipt.verify("");
    }
}

/// The map sections of either domain.
pub fn sections(bytes: &[u8]) {
    for public in [false, true] {
        let _ = parse_sections(bytes, public);
    }
}

/// A recovery share.
pub fn share(bytes: &[u8]) {
    if let Ok(share) = Share::from_bytes(bytes) {
        assert_eq!(share.to_bytes().as_ref(), bytes);
    }
}

/// A snapshot file.
pub fn snapshot(bytes: &[u8]) {
    if let Ok(snapshot) = Snapshot::read(bytes) {
        let _ = snapshot.start();
    }
}

/// Rows of the framework's tables.
pub fn tables(bytes: &[u8]) {
    let _ = serde_json::from_slice::<EndorsementRow>(bytes);
    let _ = serde_json::from_slice::<RecoverySharesRow>(bytes);
    let _ = HistoricalSecretRow::from_json(Seqno(1), bytes);
}

/// A serialised Merkle tree.
pub fn tree(bytes: &[u8]) {
    if let Ok(tree) = MerkleTree::deserialise(bytes) {
        let _ = tree.root();
        assert_eq!(tree.serialise(tree.first_kept()).as_deref(), Ok(bytes));
    }
}

/// A whole walk over one chunk. Without a signature by anybody nothing is ever verified.
pub fn walk(bytes: &[u8]) {
    let mut verifier = LedgerVerifier::new(None);
    let name = ChunkName::open(Seqno(1));
    let walked = verifier.chunk(&name, bytes);
    if walked.is_ok() {
        let _ = verifier.finish();
    }
}
