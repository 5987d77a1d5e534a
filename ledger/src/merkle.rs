//! The Merkle tree over all transactions of a service (ledger format, section 9).
//!
//! Leaf 0 is 32 zero bytes and leaf n is the leaf of seqno n. An inner node is `H(left || right)` without prefix; a lone
//! node at the right edge is promoted unchanged.

use serde::{Deserialize, Serialize};

use crate::hash::Digest;
use crate::id::Seqno;

/// Table that holds the serialised tree in every signature transaction; raw bytes under key 0.
pub const TREE_MAP: &str = "public:ccf.internal.tree";

/// Keeps all index arithmetic far from the end of `u64`. A slice in memory cannot hold as many leaves.
const MAX_LEAVES: u64 = 1 << 62;

/// A failure of a tree operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The leaf or size asked for is not in the tree, or was flushed.
    #[error("seqno {seqno} is outside the kept part {first}..={last} of the tree")]
    Outside {
        /// The position asked for.
        seqno: Seqno,
        /// First leaf still kept.
        first: Seqno,
        /// Last leaf of the tree.
        last: Seqno,
    },
    /// The serialised form has the wrong length for the counts in its header.
    #[error("serialised tree of {got} bytes, want {want}")]
    Length {
        /// Bytes present.
        got: usize,
        /// Bytes the header asks for; `u128` because the header is untrusted.
        want: u128,
    },
    /// The serialised form claims more leaves than any ledger can have.
    #[error("serialised tree of {got} leaves")]
    TooLarge {
        /// Leaves claimed, the flushed ones included.
        got: u128,
    },
    /// The serialised form has no leaf at all.
    #[error("serialised tree without leaves")]
    Empty,
}

/// One step of a proof: the sibling and the side it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProofStep {
    /// `acc = H(sibling || acc)`.
    Left(Digest),
    /// `acc = H(acc || sibling)`.
    Right(Digest),
}

/// Siblings from leaf to root (section 9.1).
pub type Proof = Vec<ProofStep>;

/// The root a proof leads to from a leaf.
#[must_use]
pub fn fold_proof(leaf: Digest, proof: &[ProofStep]) -> Digest {
    proof.iter().fold(leaf, |acc, step| match step {
        ProofStep::Left(sibling) => Digest::of_pair(sibling, &acc),
        ProofStep::Right(sibling) => Digest::of_pair(&acc, sibling),
    })
}

/// The tree, with every level's complete nodes from the flush position on.
///
/// Level `i` keeps the nodes from index `(flushed >> i) & !1`: enough for every root, proof and serialisation that
/// does not look behind the flush position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerkleTree {
    levels: Vec<Level>,
    flushed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Level {
    first: u64,
    nodes: Vec<Digest>,
}

impl Level {
    fn at(&self, index: u64) -> Option<&Digest> {
        let offset = index.checked_sub(self.first)?;
        self.nodes.get(usize::try_from(offset).ok()?)
    }

    fn end(&self) -> u64 {
        self.first + self.nodes.len() as u64
    }
}

impl Default for MerkleTree {
    fn default() -> Self {
        Self::new()
    }
}

impl MerkleTree {
    /// The tree of an empty ledger: leaf 0 only.
    #[must_use]
    pub fn new() -> Self {
        Self {
            levels: vec![Level {
                first: 0,
                nodes: vec![Digest::ZERO],
            }],
            flushed: 0,
        }
    }

    /// Position of the last leaf.
    #[must_use]
    pub fn last(&self) -> Seqno {
        Seqno(self.size().saturating_sub(1))
    }

    /// First leaf still kept.
    #[must_use]
    pub const fn first_kept(&self) -> Seqno {
        Seqno(self.flushed)
    }

    fn size(&self) -> u64 {
        self.levels.first().map_or(0, Level::end)
    }

