//! The embedded node: store, commit pipeline, governance endpoints, TLS server.

#![forbid(unsafe_code)]

pub mod frontend;
pub mod identity;
pub mod pipeline;
pub mod server;
pub mod store;
