//! Chunk files (ledger format, section 2).
//!
//! ```text
//! u64  table_offset      0 while the chunk is open; else file offset of the positions table
//!      entries           back to back, first at offset 8
//! u32  positions[n]      only when finished: file offset of each entry's first byte
//! ```

use std::fmt;

use crate::entry::{Entry, EntryError};
use crate::id::Seqno;

/// Offset of a chunk's first entry.
pub const FIRST_ENTRY: u64 = 8;

/// Name of a chunk file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChunkName {
    /// Position of its first entry.
    pub first: Seqno,
    /// Position of its last entry, where the name says it.
    pub last: Option<Seqno>,
    /// Whether the name says that the chunk is committed.
    pub committed: bool,
    /// Written while a recovery was in progress.
    pub recovery: bool,
}

/// A chunk that does not have the layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Shorter than its header.
    #[error("chunk of {got} bytes, want at least {FIRST_ENTRY}")]
    Short {
        /// Bytes present.
        got: u64,
    },
    /// The positions table lies outside the file or is not a whole number of positions.
    #[error("positions table at {table_offset} in a chunk of {size} bytes")]
    Table {
        /// Offset in the header.
        table_offset: u64,
        /// Size of the file.
        size: u64,
    },
    /// The table's nth position is not where the nth entry begins.
    #[error("position {index} of the table is {got}, want {want}")]
    Position {
        /// Which.
        index: usize,
        /// In the table.
        got: u32,
        /// Where the entry begins.
        want: u64,
    },
    /// The table counts other entries than there are.
    #[error("the table counts {got} entries, there are {want}")]
    Count {
        /// Positions in the table.
        got: usize,
        /// Entries found.
        want: usize,
    },
    /// The last entry claims more bytes than there are.
    #[error("entry of {want} bytes, {got} left")]
    Overrun {
        /// Bytes left.
        got: usize,
        /// Bytes claimed.
        want: u64,
    },
    /// An entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The file cannot be read.
    #[error("cannot be read: {reason}")]
    Io {
        /// What the system said.
        reason: String,
    },
}

impl ChunkName {
    /// Reads a file name; `None` for files that are no chunks, set-aside ones included.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix("ledger_")?;
        let (rest, recovery) = rest
            .strip_suffix(".recovery")
            .map_or((rest, false), |rest| (rest, true));
        let (rest, committed) = rest
            .strip_suffix(".committed")
            .map_or((rest, false), |rest| (rest, true));
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok().map(Seqno)).flatten()
        };
        let (first, last) = match rest.split_once('-') {
            Some((first, last)) => (number(first)?, Some(number(last)?)),
            None => (number(rest)?, None),
        };
        let whole =
            first.0 > 0 && last.is_none_or(|last| last >= first) && (last.is_some() || !committed);
        whole.then_some(Self {
            first,
            last,
            committed,
            recovery,
        })
    }

    /// Name of an open chunk.
    #[must_use]
    pub const fn open(first: Seqno) -> Self {
        Self {
            first,
            last: None,
            committed: false,
            recovery: false,
        }
    }

    /// Name of a finished and committed chunk.
    #[must_use]
    pub const fn committed(first: Seqno, last: Seqno) -> Self {
        Self {
            first,
            last: Some(last),
            committed: true,
            recovery: false,
        }
    }
}

impl fmt::Display for ChunkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ledger_{}", self.first)?;
        if let Some(last) = self.last {
            write!(f, "-{last}")?;
        }
        if self.committed {
            f.write_str(".committed")?;
        }
        if self.recovery {
            f.write_str(".recovery")?;
        }
        Ok(())
    }
}

/// Where a chunk's entries end, and its positions table, from the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Offset behind the last entry: the table, or the end of an open chunk.
    pub(crate) end: u64,
    /// Number of positions in the table; `None` in an open chunk.
    pub(crate) positions: Option<usize>,
}

