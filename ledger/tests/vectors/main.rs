//! Real ledgers and small known answers, driven by their index: no ledger is named here but those the answers name.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod known_answers;
mod re_encoding;
mod real;
mod receipts;
mod snapshots;
