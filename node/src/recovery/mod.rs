//! Recovering a service from the ledger of an earlier one (ledger format, section 16).
//!
//! 1. [`PublicLedger::read`] walks the files, from the newest snapshot on or from the beginning, checks structure, roots and
//!    signatures, and collects the public tables up to the last signature. What stands behind it is set aside by [`PublicLedger::settle`], never dropped.
//! 2. [`create`] writes the first transaction of the new service: a new identity, two views on.
//! 3. Members open it, which asks for shares, and submit theirs; [`PrivateRecovery`] then reads the ledger once more with
//!    all ledger secrets and puts the private tables beside the public ones.
//! 4. The service opens: new shares, and an endorsement of the previous identity.

mod checkpoint;
mod create;
mod crew;
mod directory;
mod drill;
#[cfg(test)]
mod power_cut;
mod private;
mod public;
mod sealing;
mod secrets;
mod settle;
mod snapshot;
mod snp_sealing;

pub use checkpoint::Rollback;
pub use create::{CreateInputs, create};
pub use directory::LedgerSource;
pub use drill::{DrillPrivate, DrillReport, DrillShares, DrillTail, OpenShare, drill};
pub use private::{PrivateBase, PrivateRecovery, Progress};
pub use public::PublicLedger;
pub use sealing::{DevelopmentKey, SealedSecrets, SealingError, SealingKey};
pub use secrets::all_secrets;
pub use settle::Tail;
pub use snp_sealing::{SNP_DEVICE, SevGuest, SnpGuest, SnpKey};

use std::io;
use std::path::PathBuf;

use ledger::{Fault, LocatedFault, Seqno};

/// A service that cannot be recovered from these files.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// A file or directory cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No file is a chunk of a ledger.
    #[error("{}: no ledger files", path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
    },
    /// A committed chunk is damaged: what stands in it was acknowledged, so it is not a tail that may be set aside.
    #[error(
        "{fault}; the chunk is committed, so transactions that were acknowledged are lost with it"
    )]
    Damaged {
        /// Where, and what is wrong.
        fault: Box<LocatedFault>,
    },
    /// Chunks are missing in the middle.
    #[error("{}: begins at {got}, want {want}: transactions that were acknowledged are missing", path.display())]
    Gap {
        /// The chunk behind the gap.
        path: PathBuf,
        /// Its first position.
        got: Seqno,
        /// The position that should follow.
        want: Seqno,
    },
    /// The ledger is of another service, or went on under another identity since.
    #[error("the ledger ends under service identity {got}, want {want}, the one given as previous")]
    Identity {
        /// Id of the key that signs at its end.
        got: String,
        /// Id of the key given.
        want: String,
    },
    /// The ledger is older than a checkpoint, or another one.
    #[error(
        "{}; to go on from these files, which every member will see, the configuration has to give a reason (embedded_node.accept_rollback)",
        rollbacks.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    RolledBack {
        /// How it differs from what was kept.
        rollbacks: Vec<Rollback>,
    },
    /// Tables were read that no signature covers.
    #[error(
        "the tables are those of {got}, the last signature is {want}: nobody signed what is between"
    )]
    Unsigned {
        /// Position of the last transaction that was read.
        got: Seqno,
        /// The last signature.
        want: Seqno,
    },
    /// The ledger as a whole does not hold, or belongs to another service.
    #[error("the ledger: {0}")]
    Ledger(#[from] Fault),
    /// A row that recovery needs cannot be used.
    #[error("table {table}: {reason}")]
    Table {
        /// The table.
        table: &'static str,
        /// Why.
        reason: String,
    },
    /// The private tables cannot be read.
    #[error("private tables: {reason}")]
    Private {
        /// Why.
        reason: String,
    },
    /// The service was never opened: there are no shares, and nothing was entrusted to it.
    #[error("the service was never opened, so there are no recovery shares: start a new one")]
    NeverOpened,
}
