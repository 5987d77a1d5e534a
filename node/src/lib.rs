//! The embedded node: store, commit pipeline, governance endpoints, TLS server.

#![forbid(unsafe_code)]

pub mod auth;
pub mod config;
pub mod endpoints;
pub mod frontend;
pub mod gov;
pub mod identity;
pub mod pipeline;
mod query;
pub mod recovery;
pub mod script;
pub mod server;
pub mod service;
pub mod store;
