//! What was read of real entries and chunks gives the same bytes again.

use ledger::{
    ChunkBuilder, Entries, Piece, Pieces, Seqno, encode_again, is_canonical, parse_sections,
};

use crate::real::each;

#[test]
fn every_entry_and_chunk_encodes_to_its_bytes() {
    each(
        "every_entry_and_chunk_encodes_to_its_bytes",
        |name, ledger| {
            let secrets = ledger.secrets();
            let mut count = 0;
            for chunk in &ledger.chunks {
                let mut entries = Entries::new(chunk).unwrap();
                let mut again = ChunkBuilder::open_header().to_vec();
                let mut builder = ChunkBuilder::new(Seqno(1));
                while let Some((_, entry)) = entries.next_entry().unwrap() {
                    let secret = secrets.covering(entry.seqno).unwrap();
                    let plain = entry.open(secret).unwrap();
                    let private = parse_sections(&plain, false).unwrap();
                    let bytes = encode_again(&entry, &private, secret).unwrap();
                    assert!(bytes == entry.bytes, "{name} {}", entry.id());
                    assert!(builder.push(bytes.len()));
                    again.extend(bytes);
                    count += 1;
                }
                if entries.finished() {
                    let (table, header) = builder.finish();
                    again.extend(table);
                    again[..8].copy_from_slice(&header);
                }
                assert!(again == *chunk, "{name}");
            }
            assert_eq!(ledger.facts["transactions"], count, "{name}");
        },
    );
}

/// Rows that the framework writes are in the one form; rows that scripts wrote need not be.
#[test]
fn framework_rows_are_canonical_json() {
    let mut checked = 0;
    each("framework_rows_are_canonical_json", |name, ledger| {
        for chunk in &ledger.chunks {
            let mut entries = Entries::new(chunk).unwrap();
            while let Some((_, entry)) = entries.next_entry().unwrap() {
                for map in ["signatures", "recovery_shares", "snapshot_evidence"] {
                    let Some(section) = entry.section(&format!("public:ccf.internal.{map}")) else {
                        continue;
                    };
                    for (_, value) in &section.writes {
                        assert!(is_canonical(value), "{name} {} {map}", entry.id());
                        checked += 1;
                    }
                }
            }
        }
    });
    assert!(checked > 100 || checked == 0);
}

#[test]
fn pieces_of_any_size_are_the_entries() {
    each("pieces_of_any_size_are_the_entries", |name, ledger| {
        for chunk in &ledger.chunks {
            let mut entries = Entries::new(chunk).unwrap();
            let mut whole = Vec::new();
            while let Some((_, entry)) = entries.next_entry().unwrap() {
                whole.extend_from_slice(entry.bytes);
            }
            for size in [1, 1000, 1 << 20] {
                let mut pieces = Pieces::new(chunk.as_slice()).unwrap();
                let mut piece = Piece::default();
                let mut read = Vec::new();
                while pieces.next_piece(&mut piece, size).unwrap() {
                    read.extend_from_slice(piece.bytes());
                }
                assert!(read == whole, "{name} in pieces of {size}");
            }
        }
    });
}
