//! The tree of a walk: its edge, and enough of what is behind it to compare serialised trees without hashing them again.

use super::check::{Check, Fault};
use crate::frontier::{Fold, Frontier};
use crate::hash::Digest;
use crate::id::Seqno;
use crate::merkle::MerkleTree;

/// Leaves kept since the last signature. A ledger with more between two signatures has its serialised tree hashed instead.
const MOST_LEAVES: usize = 1 << 18;

#[derive(Clone)]
pub(super) struct Tree {
    edge: Frontier,
    /// The edge before the last signature, `None` for the empty tree before the first.
    flushed: Option<Frontier>,
    /// Leaves from the last signature on; `None` when there were too many to keep.
    recent: Option<Vec<Digest>>,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            edge: Frontier::new(),
            flushed: None,
            recent: Some(vec![Digest::ZERO]),
        }
    }

    /// A tree whose earlier leaves are known by their edge only.
    pub(super) fn resumed(edge: Frontier) -> Self {
        Self {
            edge,
            flushed: None,
            recent: None,
        }
    }

    pub(super) fn last(&self) -> Seqno {
        self.edge.last()
    }

    pub(super) fn root(&self) -> Digest {
        self.edge.root()
    }

    /// The next entry is a signature: serialised trees begin there from now on.
    pub(super) fn flush(&mut self) {
        self.flushed = Some(self.edge.clone());
        self.recent.get_or_insert_default().clear();
    }

    /// Appends leaves and what they fold to.
    pub(super) fn append(&mut self, leaves: &[Digest], fold: &Fold) {
        for subtree in fold.subtrees() {
            self.edge.append_subtree(*subtree);
        }
        let recent = self.recent.take();
        self.recent = recent
            .filter(|recent| recent.len() + leaves.len() <= MOST_LEAVES)
            .map(|mut recent| {
                recent.extend_from_slice(leaves);
                recent
            });
    }

    /// LED-15: a serialised tree is this one.
    pub(super) fn check_serialised(&self, bytes: &[u8], root: &Digest) -> Result<(), Fault> {
        if self.serialises_to(bytes) {
            return Ok(());
        }
        // From another flush position, or from further back than is kept.
        let tree = MerkleTree::deserialise(bytes)
            .map_err(|e| Check::Tree.fault(e.to_string(), "a tree"))?;
        if (tree.last(), tree.root()) != (self.last(), *root) {
            return Err(Check::Tree.fault(tree.root().to_hex(), root.to_hex()));
        }
        Ok(())
    }

    /// True when `bytes` are the tree serialised from the last signature on (ledger format, section 9.3).
    fn serialises_to(&self, bytes: &[u8]) -> bool {
        let Some(recent) = &self.recent else {
            return false;
        };
        let (from, edge) = match &self.flushed {
            Some(flushed) => (flushed.last().0 + 1, Some(flushed.edge())),
            None => (0, None),
        };
        let Some((head, rest)) = bytes.split_first_chunk::<16>() else {
            return false;
        };
        let counts = [recent.len() as u64, from].map(u64::to_be_bytes);
        if *head.as_slice() != *counts.as_flattened() {
            return false;
        }
        let (hashes, cut) = rest.as_chunks::<32>();
        let behind = edge.into_iter().flatten().map(|(_, hash)| hash);
        cut.is_empty()
            && hashes
                .iter()
                .copied()
                .map(Digest)
                .eq(recent.iter().copied().chain(behind))
    }
}
