//! The commit pipeline: from accepted transactions to a signed ledger on disk.
//!
//! One thread takes all transactions that are waiting, encodes them, extends the Merkle
//! tree, adds a signature over everything, writes and syncs once, publishes the state, and
//! only then lets the waiting requests be answered. More load makes larger batches.

mod checkpoints;
mod disk;
mod files;
mod history;
mod index;
mod key_index;
mod snapshots;
mod views;
mod worker;

pub use disk::{Disk, DiskFile, RealDisk, read_file, rename_durably};
pub use files::{Files, FilesError, finish, without_suffix};
pub use history::{Endorser, History, Ledger};
pub use index::{Chunk, ChunkEntries, ChunkFile};
pub use snapshots::{Snapshots, committed_snapshot, committed_snapshots};
pub use views::Views;
pub use worker::{Pipeline, PipelineParts};

#[cfg(test)]
mod simulated;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use simulated::{Fault, Random, SimulatedDisk};
#[cfg(test)]
pub(crate) use testing::Rig;
