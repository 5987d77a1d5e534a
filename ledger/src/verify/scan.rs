//! The part of a walk that needs nothing of what came before: it may run for several pieces at once.
//!
//! A piece of a chunk becomes a [`Stretch`]: its entries parsed and hashed, their leaves folded, and the places of those
//! that the walk has to read itself.

use super::check::{Check, Fault};
use crate::entry::{Entry, EntryError, EntryHead, EntryType, FLAG_CHUNK_AFTER};
use crate::frontier::Fold;
use crate::hash::Digest;
use crate::hash_all::hash_all;
use crate::id::{Seqno, TxId, View};
use crate::signature::SIGNATURES_MAP;
use crate::write_set::{VisitSections, visit_sections};

/// Tables whose writes the walk follows.
pub(super) const WATCHED: &[&str] = &[
    super::service::NODES_CERTIFICATES,
    super::service::NODES_INFO,
    super::service::SERVICE_INFO,
    crate::endorsement::ENDORSEMENT_MAP,
    SIGNATURES_MAP,
    crate::snapshot::SNAPSHOT_EVIDENCE_MAP,
];

/// Entries that are hashed together, soon after they were parsed.
const BATCH: usize = 256;

/// Entries of one piece, parsed and hashed.
#[derive(Debug, Default)]
pub struct Stretch {
    /// Position of the first entry.
    pub(super) first: Seqno,
    /// View of the first entry.
    pub(super) first_view: View,
    /// The last whole entry.
    pub(super) last: Option<TxId>,
    /// Consecutive parts; each begins with an entry that the walk reads itself, but perhaps the first.
    pub(super) runs: Vec<Run>,
    /// The leaves of all of them.
    leaves: Vec<Digest>,
    /// The first thing that is wrong, and the offset of the entry in the piece. Nothing behind it was looked at.
    pub(super) fault: Option<(usize, Option<Seqno>, Fault)>,
    /// Whether the last entry is a signature.
    pub(super) ends_with_signature: bool,
}

/// Entries that follow each other, of which the walk has to read the first at most.
#[derive(Debug)]
pub(super) struct Run {
    /// Where in the piece the first entry begins, if the walk has to read it before the leaves are appended.
    pub(super) read: Option<usize>,
    /// Offset of the first entry in the piece.
    pub(super) offset: usize,
    pub(super) fold: Fold,
    /// Where among the leaves of the stretch the first one stands.
    first_leaf: usize,
}

/// Entries that were parsed and not hashed yet.
#[derive(Default)]
struct Unhashed<'p> {
    entries: Vec<&'p [u8]>,
    /// What their leaves are the hash of, behind the digest of the entry.
    behind: Vec<Behind<'p>>,
    digests: Vec<Digest>,
    messages: Vec<[u8; 96]>,
}

/// What stands in a leaf behind the digest of the entry.
enum Behind<'p> {
    /// Claims and evidence, as all entries have them that are written today.
    Both(&'p [u8; 64]),
    /// One of the two.
    One(Digest),
    None,
}

impl<'p> Behind<'p> {
    fn of(head: &EntryHead<'p>) -> Self {
        match head.claims_and_evidence {
            Some(both) => Self::Both(both),
            None => head
                .claims_digest
                .or(head.commit_evidence_digest)
                .map_or(Self::None, Self::One),
        }
    }

    /// Evidence comes before claims in a leaf.
    fn message(&self, digest: &Digest) -> [u8; 96] {
        let mut message = [0; 96];
        message[..32].copy_from_slice(&digest.0);
        if let Self::Both(both) = self {
            message[32..64].copy_from_slice(&both[32..]);
            message[64..].copy_from_slice(&both[..32]);
        }
        message
    }

    /// The leaf, where it is not the hash of a message of the usual length.
    fn short_leaf(&self, digest: &Digest) -> Option<Digest> {
        match self {
            Self::Both(_) => None,
            Self::One(other) => Some(Digest::of_pair(digest, other)),
            Self::None => Some(*digest),
        }
    }
}

impl<'p> Unhashed<'p> {
    fn push(&mut self, head: &EntryHead<'p>) {
        self.entries.push(head.bytes);
        self.behind.push(Behind::of(head));
    }

