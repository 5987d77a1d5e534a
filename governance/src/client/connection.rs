//! One connection to a service, asynchronous.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::error::ClientError;
use super::message::{Request, Response};
use super::tls::client_config;
use crate::identity::Identity;

/// How long a connection or an answer may take, unless set otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest answer that is read, in bytes.
const MAX_RESPONSE: usize = 64 << 20;

/// Where a service is, what it must prove, and as whom to call it. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint {
    place: Place,
    tls: TlsConnector,
    timeout: Duration,
}

impl Endpoint {
    /// The service at `url` (`https://host:port`) with the given certificate (PEM), called without credentials.
    ///
    /// # Errors
    /// [`ClientError::Url`], [`ClientError::ServiceCertificate`] when either is malformed.
    pub fn new(url: &str, service_certificate: &str) -> Result<Self, ClientError> {
        Self::build(url, service_certificate, None)
    }

    /// As [`Endpoint::new`], proving to be `identity`.
    ///
    /// # Errors
    /// As [`Endpoint::new`], and [`ClientError::Identity`].
    pub fn with_identity(
        url: &str,
        service_certificate: &str,
        identity: &Identity,
    ) -> Result<Self, ClientError> {
        Self::build(url, service_certificate, Some(identity))
    }

    fn build(
        url: &str,
        service_certificate: &str,
        identity: Option<&Identity>,
    ) -> Result<Self, ClientError> {
        let place = Place::parse(url)?;
        let config = client_config(service_certificate, identity)?;
        Ok(Self {
            place,
            tls: TlsConnector::from(Arc::new(config)),
            timeout: DEFAULT_TIMEOUT,
        })
    }

    /// Another node of the same service, called as the same caller.
    pub(super) fn elsewhere(&self, url: &str) -> Result<Self, ClientError> {
        Ok(Self {
            place: Place::parse(url)?,
            tls: self.tls.clone(),
            timeout: self.timeout,
        })
    }

    /// With another time limit for connecting and for each answer. The default is 30 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.place.address
    }
}

/// What `https://host:port` says.
#[derive(Clone)]
struct Place {
    address: String,
    host: HeaderValue,
    server_name: ServerName<'static>,
}

impl Place {
    fn parse(url: &str) -> Result<Self, ClientError> {
        let error = || ClientError::Url {
            got: url.to_owned(),
        };
        let uri: Uri = url.parse().map_err(|_| error())?;
        let authority = uri.authority().ok_or_else(error)?;
        if uri.scheme_str() != Some("https")
            || !matches!(uri.path(), "" | "/")
            || uri.query().is_some()
            || authority.as_str().contains('@')
        {
            return Err(error());
        }
        let port = authority.port_u16().unwrap_or(443);
        let name = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        Ok(Self {
            address: format!("{}:{port}", authority.host()),
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| error())?,
            server_name: ServerName::try_from(name.to_owned()).map_err(|_| error())?,
        })
    }
}

/// An open HTTP/1.1 connection that is kept between requests.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    timeout: Duration,
}

impl Connection {
    /// Connects, verifies the node against the service certificate, and starts a task for the connection on the current runtime.
    ///
    /// # Errors
    /// [`ClientError::Connect`] or [`ClientError::Timeout`].
    pub async fn open(endpoint: &Endpoint) -> Result<Self, ClientError> {
        let connect = |source: io::Error| ClientError::Connect {
            address: endpoint.place.address.clone(),
            source,
        };
        let open = async {
            let stream = TcpStream::connect(&endpoint.place.address)
                .await
                .map_err(connect)?;
            stream.set_nodelay(true).map_err(connect)?;
            let stream = endpoint
                .tls
                .connect(endpoint.place.server_name.clone(), stream)
                .await
                .map_err(connect)?;
            let (sender, connection) = handshake(TokioIo::new(stream))
                .await
                .map_err(ClientError::Http)?;
            // The task ends with the connection; its error reaches whoever waits for an answer.
            tokio::spawn(connection);
            Ok(Self {
                sender,
                host: endpoint.place.host.clone(),
                timeout: endpoint.timeout,
            })
        };
        tokio::time::timeout(endpoint.timeout, open)
            .await
            .map_err(|_| ClientError::Timeout {
                after: endpoint.timeout,
            })?
    }

    /// Whether the connection can take a request, as far as is known.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends a request and returns the answer, whatever its status.
    ///
    /// # Errors
    /// [`ClientError`] when no answer came; the connection is then of no further use.
    pub async fn send(&mut self, request: Request) -> Result<Response, ClientError> {
        self.try_send(request).await.map_err(|(error, _)| error)
    }

    /// As [`Connection::send`]; gives the request back if the connection closed before taking any of it.
    pub(super) async fn try_send(
        &mut self,
        request: Request,
    ) -> Result<Response, (ClientError, Option<Request>)> {
        let timeout = self.timeout;
        let unsent = request.clone();
        let work = async {
            let form = |error: http::Error| {
                (
                    ClientError::Request {
                        reason: error.to_string(),
                    },
                    None,
                )
            };
            let (method, path, headers, body) = request.into_parts();
            let mut message = http::Request::builder()
                .method(method)
                .uri(path)
                .body(Full::new(body))
                .map_err(form)?;
            *message.headers_mut() = headers;
            message.headers_mut().insert(HOST, self.host.clone());
            let closed = |error| (ClientError::Http(error), None);
            if let Err(error) = self.sender.ready().await {
                return Err((ClientError::Http(error), Some(unsent)));
            }
            let response = match self.sender.try_send_request(message).await {
                Ok(response) => response,
                Err(mut error) => {
                    let unsent = error.take_message().map(|_| unsent);
                    return Err((ClientError::Http(error.into_error()), unsent));
                }
            };
            let (head, body) = response.into_parts();
            let body = match Limited::new(body, MAX_RESPONSE).collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) => match error.downcast::<hyper::Error>() {
                    Ok(error) => return Err(closed(*error)),
                    Err(_) => {
                        let reason = format!("longer than {MAX_RESPONSE} bytes");
                        return Err((ClientError::Answer { reason }, None));
                    }
                },
            };
            Ok(Response {
                status: head.status,
                headers: head.headers,
                body,
            })
        };
        tokio::time::timeout(timeout, work)
            .await
            .unwrap_or(Err((ClientError::Timeout { after: timeout }, None)))
    }
}
