//! The private part of a ledger, once its secrets are known (ledger format, section 16.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ccf_rs::Seqno;
use ledger::{
    Digest, Entries, LedgerSecrets, MerkleTree, SecretError, Snapshot, TxId, parse_sections,
    snapshot_maps,
};

use crate::pipeline::ChunkFile;
use crate::store::{State, StateBuilder};

/// How far it has come.
#[derive(Debug, Default)]
pub struct Progress(AtomicU64);

/// Where the private tables begin when not with the first transaction: a snapshot file.
#[derive(Clone)]
pub struct PrivateBase {
    /// The file.
    pub file: ChunkFile,
    /// Digest of its entry, as it was verified.
    pub digest: Digest,
}

/// Reads the private tables of a recovered service.
pub struct PrivateRecovery {
    /// The snapshot to begin with.
    pub base: Option<PrivateBase>,
    /// The chunks behind it, in order, with the position of their first entries.
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
    /// The snapshot.
    #[error("snapshot: {reason}")]
    Snapshot {
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
    /// `PrivateError`.
    pub fn run(&self, progress: &Arc<Progress>) -> Result<State, PrivateError> {
        let mut builder = StateBuilder::default();
        let mut tree = match &self.base {
            Some(base) => self.begin(base, &mut builder)?,
            None => MerkleTree::new(),
        };
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

    /// Takes the private tables of the snapshot, and the tree up to it.
    fn begin(
        &self,
        base: &PrivateBase,
        builder: &mut StateBuilder,
    ) -> Result<MerkleTree, PrivateError> {
        let fail = |reason: String| PrivateError::Snapshot { reason };
        let bytes = base.file.read().map_err(|e| fail(e.to_string()))?;
        let snapshot = Snapshot::read(&bytes).map_err(|e| fail(e.to_string()))?;
        if snapshot.digest != base.digest {
            return Err(fail(
                "the file has changed since it was verified".to_owned(),
            ));
        }
        let seqno = snapshot.id.seqno;
        let secret = self
            .secrets
            .covering(seqno)
            .map_err(|source| PrivateError::Entry { seqno, source })?;
        let plain = snapshot.open(secret).map_err(|e| fail(e.to_string()))?;
        for map in snapshot_maps(&plain, false).map_err(|e| fail(e.to_string()))? {
            let rows = map.rows.iter().copied();
            builder.load(
                map.name,
                Seqno(map.version.0),
                rows.map(|(key, value, version)| (key, value, Seqno(version.0))),
            );
        }
        Ok(snapshot.tree().clone())
    }
}
