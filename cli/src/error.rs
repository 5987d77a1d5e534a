//! What a command can fail of, and the exit code for it.

use std::io;
use std::path::{Path, PathBuf};

use attestation::EvidenceError;
use governance::ClientError;
use governance::identity::IdentityError;
use governance::recovery::ShareError;
use governance::rehearsal::RehearsalError;
use ledger_tools::{AuditError, BundleError, DecryptError, ExportError, LocatedBreach, Seqno};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// A ledger cannot be verified.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A receipt from a ledger cannot be made, or proves nothing.
    #[error(transparent)]
    Bundle(BundleError),
    /// Talking to the service failed, or it refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The node's configuration.
    #[error("configuration: {0}")]
    Config(#[from] ::node::config::ConfigError),
    /// Private tables cannot be opened.
    #[error(transparent)]
    Decrypt(DecryptError),
    /// A ledger cannot be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Two ledgers have parted.
    #[error("the ledgers differ from position {at} on")]
    Fork {
        /// The first position that differs.
        at: Seqno,
    },
    /// Evidence does not verify.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// Something that the demonstration shows does not hold.
    #[error("{what}: got {got}, want {want}")]
    Expectation {
        /// What was expected.
        what: String,
        /// What came.
        got: String,
        /// What should have come.
        want: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An identity cannot be made, read or used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A ledger holds, but not all of it is vouched for.
    #[error("{reason}")]
    Incomplete {
        /// What is not.
        reason: String,
    },
    /// What a ledger says was decided was not decided by those whose decision it was.
    #[error("{0}")]
    Illegitimate(Box<LocatedBreach>),
    /// A value on the command line or in a file is not what it must be.
    #[error("{what}: {reason}")]
    Input {
        /// The argument or file.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The node cannot be started.
    #[error(transparent)]
    Node(#[from] ::node::service::StartError),
    /// A receipt proves nothing.
    #[error(transparent)]
    Receipt(#[from] governance::receipt::ReceiptError),
    /// A proposal cannot be tried.
    #[error(transparent)]
    Rehearsal(#[from] RehearsalError),
    /// The answer cannot be printed.
    #[error("cannot print: {0}")]
    Print(#[source] io::Error),
}

impl From<ShareError> for CliError {
    fn from(error: ShareError) -> Self {
        match error {
            ShareError::Client(error) => Self::Client(error),
            ShareError::Identity(error) => Self::Identity(error),
            error => Self::input("recovery share", &error),
        }
    }
}

/// The kinds of failure that scripts can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Could not be done: a file, a connection, a setting.
    Environment,
    /// The service refused.
    Refused,
    /// Something was verified and found wrong.
    Verification,
    /// What was verified holds, but it is not everything.
    Incomplete,
}

impl Failure {
    /// The program's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Environment => 1,
            Self::Refused => 3,
            Self::Verification => 4,
            Self::Incomplete => 5,
        }
    }
}

impl From<BundleError> for CliError {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::Audit(error) => Self::Audit(error),
            BundleError::Secrets(error) => Self::from(error),
            error => Self::Bundle(error),
        }
    }
}

impl From<DecryptError> for CliError {
    fn from(error: DecryptError) -> Self {
        match error {
            DecryptError::Audit(error) => Self::Audit(error),
            error => Self::Decrypt(error),
        }
    }
}

impl CliError {
    /// Which kind of failure this is.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Client(ClientError::Service(_)) => Failure::Refused,
            Self::Audit(
                AuditError::Absent { .. }
                | AuditError::Certificate(_)
                | AuditError::Io { .. }
                | AuditError::SnapshotUntrusted
                | AuditError::Worker,
            ) => Failure::Environment,
            Self::Incomplete { .. } => Failure::Incomplete,
            Self::Audit(_)
            | Self::Bundle(_)
            | Self::Evidence(_)
            | Self::Expectation { .. }
            | Self::Fork { .. }
            | Self::Illegitimate(_)
            | Self::Receipt(_) => Failure::Verification,
            _ => Failure::Environment,
        }
    }

    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn input(what: impl Into<String>, reason: &(impl ToString + ?Sized)) -> Self {
        Self::Input {
            what: what.into(),
            reason: reason.to_string(),
        }
    }
}
