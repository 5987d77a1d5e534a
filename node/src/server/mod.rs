//! HTTPS: TLS with optional, self-signed client certificates, HTTP/1.1 and HTTP/2, limits
//! (CCF interface, sections 0.1 and 0.2).

mod connection;
mod conversation;
mod limits;
mod listener;
mod tls;

pub use limits::{Limits, Sessions, SessionsReport};
pub use listener::{Server, ServerError};
pub use tls::{ServerCertificate, TlsError, server_config};

#[cfg(test)]
mod tests;
