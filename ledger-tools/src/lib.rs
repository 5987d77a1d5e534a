//! Audit of ledger directories: verification, and reading what was verified.
//!
//! - [`verify_directory`]: every byte and every signature, on all cores, in bounded memory ([`Report`], [`Verdict`]).
//! - [`Replay`]: the transactions of a verified ledger one by one; [`Tables`]: rows as they were at a position.
//!
//! The checks themselves are [`ledger::Walk`]'s and have numbers (`docs/checks.md`).

#![forbid(unsafe_code)]

mod directory;
mod error;
mod replay;
mod tables;
mod verify;

pub use directory::{ChunkFile, Files, OpenFile, chunk_files};
pub use error::AuditError;
pub use ledger::{
    Anchor, Check, Checkpoint, CheckpointError, Fault, LocatedFault, PublicKey, Report, Seqno,
    TxId, Verdict,
};
pub use replay::{Replay, Transaction};
pub use tables::{Row, Table, Tables, tables_at};
pub use verify::{VerifyOptions, verify_chunks, verify_directory};
