//! Chunk files on disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::{ChunkBuilder, ChunkName, Seqno};

use super::disk::{Disk, DiskFile, rename_durably};

/// The ledger directory of a running node.
pub struct Files {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    chunk_size: u64,
    open: Option<OpenChunk>,
    /// Bytes of entries since the last chunk ended.
    since_chunk: u64,
    /// While a recovery is in progress: the names written so far, which carry its suffix.
    recovery: Option<Vec<ChunkName>>,
}

struct OpenChunk {
    file: Arc<dyn DiskFile>,
    builder: ChunkBuilder,
    /// Bytes of a failed attempt may lie behind the end.
    untidy: bool,
}

/// Where entries stand that were written together.
pub struct Places {
    /// The chunk they are in.
    pub file: Arc<dyn DiskFile>,
    /// Position of the chunk's first entry.
    pub chunk: Seqno,
    /// Offset of each, in order.
    pub offsets: Vec<u32>,
    /// Offset behind the last.
    pub end: u64,
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
    pub fn create(
        disk: Arc<dyn Disk>,
        directory: &Path,
        chunk_size: u64,
    ) -> Result<Self, FilesError> {
        let io = |source| FilesError::Io {
            directory: directory.to_owned(),
            source,
        };
        disk.make_directory(directory).map_err(io)?;
        if let Some(found) = disk.names(directory).map_err(io)?.into_iter().next() {
            return Err(FilesError::NotEmpty {
                directory: directory.to_owned(),
                found,
            });
        }
        Ok(Self {
            disk,
            directory: directory.to_owned(),
            chunk_size,
            open: None,
            since_chunk: 0,
            recovery: None,
        })
    }

    /// The directory of a service that is being recovered, its old chunks finished. New ones carry a suffix until
    /// [`Self::end_recovery`].
    pub fn recovering(disk: Arc<dyn Disk>, directory: &Path, chunk_size: u64) -> Self {
        Self {
            disk,
            directory: directory.to_owned(),
            chunk_size,
            open: None,
            since_chunk: 0,
            recovery: Some(Vec::new()),
        }
    }

    /// Whether a recovery is in progress.
    pub const fn is_recovering(&self) -> bool {
        self.recovery.is_some()
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
    pub fn append(&mut self, first: Seqno, entries: &[Vec<u8>]) -> io::Result<Places> {
        if self.open.is_none() {
            self.open = Some(self.create_chunk(first)?);
        }
        let Some(chunk) = &mut self.open else {
            return Err(io::Error::other("no open chunk"));
        };
        let start = chunk.builder.size();
        if chunk.untidy {
            chunk.file.set_length(start)?;
        }
        let mut bytes = Vec::with_capacity(entries.iter().map(Vec::len).sum());
        entries
            .iter()
            .for_each(|entry| bytes.extend_from_slice(entry));
        chunk.untidy = true;
        chunk.file.write_at(start, &bytes)?;
        chunk.file.sync()?;

        let mut offsets = Vec::with_capacity(entries.len());
        for entry in entries {
            let offset = u32::try_from(chunk.builder.size());
            let offset = offset.ok().filter(|_| chunk.builder.push(entry.len()));
            offsets.push(
                offset.ok_or_else(|| io::Error::other("a chunk of 4 GiB cannot be finished"))?,
            );
        }
        chunk.untidy = false;
        self.since_chunk += bytes.len() as u64;
        Ok(Places {
            file: Arc::clone(&chunk.file),
            chunk: chunk.builder.first(),
            offsets,
            end: chunk.builder.size(),
        })
    }

    /// Ends the open chunk behind its last entry, which must be a committed signature.
    ///
    /// # Errors
    /// What the disk says. The call can be repeated.
    pub fn finish_chunk(&mut self) -> io::Result<()> {
        let Some(chunk) = &self.open else {
            return Ok(());
        };
        finish(chunk.file.as_ref(), &chunk.builder)?;
        let from = self.named(ChunkName::open(chunk.builder.first()));
        let to = self.named(ChunkName::committed(
            chunk.builder.first(),
            chunk.builder.last(),
        ));
        self.rename(from, to)?;
        if let Some(written) = &mut self.recovery {
            written.retain(|name| *name != from);
            written.push(to);
        }
        self.open = None;
        self.since_chunk = 0;
        Ok(())
    }

    /// The recovered service is open: what was written since the recovery began is the ledger now. The suffixes go.
    ///
    /// # Errors
    /// What the disk says. The call can be repeated.
    pub fn end_recovery(&mut self) -> io::Result<()> {
        while let Some(name) = self
            .recovery
            .as_ref()
            .and_then(|names| names.last())
            .copied()
        {
            self.rename(name, without_suffix(name))?;
            if let Some(names) = &mut self.recovery {
                names.pop();
            }
        }
        self.recovery = None;
        Ok(())
    }

    fn create_chunk(&mut self, first: Seqno) -> io::Result<OpenChunk> {
        let name = self.named(ChunkName::open(first));
        let file = self.disk.create(&self.directory.join(name.to_string()))?;
        file.write_at(0, &ChunkBuilder::open_header())?;
        file.sync()?;
        self.disk.sync_directory(&self.directory)?;
        if let Some(written) = &mut self.recovery {
            written.push(name);
        }
        Ok(OpenChunk {
            file,
            builder: ChunkBuilder::new(first),
            untidy: false,
        })
    }

    const fn named(&self, name: ChunkName) -> ChunkName {
        ChunkName {
            recovery: self.recovery.is_some(),
            ..name
        }
    }

    fn rename(&self, from: ChunkName, to: ChunkName) -> io::Result<()> {
        let (from, to) = (from.to_string(), to.to_string());
        rename_durably(self.disk.as_ref(), &self.directory, &from, &to)
    }
}

/// The name of a chunk once the recovery it was written in has ended.
pub const fn without_suffix(name: ChunkName) -> ChunkName {
    ChunkName {
        recovery: false,
        ..name
    }
}

/// Writes the positions table behind the entries, and the header that says so.
pub fn finish(file: &dyn DiskFile, builder: &ChunkBuilder) -> io::Result<()> {
    let (table, header) = builder.finish();
    file.write_at(builder.size(), &table)?;
    file.sync()?;
    // The header says that the table is there, so it is written when it is.
    file.write_at(0, &header)?;
    file.sync()
}
