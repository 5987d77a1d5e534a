//! The right edge of the Merkle tree: what has to be kept to go on, and to know the root.
//!
//! Leaves may be folded into complete subtrees elsewhere, several at once, and be appended here in order.

use crate::hash::Digest;
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
#[derive(Clone, Debug)]
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
                let mut fold = Fold::new(Seqno(next));
                let end = next + step * (next % 7 + 1);
                for leaf in next..end {
                    let leaf = Digest::of(&leaf.to_le_bytes());
                    tree.append(leaf);
                    fold.push(leaf);
                }
                next = end;
                assert!(fold.subtrees().len() <= 16 && !fold.is_empty());
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
}
