//! Every noun of the application at the command line: people and clean rooms against a node, as processes.
#![allow(clippy::unwrap_used, missing_docs)]

mod documents;
mod issued;
mod rooms;
mod scene;
mod users;
