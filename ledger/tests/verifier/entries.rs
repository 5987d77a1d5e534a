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
    let mut set = WriteSet::new();
    set.put("public:rows", "k", "v");
    forge.write(TxId::new(2, 3), 0, &set);
    assert_eq!(forge.sign().refused(), Check::Seqno);
}

#[test]
fn led_04_initialisation_vector() {
    for (at, bit) in [(24, 1), (35, 0x80)] {
        let mut forge = Forge::new();
        let mut set: WriteSet = WriteSet::new();
        set.put("public:rows", "k", "v");
        let entry = encode(TxId::new(2, 2), 0, Digest::ZERO, &set, &forge.secret).unwrap();
        let mut bytes = entry.bytes;
        bytes[at] ^= bit;
        let leaf = ledger::Entry::parse(&bytes).unwrap().leaf();
        forge.append(bytes, leaf);
        assert_eq!(forge.sign().refused(), Check::Iv, "byte {at}");
    }
}

#[test]
fn led_05_views() {
    let mut forge = Forge::new();
    let mut set = WriteSet::new();
    set.put("public:rows", "k", "v");
    forge.write(TxId::new(3, 2), 0, &set);
    assert_eq!(forge.sign().refused(), Check::View);
}

#[test]
fn led_06_entry_types() {
    let mut forge = Forge::new();
    let mut set: WriteSet = WriteSet::new();
    set.put("public:rows", "k", "v");
    let mut bytes = encode(TxId::new(2, 2), 0, Digest::ZERO, &set, &forge.secret)
        .unwrap()
        .bytes;
    bytes[44] = 1;
    let leaf = ledger::Entry::parse(&bytes).unwrap().leaf();
    forge.append(bytes, leaf);
    assert_eq!(forge.sign().refused(), Check::EntryType);
}

#[test]
fn led_19_chunks_end_with_a_signature() {
    let mut forge = Forge::new();
    assert_eq!(
        forge.sign().put("public:rows", "v").refused(),
        Check::ChunkEnd
    );
    let mut forge = Forge::new();
    let mut set = WriteSet::new();
    set.put("public:rows", "k", "v");
    forge.write(TxId::new(2, 2), FLAG_CHUNK_AFTER, &set);
    assert_eq!(forge.sign().refused(), Check::ChunkEnd);
}
