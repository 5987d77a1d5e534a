//! Chunks and the entries in them (LED-01 to LED-06, LED-19).

use ledger::{Check, ChunkName, Digest, FLAG_CHUNK_AFTER, Seqno, TxId, WriteSet, encode};

use crate::forge::{Forge, verify};

#[test]
fn led_01_chunk_layout() {
    let mut forge = Forge::new();
    forge.sign();
    let mut bytes = forge.chunk();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let name = ChunkName::committed(Seqno(1), Seqno(2));
    assert_eq!(verify(None, &[(name, bytes)]), Err(Check::ChunkLayout));
}

#[test]
fn led_02_names_and_contiguity() {
    let mut forge = Forge::new();
    forge.sign();
    for name in [
        ChunkName::committed(Seqno(1), Seqno(3)),
        ChunkName::committed(Seqno(2), Seqno(3)),
    ] {
        assert_eq!(
            verify(None, &[(name, forge.chunk())]),
            Err(Check::ChunkName),
            "{name}"
        );
    }
}

#[test]
fn led_03_positions() {
    let mut forge = Forge::new();
    forge.write(TxId::new(2, 3), 0, &one_row());
    assert_eq!(forge.sign().refused(), Check::Seqno);
}

#[test]
fn led_04_initialisation_vector() {
    for (at, bit) in [(24, 1), (35, 0x80)] {
        let refused = with_altered_entry(|bytes| bytes[at] ^= bit);
        assert_eq!(refused, Check::Iv, "byte {at}");
    }
}

#[test]
fn led_05_views() {
    let mut forge = Forge::new();
    forge.write(TxId::new(3, 2), 0, &one_row());
    assert_eq!(forge.sign().refused(), Check::View);
}

#[test]
fn led_06_entry_types() {
    let refused = with_altered_entry(|bytes| bytes[44] = 1);
    assert_eq!(refused, Check::EntryType);
}

#[test]
fn led_19_chunks_end_with_a_signature() {
    let mut forge = Forge::new();
    assert_eq!(
        forge.sign().put("public:rows", "v").refused(),
        Check::ChunkEnd
    );
    let mut forge = Forge::new();
    forge.write(TxId::new(2, 2), FLAG_CHUNK_AFTER, &one_row());
    assert_eq!(forge.sign().refused(), Check::ChunkEnd);
}

#[test]
fn led_19_a_chunk_named_committed_has_ended() {
    let mut forge = Forge::new();
    forge.sign();
    let committed = |forge: &Forge| ChunkName::committed(Seqno(1), forge.tree.last());
    let open = (committed(&forge), forge.bytes.clone());
    assert_eq!(verify(None, &[open]), Err(Check::ChunkEnd));
    // With something behind the signature, which an open chunk may have.
    forge.put("public:rows", "v");
    let open = (committed(&forge), forge.bytes.clone());
    assert_eq!(verify(None, &[open]), Err(Check::ChunkEnd));
    let torn = forge.bytes[..forge.bytes.len() - 1].to_vec();
    let name = ChunkName::committed(Seqno(1), Seqno(2));
    assert_eq!(verify(None, &[(name, torn)]), Err(Check::ChunkEnd));
}

fn one_row() -> WriteSet {
    let mut set = WriteSet::new();
    set.put("public:rows", "k", "v");
    set
}

/// How a ledger is refused whose second entry is altered and covered by the signature behind it.
fn with_altered_entry(alter: impl FnOnce(&mut [u8])) -> Check {
    let mut forge = Forge::new();
    let entry = encode(TxId::new(2, 2), 0, Digest::ZERO, &one_row(), &forge.secret);
    let mut bytes = entry.unwrap().bytes;
    alter(&mut bytes);
    let leaf = ledger::Entry::parse(&bytes).unwrap().leaf();
    forge.append(bytes, leaf);
    forge.sign().refused()
}
