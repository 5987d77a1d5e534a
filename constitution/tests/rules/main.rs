//! Our constitution, rule by rule (docs/constitution.md), run by the engine over tables in memory.
#![allow(
    clippy::needless_pass_by_value,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub
)]

mod actions;
mod agreement;
mod batch;
mod claims_index;
mod consortium;
mod documented;
mod model;
mod mutants;
mod operator;
mod options;
mod platform;
mod policies;
mod recovery;
mod theorem;
mod voting;