impl Layout {
    pub(crate) fn read(header: [u8; 8], size: u64) -> Result<Self, ChunkError> {
        let table_offset = u64::from_le_bytes(header);
        if table_offset == 0 {
            return Ok(Self {
                end: size,
                positions: None,
            });
        }
        let table = size
            .checked_sub(table_offset)
            .filter(|table| table_offset >= FIRST_ENTRY && table % 4 == 0)
            .and_then(|table| usize::try_from(table / 4).ok());
        let positions = table.ok_or(ChunkError::Table { table_offset, size })?;
        Ok(Self {
            end: table_offset,
            positions: Some(positions),
        })
    }

    /// The entry that begins at `at`, the `index`th, is where `position` of the table says.
    pub(crate) fn agrees(index: usize, position: u32, at: u64) -> Result<(), ChunkError> {
        if u64::from(position) == at {
            return Ok(());
        }
        Err(ChunkError::Position {
            index,
            got: position,
            want: at,
        })
    }

    /// There are as many entries as positions: `seen` so far, and `more` if there is one behind them.
    pub(crate) fn counts(&self, seen: usize, more: bool) -> Result<(), ChunkError> {
        match self.positions {
            Some(positions) if (more && seen >= positions) || (!more && seen != positions) => {
                Err(ChunkError::Count {
                    got: positions,
                    want: seen + usize::from(more),
                })
            }
            _ => Ok(()),
        }
    }
}

/// The entries of a chunk in memory, with their offsets.
pub struct Entries<'a> {
    bytes: &'a [u8],
    layout: Layout,
    at: usize,
    seen: usize,
    torn: bool,
}

/// An entry and where it stands.
pub type Located<'a> = (usize, Entry<'a>);

impl<'a> Entries<'a> {
    /// Over the bytes of a chunk file.
    ///
    /// # Errors
    /// [`ChunkError::Short`], [`ChunkError::Table`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, ChunkError> {
        let size = bytes.len() as u64;
        let (header, _) = bytes
            .split_first_chunk::<8>()
            .ok_or(ChunkError::Short { got: size })?;
        Ok(Self {
            bytes,
            layout: Layout::read(*header, size)?,
            at: 8,
            seen: 0,
            torn: false,
        })
    }

    /// Whether the chunk is finished.
    #[must_use]
    pub const fn finished(&self) -> bool {
        self.layout.positions.is_some()
    }

    /// Bytes at the end of an open chunk that are the beginning of an entry: what a writer
    /// that was killed leaves behind. Known once [`Self::next_entry`] has come to the end.
    #[must_use]
    pub const fn torn_bytes(&self) -> usize {
        if self.torn {
            self.bytes.len() - self.at
        } else {
            0
        }
    }

    /// Offset of the next entry, or of the end.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.at
    }

    /// The next entry; `None` at the end, where the positions table has been checked whole.
    ///
    /// # Errors
    /// See [`ChunkError`].
    pub fn next_entry(&mut self) -> Result<Option<Located<'a>>, ChunkError> {
        // The layout lies within the bytes.
        let end = usize::try_from(self.layout.end).unwrap_or(usize::MAX);
        let rest = self.bytes.get(self.at..end).unwrap_or_default();
        self.layout.counts(self.seen, !rest.is_empty())?;
        if rest.is_empty() {
            return Ok(None);
        }
        if self.finished() {
            let table = self.bytes.get(end..).unwrap_or_default().as_chunks().0;
            let position = table.get(self.seen).copied().unwrap_or_default();
            Layout::agrees(self.seen, u32::from_le_bytes(position), self.at as u64)?;
        } else if Entry::length(rest).is_err() {
            self.torn = true;
            return Ok(None);
        }
        let entry = Entry::parse(rest)?;
        let at = self.at;
        self.at += entry.bytes.len();
        self.seen += 1;
        Ok(Some((at, entry)))
    }
}

/// What has to be kept of an open chunk in order to finish it.
#[derive(Clone, Debug)]
pub struct ChunkBuilder {
    first: Seqno,
    size: u64,
    positions: Vec<u32>,
}

