//! The CCF application interface in Rust: tables, transactions, endpoints, callers.
//!
//! An application is a list of [`Endpoint`]s. Each endpoint has a path template, the
//! [`Auth`] policies that admit a caller, and a handler. A handler sees a [`ReadContext`]
//! or a [`WriteContext`] and nothing else of the machine it runs on, so the same
//! application is hosted by the embedded node of this repository and by a CCF node.
//!
//! ```
//! use std::sync::Arc;
//! use ccf_rs::{Auth, Endpoints, Reply, Result, Table, Context, ReadContext, WriteContext};
//!
//! struct App;
//! static NOTES: Table<String, String> = Table::json("public:notes");
//!
//! fn put_note(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
//!     let id: String = ctx.path("id")?;
//!     let note: String = ctx.json()?;
//!     ctx.table(&NOTES).put(&id, &note)?;
//!     Ok(Reply::ok())
//! }
//!
//! fn show_note(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
//!     let id: String = ctx.path("id")?;
//!     Reply::json(&ctx.read(&NOTES).get(&id)?)
//! }
//!
//! let endpoints = Endpoints::new(Arc::new(App))
//!     .put("/notes/{id}", put_note).auth([Auth::MemberCert])
//!     .get("/notes/{id}", show_note)
//!     .build();
//! assert_eq!(endpoints.len(), 2);
//! ```
//!
//! # What a host promises
//!
//! - Reads and writes of one request form one serialisable transaction. A write handler may
//!   run more than once (optimistic retry), so it has no effect but through its context.
//! - Writes are kept when the reply's status is 2xx or the reply says
//!   [`Reply::keeping_writes`]; otherwise all of them are dropped.
//! - A handler that panics is a bug of ours: the host answers 500 and stays up.

#![deny(unsafe_code)]

mod caller;
#[cfg(feature = "ccf")]
pub mod ccf;
mod codec;
mod context;
mod endpoint;
mod error;
mod host;
pub mod openapi;
mod reply;
mod request;
mod router;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
mod types;

pub use caller::{Auth, Caller, CoseMessage, JwtClaims};
pub use codec::{Codec, Json, Key, Raw, Singleton, Text, Value};
pub use context::{Context, ReadContext, WriteContext};
pub use endpoint::{Endpoint, Endpoints, Forwarding, Handler, IntoHandler, Mode, ReadFn, WriteFn};
pub use error::{Error, HostError, Result};
pub use host::{
    Capabilities, Historical, HistoricalState, MAX_HISTORICAL_RANGE, Positions, ReadHost,
    WriteHost, may_read, may_write,
};
pub use reply::Reply;
pub use request::{Headers, Request, Verb};
pub use router::{Match, Router, percent_decode};
pub use table::{Table, TableHandle};
pub use types::{MemberId, ParseTxIdError, Seqno, TxId, TxStatus, UserId, View};

/// An application: its endpoints and what its OpenAPI document says of it.
pub struct Application {
    /// Title, for the OpenAPI document.
    pub title: &'static str,
    /// Version of the application, for the OpenAPI document.
    pub version: &'static str,
    /// Everything the application serves, below the host's `/app`.
    pub endpoints: Vec<Endpoint>,
    /// Public tables whose past writes the application looks up by key ([`ReadHost::positions`]).
    pub indexed: Vec<&'static str>,
}

impl Application {
    /// Its OpenAPI document, where the host mounts it at `prefix`.
    pub fn document(&self, prefix: &str) -> serde_json::Value {
        openapi::document(prefix, self.title, self.version, &self.endpoints)
    }
}