    /// Appends the leaves, and forgets the entries.
    fn hash(&mut self, leaves: &mut Vec<Digest>) {
        self.digests.clear();
        hash_all(&self.entries, &mut self.digests);
        let parts = || self.digests.iter().zip(&self.behind);
        self.messages.clear();
        self.messages
            .extend(parts().map(|(digest, behind)| behind.message(digest)));
        let from = leaves.len();
        hash_all(&self.messages, leaves);
        for (leaf, (digest, behind)) in leaves.iter_mut().skip(from).zip(parts()) {
            if let Some(short) = behind.short_leaf(digest) {
                *leaf = short;
            }
        }
        self.entries.clear();
        self.behind.clear();
    }
}

/// What is looked for in a section walk.
#[derive(Default)]
struct Notice {
    watched: bool,
    signature: bool,
}

impl<'a> VisitSections<'a> for Notice {
    fn section(&mut self, name: &'a str) {
        if name.starts_with("public:ccf.") {
            self.watched |= WATCHED.contains(&name);
            self.signature |= name == SIGNATURES_MAP;
        }
    }
}

impl Stretch {
    /// Parses and hashes the entries of a piece. `stop`: a position before which the root will be asked for.
    #[must_use]
    pub fn scan(piece: &[u8], stop: Option<Seqno>) -> Self {
        let mut stretch = Self::default();
        let mut unhashed = Unhashed::default();
        let mut at = 0;
        while let Some(rest) = piece.get(at..).filter(|rest| !rest.is_empty()) {
            match stretch.entry(rest, at, stop, &mut unhashed) {
                Ok(length) => at += length,
                Err((seqno, fault)) => {
                    stretch.fault = Some((at, seqno, fault));
                    break;
                }
            }
        }
        unhashed.hash(&mut stretch.leaves);
        stretch.fold();
        stretch
    }

    /// Parses an entry, and hashes some if there are enough.
    fn entry<'p>(
        &mut self,
        rest: &'p [u8],
        at: usize,
        stop: Option<Seqno>,
        unhashed: &mut Unhashed<'p>,
    ) -> Result<usize, (Option<Seqno>, Fault)> {
        let head = EntryHead::parse(rest).map_err(|error| (None, layout(&error)))?;
        let seqno = head.seqno;
        let located = |fault| (Some(seqno), fault);
        let mut notice = Notice::default();
        if head.entry_type != EntryType::Snapshot {
            visit_sections(head.public_sections, true, &mut notice)
                .map_err(|error| located(layout(&error.into())))?;
        }
        self.check(&head).map_err(located)?;
        // Only the last entry of a chunk may ask for its end.
        if head.flags & FLAG_CHUNK_AFTER != 0 && !notice.signature {
            let fault = Check::ChunkEnd.fault("flag 0x01 on another entry", "on a signature");
            return Err(located(fault));
        }
        if unhashed.entries.len() == BATCH {
            unhashed.hash(&mut self.leaves);
        }
        if self.last.is_none() {
            (self.first, self.first_view) = (head.seqno, head.view);
        }
        if self.runs.is_empty() || notice.watched || stop == Some(head.seqno) {
            self.runs.push(Run {
                read: notice.watched.then_some(at),
                offset: at,
                fold: Fold::new(head.seqno),
                first_leaf: self.leaves.len() + unhashed.entries.len(),
            });
        }
        unhashed.push(&head);
        self.last = Some(head.id());
        self.ends_with_signature = notice.signature;
        Ok(head.bytes.len())
    }

    /// What can be said of an entry beside the one before it.
    fn check(&self, head: &EntryHead<'_>) -> Result<(), Fault> {
        if let Some(last) = self.last {
            follows(head, last)?;
        }
        if head.iv_seqno != head.seqno || head.snapshot_iv {
            let of = if head.snapshot_iv {
                " of a snapshot"
            } else {
                ""
            };
            let got = format!("{}{of}", head.iv_seqno);
            return Err(Check::Iv.fault(got, head.seqno.to_string()));
        }
        if head.entry_type == EntryType::Snapshot {
            return Err(Check::EntryType.fault("a snapshot", "a transaction"));
        }
        Ok(())
    }

    /// Folds the leaves of every run.
    fn fold(&mut self) {
        let mut end = self.leaves.len();
        for run in self.runs.iter_mut().rev() {
            let leaves = self.leaves.get(run.first_leaf..end).unwrap_or_default();
            run.fold = Fold::of(run.fold.next(), leaves);
            end = run.first_leaf;
        }
    }

    /// The leaves of a run.
    pub(super) fn leaves(&self, run: &Run) -> &[Digest] {
        let behind = self.leaves.get(run.first_leaf..).unwrap_or_default();
        let length = usize::try_from(run.fold.len()).unwrap_or(usize::MAX);
        behind.get(..length).unwrap_or_default()
    }

    /// Number of entries.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.leaves.len() as u64
    }
}

