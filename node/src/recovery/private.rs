//! The private part of a ledger, once its secrets are known (ledger format, section 16.4).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ccf_rs::Seqno;
use ledger::{
    Digest, Entries, Fold, Frontier, LedgerSecrets, SecretError, TxId, open_snapshot,
    parse_sections, snapshot_maps,
};

use super::crew;
use crate::pipeline::ChunkFile;
use crate::store::{State, StateBuilder};

/// How far it has come, and whether it is to go on.
#[derive(Debug, Default)]
pub struct Progress {
    reached: AtomicU64,
    stopped: AtomicBool,
}

/// Where the private tables begin when not with the first transaction: a snapshot file.
#[derive(Clone)]
pub struct PrivateBase {
    /// The file.
    pub file: ChunkFile,
    /// Digest of its entry, as it was verified.
    pub digest: Digest,
    /// The Merkle tree over everything up to there.
    pub edge: Frontier,
}

/// What the private tables of a recovered service are read from.
#[derive(Clone)]
pub struct PrivateRecovery {
    /// The snapshot to begin with.
    pub base: Option<PrivateBase>,
    /// The chunks behind it, in order, with the position of their first entries.
    pub chunks: Vec<(ledger::Seqno, ChunkFile)>,
    /// The last transaction of the earlier service.
    pub last: TxId,
    /// The Merkle root over everything up to it, as the public tables were read.
    pub root: Digest,
}

/// A chunk whose private domains are decrypted.
struct OpenedChunk {
    /// One after the other.
    plain: Vec<u8>,
    /// Where each ends, by position.
    ends: Vec<(ledger::Seqno, usize)>,
    leaves: Fold,
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
    /// Nobody wants them any more.
    #[error("the node is stopping")]
    Stopped,
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
        Seqno(self.reached.load(Ordering::Relaxed))
    }

    fn set(&self, seqno: ledger::Seqno) {
        self.reached.store(seqno.0, Ordering::Relaxed);
    }

    /// Ends the reading before its next chunk.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn go_on(&self) -> Result<(), PrivateError> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(PrivateError::Stopped);
        }
        Ok(())
    }
}

impl PrivateRecovery {
    /// The private tables at the last transaction. Every entry's tag is checked, and that the ledger is the one whose public
    /// tables were read.
    ///
    /// # Errors
    /// `PrivateError`.
    pub fn run(&self, secrets: &LedgerSecrets, progress: &Progress) -> Result<State, PrivateError> {
        let mut builder = StateBuilder::default();
        let mut edge = match &self.base {
            Some(base) => begin(base, secrets, &mut builder)?,
            None => Frontier::new(),
        };
        crew::in_order(
            &self.chunks,
            |(first, file)| self.open(*first, file, secrets),
            |_, opened| {
                progress.go_on()?;
                let opened = opened?;
                for (seqno, plain) in opened.entries() {
                    let sections =
                        parse_sections(plain, false).map_err(|e| PrivateError::Sections {
                            seqno,
                            reason: e.to_string(),
                        })?;
                    builder.apply(Seqno(seqno.0), &sections);
                }
                for subtree in opened.leaves.subtrees() {
                    edge.append_subtree(*subtree);
                }
                progress.set(edge.last());
                Ok(())
            },
        )?;
        let got = edge.root();
        if got != self.root {
            return Err(PrivateError::Changed {
                last: self.last,
                got,
                want: self.root,
            });
        }
        Ok(builder.finish())
    }

    /// Decrypts the entries of a chunk up to the last transaction, and folds their leaves.
    fn open(
        &self,
        first: ledger::Seqno,
        file: &ChunkFile,
        secrets: &LedgerSecrets,
    ) -> Result<OpenedChunk, PrivateError> {
        let fail = |reason: String| PrivateError::Chunk {
            chunk: first,
            reason,
        };
        let bytes = file.read().map_err(|e| fail(e.to_string()))?;
        let mut entries = Entries::new(&bytes).map_err(|e| fail(e.to_string()))?;
        let mut opened = OpenedChunk {
            plain: Vec::new(),
            ends: Vec::new(),
            leaves: Fold::new(first),
        };
        while let Some((_, entry)) = entries.next_entry().map_err(|e| fail(e.to_string()))? {
            let seqno = entry.seqno;
            if seqno > self.last.seqno {
                break;
            }
            let failed = |source| PrivateError::Entry { seqno, source };
            let secret = secrets.covering(seqno).map_err(failed)?;
            let plain = entry.open(secret).map_err(failed)?;
            opened.plain.extend_from_slice(&plain);
            opened.ends.push((seqno, opened.plain.len()));
            opened.leaves.push(entry.leaf());
        }
        Ok(opened)
    }
}

/// Takes the private tables of a snapshot, and the tree up to it.
fn begin(
    base: &PrivateBase,
    secrets: &LedgerSecrets,
    builder: &mut StateBuilder,
) -> Result<Frontier, PrivateError> {
    let fail = |reason: String| PrivateError::Snapshot { reason };
    let bytes = base.file.read().map_err(|e| fail(e.to_string()))?;
    let seqno = base.edge.last();
    let secret = secrets
        .covering(seqno)
        .map_err(|source| PrivateError::Entry { seqno, source })?;
    let plain = open_snapshot(&bytes, base.digest, secret).map_err(|e| fail(e.to_string()))?;
    drop(bytes);
    for map in snapshot_maps(&plain, false).map_err(|e| fail(e.to_string()))? {
        builder.load(&map);
    }
    Ok(base.edge.clone())
}

impl OpenedChunk {
    /// The private domains of its entries, in order.
    fn entries(&self) -> impl Iterator<Item = (ledger::Seqno, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |(seqno, end)| {
            let plain = self.plain.get(start..*end).unwrap_or_default();
            start = *end;
            (*seqno, plain)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::pipeline::RealDisk;

    #[test]
    fn nothing_more_is_read_once_the_node_stops() {
        let missing = ChunkFile::Closed(Arc::new(RealDisk), "no such file".into());
        let recovery = PrivateRecovery {
            base: None,
            chunks: vec![(ledger::Seqno(1), missing)],
            last: TxId::new(2, 1),
            root: Digest::ZERO,
        };
        let run = |progress: &Progress| recovery.run(&LedgerSecrets::new(), progress).err();
        let progress = Progress::default();
        assert!(matches!(run(&progress), Some(PrivateError::Chunk { .. })));
        progress.stop();
        assert!(matches!(run(&progress), Some(PrivateError::Stopped)));
    }
}
