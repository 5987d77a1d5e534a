use proptest::prelude::*;

use super::*;

fn leaf(index: u64) -> Digest {
    Digest::of(&index.to_le_bytes())
}

fn tree_to(last: u64) -> MerkleTree {
    let mut tree = MerkleTree::new();
    for index in 1..=last {
        tree.append(leaf(index));
    }
    tree
}

/// The definition: pair up each level, promote an odd last node.
fn plain_root(last: u64) -> Digest {
    let mut row: Vec<Digest> = (0..=last)
        .map(|i| if i == 0 { Digest::ZERO } else { leaf(i) })
        .collect();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| {
                if let [a, b] = pair {
                    Digest::of_pair(a, b)
                } else {
                    pair[0]
                }
            })
            .collect();
    }
    row[0]
}

#[test]
fn empty_tree_has_the_zero_leaf_as_root() {
    assert_eq!(MerkleTree::new().root(), Digest::ZERO);
    assert_eq!(MerkleTree::new().last(), Seqno(0));
}

#[test]
fn append_after_a_full_flush_still_gives_the_right_root() {
    let mut tree = tree_to(8);
    tree.flush(Seqno(100));
    assert_eq!(tree.first_kept(), Seqno(8));
    tree.append(leaf(9));
    assert_eq!(tree.root(), plain_root(9));
    assert!(matches!(
        tree.proof(Seqno(7), Seqno(9)),
        Err(TreeError::Outside { .. })
    ));
    assert!(matches!(
        tree.root_at(Seqno(6)),
        Err(TreeError::Outside { .. })
    ));
}

proptest! {
    #[test]
    fn roots_and_proofs_follow_the_definition(last in 0u64..70, past in 0u64..70, of in 0u64..70) {
        let tree = tree_to(last);
        prop_assert_eq!(tree.root(), plain_root(last));
        let past = past.min(last);
        let of = of.min(past);
        prop_assert_eq!(tree.root_at(Seqno(past)).unwrap(), plain_root(past));
        let start = if of == 0 { Digest::ZERO } else { leaf(of) };
        let proof = tree.proof(Seqno(of), Seqno(past)).unwrap();
        prop_assert_eq!(fold_proof(start, &proof), plain_root(past));
    }

    #[test]
    fn serialised_at_any_flush_position_reads_back(last in 0u64..70, flush in 0u64..70, from in 0u64..70, more in 0u64..9) {
        let mut tree = tree_to(last);
        let flush = flush.min(last);
        tree.flush(Seqno(flush));
        let from = from.clamp(flush, last);
        let bytes = tree.serialise(Seqno(from)).unwrap();
        prop_assert_eq!(&bytes, &tree_to(last).serialise(Seqno(from)).unwrap());
        let mut again = MerkleTree::deserialise(&bytes).unwrap();
        prop_assert_eq!(again.root(), plain_root(last));
        prop_assert_eq!(again.serialise(Seqno(from)).unwrap(), bytes);
        for index in last + 1..=last + more {
            again.append(leaf(index));
        }
        prop_assert_eq!(again.root(), plain_root(last + more));
        for of in from.max(1)..=last + more {
            let proof = again.proof(Seqno(of), again.last()).unwrap();
            prop_assert_eq!(fold_proof(leaf(of), &proof), plain_root(last + more));
        }
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), count in 0u8..5, flushed in 0u8..16) {
        let _ = MerkleTree::deserialise(&bytes);
        let mut shaped = vec![0; 16];
        shaped[7] = count;
        shaped[15] = flushed;
        shaped.extend_from_slice(&bytes);
        let _ = MerkleTree::deserialise(&shaped);
    }
}

#[test]
fn a_serialised_tree_of_impossible_size_is_refused() {
    for flushed in [u64::MAX, u64::MAX - 1, 1 << 63, 1 << 62] {
        let mut bytes = 1_u64.to_be_bytes().to_vec();
        bytes.extend_from_slice(&flushed.to_be_bytes());
        bytes.resize(16 + 32 * (1 + flushed.count_ones() as usize), 0);
        assert!(
            matches!(
                MerkleTree::deserialise(&bytes),
                Err(TreeError::TooLarge { .. })
            ),
            "{flushed}"
        );
    }
}