    /// Appends the leaf of the next seqno. Costs one hash on average.
    pub fn append(&mut self, leaf: Digest) {
        let mut node = leaf;
        for height in 0.. {
            if height == self.levels.len() {
                self.levels.push(Level::default());
            }
            let Some(level) = self.levels.get_mut(height) else {
                return;
            };
            let index = level.end();
            level.nodes.push(node);
            if index & 1 == 0 {
                return;
            }
            let Some(left) = level.at(index - 1) else {
                return;
            };
            node = Digest::of_pair(left, &node);
        }
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        // The current size is never behind the flush position.
        self.root_of_size(self.size()).unwrap_or(Digest::ZERO)
    }

    /// The root as it was when `last` was the last leaf.
    ///
    /// # Errors
    /// [`TreeError::Outside`] when `last` is beyond the tree or before the flush position.
    pub fn root_at(&self, last: Seqno) -> Result<Digest, TreeError> {
        if last > self.last() {
            return Err(self.outside(last));
        }
        self.root_of_size(last.0 + 1)
            .ok_or_else(|| self.outside(last))
    }

    /// The complete subtrees at the right edge, smallest first, with their heights.
    pub(crate) fn edge(&self) -> impl Iterator<Item = (usize, Digest)> {
        let size = self.size();
        self.levels
            .iter()
            .enumerate()
            .filter(move |(height, _)| size >> height & 1 == 1)
            .filter_map(move |(height, level)| Some((height, *level.at((size >> height) - 1)?)))
    }

    /// Folds the complete subtrees given by the binary digits of `size`, smallest first.
    fn root_of_size(&self, size: u64) -> Option<Digest> {
        if size <= self.flushed.saturating_sub(1) {
            return None;
        }
        let mut acc: Option<Digest> = None;
        for (height, level) in self.levels.iter().enumerate() {
            let width = size >> height;
            if width & 1 == 1 {
                let node = level.at(width - 1)?;
                acc = Some(acc.map_or(*node, |right| Digest::of_pair(node, &right)));
            }
        }
        acc
    }

    fn outside(&self, seqno: Seqno) -> TreeError {
        TreeError::Outside {
            seqno,
            first: self.first_kept(),
            last: self.last(),
        }
    }

    /// Proof that the leaf of `seqno` is under the root over leaves `0..=last`.
    ///
    /// # Errors
    /// [`TreeError::Outside`].
    pub fn proof(&self, seqno: Seqno, last: Seqno) -> Result<Proof, TreeError> {
        if seqno > last || last > self.last() {
            return Err(self.outside(last.max(seqno)));
        }
        if seqno < self.first_kept() {
            return Err(self.outside(seqno));
        }
        self.proof_of(seqno.0, last.0 + 1)
            .ok_or_else(|| self.outside(seqno))
    }

    fn proof_of(&self, leaf: u64, size: u64) -> Option<Proof> {
        let mut proof = Proof::new();
        let (mut index, mut width) = (leaf, size);
        for height in 0.. {
            if width <= 1 {
                break;
            }
            if index & 1 == 1 {
                proof.push(ProofStep::Left(*self.levels.get(height)?.at(index - 1)?));
            } else if index + 1 < width {
                proof.push(ProofStep::Right(self.node(height, index + 1, size)?));
            }
            index >>= 1;
            width = width.div_ceil(2);
        }
        Some(proof)
    }

    /// Node `index` of level `height` in the tree of `size` leaves; the last one may be incomplete.
    fn node(&self, height: usize, index: u64, size: u64) -> Option<Digest> {
        if (index + 1) << height <= size {
            return self.levels.get(height)?.at(index).copied();
        }
        // Fold the complete subtrees inside this node, smallest first.
        let mut acc: Option<Digest> = None;
        for (below, level) in self.levels.iter().enumerate().take(height) {
            let width = size >> below;
            if width & 1 == 1 {
                let node = level.at(width - 1)?;
                acc = Some(acc.map_or(*node, |right| Digest::of_pair(node, &right)));
            }
        }
        acc
    }

