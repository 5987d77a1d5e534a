//! An HTTPS client for one service.
//!
//! It trusts exactly the service certificate it was given: the chain must lead from the node's certificate to it, and no other
//! root counts. [`Client`] is blocking and keeps its connection; [`Connection`] is the asynchronous connection underneath, for
//! programs that hold many.
//!
//! A node that is not the primary may send a request on (307, 308). [`Client`] goes with it, and only to where the same request is
//! asked for again over TLS and the node proves to be of the same service: nothing is sent, credentials least of all, before it has.

mod connection;
mod error;
mod lists;
mod message;
mod tls;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde::Deserialize;
use tokio::runtime::{Builder, Runtime};

pub use connection::{Connection, Endpoint};
pub use error::{ClientError, ServiceError};
pub(crate) use lists::query;
pub use message::{Request, Response};

use crate::identity::Identity;
use crate::ids::TxId;

/// How long a write may take from its answer to its commit.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often one request is sent on. More than once happens when the primary changes meanwhile.
const MAX_REDIRECTS: usize = 4;

/// How long a receipt may take to be fetched from the ledger.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// A blocking client that keeps its connection, and that to the node requests were last sent on to. Threads that share it take turns.
///
/// Must not be used from within an asynchronous runtime; use [`Connection`] there.
pub struct Client {
    endpoint: Endpoint,
    authorization: Option<HeaderValue>,
    runtime: Runtime,
    connections: Mutex<Connections>,
}

/// Connections that are kept between requests.
#[derive(Default)]
struct Connections {
    home: Option<Connection>,
    /// To the node that requests were last sent on to, with its address.
    elsewhere: Option<(String, Connection)>,
}

impl Client {
    /// A client for the service at `url` (`https://host:port`) with the given certificate (PEM), without credentials.
    ///
    /// # Errors
    /// [`ClientError::Url`], [`ClientError::ServiceCertificate`] when either is malformed.
    pub fn new(url: &str, service_certificate: &str) -> Result<Self, ClientError> {
        Self::with_endpoint(Endpoint::new(url, service_certificate)?)
    }

    /// A client that proves to be `identity` by TLS client certificate.
    ///
    /// # Errors
    /// As [`Client::new`], and [`ClientError::Identity`].
    pub fn with_identity(
        url: &str,
        service_certificate: &str,
        identity: &Identity,
    ) -> Result<Self, ClientError> {
        Self::with_endpoint(Endpoint::with_identity(url, service_certificate, identity)?)
    }

