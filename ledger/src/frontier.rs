//! The right edge of the Merkle tree: what has to be kept to go on, and to know the root.
//!
//! Leaves may be folded into complete subtrees elsewhere, several at once, and be appended here in order.

use crate::hash::Digest;
use crate::hash_all::hash_all;
use crate::id::Seqno;
use crate::merkle::MerkleTree;

/// Heights that a tree can have: positions are 64-bit numbers.
const HEIGHTS: usize = 64;

/// A complete subtree: the fold of `2^height` leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subtree {
    /// Its height; 0 for a leaf.
    pub height: u8,
    /// Its hash.
    pub hash: Digest,
}

/// Folds leaves that follow each other, from a position on, into the fewest complete subtrees of the whole tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    next: u64,
    count: u64,
    subtrees: Vec<Subtree>,
}

impl Fold {
    /// Begins at a position. Leaf 0 of the tree is that of no transaction.
    #[must_use]
    pub const fn new(first: Seqno) -> Self {
        Self {
            next: first.0,
            count: 0,
            subtrees: Vec::new(),
        }
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Digest) {
        let mut node = Subtree {
            height: 0,
            hash: leaf,
        };
        let mut index = self.next;
        // A right child joins its left sibling, if that is here and not before the first position.
        while index & 1 == 1
            && let Some(left) = self.subtrees.pop_if(|left| left.height == node.height)
        {
            node.hash = Digest::of_pair(&left.hash, &node.hash);
            node.height += 1;
            index >>= 1;
        }
        self.subtrees.push(node);
        // Positions come from outside: what lies behind the last one is refused by whoever appends the fold.
        self.next = self.next.saturating_add(1);
        self.count += 1;
    }

    /// All leaves at once, level by level: several inner nodes are hashed together.
    #[must_use]
    pub fn of(first: Seqno, leaves: &[Digest]) -> Self {
        let mut fold = Self::new(first);
        let (mut level, mut index) = (leaves.to_vec(), first.0);
        let (mut pairs, mut behind) = (Vec::with_capacity(leaves.len() / 2), Vec::new());
        for height in 0.. {
            let mut nodes = level.as_slice();
            // A right child whose sibling stands before the first position, and a left one whose sibling is not there yet.
            if index & 1 == 1
                && let Some((hash, rest)) = nodes.split_first()
            {
                fold.subtrees.push(Subtree {
                    height,
                    hash: *hash,
                });
                nodes = rest;
            }
            let (joined, alone) = nodes.as_chunks();
            behind.extend(alone.iter().map(|hash| Subtree {
                height,
                hash: *hash,
            }));
            if joined.is_empty() {
                break;
            }
            pairs.clear();
            pairs.extend(joined.iter().map(|[left, right]| left.joined(right)));
            level.clear();
            hash_all(&pairs, &mut level);
            index = index.div_ceil(2);
        }
        fold.subtrees.extend(behind.into_iter().rev());
        fold.count = leaves.len() as u64;
        fold.next = first.0.saturating_add(fold.count);
        fold
    }

    /// The position behind the last leaf.
    #[must_use]
    pub const fn next(&self) -> Seqno {
        Seqno(self.next)
    }

    /// Number of leaves folded.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The subtrees, in the order of their leaves.
    #[must_use]
    pub fn subtrees(&self) -> &[Subtree] {
        &self.subtrees
    }
}

/// The tree over everything so far, folded to its right edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// The complete subtree that the binary digit of `size` at each height stands for; zero where the digit is 0.
    edge: [Digest; HEIGHTS],
}

impl Default for Frontier {
    fn default() -> Self {
        Self::new()
    }
}

impl Frontier {
    /// The tree of an empty ledger: leaf 0 only.
    #[must_use]
    pub fn new() -> Self {
        Self {
            size: 1,
            edge: [Digest::ZERO; HEIGHTS],
        }
    }

    /// The edge of a tree.
    #[must_use]
    pub fn of(tree: &MerkleTree) -> Self {
        let mut frontier = Self {
            size: tree.last().0 + 1,
            edge: [Digest::ZERO; HEIGHTS],
        };
        for (height, hash) in tree.edge() {
            if let Some(place) = frontier.edge.get_mut(height) {
                *place = hash;
            }
        }
        frontier
    }

    /// Position of the last leaf.
    #[must_use]
    pub const fn last(&self) -> Seqno {
        Seqno(self.size.saturating_sub(1))
    }

    /// Appends the next leaf.
    pub fn append(&mut self, leaf: Digest) {
        self.append_subtree(Subtree {
            height: 0,
            hash: leaf,
        });
    }

    /// Appends the next `2^height` leaves at once. They must be a subtree of the whole tree, as [`Fold`] makes them.
    pub fn append_subtree(&mut self, subtree: Subtree) {
        let mut node = subtree.hash;
        let mut height = usize::from(subtree.height);
        while let Some(left) = self.edge.get_mut(height) {
            if self.size >> height & 1 == 0 {
                *left = node;
                break;
            }
            node = Digest::of_pair(left, &node);
            *left = Digest::ZERO;
            height += 1;
        }
        self.size += 1 << subtree.height;
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut acc: Option<Digest> = None;
        for (_, hash) in self.edge() {
            acc = Some(acc.map_or(hash, |right| Digest::of_pair(&hash, &right)));
        }
        acc.unwrap_or(Digest::ZERO)
    }

    /// The complete subtrees of the edge, smallest first, with their heights.
    pub fn edge(&self) -> impl Iterator<Item = (usize, Digest)> {
        self.edge
            .iter()
            .enumerate()
            .filter(|(height, _)| self.size >> height & 1 == 1)
            .map(|(height, hash)| (height, *hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_has_the_roots_of_the_tree_however_leaves_are_folded() {
        for step in 1..=9_u64 {
            let mut tree = MerkleTree::new();
            let mut edge = Frontier::new();
            let mut next = 1;
            while next < 300 {
                let first = Seqno(next);
                let mut fold = Fold::new(first);
                let mut leaves = Vec::new();
                let end = next + step * (next % 7 + 1);
                for leaf in next..end {
                    let leaf = Digest::of(&leaf.to_le_bytes());
                    tree.append(leaf);
                    fold.push(leaf);
                    leaves.push(leaf);
                }
                next = end;
                assert!(fold.subtrees().len() <= 16 && !fold.is_empty());
                assert_eq!(Fold::of(first, &leaves), fold);
                for subtree in fold.subtrees() {
                    edge.append_subtree(*subtree);
                }
                assert_eq!((edge.root(), edge.last()), (tree.root(), tree.last()));
                assert_eq!(Frontier::of(&tree), edge);
            }
        }
        let mut one = Frontier::new();
        let mut tree = MerkleTree::new();
        assert_eq!(one.root(), tree.root());
        one.append(Digest([1; 32]));
        tree.append(Digest([1; 32]));
        assert_eq!(one.root(), tree.root());
    }

    #[test]
    fn leaves_folded_at_once_are_the_leaves_folded_one_by_one() {
        let leaves: Vec<_> = (0..70_u64).map(|n| Digest::of(&n.to_le_bytes())).collect();
        let late = (u64::MAX - 70..=u64::MAX).step_by(7);
        for first in (0..70).chain(late).map(Seqno) {
            let mut fold = Fold::new(first);
            for (count, leaf) in leaves.iter().enumerate() {
                assert_eq!(Fold::of(first, &leaves[..count]), fold, "{first} {count}");
                // Behind the last position nothing has a place in a tree.
                if first.0.checked_add(count as u64).is_none() {
                    break;
                }
                fold.push(*leaf);
            }
        }
    }
}