    /// Forgets leaves before `until` and all nodes that only they need. Positions already flushed, and the last leaf,
    /// are not affected.
    pub fn flush(&mut self, until: Seqno) {
        let until = until.0.min(self.size().saturating_sub(1));
        if until <= self.flushed {
            return;
        }
        self.flushed = until;
        for (height, level) in self.levels.iter_mut().enumerate() {
            let keep = ((until >> height) & !1).clamp(level.first, level.end());
            level
                .nodes
                .drain(..usize::try_from(keep - level.first).unwrap_or(0));
            level.first = keep;
        }
    }

    /// The serialised form (section 9.3): leaves from `from` on, and what stands for those before it.
    ///
    /// # Errors
    /// [`TreeError::Outside`] when leaves from `from` on were flushed or `from` is beyond the last leaf.
    pub fn serialise(&self, from: Seqno) -> Result<Vec<u8>, TreeError> {
        let (size, flushed) = (self.size(), from.0);
        if from < self.first_kept() || from > self.last() {
            return Err(self.outside(from));
        }
        let count = size - flushed;
        let mut out = Vec::with_capacity(16 + 32 * (usize::try_from(count).unwrap_or(0) + 64));
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&flushed.to_be_bytes());
        for index in flushed..size {
            let leaf = self
                .levels
                .first()
                .and_then(|level| level.at(index))
                .ok_or_else(|| self.outside(from))?;
            out.extend_from_slice(&leaf.0);
        }
        for (height, level) in self.levels.iter().enumerate() {
            let width = flushed >> height;
            if width & 1 == 1 {
                out.extend_from_slice(&level.at(width - 1).ok_or_else(|| self.outside(from))?.0);
            }
        }
        Ok(out)
    }

    /// Reads the serialised form, whatever its flush position.
    ///
    /// # Errors
    /// [`TreeError::Length`], [`TreeError::Empty`].
    pub fn deserialise(bytes: &[u8]) -> Result<Self, TreeError> {
        let short = TreeError::Length {
            got: bytes.len(),
            want: 16,
        };
        let (count, rest) = bytes
            .split_first_chunk::<8>()
            .ok_or_else(|| short.clone())?;
        let (flushed, rest) = rest.split_first_chunk::<8>().ok_or(short)?;
        let (count, flushed) = (u64::from_be_bytes(*count), u64::from_be_bytes(*flushed));
        let want = 16 + 32 * (u128::from(count) + u128::from(flushed.count_ones()));
        if want != bytes.len() as u128 {
            return Err(TreeError::Length {
                got: bytes.len(),
                want,
            });
        }
        if count == 0 {
            return Err(TreeError::Empty);
        }
        if flushed >= MAX_LEAVES - count {
            return Err(TreeError::TooLarge {
                got: u128::from(flushed) + u128::from(count),
            });
        }
        let (hashes, _) = rest.as_chunks::<32>();
        // The length check makes `count` at most the number of hashes present.
        let (leaves, extra) = hashes
            .split_at_checked(usize::try_from(count).unwrap_or(0))
            .ok_or(TreeError::Empty)?;
        let mut extra = extra.iter();
        let mut levels = Vec::new();
        for height in 0..u64::BITS - flushed.leading_zeros() {
            let width = flushed >> height;
            let nodes = if width & 1 == 1 {
                extra.next().map(|node| Digest(*node)).into_iter().collect()
            } else {
                vec![]
            };
            levels.push(Level {
                first: width & !1,
                nodes,
            });
        }
        if levels.is_empty() {
            levels.push(Level::default());
        }
        let mut tree = Self { levels, flushed };
        for leaf in leaves {
            tree.append(Digest(*leaf));
        }
        Ok(tree)
    }
}

#[cfg(test)]
#[path = "merkle_tests.rs"]
mod tests;
