//! Why a ledger could not be audited.

use std::io;
use std::path::{Path, PathBuf};

use ledger::{CheckpointError, Fault, KeyError, LocatedFault, SnapshotError};

/// A ledger could not be audited, or does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A file or the directory cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No file of the directory is a chunk.
    #[error("{}: no ledger chunks", path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
    },
    /// The pinned certificate cannot be used.
    #[error("pinned service certificate: {0}")]
    Certificate(#[from] KeyError),
    /// The checkpoint to compare with proves nothing.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The snapshot to start from is not one that the trusted service vouches for.
    #[error("snapshot: {0}")]
    Snapshot(#[source] SnapshotError),
    /// A snapshot vouches for nothing by itself.
    #[error("a snapshot can only be started from with a service certificate to trust")]
    SnapshotUntrusted,
    /// Something is wrong with the ledger, at one place.
    #[error(transparent)]
    Located(#[from] Box<LocatedFault>),
    /// Something is wrong with the ledger as a whole.
    #[error(transparent)]
    Whole(#[from] Fault),
    /// The ledger was written to, not only at its end, between one reading and the next.
    #[error("{}: the ledger changed while it was read", path.display())]
    Changed {
        /// The directory.
        path: PathBuf,
    },
    /// What was asked about is not in the ledger.
    #[error("{what}: got {got}, want {want}")]
    Absent {
        /// What was asked about.
        what: &'static str,
        /// What is there.
        got: String,
        /// What was asked for.
        want: String,
    },
    /// A thread that verifies ended early: our bug.
    #[error("a worker ended early")]
    Worker,
}

impl AuditError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// The rule that does not hold, if that is what happened.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Located(located) => Some(&located.fault),
            Self::Whole(fault) => Some(fault),
            _ => None,
        }
    }
}
