//! The private part of a ledger, once its secrets are known (ledger format, section 16.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ccf_rs::Seqno;
use ledger::{Digest, Entries, LedgerSecrets, MerkleTree, SecretError, TxId, parse_sections};

use crate::pipeline::ChunkFile;
use crate::store::{State, StateBuilder};

/// How far it has come.
#[derive(Debug, Default)]
pub struct Progress(AtomicU64);

/// Reads the private tables of a recovered service.
pub struct PrivateRecovery {
    /// The chunks, in order, with the position of their first entries.
    pub chunks: Vec<(ledger::Seqno, ChunkFile)>,
    /// The last transaction of the earlier service.
    pub last: TxId,
    /// The Merkle root over everything up to it, as the public tables were read.
    pub root: Digest,
    /// The secrets.
    pub secrets: LedgerSecrets,
}

/// A ledger that does not open with these secrets, or is another one than was read before.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// A file cannot be read.
    #[error("chunk from {chunk}: {reason}")]
    Chunk {
        /// Position of its first entry.
        chunk: ledger::Seqno,
        /// Why.
        reason: String,
    },
    /// An entry does not open.
    #[error("transaction {seqno}: {source}")]
    Entry {
        /// Its position.
        seqno: ledger::Seqno,
        /// Why.
        source: SecretError,
    },
    /// Private tables that are none.
    #[error("transaction {seqno}: {reason}")]
    Sections {
        /// Its position.
        seqno: ledger::Seqno,
        /// Why.
        reason: String,
    },
    /// The files have changed since the public tables were read.
    #[error(
        "the ledger's root at {last} is {got}, and was {want} when its public tables were read"
    )]
    Changed {
        /// The last transaction.
        last: TxId,
        /// Now.
        got: Digest,
        /// Before.
        want: Digest,
    },
}

impl Progress {
    /// The last position that was read.
    pub fn reached(&self) -> Seqno {
        Seqno(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, seqno: ledger::Seqno) {
        self.0.store(seqno.0, Ordering::Relaxed);
    }
}

impl PrivateRecovery {
    /// The private tables at the last transaction. Every entry's tag is checked, and that the ledger is the one whose public
    /// tables were read.
    ///
    /// # Errors
    /// [`PrivateError`].
    pub fn run(&self, progress: &Arc<Progress>) -> Result<State, PrivateError> {
        let mut builder = StateBuilder::default();
        let mut tree = MerkleTree::new();
        for (first, file) in &self.chunks {
            let fail = |reason: String| PrivateError::Chunk {
                chunk: *first,
                reason,
            };
            let bytes = file.read().map_err(|e| fail(e.to_string()))?;
            let mut entries = Entries::new(&bytes).map_err(|e| fail(e.to_string()))?;
            while let Some((_, entry)) = entries.next_entry().map_err(|e| fail(e.to_string()))? {
                let seqno = entry.seqno;
                if seqno > self.last.seqno {
                    break;
                }
                let failed = |source| PrivateError::Entry { seqno, source };
                let secret = self.secrets.covering(seqno).map_err(failed)?;
                let plain = entry.open(secret).map_err(failed)?;
                let sections =
                    parse_sections(&plain, false).map_err(|e| PrivateError::Sections {
                        seqno,
                        reason: e.to_string(),
                    })?;
                builder.apply(Seqno(seqno.0), &sections);
                tree.append(entry.leaf());
            }
            tree.flush(tree.last());
            progress.set(tree.last());
        }
        let got = tree.root();
        if got != self.root {
            return Err(PrivateError::Changed {
                last: self.last,
                got,
                want: self.root,
            });
        }
        Ok(builder.finish())
    }
}
