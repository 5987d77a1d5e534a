//! The node as a process, under use, misuse and violence.
#![allow(clippy::unwrap_used, missing_docs)]

mod api;
mod ccf;
mod cluster;
mod durability;
mod legitimacy;
mod machines;
mod misuse;
mod receipts;
mod recovery;
mod recovery_ccf;
mod recovery_evidence;
mod recovery_history;
mod recovery_hosts;
mod recovery_restart;
mod recovery_roles;
mod recovery_stages;
mod recovery_terms;
mod redirects;
mod rehearsal;
mod releases;
mod strict;
mod suite;
mod tools;
mod versions;
