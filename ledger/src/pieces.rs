//! Reading a chunk piece by piece, whatever its size.
//!
//! A piece is a run of whole entries. The header and the positions table are checked on the way, so that whoever got every
//! piece to the end knows that the chunk has the layout of ledger format, section 2.2.

use std::io;

use crate::chunk::{ChunkError, FIRST_ENTRY, Layout};

/// Bytes of the positions table that are read at once.
const TABLE_WINDOW: usize = 1 << 14;

/// The bytes of a file, wherever they are.
pub trait Source {
    /// Number of bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// What the system says; fewer bytes than asked for are an error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl Source for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|at| self.get(at..)?.get(..buffer.len()))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buffer)
    }
}

/// Whole entries of one chunk, in a buffer that is used again.
#[derive(Clone, Debug, Default)]
pub struct Piece {
    /// Offset of the first entry in the file.
    pub offset: u64,
    /// Number of entries.
    pub entries: usize,
    buffer: Vec<u8>,
    length: usize,
}

impl Piece {
    /// The entries, back to back.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

/// A chunk on its way through memory.
pub struct Pieces<S> {
    source: S,
    layout: Layout,
    at: u64,
    seen: usize,
    torn: bool,
    /// Part of the positions table, and the number of the position it begins with.
    window: Vec<u8>,
    window_from: usize,
}

impl<S: Source> Pieces<S> {
    /// From the first entry on.
    ///
    /// # Errors
    /// [`ChunkError::Short`], [`ChunkError::Table`], [`ChunkError::Io`].
    pub fn new(source: S) -> Result<Self, ChunkError> {
        let size = source.size();
        if size < FIRST_ENTRY {
            return Err(ChunkError::Short { got: size });
        }
        let mut header = [0; 8];
        source.read_at(0, &mut header).map_err(io_error)?;
        Ok(Self {
            source,
            layout: Layout::read(header, size)?,
            at: FIRST_ENTRY,
            seen: 0,
            torn: false,
            window: Vec::new(),
            window_from: 0,
        })
    }

    /// Whether the chunk is finished.
    #[must_use]
    pub const fn finished(&self) -> bool {
        self.layout.positions.is_some()
    }

    /// Offset of the next entry, or of the end.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.at
    }

    /// Bytes at the end of an open chunk that are the beginning of an entry. Known once [`Self::next_piece`] has come to the
    /// end.
    #[must_use]
    pub const fn torn_bytes(&self) -> u64 {
        if self.torn {
            self.layout.end - self.at
        } else {
            0
        }
    }

    /// Fills `piece` with as many whole entries as `size` bytes hold, at least one; false at the end, where the positions
    /// table has been checked whole.
    ///
    /// # Errors
    /// See [`ChunkError`]. Entries in front of the fault are given first.
    pub fn next_piece(&mut self, piece: &mut Piece, size: usize) -> Result<bool, ChunkError> {
        piece.offset = self.at;
        (piece.entries, piece.length) = (0, 0);
        let rest = self.layout.end - self.at;
        if rest == 0 {
            self.layout.counts(self.seen, false)?;
            return Ok(false);
        }
        let fill = size.min(usize::try_from(rest).unwrap_or(size)).max(1);
        self.fill(piece, 0, fill)?;
        loop {
            match self.step(piece)? {
                Step::Taken => {}
                Step::End => return Ok(piece.entries > 0),
                Step::Full if piece.entries > 0 => return Ok(true),
                // The one entry is larger than a piece.
                Step::Full => {
                    let want = entry_length(piece.buffer.get(..8).unwrap_or_default());
                    let want = want
                        .and_then(|want| usize::try_from(want).ok())
                        .unwrap_or(8);
                    self.fill(piece, piece.buffer.len(), want)?;
                }
            }
        }
    }

    /// Reads on until the buffer holds `until` bytes of the piece.
    fn fill(&self, piece: &mut Piece, from: usize, until: usize) -> Result<(), ChunkError> {
        piece.buffer.resize(until, 0);
        let more = piece.buffer.get_mut(from..).unwrap_or_default();
        self.source
            .read_at(piece.offset + from as u64, more)
            .map_err(io_error)
    }

    /// Takes one entry of the buffer into the piece.
    fn step(&mut self, piece: &mut Piece) -> Result<Step, ChunkError> {
        let left = self.layout.end - self.at;
        if left == 0 {
            return Ok(Step::End);
        }
        // A fault behind good entries is found again, with nothing in front of it.
        let fault = |fault| {
            if piece.entries > 0 {
                Ok(Step::Full)
            } else {
                Err(fault)
            }
        };
        if let Err(error) = self.layout.counts(self.seen, true) {
            return fault(error);
        }
        if self.finished() {
            let position = self.position(self.seen)?;
            if let Err(error) = Layout::agrees(self.seen, position, self.at) {
                return fault(error);
            }
        }
        let buffered = piece.buffer.get(piece.length..).unwrap_or_default();
        let length = match entry_length(buffered) {
            Some(length) => length,
            None if left >= 8 => return Ok(Step::Full),
            None => u64::MAX,
        };
        if length > left {
            if self.finished() {
                let got = usize::try_from(left).unwrap_or(usize::MAX);
                return fault(ChunkError::Overrun { got, want: length });
            }
            self.torn = true;
            return Ok(Step::End);
        }
        if length > buffered.len() as u64 {
            return Ok(Step::Full);
        }
        piece.length += usize::try_from(length).unwrap_or(0);
        piece.entries += 1;
        self.at += length;
        self.seen += 1;
        Ok(Step::Taken)
    }

