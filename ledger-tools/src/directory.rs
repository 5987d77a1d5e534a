//! The files of a ledger.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ledger::{ChunkName, Source};

use crate::error::AuditError;

/// Which files of a directory count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Leave out the chunks that are not committed yet.
    pub committed_only: bool,
    /// Include chunks written while a recovery was in progress.
    pub recovery: bool,
}

/// A chunk file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChunkFile {
    /// What its name says.
    pub name: ChunkName,
    /// Where it is.
    pub path: PathBuf,
}

/// The chunks of a directory in ledger order. Files of other names are no part of the ledger.
///
/// # Errors
/// [`AuditError::Io`], [`AuditError::Empty`].
pub fn chunk_files(directory: &Path, files: Files) -> Result<Vec<ChunkFile>, AuditError> {
    let io = |source| AuditError::io(directory, source);
    let mut chunks = Vec::new();
    for item in fs::read_dir(directory).map_err(io)? {
        let item = item.map_err(io)?;
        let Some(name) = item.file_name().to_str().and_then(ChunkName::parse) else {
            continue;
        };
        let counts =
            (name.committed || !files.committed_only) && (!name.recovery || files.recovery);
        if counts {
            let path = item.path();
            chunks.push(ChunkFile { name, path });
        }
    }
    if chunks.is_empty() {
        return Err(AuditError::Empty {
            path: directory.to_owned(),
        });
    }
    chunks.sort();
    Ok(chunks)
}

/// The bytes of an open file, as many as there were when it was opened.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    size: u64,
}

impl OpenFile {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`AuditError::Io`].
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        let open = || {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            Ok(Self { file, size })
        };
        open().map_err(|source| AuditError::io(path, source))
    }
}

impl Source for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}
