//! The key-value store: persistent maps, optimistic transactions, and the point where a
//! transaction gets its place in the ledger.
//!
//! - [`State`] is all tables at one version. Taking one is a pointer copy; readers never
//!   block and are never blocked.
//! - [`Transaction`] runs over one state and collects what it read and wrote.
//! - [`Store`] validates and appends under one short lock and queues the write set for the
//!   commit pipeline, which makes it durable and publishes the state that is.

mod commit;
mod rows;
mod state;
mod transaction;

pub use commit::{Appended, Batch, CommitError, Durable, Pending, Running, Store};
pub use state::{Bytes, State, StateBuilder, TableWrites, Writes};
pub use transaction::{Access, Chain, Transaction};

#[cfg(test)]
mod tests;
