//! Snapshots to recover from: the newest that the previous service vouches for.

use std::path::PathBuf;

use ledger::{PublicKey, Seqno, Snapshot};

use super::RecoveryError;
use super::directory::{LedgerSource, io};
use crate::pipeline::{committed_snapshot, read_file};

/// A snapshot file in memory.
pub(super) struct SnapshotFile {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// Files of snapshots, newest first.
pub(super) fn candidates(source: &LedgerSource) -> Result<Vec<(Seqno, PathBuf)>, RecoveryError> {
    let mut found = Vec::new();
    for directory in &source.snapshots {
        let names = match source.disk.names(directory) {
            Ok(names) => names,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io(directory)(error)),
        };
        let snapshots = names
            .iter()
            .filter_map(|name| Some((committed_snapshot(name)?, directory.join(name))));
        found.extend(snapshots.map(|(at, path)| (Seqno(at), path)));
    }
    found.sort();
    found.reverse();
    Ok(found)
}

/// The file as it is.
pub(super) fn load(source: &LedgerSource, path: PathBuf) -> Result<SnapshotFile, RecoveryError> {
    let bytes = read_file(source.disk.as_ref(), &path).map_err(io(&path))?;
    Ok(SnapshotFile { path, bytes })
}

impl SnapshotFile {
    /// What is in it, if the service with this identity vouches for it. One that nobody vouches for is passed over: the
    /// ledger has everything that is in it.
    pub(super) fn verified(&self, identity: &PublicKey) -> Option<Snapshot<'_>> {
        let snapshot = Snapshot::verify(&self.bytes, identity);
        snapshot
            .inspect_err(|error| {
                tracing::warn!(file = %self.path.display(), %error, "a snapshot is not used");
            })
            .ok()
    }
}
