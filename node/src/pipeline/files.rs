//! Chunk files on disk.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::{ChunkBuilder, ChunkName, Seqno};

/// The ledger directory of a running node.
pub struct Files {
    directory: PathBuf,
    chunk_size: u64,
    open: Option<OpenChunk>,
    /// Bytes of entries since the last chunk ended.
    since_chunk: u64,
}

struct OpenChunk {
    file: Arc<File>,
    builder: ChunkBuilder,
}

/// Where an entry stands.
#[derive(Clone)]
pub struct Place {
    /// The chunk it is in.
    pub file: Arc<File>,
    /// Offset of its first byte.
    pub offset: u64,
    /// Its length.
    pub length: usize,
}

/// The ledger directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A new service needs an empty or absent directory.
    #[error("ledger directory {}: holds {found:?}, want an empty directory for a new service", directory.display())]
    NotEmpty {
        /// The directory.
        directory: PathBuf,
        /// One of its files.
        found: String,
    },
    /// It cannot be read or written.
    #[error("ledger directory {}: {source}", directory.display())]
    Io {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Files {
    /// The directory of a new service.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn create(directory: &Path, chunk_size: u64) -> Result<Self, FilesError> {
        let io = |source| FilesError::Io {
            directory: directory.to_owned(),
            source,
        };
        fs::create_dir_all(directory).map_err(io)?;
        if let Some(item) = fs::read_dir(directory).map_err(io)?.next() {
            let found = item.map_err(io)?.file_name().to_string_lossy().into_owned();
            return Err(FilesError::NotEmpty {
                directory: directory.to_owned(),
                found,
            });
        }
        Ok(Self {
            directory: directory.to_owned(),
            chunk_size,
            open: None,
            since_chunk: 0,
        })
    }

    /// Whether a chunk is due to end behind the entries written so far and `more` bytes.
    pub fn chunk_is_due(&self, more: u64) -> bool {
        self.since_chunk + more >= self.chunk_size
    }

    /// Writes entries, the first of them at position `first`, and syncs. On an error the file
    /// is as before, or will be when the next call begins: nothing of a failed call counts.
    ///
    /// # Errors
    /// What the disk says. The call can be repeated.
    pub fn append(&mut self, first: Seqno, entries: &[Vec<u8>]) -> io::Result<Vec<Place>> {
        let chunk = match &mut self.open {
            Some(chunk) => chunk,
            None => {
                let chunk = OpenChunk::create(&self.directory, first)?;
                self.open.insert(chunk)
            }
        };
        let start = chunk.builder.size();
        // Bytes of a failed attempt may lie behind the end.
        chunk.file.set_len(start)?;
        let mut bytes = Vec::with_capacity(entries.iter().map(Vec::len).sum());
        entries
            .iter()
            .for_each(|entry| bytes.extend_from_slice(entry));
        chunk.file.write_all_at(&bytes, start)?;
        chunk.file.sync_data()?;

        let mut places = Vec::with_capacity(entries.len());
        for entry in entries {
            let offset = chunk.builder.size();
            if !chunk.builder.push(entry.len()) {
                return Err(io::Error::other("a chunk of 4 GiB cannot be finished"));
            }
            places.push(Place {
                file: Arc::clone(&chunk.file),
                offset,
                length: entry.len(),
            });
        }
        self.since_chunk += bytes.len() as u64;
        Ok(places)
    }

    /// Ends the open chunk behind its last entry, which must be a committed signature.
    ///
    /// # Errors
    /// What the disk says. The call can be repeated.
    pub fn finish_chunk(&mut self) -> io::Result<()> {
        let Some(chunk) = &self.open else {
            return Ok(());
        };
        let (table, header) = chunk.builder.finish();
        chunk.file.write_all_at(&table, chunk.builder.size())?;
        chunk.file.sync_data()?;
        // The header says that the table is there, so it is written when it is.
        chunk.file.write_all_at(&header, 0)?;
        chunk.file.sync_data()?;
        let (first, last) = (chunk.builder.first(), chunk.builder.last());
        let from = self.directory.join(ChunkName::open(first).to_string());
        let to = self
            .directory
            .join(ChunkName::committed(first, last).to_string());
        fs::rename(from, to)?;
        sync_directory(&self.directory)?;
        self.open = None;
        self.since_chunk = 0;
        Ok(())
    }
}

impl OpenChunk {
    fn create(directory: &Path, first: Seqno) -> io::Result<Self> {
        let path = directory.join(ChunkName::open(first).to_string());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        file.write_all_at(&ChunkBuilder::open_header(), 0)?;
        file.sync_all()?;
        sync_directory(directory)?;
        Ok(Self {
            file: Arc::new(file),
            builder: ChunkBuilder::new(first),
        })
    }
}

impl Place {
    /// The entry's bytes.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length];
        self.file.read_exact_at(&mut bytes, self.offset)?;
        Ok(bytes)
    }
}

/// A new or renamed file survives a power cut only when its directory is synced.
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
