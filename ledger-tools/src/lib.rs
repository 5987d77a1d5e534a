//! Audit of ledger directories: verification and what it found.

#![forbid(unsafe_code)]