    fn position(&mut self, index: usize) -> Result<u32, ChunkError> {
        let held = self.window.len() / 4;
        if index < self.window_from || index >= self.window_from + held {
            let positions = self.layout.positions.unwrap_or_default();
            let length = (4 * (positions - index)).min(TABLE_WINDOW);
            self.window.resize(length, 0);
            let offset = self.layout.end + 4 * index as u64;
            self.source
                .read_at(offset, &mut self.window)
                .map_err(io_error)?;
            self.window_from = index;
        }
        let table = self.window.as_chunks().0;
        let position = table.get(index - self.window_from);
        Ok(position.map_or(0, |position| u32::from_le_bytes(*position)))
    }
}

enum Step {
    /// One entry more.
    Taken,
    /// The buffer holds no further whole entry.
    Full,
    /// Nothing follows, or only the beginning of an entry.
    End,
}

/// Length of the entry that `bytes` begin with, from its header; `None` when that is cut.
fn entry_length(bytes: &[u8]) -> Option<u64> {
    let [_, _, size @ ..] = *bytes.first_chunk::<8>()?;
    let [a, b, c, d, e, f] = size;
    Some(8 + u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
}

#[allow(clippy::needless_pass_by_value, reason = "used as an error mapper")]
fn io_error(error: io::Error) -> ChunkError {
    ChunkError::Io {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry of this many bytes, as far as its header tells.
    fn entry(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let size = (length as u64 - 8).to_le_bytes();
        bytes[0] = 1;
        bytes[2..8].copy_from_slice(&size[..6]);
        bytes
    }

    fn chunk(lengths: &[usize], finished: bool) -> Vec<u8> {
        let mut bytes = vec![0; 8];
        let mut table = Vec::new();
        for length in lengths {
            table.extend((bytes.len() as u32).to_le_bytes());
            bytes.extend(entry(*length));
        }
        if finished {
            let end = (bytes.len() as u64).to_le_bytes();
            bytes[..8].copy_from_slice(&end);
            bytes.extend(table);
        }
        bytes
    }

    fn read(bytes: &[u8], size: usize) -> Result<(Vec<usize>, u64), ChunkError> {
        let mut pieces = Pieces::new(bytes)?;
        let mut piece = Piece::default();
        let mut counts = Vec::new();
        let mut at = 8;
        while pieces.next_piece(&mut piece, size)? {
            assert_eq!(piece.offset, at);
            let from = usize::try_from(at).unwrap();
            assert_eq!(piece.bytes(), &bytes[from..from + piece.bytes().len()]);
            at += piece.bytes().len() as u64;
            counts.push(piece.entries);
        }
        Ok((counts, pieces.torn_bytes()))
    }

    #[test]
    fn every_entry_comes_once_whatever_the_size_of_pieces() {
        let lengths = [44, 100, 9, 8, 3000, 60];
        for finished in [false, true] {
            let bytes = chunk(&lengths, finished);
            for size in [1, 8, 50, 160, 3000, 1 << 20] {
                let (counts, torn) = read(&bytes, size).unwrap();
                assert_eq!(counts.iter().sum::<usize>(), lengths.len(), "{size}");
                assert_eq!(torn, 0);
            }
            assert_eq!(read(&bytes, 1 << 20).unwrap().0, [6]);
        }
        assert_eq!(read(&[0; 8], 9).unwrap(), (vec![], 0));
    }

    #[test]
    fn an_open_chunk_may_end_in_the_beginning_of_an_entry() {
        let bytes = chunk(&[44, 100], false);
        for cut in 1..100 {
            let (counts, torn) = read(&bytes[..bytes.len() - cut], 64).unwrap();
            assert_eq!(counts.iter().sum::<usize>(), 1, "{cut}");
            assert_eq!(torn, 100 - cut as u64);
        }
    }

    #[test]
    fn a_finished_chunk_is_held_to_its_table() {
        let good = chunk(&[44, 100, 9], true);
        let end = good.len() - 12;
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            change(&mut bytes);
            read(&bytes, 60).unwrap_err()
        };
        let second = with(&|bytes| bytes[end + 4] ^= 1);
        assert!(matches!(second, ChunkError::Position { index: 1, .. }));
        let short = with(&|bytes| bytes.truncate(end + 8));
        assert_eq!(short, ChunkError::Count { got: 2, want: 3 });
        let long = with(&|bytes| bytes.extend([0; 4]));
        assert_eq!(long, ChunkError::Count { got: 4, want: 3 });
        let odd = with(&|bytes| bytes.push(0));
        assert!(matches!(odd, ChunkError::Table { .. }));
        let absurd = with(&|bytes| bytes[10..16].fill(0xff));
        assert!(matches!(absurd, ChunkError::Overrun { .. }));
        assert_eq!(read(&good[..7], 60), Err(ChunkError::Short { got: 7 }));
    }
}
