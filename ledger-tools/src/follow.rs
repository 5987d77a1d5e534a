//! Following a ledger that grows, without reading all of it at every look.
//!
//! A look verifies the files that are not committed yet, and those that were committed since the look before; committed
//! files are read once. What was seen is kept: the walk to the end of the committed files, and the signature up to which
//! transactions were shown, which every later ledger has to hold.
//!
//! Committed files are never written again. One whose size, times or inode are others than when it was verified, or that is
//! gone, is therefore suspicious: the ledger is then verified anew from its first transaction, and held to the last signature
//! that was seen. A change of a committed file that leaves even the time of its last change as it was is noticed by
//! [`verify_directory`](crate::verify_directory) only.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ledger::{Checkpoint, ChunkName, MerkleTree, Report, Seqno, Walk};

use crate::crew::walk_chunks;
use crate::directory::{ChunkFile, chunk_files};
use crate::error::AuditError;
use crate::replay::{Replay, Transaction};
use crate::verify::VerifyOptions;

/// How often a look begins again because a file was renamed under it.
const ATTEMPTS: usize = 5;

/// A ledger directory that is looked at again and again.
pub struct Follower {
    directory: PathBuf,
    options: VerifyOptions,
    /// The walk over the committed files that were verified.
    settled: Walk,
    committed: Vec<Seen>,
    /// All files, as they were at the last look.
    files: Vec<Seen>,
    /// The tree over every transaction that was shown.
    tree: MerkleTree,
    /// The last signature that was seen.
    checkpoint: Option<Checkpoint>,
}

/// What one look came to.
#[derive(Clone, Debug)]
pub struct Look {
    /// What the verification of the whole ledger found.
    pub report: Report,
    /// Entries that were verified for it.
    pub entries_read: u64,
}

/// A file as it was when it was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    name: ChunkName,
    size: u64,
    inode: (u64, u64),
    /// Seconds and nanoseconds of the last write and of the last change, that of the name included.
    times: [i64; 4],
}

impl Seen {
    fn of(name: ChunkName, metadata: &Metadata) -> Self {
        Self {
            name,
            size: metadata.len(),
            inode: (metadata.dev(), metadata.ino()),
            times: [
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            ],
        }
    }

    /// Whether the file has its last name, and is written no more.
    const fn settled(&self) -> bool {
        self.name.committed && !self.name.recovery
    }
}

impl Follower {
    /// Nothing is read yet.
    ///
    /// # Errors
    /// What [`VerifyOptions::trust`] says.
    pub fn new(directory: &Path, options: VerifyOptions) -> Result<Self, AuditError> {
        Ok(Self {
            directory: directory.to_owned(),
            settled: Walk::new(options.trust()?),
            options,
            committed: Vec::new(),
            files: Vec::new(),
            tree: MerkleTree::new(),
            checkpoint: None,
        })
    }

    /// Verifies what is new and shows each transaction that was signed since the last look; `None` when no file has changed.
    ///
    /// # Errors
    /// [`AuditError`]: a ledger that does not verify, or that no longer holds what was seen of it. What was shown before
    /// was signed then.
    pub fn look(
        &mut self,
        mut show: impl FnMut(&Transaction<'_>),
    ) -> Result<Option<Look>, AuditError> {
        let mut attempt = 1;
        loop {
            match self.once(&mut show) {
                // Renamed since the files were listed.
                Err(AuditError::Io { source, .. })
                    if source.kind() == ErrorKind::NotFound && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn once(
        &mut self,
        show: &mut impl FnMut(&Transaction<'_>),
    ) -> Result<Option<Look>, AuditError> {
        let chunks = chunk_files(&self.directory, self.options.files())?;
        let files = chunks.iter().map(seen).collect::<Result<Vec<_>, _>>()?;
        if files == self.files {
            return Ok(None);
        }
        if !files.starts_with(&self.committed) {
            self.settled = Walk::new(self.options.trust()?);
            self.committed.clear();
        }
        if let Some(checkpoint) = &self.checkpoint {
            self.settled.hold_to(checkpoint.clone());
        }
        let known = self.settled.entries();
        let is_settled = |seen: &&Seen| seen.settled();
        let count = files.iter().take_while(is_settled).count();
        let (committed, open) = chunks.split_at_checked(count).unwrap_or((&chunks, &[]));
        let new = committed.get(self.committed.len()..).unwrap_or_default();
        self.settled = walk_chunks(new, self.settled.clone(), &mut |_| {})?;
        self.committed = files.iter().take(count).cloned().collect();
        let report = walk_chunks(open, self.settled.clone(), &mut |_| {})?.finish()?;
        self.show(&chunks, &report, show)?;
        self.files = files;
        self.checkpoint = report.checkpoint.clone().or(self.checkpoint.take());
        let entries_read = report.entries - known;
        Ok(Some(Look {
            report,
            entries_read,
        }))
    }

    /// Shows what is signed and was not shown.
    fn show(
        &mut self,
        chunks: &[ChunkFile],
        report: &Report,
        show: &mut impl FnMut(&Transaction<'_>),
    ) -> Result<(), AuditError> {
        let until = report.verified_until.unwrap_or_default().seqno;
        let next = self.tree.last().next();
        if next > until {
            return Ok(());
        }
        let before = chunks.partition_point(|chunk| chunk.name.first <= next);
        let from = chunks.get(before.saturating_sub(1)..).unwrap_or_default();
        let tree = std::mem::take(&mut self.tree);
        let mut replay = Replay::go_on(&self.directory, report.clone(), from.to_vec(), tree);
        let outcome = show_until(&mut replay, until, show);
        self.tree = replay.into_tree();
        outcome
    }
}

fn show_until(
    replay: &mut Replay,
    until: Seqno,
    show: &mut impl FnMut(&Transaction<'_>),
) -> Result<(), AuditError> {
    while let Some(transaction) = replay.next_transaction()? {
        show(&transaction);
        if transaction.entry.seqno == until {
            break;
        }
    }
    Ok(())
}

fn seen(chunk: &ChunkFile) -> Result<Seen, AuditError> {
    let metadata = chunk.path.metadata();
    let metadata = metadata.map_err(|source| AuditError::io(&chunk.path, source))?;
    Ok(Seen::of(chunk.name, &metadata))
}
