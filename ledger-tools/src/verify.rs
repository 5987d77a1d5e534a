//! Verifying a ledger directory: against what, and which files.

use std::path::Path;

use ledger::{Checkpoint, EndorsementRow, PublicKey, Report, Snapshot, Trust, Walk, verify_chain};

use crate::crew::walk_chunks;
use crate::directory::{ChunkFile, Files, chunk_files};
use crate::error::AuditError;

/// What to verify against, and which files count.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// The service certificate that the auditor trusts, PEM. Without it a ledger only vouches for itself.
    pub service_certificate: Option<String>,
    /// Endorsements, newest first, that lead from the trusted identity back to the one that signed this ledger: for a copy
    /// from before a recovery ([`Recoveries::endorsements`](crate::Recoveries::endorsements) of a later ledger has them).
    pub endorsements: Vec<EndorsementRow>,
    /// A checkpoint that the auditor kept. The ledger must hold it.
    pub checkpoint: Option<Checkpoint>,
    /// Leave out the chunks that are not committed yet.
    pub committed_only: bool,
    /// Include chunks written while a recovery was in progress.
    pub recovery: bool,
}

impl VerifyOptions {
    /// Which files count.
    #[must_use]
    pub const fn files(&self) -> Files {
        Files {
            committed_only: self.committed_only,
            recovery: self.recovery,
        }
    }

    /// What the auditor knows from outside the ledger.
    ///
    /// # Errors
    /// [`AuditError::Certificate`], [`AuditError::Checkpoint`] for a checkpoint that its service did not sign.
    pub fn trust(&self) -> Result<Trust, AuditError> {
        let service = self
            .service_certificate
            .as_deref()
            .map(PublicKey::of_certificate)
            .transpose()?;
        if let Some(checkpoint) = &self.checkpoint {
            checkpoint.verify(None)?;
        }
        Ok(Trust {
            service,
            endorsements: self.endorsements.clone(),
            checkpoint: self.checkpoint.clone(),
        })
    }
}

/// Verifies the ledger in a directory from its first transaction.
///
/// # Errors
/// [`AuditError`]; the first thing that is wrong ends the walk.
pub fn verify_directory(path: &Path, options: &VerifyOptions) -> Result<Report, AuditError> {
    let chunks = chunk_files(path, options.files())?;
    verify_chunks(&chunks, Walk::new(options.trust()?), &mut |_| {})
}

/// Verifies the part of a ledger that begins behind a snapshot, and that the snapshot was signed by the trusted service or
/// by one that its endorsements lead to. What stands before is not looked at: the files may be gone.
///
/// # Errors
/// [`AuditError`]; [`AuditError::Snapshot`] for a snapshot that nobody trusted vouches for.
pub fn verify_from_snapshot(
    directory: &Path,
    snapshot: &[u8],
    options: &VerifyOptions,
) -> Result<Report, AuditError> {
    let trust = options.trust()?;
    let start = trusted_snapshot(snapshot, &trust)?.start();
    let walk = Walk::from_snapshot(trust, &start)?;
    let mut chunks = chunk_files(directory, options.files())?;
    chunks.retain(|chunk| chunk.name.first >= walk.next_seqno());
    verify_chunks(&chunks, walk, &mut |_| {})
}

fn trusted_snapshot<'s>(file: &'s [u8], trust: &Trust) -> Result<Snapshot<'s>, AuditError> {
    let Some(pinned) = &trust.service else {
        return Err(AuditError::SnapshotUntrusted);
    };
    let refused = match Snapshot::verify(file, pinned) {
        Ok(snapshot) => return Ok(snapshot),
        Err(error) => error,
    };
    let earlier = verify_chain(pinned, &trust.endorsements).unwrap_or_default();
    let mut earlier = earlier.iter();
    earlier
        .find_map(|endorsed| Snapshot::verify(file, &endorsed.key).ok())
        .ok_or(AuditError::Snapshot(refused))
}

/// Verifies chunks in order. `progress` is told how many bytes were walked.
///
/// # Errors
/// [`AuditError`].
pub fn verify_chunks(
    chunks: &[ChunkFile],
    walk: Walk,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, AuditError> {
    Ok(walk_chunks(chunks, walk, progress)?.finish()?)
}
