//! What can go wrong between a client and a service.

use std::io;
use std::time::Duration;

use attestation::{ClientKeyError, UnwrapError};
use http::StatusCode;
use serde::Deserialize;

use crate::cose::CoseError;
use crate::identity::IdentityError;
use crate::ids::TxId;

/// Why a request got no answer, or not the wanted one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The answer does not have the expected form.
    #[error("unexpected answer from the service: {reason}")]
    Answer {
        /// What is wrong with it.
        reason: String,
    },
    /// No connection, or no TLS session: among the reasons is a node that does not chain to the service certificate.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Host and port.
        address: String,
        /// What the system or the TLS library said.
        source: io::Error,
    },
    /// A governance message could not be signed.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// The clean room's key could not be used.
    #[error(transparent)]
    ClientKey(#[from] ClientKeyError),
    /// The platform makes no evidence that the service would take.
    #[error("no fresh evidence: {source}")]
    Evidence {
        /// What the platform says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection failed after it was made.
    #[error("HTTP: {0}")]
    Http(#[source] hyper::Error),
    /// The client's identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A write was answered but is not committed.
    #[error("transaction {transaction} is not committed: {status}")]
    NotCommitted {
        /// The transaction.
        transaction: TxId,
        /// Its last known status.
        status: String,
    },
    /// A name that cannot stand in a path.
    #[error("{got:?} cannot be a name here: use letters, digits and -._~!$&'()*+,;=:@")]
    PathSegment {
        /// The name.
        got: String,
    },
    /// The request cannot be written as HTTP or JSON.
    #[error("cannot form the request: {reason}")]
    Request {
        /// Why.
        reason: String,
    },
    /// The asynchronous runtime cannot start.
    #[error("cannot start the client's runtime: {0}")]
    Runtime(#[source] io::Error),
    /// The service answered with an error.
    #[error(transparent)]
    Service(#[from] Box<ServiceError>),
    /// The service certificate is not one.
    #[error("service certificate: {reason}")]
    ServiceCertificate {
        /// What is wrong with it.
        reason: String,
    },
    /// The client certificate is not taken by the TLS library.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The service did not answer in time.
    #[error("no answer within {} s", after.as_secs())]
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// The bearer token has characters a header cannot carry.
    #[error("the bearer token cannot be sent in a header")]
    Token,
    /// A released secret is not wrapped to the clean room's key, or was altered.
    #[error(transparent)]
    Unwrap(#[from] UnwrapError),
    /// The service's address is not `https://host:port`.
    #[error("{got:?} is not an address of the form https://host:port")]
    Url {
        /// What was given.
        got: String,
    },
}

impl ClientError {
    /// The service's own error, if it answered with one.
    pub fn service(&self) -> Option<&ServiceError> {
        match self {
            Self::Service(error) => Some(error),
            _ => None,
        }
    }

    /// The stable code of the service's error, such as `VerifySnpAttestationFailed`.
    pub fn code(&self) -> Option<&str> {
        self.service().map(|error| error.code.as_str())
    }
}

/// An error the service answered with (CCF interface, section 0.3).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub struct ServiceError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable code; empty when the body is not in the error form.
    pub code: String,
    /// What the service says; the body itself when it is not in the error form.
    pub message: String,
    /// Further facts, as the service gave them.
    pub details: Vec<serde_json::Value>,
    /// Members the service added to the error beside the usual ones.
    pub more: serde_json::Map<String, serde_json::Value>,
}

impl ServiceError {
    pub(crate) fn from_body(status: StatusCode, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Body {
            error: Inner,
        }
        #[derive(Deserialize)]
        struct Inner {
            code: String,
            #[serde(default)]
            message: String,
            #[serde(default)]
            details: Vec<serde_json::Value>,
            #[serde(flatten)]
            more: serde_json::Map<String, serde_json::Value>,
        }

        match serde_json::from_slice::<Body>(body) {
            Ok(Body {
                error:
                    Inner {
                        code,
                        message,
                        details,
                        more,
                    },
            }) => Self {
                status,
                code,
                message,
                details,
                more,
            },
            Err(_) => Self {
                status,
                code: String::new(),
                message: String::from_utf8_lossy(body).into_owned(),
                details: Vec::new(),
                more: serde_json::Map::new(),
            },
        }
    }
}
