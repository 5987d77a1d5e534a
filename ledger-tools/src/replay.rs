//! Reading a ledger transaction by transaction, after it was verified.
//!
//! ```no_run
//! # use std::path::Path;
//! # use ledger_tools::{Replay, VerifyOptions};
//! let mut replay = Replay::open(Path::new("ledger"), &VerifyOptions::default())?;
//! while let Some(transaction) = replay.next_transaction()? {
//!     if transaction.signed {
//!         println!("{} writes {} tables", transaction.entry.id(), transaction.entry.sections.len());
//!     }
//! }
//! # Ok::<(), ledger_tools::AuditError>(())
//! ```
//!
//! The whole ledger is verified when it is opened. The second reading hashes what it shows and compares the root, and the last
//! signature, with those that were verified: what changed in between is an error before the end. So what was shown is true once
//! the end was reached.

use std::path::{Path, PathBuf};

use ledger::{
    ChunkName, Digest, Entry, EntryHead, MerkleTree, Piece, Pieces, Report, SIGNATURES_MAP, Seqno,
    TxId, Walk, entry_fault, layout_fault,
};

use crate::directory::{ChunkFile, OpenFile, chunk_files};
use crate::error::AuditError;
use crate::verify::{VerifyOptions, verify_chunks};

/// Bytes read together.
const PIECE: usize = 1 << 20;
/// Leaves of earlier transactions that are kept.
const KEPT_LEAVES: u64 = 1 << 13;

/// A verified ledger, read from its first transaction.
pub struct Replay {
    directory: PathBuf,
    report: Report,
    files: Vec<ChunkFile>,
    next_file: usize,
    open: Option<(ChunkName, Pieces<OpenFile>)>,
    piece: Piece,
    at: usize,
    tree: MerkleTree,
    /// Leaf of the last transaction that was shown. It is not in the tree yet.
    shown: Option<Digest>,
    /// Whether entries may stand in front that the tree has already.
    behind: bool,
}

/// Shows each transaction that a verified signature covers, in order, and tells what the verification found.
///
/// # Errors
/// [`AuditError`]; what was shown is worth nothing then.
pub fn replay_signed(
    directory: &Path,
    options: &VerifyOptions,
    mut show: impl FnMut(&Transaction<'_>),
) -> Result<Report, AuditError> {
    let mut replay = Replay::open(directory, options)?;
    while let Some(transaction) = replay.next_transaction()? {
        if transaction.signed {
            show(&transaction);
        }
    }
    Ok(replay.report)
}

/// One transaction of a verified ledger.
pub struct Transaction<'r> {
    /// The file it stands in.
    pub file: ChunkName,
    /// Where it begins in the file.
    pub offset: u64,
    /// The entry: its id, what it writes to public tables, whether it has a private domain.
    pub entry: Entry<'r>,
    /// Whether a verified signature covers it, or it is one. What is not signed may be anybody's.
    pub signed: bool,
    /// The Merkle tree over everything before it. Of earlier leaves some thousands are kept.
    pub tree: &'r MerkleTree,
}

impl Transaction<'_> {
    /// Whether it is a signature over everything before it.
    #[must_use]
    pub fn is_signature(&self) -> bool {
        self.entry.section(SIGNATURES_MAP).is_some()
    }
}

impl Replay {
    /// Verifies the ledger in a directory and goes to its first transaction.
    ///
    /// # Errors
    /// [`AuditError`]; a ledger that does not verify is not shown.
    pub fn open(directory: &Path, options: &VerifyOptions) -> Result<Self, AuditError> {
        let files = chunk_files(directory, options.files())?;
        let walk = Walk::new(options.trust()?);
        let report = verify_chunks(&files, walk, &mut |_| {})?;
        Ok(Self::go_on(directory, report, files, MerkleTree::new()))
    }

    /// Goes on behind the transactions of a tree, in files that were verified as the report says. The first file may begin
    /// before.
    pub(crate) fn go_on(
        directory: &Path,
        report: Report,
        files: Vec<ChunkFile>,
        tree: MerkleTree,
    ) -> Self {
        Self {
            directory: directory.to_owned(),
            report,
            files,
            next_file: 0,
            open: None,
            piece: Piece::default(),
            at: 0,
            tree,
            shown: None,
            behind: true,
        }
    }

