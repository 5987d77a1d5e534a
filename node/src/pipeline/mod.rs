//! The commit pipeline: from accepted transactions to a signed ledger on disk.
//!
//! One thread takes all transactions that are waiting, encodes them, extends the Merkle
//! tree, adds a signature over everything, writes and syncs once, publishes the state, and
//! only then lets the waiting requests be answered. More load makes larger batches.

mod files;
mod history;
mod snapshots;
mod worker;

pub use files::{Files, FilesError};
pub use history::{History, Ledger};
pub use snapshots::{Snapshots, committed_snapshots};
pub use worker::{Pipeline, PipelineParts};

#[cfg(test)]
mod tests;