/// An entry follows the one before it.
fn follows(head: &EntryHead<'_>, before: TxId) -> Result<(), Fault> {
    let want = before.seqno.next();
    if head.seqno != want {
        return Err(Check::Seqno.fault(head.seqno.to_string(), want.to_string()));
    }
    later_view(head.view, before.view)
}

pub(super) fn later_view(got: View, before: View) -> Result<(), Fault> {
    if got < before {
        return Err(Check::View.fault(got.to_string(), format!("at least {before}")));
    }
    Ok(())
}

fn layout(error: &EntryError) -> Fault {
    Check::ChunkLayout.fault(error.to_string(), "an entry")
}

/// The entry at an offset of a piece that was scanned without fault there.
pub(super) fn entry_at(piece: &[u8], offset: usize) -> Result<Entry<'_>, Fault> {
    Entry::parse(piece.get(offset..).unwrap_or_default()).map_err(|error| layout(&error))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;

    use super::*;
    use crate::entry::{begin, seal};
    use crate::secret::LedgerSecret;

    /// An entry without map sections, of a type with so many digests.
    fn entry(seqno: u64, entry_type: u8, secret: &LedgerSecret) -> Vec<u8> {
        let mut bytes = begin(entry_type);
        bytes.extend(seqno.to_le_bytes());
        let digests = [0, 0, 1, 1, 2][usize::from(entry_type)];
        for number in 0..digests {
            bytes.extend(Digest::of(&[number, seqno as u8]).0);
        }
        bytes.extend([0; 8]);
        let mut iv = [0; 12];
        iv[..8].copy_from_slice(&seqno.to_le_bytes());
        let end = bytes.len();
        seal(&mut bytes, end, iv, 0, secret).unwrap();
        bytes
    }

    #[test]
    fn leaves_are_those_of_the_entries_whatever_their_types() {
        let secret = LedgerSecret::generate(&SystemRandom::new()).unwrap();
        let types = [0, 4, 2, 4, 3, 4, 4];
        for count in [1, 7, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH + 1] {
            let entries: Vec<_> = (0..count)
                .map(|n| entry(5 + n as u64, types[n % types.len()], &secret))
                .collect();
            let want: Vec<_> = entries
                .iter()
                .map(|bytes| EntryHead::parse(bytes).unwrap().leaf())
                .collect();
            let stop = Seqno(5 + count as u64 / 2);
            let stretch = Stretch::scan(&entries.concat(), Some(stop));
            assert_eq!((&stretch.fault, stretch.entries()), (&None, count as u64));
            assert_eq!(stretch.leaves, want);
            let runs = stretch.runs.iter().map(|run| stretch.leaves(run));
            assert_eq!(runs.collect::<Vec<_>>().concat(), want);
            for run in &stretch.runs {
                let first = stretch.first.0 + run.first_leaf as u64;
                assert_eq!(run.fold, Fold::of(Seqno(first), stretch.leaves(run)));
            }
        }
    }

    #[test]
    fn what_stands_in_front_of_a_fault_is_hashed() {
        let secret = LedgerSecret::generate(&SystemRandom::new()).unwrap();
        let mut piece: Vec<_> = (1..=9).flat_map(|n| entry(n, 4, &secret)).collect();
        let at = piece.len();
        piece.extend(entry(11, 4, &secret));
        let stretch = Stretch::scan(&piece, None);
        let (offset, seqno, fault) = stretch.fault.as_ref().unwrap();
        assert_eq!((*offset, *seqno), (at, Some(Seqno(11))));
        assert_eq!(fault.check, Check::Seqno);
        assert_eq!(stretch.entries(), 9);
        assert_eq!(stretch.runs[0].fold.len(), 9);
    }
}
