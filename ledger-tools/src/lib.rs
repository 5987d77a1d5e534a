//! Audit of ledger directories: verification and what it found.
//!
//! The checks themselves are [`ledger::LedgerVerifier`]'s; here is what turns a directory
//! into chunks: which files belong to a ledger, in which order, and how many are in memory
//! at a time (one).

#![forbid(unsafe_code)]

mod directory;

pub use directory::{AuditError, VerifyOptions, verify_directory};
pub use ledger::{Check, Fault, LocatedFault, PublicKey, Report, TxId};
