//! Bytes from anywhere: an error or a value, never a panic.
#![allow(missing_docs)]

use ledger::{ChunkName, CoseRootSignature, Entries, Entry, Share, parse_sections};
use proptest::prelude::*;

proptest! {
    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), name in "ledger_[0-9.a-z-]{0,20}") {
        let _ = Entry::parse(&bytes);
        let _ = parse_sections(&bytes, true);
        let _ = CoseRootSignature::from_bytes(&bytes);
        let _ = Share::from_bytes(&bytes);
        if let Some(parsed) = ChunkName::parse(&name) {
            prop_assert!(parsed.first.0 > 0);
        }
        if let Ok(mut entries) = Entries::new(&bytes) {
            while let Ok(Some(_)) = entries.next_entry() {}
        }
    }
}
