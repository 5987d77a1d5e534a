//! Verifying a ledger directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ledger::{ChunkName, Fault, KeyError, LedgerVerifier, LocatedFault, PublicKey, Report};

/// What to verify against, and which files count.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// The service certificate that the auditor trusts, PEM. Without it a ledger only vouches
    /// for itself.
    pub service_certificate: Option<String>,
    /// Leave out the chunks that are not committed yet.
    pub committed_only: bool,
    /// Include chunks written while a recovery was in progress.
    pub recovery: bool,
}

/// A directory could not be verified.
#[derive(Debug, thiserror::Error)]
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
    /// Something is wrong with the ledger, at one place.
    #[error(transparent)]
    Located(#[from] LocatedFault),
    /// Something is wrong with the ledger as a whole.
    #[error(transparent)]
    Whole(#[from] Fault),
}

/// Verifies the ledger in a directory from its first transaction.
///
/// # Errors
/// [`AuditError`]; the first thing that is wrong ends the walk.
pub fn verify_directory(path: &Path, options: &VerifyOptions) -> Result<Report, AuditError> {
    let pinned = options
        .service_certificate
        .as_deref()
        .map(PublicKey::of_certificate)
        .transpose()?;
    let mut verifier = LedgerVerifier::new(pinned);
    let chunks = chunks(path, options)?;
    if chunks.is_empty() {
        return Err(AuditError::Empty {
            path: path.to_owned(),
        });
    }
    for (name, file) in chunks {
        let bytes = fs::read(&file).map_err(|source| AuditError::Io { path: file, source })?;
        verifier.chunk(&name, &bytes)?;
    }
    Ok(verifier.finish()?)
}

/// The chunks of a directory in ledger order.
fn chunks(path: &Path, options: &VerifyOptions) -> Result<Vec<(ChunkName, PathBuf)>, AuditError> {
    let io = |source| AuditError::Io {
        path: path.to_owned(),
        source,
    };
    let mut chunks = Vec::new();
    for item in fs::read_dir(path).map_err(io)? {
        let item = item.map_err(io)?;
        let Some(name) = item.file_name().to_str().and_then(ChunkName::parse) else {
            continue;
        };
        let counts =
            (name.committed || !options.committed_only) && (!name.recovery || options.recovery);
        if counts {
            chunks.push((name, item.path()));
        }
    }
    chunks.sort();
    Ok(chunks)
}
