//! What is done to the directory before a recovered service writes to it.

use ledger::{ChunkBuilder, ChunkName};

use super::RecoveryError;
use super::directory::{LedgerSource, free_name, io};
use crate::pipeline::{Chunk, ChunkFile, finish, read_file, without_suffix};

/// Bytes behind the last signature of a ledger: transactions that were never acknowledged, or the remains of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The file.
    pub file: String,
    /// Where in it.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Why they do not count.
    pub reason: String,
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub(super) struct Settlement {
    /// Uncommitted chunks, with the entries of theirs that are kept.
    pub(super) finish: Vec<(ChunkName, ChunkBuilder)>,
    /// Files that are not the ledger.
    pub(super) ignore: Vec<ChunkName>,
    /// Files of a recovery that came to its end.
    pub(super) unsuffix: Vec<ChunkName>,
}

/// Does it. Each step is on disk before the next begins.
pub(super) fn settle(source: &LedgerSource, settlement: &Settlement) -> Result<(), RecoveryError> {
    for name in &settlement.ignore {
        let aside = source.ignore(&name.to_string())?;
        tracing::warn!(file = %name, %aside, "a file that is not part of the ledger was set aside");
    }
    for (name, builder) in &settlement.finish {
        cut(source, name, builder)?;
        let finished = ChunkName {
            recovery: name.recovery,
            ..ChunkName::committed(builder.first(), builder.last())
        };
        let finished = without_suffix(finished);
        source.rename(&name.to_string(), &finished.to_string())?;
    }
    for name in &settlement.unsuffix {
        let done = settlement.finish.iter().any(|(other, _)| other == name);
        if !done {
            source.rename(&name.to_string(), &without_suffix(*name).to_string())?;
        }
    }
    Ok(())
}

/// Finishes a chunk behind the entries that are kept; what stands behind them is copied first.
fn cut(
    source: &LedgerSource,
    name: &ChunkName,
    builder: &ChunkBuilder,
) -> Result<(), RecoveryError> {
    let path = source.directory.join(name.to_string());
    let disk = source.disk.as_ref();
    let bytes = read_file(disk, &path).map_err(io(&path))?;
    let kept = usize::try_from(builder.size()).unwrap_or(usize::MAX);
    let behind = bytes.get(kept..).unwrap_or_default();
    let (table, _) = builder.finish();
    if !table.starts_with(behind) {
        let names = disk
            .names(&source.directory)
            .map_err(io(&source.directory))?;
        let aside = free_name(&names, &format!("{name}.from-{kept}.ignored"));
        let copy = source.directory.join(&aside);
        let write = || {
            let file = disk.create(&copy)?;
            file.write_at(0, behind)?;
            file.sync()?;
            disk.sync_directory(&source.directory)
        };
        write().map_err(io(&copy))?;
        tracing::warn!(
            file = %name, offset = kept, bytes = behind.len(), %aside,
            "what stands behind the last signature was set aside"
        );
    }
    let file = disk.open(&path).map_err(io(&path))?;
    let write = || {
        file.set_length(builder.size())?;
        // A header of an earlier attempt would name a table that is not there now.
        file.write_at(0, &ChunkBuilder::open_header())?;
        finish(file.as_ref(), builder)
    };
    write().map_err(io(&path))
}

impl Settlement {
    /// The chunk under the name that it has once this is done.
    pub(super) fn renamed(&self, source: &LedgerSource, chunk: Chunk) -> Chunk {
        let finished = self
            .finish
            .iter()
            .find(|(name, _)| name.first == chunk.first)
            .map(|(name, builder)| ChunkName {
                recovery: name.recovery,
                ..ChunkName::committed(builder.first(), builder.last())
            });
        let old = self
            .unsuffix
            .iter()
            .find(|name| name.first == chunk.first)
            .copied();
        let Some(name) = finished.or(old) else {
            return chunk;
        };
        let path = source.directory.join(without_suffix(name).to_string());
        Chunk {
            file: ChunkFile::Closed(source.disk.clone(), path),
            ..chunk
        }
    }
}
