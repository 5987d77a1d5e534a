//! Requests and answers.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::error::{ClientError, ServiceError};
use crate::cose;
use crate::ids::TxId;

/// The header that names a transaction.
const TRANSACTION_HEADER: &str = "x-ms-ccf-transaction-id";

/// A request: method, path with query, headers, body. Bodies are zeroed when dropped, since some hold secrets.
#[derive(Clone)]
pub struct Request {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    /// A GET without body.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A POST without body.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// A PUT without body.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    /// A request without body. The path starts with `/`.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// Adds a header, replacing one of the same name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Names the transaction that a historical read is about, or that granted what a second call asks for.
    ///
    /// # Errors
    /// None in practice: a transaction id always fits a header.
    pub fn at(self, transaction: TxId) -> Result<Self, ClientError> {
        let value = HeaderValue::from_str(&transaction.to_string()).map_err(|error| {
            ClientError::Request {
                reason: error.to_string(),
            }
        })?;
        Ok(self.header(HeaderName::from_static(TRANSACTION_HEADER), value))
    }

    /// With a JSON body.
    ///
    /// # Errors
    /// [`ClientError::Request`] when the value has no JSON form.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self, ClientError> {
        let mut body = Zeroizing::new(Vec::with_capacity(4096));
        serde_json::to_writer(&mut *body, value).map_err(|error| ClientError::Request {
            reason: error.to_string(),
        })?;
        Ok(self.body("application/json", body))
    }

    /// With a signed governance message as body.
    #[must_use]
    pub fn cose(self, message: Vec<u8>) -> Self {
        self.body(cose::CONTENT_TYPE, Zeroizing::new(message))
    }

    /// With any body.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: Zeroizing<Vec<u8>>) -> Self {
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = Bytes::from_owner(body);
        self
    }

    /// The path, with query.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn into_parts(self) -> (Method, String, HeaderMap, Bytes) {
        (self.method, self.path, self.headers, self.body)
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Response {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The transaction the answer stands for: of a write, its own; of a read, the last one it saw.
    pub fn transaction(&self) -> Option<TxId> {
        self.headers
            .get(TRANSACTION_HEADER)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    }

    /// `https://host:port` of the node that is to be asked for `path` instead. A redirection to anything but the same request elsewhere is an answer
    /// like others, for whoever asked to judge.
    pub(super) fn sent_on(&self, path: &str) -> Option<String> {
        let sent_on = [
            StatusCode::TEMPORARY_REDIRECT,
            StatusCode::PERMANENT_REDIRECT,
        ];
        if !sent_on.contains(&self.status) {
            return None;
        }
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        let (scheme, rest) = location.split_once("://")?;
        let authority = rest.strip_suffix(path)?;
        let is_authority = !authority.is_empty() && !authority.contains(['/', '?', '#', '@']);
        (scheme == "https" && is_authority).then(|| format!("https://{authority}"))
    }

    /// The body as text.
    ///
    /// # Errors
    /// [`ClientError::Answer`] when it is not UTF-8.
    pub fn text(&self) -> Result<&str, ClientError> {
        std::str::from_utf8(&self.body).map_err(|error| ClientError::Answer {
            reason: error.to_string(),
        })
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// [`ClientError::Answer`] when it is not JSON of that form.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| ClientError::Answer {
            reason: error.to_string(),
        })
    }

    /// The answer itself if its status is 2xx.
    ///
    /// # Errors
    /// [`ClientError::Service`] for any other status.
    pub fn success(self) -> Result<Self, ClientError> {
        if self.status.is_success() {
            Ok(self)
        } else {
            Err(ClientError::Service(Box::new(ServiceError::from_body(
                self.status,
                &self.body,
            ))))
        }
    }
}
