//! Which files are the ledger (ledger format, section 2.1).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::{Checkpoint, ChunkName, Seqno};

use super::RecoveryError;
use crate::pipeline::{Disk, rename_durably};

/// Where the ledger of an earlier service is.
#[derive(Clone)]
pub struct LedgerSource {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The directory that the recovered service goes on in.
    pub directory: PathBuf,
    /// More directories with committed chunks, which are read only.
    pub read_only: Vec<PathBuf>,
    /// Directories with snapshots; one that is absent is empty.
    pub snapshots: Vec<PathBuf>,
    /// Signatures that somebody kept: the ledger must hold them.
    pub checkpoints: Vec<Checkpoint>,
}

/// A chunk file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) name: ChunkName,
    /// Its directory.
    pub(super) directory: PathBuf,
}

impl Found {
    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(self.name.to_string())
    }
}

/// The chunks of a ledger in order, and those that others replace.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    pub(super) ledger: Vec<Found>,
    /// Uncommitted ones at or below the committed range: of no use.
    pub(super) superseded: Vec<Found>,
}

impl Chunks {
    /// Whether the ledger can be read from behind this position on: a chunk begins there, or nothing is behind it.
    pub(super) fn continue_behind(&self, at: Seqno) -> bool {
        let next = self.ledger.iter().find(|found| found.name.first > at);
        match next {
            Some(found) => found.name.first == at.next(),
            None => self
                .ledger
                .last()
                .is_none_or(|last| last.name.last.is_some_and(|last| last <= at)),
        }
    }
}

impl LedgerSource {
    /// The ledger's chunks; with those that a recovery has written which did not come to its end, or without.
    pub(super) fn chunks(&self, with_recovery: bool) -> Result<Chunks, RecoveryError> {
        let mut all = Vec::new();
        for directory in std::iter::once(&self.directory).chain(&self.read_only) {
            let names = self.disk.names(directory).map_err(io(directory))?;
            let found = names.iter().filter_map(|name| ChunkName::parse(name));
            let own = directory == &self.directory;
            all.extend(
                found
                    .filter(|name| (own || name.committed) && (with_recovery || !name.recovery))
                    .map(|name| Found {
                        name,
                        directory: directory.clone(),
                    }),
            );
        }
        // The same chunk may be in several directories; the own one comes first.
        all.sort_by(|a, b| {
            let key = |found: &Found| {
                (
                    found.name.first,
                    !found.name.committed,
                    found.directory != self.directory,
                )
            };
            key(a).cmp(&key(b))
        });
        let mut chunks = Chunks::default();
        for found in all {
            let covered = chunks.ledger.last().is_some_and(|last: &Found| {
                let committed = last.name.committed.then_some(last.name.last).flatten();
                last.name.first == found.name.first
                    || committed.is_some_and(|last| found.name.first <= last)
            });
            if !covered {
                chunks.ledger.push(found);
            } else if found.directory == self.directory && !found.name.committed {
                chunks.superseded.push(found);
            }
        }
        Ok(chunks)
    }

    /// Names of chunks that a recovery has written which did not come to its end.
    pub(super) fn recovery_names(&self) -> Result<Vec<ChunkName>, RecoveryError> {
        let names = self
            .disk
            .names(&self.directory)
            .map_err(io(&self.directory))?;
        Ok(names
            .iter()
            .filter_map(|name| ChunkName::parse(name))
            .filter(|name| name.recovery)
            .collect())
    }

    /// Sets a file aside: nobody reads it any more, and it is not lost.
    pub(super) fn ignore(&self, name: &str) -> Result<String, RecoveryError> {
        let names = self
            .disk
            .names(&self.directory)
            .map_err(io(&self.directory))?;
        let to = free_name(&names, &format!("{name}.ignored"));
        self.rename(name, &to)?;
        Ok(to)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), RecoveryError> {
        rename_durably(self.disk.as_ref(), &self.directory, from, to)
            .map_err(io(&self.directory.join(from)))
    }
}

/// The wanted name, with a number in front of its last part if it is taken.
pub(super) fn free_name(names: &[String], wanted: &str) -> String {
    let taken = |name: &str| names.iter().any(|known| known == name);
    let stem = wanted.strip_suffix(".ignored").unwrap_or(wanted);
    let numbered = (2..).map(|n: u64| format!("{stem}.{n}.ignored"));
    std::iter::once(wanted.to_owned())
        .chain(numbered)
        .find(|name| !taken(name))
        .unwrap_or_else(|| wanted.to_owned())
}

pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> RecoveryError {
    let path = path.to_owned();
    move |source| RecoveryError::Io {
        path: path.clone(),
        source,
    }
}
