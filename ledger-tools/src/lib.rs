//! Audit of ledger directories: verification, and reading what was verified.
//!
//! - [`verify_directory`]: every byte and every signature, on all cores, in bounded memory ([`Report`], [`Verdict`]).
//! - [`Timeline`], [`Releases`], [`Access`], [`Recoveries`]: what an auditor asks; [`ReportPage`]: all of it on one page.
//! - [`Replay`]: the transactions of a verified ledger one by one; [`Tables`]: rows as they were at a position.
//! - [`Follower`]: the same of a ledger that grows, without reading all of it again.
//! - [`judge_directory`]: whether what was decided was decided by those whose decision it was ([`Legitimacy`]).
//!
//! The checks themselves are [`ledger::Walk`]'s and [`Judge`]'s, and have numbers
//! (`docs/checks.md`).

#![forbid(unsafe_code)]

mod access;
mod bundle;
mod compare;
mod crew;
mod decrypt;
mod directory;
mod error;
mod export;
mod follow;
mod history;
mod legitimacy;
mod recoveries;
mod releases;
mod replay;
mod report;
mod rows;
mod tables;
mod timeline;
mod values;
mod verify;

pub use access::{
    Access, Admitted, Basis, CouldRead, Delegate, Holder, Moment, Received, Recovery,
};
pub use bundle::{Bundle, BundleError, Proven};
pub use compare::{Comparison, Side, compare_directories};
pub use decrypt::{DecryptError, PrivateChange, SealedSecrets, decrypt_directory, private_changes};
pub use directory::{ChunkFile, Files, OpenFile, chunk_files};
pub use error::AuditError;
pub use export::{Csv, Export, ExportError, JsonLines, Sqlite};
pub use follow::{Follower, Look};
pub use history::{KeyChange, TableSummary, TransactionSummary, changes, summaries};
pub use ledger::receipt::MakeReceiptError;
pub use ledger::{
    Anchor, Check, Checkpoint, CheckpointError, EndorsementRow, Entry, Fault, LocatedFault,
    PublicKey, Report, RsaPrivateKey, Seqno, TxId, Verdict,
};
pub use legitimacy::{Breach, Judge, Legitimacy, LocatedBreach, Rule, Unjudged, judge_directory};
pub use recoveries::{Identity, Note, Recoveries};
pub use releases::{Decision, Filter, Release, Releases};
pub use replay::{Replay, Transaction, replay_signed};
pub use report::ReportPage;
pub use rows::Action;
pub use tables::{Row, Table, Tables, tables_at};
pub use timeline::{Event, Timeline, What, date, short};
pub use values::{readable, shown};
pub use verify::{VerifyOptions, verify_chunks, verify_directory, verify_from_snapshot};
