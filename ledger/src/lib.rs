//! The CCF ledger, snapshot and receipt formats: read, write, verify.

#![forbid(unsafe_code)]
