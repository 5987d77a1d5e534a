//! Governance on a host in memory, one file per subject. Names of tests begin with the line of the conformance checklist
//! (CCF interface, annex D) that they hold; `docs/conformance.md` lists them.

mod ballots;
mod membership;
mod opening;
mod proposals;
mod replay;
mod service;
mod tokens;

use bytes::Bytes;
use ccf_rs::{Caller, Verb};
use serde_json::{Value as JsonValue, json};

use super::testing::*;