    /// The same ledger from its first transaction, without verifying it again: what is shown leads to the root that was verified,
    /// or is an error.
    #[must_use]
    pub fn again(self) -> Self {
        Self::go_on(&self.directory, self.report, self.files, MerkleTree::new())
    }

    /// The tree over everything that was shown.
    pub(crate) fn into_tree(mut self) -> MerkleTree {
        if let Some(leaf) = self.shown.take() {
            self.tree.append(leaf);
        }
        self.tree
    }

    /// What the verification found.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// The next transaction; `None` at the end.
    ///
    /// # Errors
    /// [`AuditError::Changed`] when the ledger is no longer the one that was verified, [`AuditError::Io`].
    pub fn next_transaction(&mut self) -> Result<Option<Transaction<'_>>, AuditError> {
        if let Some(leaf) = self.shown.take() {
            self.tree.append(leaf);
            let kept = self.tree.last().0 - self.tree.first_kept().0;
            if kept > 2 * KEPT_LEAVES {
                let until = self.tree.last().0 - KEPT_LEAVES;
                self.tree.flush(Seqno(until));
            }
        }
        if !self.skip_shown()? {
            return Ok(None);
        }
        let Some((file, _)) = &self.open else {
            return Ok(None);
        };
        let offset = self.piece.offset + self.at as u64;
        let rest = self.piece.bytes().get(self.at..).unwrap_or_default();
        let entry = Entry::parse(rest).map_err(|e| entry_fault(file, offset, &e))?;
        self.at += entry.bytes.len();
        let leaf = entry.leaf();
        let until = self.report.verified_until.unwrap_or_default();
        // Nothing may stand where it did not, or the last signature would be passed without being looked at.
        let follows = entry.seqno == self.tree.last().next();
        let last = entry.seqno == until.seqno;
        if !follows || (last && !self.is_last_signature(entry.id(), leaf)) {
            let path = self.directory.clone();
            return Err(AuditError::Changed { path });
        }
        self.shown = Some(leaf);
        Ok(Some(Transaction {
            file: *file,
            offset,
            signed: entry.seqno <= until.seqno,
            entry,
            tree: &self.tree,
        }))
    }

    /// Whether this is the last signature that was verified, behind what it signs.
    fn is_last_signature(&self, id: TxId, leaf: Digest) -> bool {
        let report = &self.report;
        (Some(id), Some(leaf)) == (report.verified_until, report.signed_leaf)
            && Some(self.tree.root()) == report.signed_root
    }

    /// Goes to the next entry that the tree does not have; false at the end of the ledger.
    fn skip_shown(&mut self) -> Result<bool, AuditError> {
        loop {
            if self.at == self.piece.bytes().len() && !self.next_piece()? {
                return Ok(false);
            }
            let Some((file, _)) = self.open.as_ref().filter(|_| self.behind) else {
                return Ok(true);
            };
            let offset = self.piece.offset + self.at as u64;
            let rest = self.piece.bytes().get(self.at..).unwrap_or_default();
            let head = EntryHead::parse(rest).map_err(|e| entry_fault(file, offset, &e))?;
            if head.seqno > self.tree.last() {
                self.behind = false;
                return Ok(true);
            }
            self.at += head.bytes.len();
        }
    }

    /// Fills the piece; false at the end of the ledger.
    fn next_piece(&mut self) -> Result<bool, AuditError> {
        self.at = 0;
        loop {
            if let Some((name, pieces)) = &mut self.open {
                let offset = pieces.offset();
                let more = pieces
                    .next_piece(&mut self.piece, PIECE)
                    .map_err(|e| layout_fault(name, offset, &e))?;
                if more {
                    return Ok(true);
                }
            }
            let Some(next) = self.files.get(self.next_file) else {
                return self.end();
            };
            self.next_file += 1;
            let file = OpenFile::open(&next.path)?;
            let pieces = Pieces::new(file).map_err(|e| layout_fault(&next.name, 0, &e))?;
            self.open = Some((next.name, pieces));
        }
    }

    /// The end must be behind what was verified.
    fn end(&mut self) -> Result<bool, AuditError> {
        self.open = None;
        if Some(self.tree.last()) < self.report.last.map(|last| last.seqno) {
            let path = self.directory.clone();
            return Err(AuditError::Changed { path });
        }
        Ok(false)
    }
}
