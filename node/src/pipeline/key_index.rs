//! Which transactions wrote which keys of a few public tables, so that looking back at one key loads only them.
//!
//! The index is in memory and follows the pipeline. What stands in the ledger from before this process is read once by a thread of its
//! own; until then whoever asks is told to ask again. It begins behind the last position that the ledger's files do not hold,
//! and says nothing about ranges that begin before.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::{PoisonError, RwLock};

use ccf_rs::{HostError, Positions, Seqno};
use ledger::Entry;

use crate::store::Pending;

/// Entries read from the ledger before the index is extended by what they say.
const SLICE: u64 = 10_000;

/// So many missing entries are read while whoever asks waits; more are left to the thread that fills the index.
const AT_ONCE: u64 = 1_000;

/// The index.
#[derive(Default)]
pub(super) struct KeyIndex(RwLock<Inner>);

#[derive(Default)]
struct Inner {
    tables: HashMap<String, Keys>,
    /// Everything behind this position ...
    since: Seqno,
    /// ... up to here is in the index.
    until: Seqno,
    /// A thread reads what is missing.
    filling: bool,
}

/// Positions by key, ascending.
type Keys = BTreeMap<Box<[u8]>, Vec<Seqno>>;

impl KeyIndex {
    /// From now on follows these tables. Nothing is in the index then; who calls it fills it, and says when no more comes of
    /// that ([`Self::filled`]).
    pub(super) fn follow(&self, tables: &[&str]) {
        let tables = tables
            .iter()
            .map(|table| ((*table).to_owned(), Keys::new()))
            .collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Inner {
            tables,
            filling: true,
            ..Inner::default()
        };
    }

    /// Nobody fills the index any more: what is missing then is read while whoever asks waits.
    pub(super) fn filled(&self) {
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        inner.filling = false;
    }

    /// Notes a committed batch that ends with its signature, if everything before it is in the index.
    pub(super) fn extend(&self, transactions: &[Pending], signature: Seqno) {
        let Some(first) = transactions.first() else {
            return;
        };
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if inner.until.0 + 1 != first.seqno.0 {
            return;
        }
        for pending in transactions {
            for (table, changes) in &pending.writes {
                inner.note(table, changes.keys().map(AsRef::as_ref), pending.seqno);
            }
        }
        inner.until = signature;
    }

    /// The first positions of a range at which a key was written; `last` is the last committed position, `read` gives the bytes
    /// of a committed entry that is known to be the one that was committed.
    pub(super) fn positions(
        &self,
        table: &str,
        key: &[u8],
        range: RangeInclusive<Seqno>,
        limit: usize,
        last: Seqno,
        read: impl Fn(Seqno) -> Result<Vec<u8>, HostError>,
    ) -> Result<Positions, HostError> {
        loop {
            let missing = {
                let inner = self.0.read().unwrap_or_else(PoisonError::into_inner);
                let Some(keys) = inner.tables.get(table) else {
                    return Ok(Positions::NotIndexed);
                };
                if *range.start() <= inner.since {
                    return Ok(Positions::NotIndexed);
                }
                if inner.until >= last.min(*range.end()) {
                    return Ok(Positions::At(within(keys.get(key), &range, limit)));
                }
                inner.filling.then(|| last.0 - inner.until.0)
            };
            if missing.is_some_and(|missing| missing > AT_ONCE) {
                return Ok(Positions::Pending);
            }
            self.catch_up(last, &read)?;
        }
    }

