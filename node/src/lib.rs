//! The embedded node: store, commit pipeline, governance endpoints, TLS server.

#![forbid(unsafe_code)]

pub mod identity;
pub mod store;