    /// A client over an endpoint set up by hand.
    ///
    /// # Errors
    /// [`ClientError::Runtime`] when the system refuses what an asynchronous runtime needs.
    pub fn with_endpoint(endpoint: Endpoint) -> Result<Self, ClientError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ClientError::Runtime)?;
        Ok(Self {
            endpoint,
            authorization: None,
            runtime,
            connections: Mutex::default(),
        })
    }

    /// Sends this token (`Authorization: Bearer`) with every request.
    ///
    /// # Errors
    /// [`ClientError::Token`] when the token has characters that a header cannot carry.
    pub fn with_bearer_token(mut self, token: &str) -> Result<Self, ClientError> {
        let mut value =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ClientError::Token)?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    /// Where this client connects to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request and returns the answer, whatever its status. Where a node sends the same request on to another node of the service,
    /// it is that node's answer.
    ///
    /// # Errors
    /// [`ClientError`] when no answer came.
    pub fn exchange(&self, request: Request) -> Result<Response, ClientError> {
        let request = match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        };
        // A thread that panicked while holding the lock can only have left connections behind, which are checked before use.
        let mut kept = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.runtime.block_on(async {
            // Lets the connections' tasks see that the service has closed them meanwhile.
            tokio::task::yield_now().await;
            let home = kept.home.take();
            let (mut response, connection) = ask(&self.endpoint, home, request.clone()).await?;
            kept.home = Some(connection);
            for _ in 0..MAX_REDIRECTS {
                let Some(url) = response.sent_on(request.path()) else {
                    break;
                };
                let endpoint = self.endpoint.elsewhere(&url)?;
                let known = kept.elsewhere.take();
                let known = known.filter(|(address, _)| address == endpoint.address());
                let known = known.map(|(_, connection)| connection);
                let (answer, connection) = ask(&endpoint, known, request.clone()).await?;
                kept.elsewhere = Some((endpoint.address().to_owned(), connection));
                response = answer;
            }
            Ok(response)
        })
    }

    /// Sends a request whose answer must have a 2xx status.
    ///
    /// # Errors
    /// [`ClientError::Service`] for any other status, otherwise as [`Client::exchange`].
    pub fn send(&self, request: Request) -> Result<Response, ClientError> {
        self.exchange(request)?.success()
    }

    /// Sends a write and waits until it is committed. Answers that wrote nothing are returned at once.
    ///
    /// # Errors
    /// As [`Client::send`] and [`Client::wait_committed`].
    pub fn write(&self, request: Request) -> Result<Response, ClientError> {
        let frontend = if request.path().starts_with("/gov/") {
            "gov"
        } else {
            "app"
        };
        let response = self.send(request)?;
        if let Some(transaction) = response.transaction() {
            self.wait(frontend, transaction)?;
        }
        Ok(response)
    }

    /// Waits until the transaction is committed, asking at `/app/tx`.
    ///
    /// # Errors
    /// [`ClientError::NotCommitted`] when it was rolled back or has not committed within five seconds.
    pub fn wait_committed(&self, transaction: TxId) -> Result<(), ClientError> {
        self.wait("app", transaction)
    }

    fn wait(&self, frontend: &str, transaction: TxId) -> Result<(), ClientError> {
        #[derive(Deserialize)]
        struct Status {
            status: String,
        }

        let deadline = Instant::now() + COMMIT_TIMEOUT;
        let mut pause = Duration::from_millis(2);
        loop {
            let path = format!("/{frontend}/tx?transaction_id={transaction}");
            let Status { status } = self.send(Request::get(path))?.json()?;
            match status.as_str() {
                "Committed" => return Ok(()),
                "Pending" | "Unknown" if Instant::now() < deadline => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(100));
                }
                _ => {
                    return Err(ClientError::NotCommitted {
                        transaction,
                        status,
                    });
                }
            }
        }
    }

    /// Repeats a read for as long as the service answers that it is still fetching (202).
    ///
    /// # Errors
    /// [`ClientError::Timeout`] after 30 seconds, otherwise as [`Client::send`].
    pub(crate) fn fetch(&self, path: &str) -> Result<Response, ClientError> {
        let deadline = Instant::now() + FETCH_TIMEOUT;
        loop {
            let response = self.send(Request::get(path))?;
            if response.status() != http::StatusCode::ACCEPTED {
                return Ok(response);
            }
            if Instant::now() >= deadline {
                return Err(ClientError::Timeout {
                    after: FETCH_TIMEOUT,
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Sends a request over the connection that was kept, if it can still be used, else over a new one.
async fn ask(
    endpoint: &Endpoint,
    kept: Option<Connection>,
    request: Request,
) -> Result<(Response, Connection), ClientError> {
    let mut connection = match kept {
        Some(connection) if connection.is_open() => connection,
        _ => Connection::open(endpoint).await?,
    };
    let response = match connection.try_send(request).await {
        Ok(response) => response,
        // The service closed the connection before it took the request: once more, on a new one.
        Err((ClientError::Http(_), Some(request))) => {
            connection = Connection::open(endpoint).await?;
            connection.send(request).await?
        }
        Err((error, _)) => return Err(error),
    };
    Ok((response, connection))
}

/// Checks that a text can stand as one segment of a path. Contract ids and secret names are compared as sent, without percent
/// decoding (application interface, section 2.1), so nothing is escaped here.
pub(crate) fn segment(text: &str) -> Result<&str, ClientError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
    if text.is_empty() || text == "." || text == ".." || !text.bytes().all(plain) {
        return Err(ClientError::PathSegment {
            got: text.to_owned(),
        });
    }
    Ok(text)
}

/// A path of these segments, each of which is checked ([`segment`]).
pub(crate) fn segments(parts: &[&str]) -> Result<String, ClientError> {
    let parts: Result<Vec<_>, _> = parts.iter().map(|part| segment(part)).collect();
    Ok(parts?.join("/"))
}

/// The path of what these segments name below a contract.
pub(crate) fn contract_path(contract: &str, below: &[&str]) -> Result<String, ClientError> {
    let above = ["app", "contracts", contract];
    Ok(format!("/{}", segments(&[&above, below].concat())?))
}

/// Percent-escapes what would mean something in a query (RFC 3986, section 2.3).
pub(crate) fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests;