    /// Reads a slice of what is missing up to `last`; whether something was missing. Several may do so at once: for each slice only the first to
    /// finish counts.
    pub(super) fn catch_up(
        &self,
        last: Seqno,
        read: impl Fn(Seqno) -> Result<Vec<u8>, HostError>,
    ) -> Result<bool, HostError> {
        let (from, mut slice) = {
            let inner = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if inner.tables.is_empty() || inner.until >= last {
                return Ok(false);
            }
            let tables = inner.tables.keys();
            let slice = Inner {
                tables: tables.map(|table| (table.clone(), Keys::new())).collect(),
                until: Seqno(last.0.min(inner.until.0 + SLICE)),
                ..Inner::default()
            };
            (inner.until, slice)
        };
        for seqno in from.0 + 1..=slice.until.0 {
            let bytes = match read(Seqno(seqno)) {
                Err(HostError::NotKept { next, .. }) if next.0 > seqno => {
                    self.begin_behind(from, Seqno(next.0.min(last.0 + 1) - 1));
                    return Ok(true);
                }
                read => read?,
            };
            let entry = Entry::parse(&bytes).map_err(|e| HostError::Failed(e.to_string()))?;
            for section in &entry.sections {
                let written = section.writes.iter().map(|(key, _)| *key);
                let removed = section.removes.iter().copied();
                slice.note(section.name, written.chain(removed), Seqno(seqno));
            }
        }
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if inner.until == from {
            for (table, keys) in slice.tables {
                let into = inner.tables.entry(table).or_default();
                for (key, positions) in keys {
                    into.entry(key).or_default().extend(positions);
                }
            }
            inner.until = slice.until;
        }
        Ok(true)
    }

    /// Forgets what it has up to `until`, and begins behind `since`: in between something is missing.
    fn begin_behind(&self, until: Seqno, since: Seqno) {
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if inner.until == until {
            tracing::warn!(until = %since, "past writes are not indexed: the ledger's files are not complete");
            inner.tables.values_mut().for_each(Keys::clear);
            (inner.since, inner.until) = (since, since);
        }
    }
}

impl Inner {
    fn note<'k>(&mut self, table: &str, keys: impl Iterator<Item = &'k [u8]>, seqno: Seqno) {
        let Some(known) = self.tables.get_mut(table) else {
            return;
        };
        for key in keys {
            match known.get_mut(key) {
                Some(positions) => positions.push(seqno),
                None => {
                    known.insert(key.into(), vec![seqno]);
                }
            }
        }
    }
}

fn within(
    positions: Option<&Vec<Seqno>>,
    range: &RangeInclusive<Seqno>,
    limit: usize,
) -> Vec<Seqno> {
    let all = positions.map_or(&[][..], Vec::as_slice);
    let first = all.partition_point(|seqno| seqno < range.start());
    all.iter()
        .skip(first)
        .take_while(|seqno| *seqno <= range.end())
        .take(limit)
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_a_range() {
        let all: Vec<Seqno> = [2, 5, 9, 14].map(Seqno).into();
        let of = |from, to, limit| within(Some(&all), &(Seqno(from)..=Seqno(to)), limit);
        assert_eq!(of(1, 20, 9), all);
        assert_eq!(of(3, 9, 9), [Seqno(5), Seqno(9)]);
        assert_eq!(of(3, 20, 1), [Seqno(5)]);
        assert_eq!(of(10, 13, 9), []);
        assert_eq!(within(None, &(Seqno(1)..=Seqno(2)), 9), []);
    }

    #[test]
    fn a_table_that_is_not_indexed_says_so_and_one_that_is_far_behind_asks_for_patience() {
        let index = KeyIndex::default();
        index.follow(&["public:a"]);
        let none = |_| Err(HostError::Failed("gone".into()));
        let ask = |table, last| index.positions(table, b"k", Seqno(1)..=last, 9, last, none);
        assert_eq!(ask("public:b", Seqno(9)).unwrap(), Positions::NotIndexed);
        assert_eq!(ask("public:a", Seqno(1 << 20)).unwrap(), Positions::Pending);
        // A few are read at once, and what goes wrong is told.
        assert!(ask("public:a", Seqno(9)).is_err());
        assert_eq!(ask("public:a", Seqno(0)).unwrap(), Positions::At(vec![]));
        // So is it when nobody fills the index any more: nobody is asked to be patient for nothing.
        index.filled();
        assert!(ask("public:a", Seqno(1 << 20)).is_err());
    }
}
