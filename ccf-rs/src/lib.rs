//! The CCF application interface in Rust: tables, transactions, endpoints, callers.
