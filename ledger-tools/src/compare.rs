//! Where two ledgers part.

use std::cmp::Ordering;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use ledger::{Digest, Entry, TxId};
use serde::Serialize;

use crate::error::AuditError;
use crate::history::TransactionSummary;
use crate::replay::replay_signed;
use crate::verify::VerifyOptions;

/// How two ledgers relate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(
    tag = "relation",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Comparison {
    /// Every transaction is the same.
    Same {
        /// The last one.
        last: Option<TxId>,
    },
    /// One goes on where the other ends.
    Longer {
        /// The last transaction of both.
        common: Option<TxId>,
        /// The longer one.
        longer: Side,
        /// How many more transactions it has.
        by: u64,
    },
    /// From one position on they hold different transactions: a fork.
    Fork {
        /// The last transaction of both.
        common: Option<TxId>,
        /// The next of the one.
        left: Box<TransactionSummary>,
        /// The next of the other.
        right: Box<TransactionSummary>,
        /// Public tables in which the two write other rows. None: they differ in private tables only.
        differing: Vec<String>,
    },
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// The one named first.
    Left,
    /// The one named second.
    Right,
}

/// Verifies two ledgers side by side and finds the first transaction in which they differ.
///
/// # Errors
/// [`AuditError`] of the ledger that does not verify, the left one's first.
pub fn compare_directories(
    left: &Path,
    right: &Path,
    options: &VerifyOptions,
) -> Result<Comparison, AuditError> {
    let (send, receive) = sync_channel(BATCHES);
    let (walked, meeting) = thread::scope(|scope| {
        let walk = scope.spawn(move || send_leaves(left, options, send));
        let mut meeting = Meeting::with(receive);
        let right = replay_signed(right, options, |shown| meeting.right(&shown.entry));
        meeting.drain();
        let left = walk
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (left.and(right), meeting)
    });
    walked?;
    let Some((at, right)) = &meeting.fork else {
        return Ok(meeting.lengths());
    };
    let mut fork = None;
    let Ok(theirs) = Entry::parse(right) else {
        // It was parsed before it was kept.
        return Err(AuditError::Worker);
    };
    replay_signed(left, options, |shown| {
        let entry = &shown.entry;
        if entry.seqno == at.seqno {
            fork = Some(Comparison::Fork {
                common: meeting.common,
                left: Box::new(TransactionSummary::of(entry)),
                right: Box::new(TransactionSummary::of(&theirs)),
                differing: differing(entry, &theirs),
            });
        }
    })?;
    Ok(fork.unwrap_or_else(|| meeting.lengths()))
}

/// Leaves on their way, in batches: neither ledger is ahead of the other by more than these.
const BATCHES: usize = 4;
const BATCH: usize = 4096;

type Leaf = (TxId, Digest);

fn leaf(entry: &Entry<'_>) -> Leaf {
    (entry.id(), entry.leaf())
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "dropping it tells the receiver of the end"
)]
fn send_leaves(
    path: &Path,
    options: &VerifyOptions,
    send: SyncSender<Vec<Leaf>>,
) -> Result<(), AuditError> {
    let mut batch = Vec::with_capacity(BATCH);
    replay_signed(path, options, |shown| {
        batch.push(leaf(&shown.entry));
        if batch.len() == BATCH {
            // Nobody receives once the other ledger failed; this one is still verified to its end.
            let _ = send.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)));
        }
    })?;
    let _ = send.send(batch);
    Ok(())
}

/// The right ledger's walk, which meets the leaves of the left one.
struct Meeting {
    left: Receiver<Vec<Leaf>>,
    batch: std::vec::IntoIter<Leaf>,
    lefts: u64,
    rights: u64,
    common: Option<TxId>,
    /// The left ledger's id at the fork, and the right ledger's entry.
    fork: Option<(TxId, Vec<u8>)>,
}

impl Meeting {
    fn with(left: Receiver<Vec<Leaf>>) -> Self {
        Self {
            left,
            batch: Vec::new().into_iter(),
            lefts: 0,
            rights: 0,
            common: None,
            fork: None,
        }
    }

    fn right(&mut self, entry: &Entry<'_>) {
        self.rights += 1;
        let Some(left) = self.next_left() else {
            return;
        };
        if self.fork.is_some() {
            return;
        }
        if left == leaf(entry) {
            self.common = Some(left.0);
        } else {
            self.fork = Some((left.0, entry.bytes.to_vec()));
        }
    }

    fn next_left(&mut self) -> Option<Leaf> {
        loop {
            if let Some(leaf) = self.batch.next() {
                self.lefts += 1;
                return Some(leaf);
            }
            self.batch = self.left.recv().ok()?.into_iter();
        }
    }

    /// Counts what the left ledger has beyond the right one.
    fn drain(&mut self) {
        while self.next_left().is_some() {}
    }

    fn lengths(&self) -> Comparison {
        let common = self.common;
        let by = self.lefts.abs_diff(self.rights);
        let longer = match self.lefts.cmp(&self.rights) {
            Ordering::Equal => return Comparison::Same { last: common },
            Ordering::Less => Side::Right,
            Ordering::Greater => Side::Left,
        };
        Comparison::Longer { common, longer, by }
    }
}

/// Tables whose sections differ between two transactions.
fn differing(left: &Entry<'_>, right: &Entry<'_>) -> Vec<String> {
    let sections = left.sections.iter().chain(&right.sections);
    let mut names: Vec<&str> = sections.map(|section| section.name).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| left.section(name) != right.section(name));
    names.into_iter().map(str::to_owned).collect()
}