impl ChunkBuilder {
    /// A new chunk. Its file begins with [`Self::open_header`].
    #[must_use]
    pub const fn new(first: Seqno) -> Self {
        Self {
            first,
            size: FIRST_ENTRY,
            positions: Vec::new(),
        }
    }

    /// First bytes of an open chunk.
    #[must_use]
    pub const fn open_header() -> [u8; 8] {
        [0; 8]
    }

    /// Notes an entry of this many bytes. False when the chunk cannot take it, because its
    /// offset has no 32-bit form: the chunk must be finished first.
    #[must_use]
    pub fn push(&mut self, length: usize) -> bool {
        let Ok(position) = u32::try_from(self.size) else {
            return false;
        };
        self.positions.push(position);
        self.size += length as u64;
        true
    }

    /// Position of the first entry.
    #[must_use]
    pub const fn first(&self) -> Seqno {
        self.first
    }

    /// Position of the last entry; one before the first when there is none.
    #[must_use]
    pub fn last(&self) -> Seqno {
        Seqno(self.first.0 + self.positions.len() as u64 - 1)
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there is no entry yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Size of the file so far: where the next entry, or the table, goes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The positions table to append, and the header to write over the first 8 bytes, in
    /// that order.
    #[must_use]
    pub fn finish(&self) -> (Vec<u8>, [u8; 8]) {
        let table = self
            .positions
            .iter()
            .flat_map(|position| position.to_le_bytes())
            .collect();
        (table, self.size.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;

    use super::*;
    use crate::{Digest, LedgerSecret, TxId, WriteSet, encode};

    fn chunk() -> Vec<u8> {
        let secret = LedgerSecret::generate(&SystemRandom::new()).unwrap();
        let mut builder = ChunkBuilder::new(Seqno(5));
        let mut bytes = ChunkBuilder::open_header().to_vec();
        for seqno in 5..8 {
            let mut set: WriteSet = WriteSet::new();
            set.put("public:a", "k", vec![1; seqno as usize]);
            let entry = encode(TxId::new(2, seqno), 0, Digest::ZERO, &set, &secret).unwrap();
            assert!(builder.push(entry.bytes.len()));
            bytes.extend(entry.bytes);
        }
        assert_eq!(
            (builder.last(), builder.size()),
            (Seqno(7), bytes.len() as u64)
        );
        let (table, header) = builder.finish();
        bytes.extend(table);
        bytes[..8].copy_from_slice(&header);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<u64>, ChunkError> {
        let mut entries = Entries::new(bytes)?;
        let mut seqnos = Vec::new();
        while let Some((_, entry)) = entries.next_entry()? {
            seqnos.push(entry.seqno.0);
        }
        Ok(seqnos)
    }

    #[test]
    fn names_both_ways() {
        for name in [
            "ledger_1",
            "ledger_1-7",
            "ledger_8-15.committed",
            "ledger_39.recovery",
            "ledger_2-3.committed.recovery",
        ] {
            assert_eq!(ChunkName::parse(name).unwrap().to_string(), name);
        }
        for name in [
            "ledger_0",
            "ledger_",
            "ledger_7-3.committed",
            "ledger_1.committed",
            "ledger_1-2.ignored",
            "ledger_+1",
            "snapshot_1_2",
            "ledger_39.recovery.ignored",
        ] {
            assert_eq!(ChunkName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_finished_chunk_reads_whole_and_an_open_one_too() {
        let mut bytes = chunk();
        assert_eq!(read(&bytes), Ok(vec![5, 6, 7]));
        bytes.truncate(bytes.len() - 12);
        bytes[..8].fill(0);
        assert_eq!(read(&bytes), Ok(vec![5, 6, 7]));
    }

    #[test]
    fn a_damaged_table_is_found() {
        let good = chunk();
        for at in (good.len() - 12..good.len()).chain(0..8) {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            assert!(read(&bytes).is_err(), "byte {at}");
        }
        for cut in 1..=12 {
            assert!(read(&good[..good.len() - cut]).is_err(), "cut by {cut}");
        }
    }
}
