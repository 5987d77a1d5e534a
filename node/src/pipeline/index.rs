//! Where every committed entry stands.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use ledger::{Entries, SIGNATURES_MAP, Seqno};

use super::disk::{Disk, DiskFile, read_file};
use super::files::Places;

/// The chunks of a ledger, by position. A node that went on from a snapshot has not read the older ones; it reads one when
/// it is asked for.
#[derive(Default)]
pub(super) struct Index {
    chunks: Vec<Chunk>,
}

/// One chunk.
pub struct Chunk {
    /// Position of its first entry.
    pub first: Seqno,
    /// Its file.
    pub file: ChunkFile,
    /// What is known of its entries; `None` before they were read.
    pub entries: Option<ChunkEntries>,
    /// Its entries are known to be those that were committed. What stands before a snapshot is believed only as far as its
    /// secrets open it.
    pub verified: bool,
}

/// The file of a chunk: one that this run writes is kept open.
#[derive(Clone)]
pub enum ChunkFile {
    /// Open.
    Open(Arc<dyn DiskFile>),
    /// To be opened when it is read.
    Closed(Arc<dyn Disk>, PathBuf),
}

/// Offsets of the entries of a chunk, and which of them are signatures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkEntries {
    /// Offset of each.
    pub offsets: Vec<u32>,
    /// Offset behind the last.
    pub end: u64,
    /// Positions of signatures, ascending.
    pub signatures: Vec<Seqno>,
}

/// Where an entry stands.
#[derive(Clone)]
pub(super) struct Place {
    file: ChunkFile,
    offset: u64,
    length: usize,
}

impl Index {
    /// Adds a chunk behind the others.
    pub(super) fn add(&mut self, chunk: Chunk) {
        self.chunks.push(chunk);
    }

    /// Notes entries that were written together, the last of them a signature.
    pub(super) fn extend(&mut self, places: Places) {
        let continues = self
            .chunks
            .last()
            .is_some_and(|last| last.first == places.chunk);
        if !continues {
            self.chunks.push(Chunk {
                first: places.chunk,
                file: ChunkFile::Open(places.file),
                entries: Some(ChunkEntries::default()),
                verified: true,
            });
        }
        let chunk = self.chunks.last_mut();
        if let Some((first, entries)) =
            chunk.and_then(|chunk| Some((chunk.first, chunk.entries.as_mut()?)))
        {
            entries.offsets.extend(places.offsets);
            entries.end = places.end;
            let last = first.0 + entries.offsets.len() as u64 - 1;
            entries.signatures.push(Seqno(last));
        }
    }

    /// The chunk that an entry is in, if it has not been read yet.
    pub(super) fn unread(&self, seqno: Seqno) -> Option<(usize, ChunkFile)> {
        let at = self.chunk_of(seqno)?;
        let chunk = self
            .chunks
            .get(at)
            .filter(|chunk| chunk.entries.is_none())?;
        Some((at, chunk.file.clone()))
    }

    /// Notes what was found in a chunk.
    pub(super) fn set_entries(&mut self, chunk: usize, entries: ChunkEntries) {
        if let Some(chunk) = self.chunks.get_mut(chunk) {
            chunk.entries = Some(entries);
        }
    }

    /// Where an entry stands.
    pub(super) fn place(&self, seqno: Seqno) -> Option<Place> {
        let chunk = self.chunks.get(self.chunk_of(seqno)?)?;
        let entries = chunk.entries.as_ref()?;
        let at = usize::try_from(seqno.0.checked_sub(chunk.first.0)?).ok()?;
        let offset = u64::from(*entries.offsets.get(at)?);
        let next = entries.offsets.get(at + 1);
        let end = next.map_or(entries.end, |next| u64::from(*next));
        Some(Place {
            file: chunk.file.clone(),
            offset,
            length: usize::try_from(end.checked_sub(offset)?).ok()?,
        })
    }

    /// Whether the entry is known to be the one that was committed.
    pub(super) fn is_verified(&self, seqno: Seqno) -> bool {
        let chunk = self.chunk_of(seqno).and_then(|at| self.chunks.get(at));
        chunk.is_some_and(|chunk| chunk.verified)
    }

    /// First position of the chunk behind the one of `seqno`; none behind the last.
    pub(super) fn next_chunk(&self, seqno: Seqno) -> Option<Seqno> {
        let at = self.chunks.partition_point(|chunk| chunk.first <= seqno);
        self.chunks.get(at).map(|chunk| chunk.first)
    }

    /// Position of the first signature behind `seqno`, in chunks that were read: that of `seqno` and the one after it.
    pub(super) fn signature_behind(&self, seqno: Seqno) -> Option<Seqno> {
        let chunks = self.chunks.get(self.chunk_of(seqno)?..)?;
        let entries = chunks.iter().map_while(|chunk| chunk.entries.as_ref());
        entries
            .filter_map(|entries| {
                let at = entries.signatures.partition_point(|s| *s <= seqno);
                entries.signatures.get(at).copied()
            })
            .next()
    }

    /// Whether the entry is a signature.
    pub(super) fn is_signature(&self, seqno: Seqno) -> bool {
        self.chunk_of(seqno)
            .and_then(|at| self.chunks.get(at)?.entries.as_ref())
            .is_some_and(|entries| entries.signatures.binary_search(&seqno).is_ok())
    }

    fn chunk_of(&self, seqno: Seqno) -> Option<usize> {
        self.chunks
            .partition_point(|chunk| chunk.first <= seqno)
            .checked_sub(1)
    }
}

impl ChunkFile {
    /// All its bytes.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Closed(disk, path) => read_file(disk.as_ref(), path),
            Self::Open(file) => {
                let length = usize::try_from(file.length()?).map_err(io::Error::other)?;
                let mut bytes = vec![0; length];
                file.read_at(0, &mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

impl ChunkEntries {
    /// Looks through a chunk. What its entries say is not checked.
    ///
    /// # Errors
    /// A chunk that is not of the form.
    pub fn of(bytes: &[u8]) -> Result<Self, ledger::ChunkError> {
        let mut found = Self::default();
        let mut entries = Entries::new(bytes)?;
        while let Some((offset, entry)) = entries.next_entry()? {
            found.note(offset as u64, &entry);
        }
        Ok(found)
    }

    /// Notes the next entry.
    pub fn note(&mut self, offset: u64, entry: &ledger::Entry<'_>) {
        // Offsets of a chunk are below 4 GiB: the positions table has 32 bits for each.
        self.offsets.push(u32::try_from(offset).unwrap_or(u32::MAX));
        self.end = offset + entry.bytes.len() as u64;
        if entry.section(SIGNATURES_MAP).is_some() {
            self.signatures.push(entry.seqno);
        }
    }
}

impl Place {
    /// The entry's bytes.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length];
        match &self.file {
            ChunkFile::Open(file) => file.read_at(self.offset, &mut bytes)?,
            ChunkFile::Closed(disk, path) => {
                disk.open_to_read(path)?.read_at(self.offset, &mut bytes)?;
            }
        }
        Ok(bytes)
    }
}
