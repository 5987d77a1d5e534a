//! What can go wrong in a handler.

use std::borrow::Cow;

use serde_json::{Value as JsonValue, json};

use crate::Seqno;

/// Result of everything a handler calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a handler did not produce its reply.
///
/// The first kind depends on the caller's input and is told to the caller. The others are
/// the host's business: the caller learns only that the request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is refused. Answered as
    /// `{"error":{"code":CODE,"message":TEXT,"details":[...]}}`.
    #[error("{code}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Stable code, part of the interface.
        code: Cow<'static, str>,
        /// Text for a person, not part of the interface.
        message: String,
        /// Additional values, additive. Empty: left out of the answer.
        details: Vec<JsonValue>,
    },
    /// The host could not do what was asked of it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A stored value is not what this application writes: our bug, or a foreign writer.
    #[error("table {table}: stored value cannot be read: {reason}")]
    Stored {
        /// Name of the table.
        table: String,
        /// What the decoder said. Never the value itself.
        reason: String,
    },
    /// A bug of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

/// What a host reports when a call cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The transaction cannot go on and the request must be run again from the start.
    /// A handler passes this on untouched; the host recognises it.
    #[error("the transaction has to be run again")]
    Retry,
    /// The application may not touch this table in this way.
    #[error("table {table}: {operation} is not permitted here")]
    NotPermitted {
        /// Name of the table.
        table: String,
        /// `read` or `write`.
        operation: &'static str,
    },
    /// This host lacks the capability.
    #[error("not available on this host: {0}")]
    Unsupported(&'static str),
    /// A past transaction that this host's files do not hold, or no longer as it was: a service that was recovered from a
    /// snapshot may be without the files from before it. Told to the caller.
    #[error(
        "transaction {seqno} is not among this node's ledger files; the next that may be is {next}"
    )]
    NotKept {
        /// Its position.
        seqno: Seqno,
        /// The first position of the next file, or the one behind the end.
        next: Seqno,
    },
    /// Anything else, in the host's words. Never told to a caller.
    #[error("host failure: {0}")]
    Failed(String),
}

impl Error {
    /// A refusal with this status, code and text.
    pub fn refused(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self::Refused {
            status,
            code: code.into(),
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// 400 with this code.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::refused(400, code, message)
    }

    /// 404 with this code.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::refused(404, code, message)
    }

    /// The same refusal with one more value in `details`. Other errors are left as they are.
    #[must_use]
    pub fn with_detail(mut self, detail: JsonValue) -> Self {
        if let Self::Refused { details, .. } = &mut self {
            details.push(detail);
        }
        self
    }

    /// HTTP status of the answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Refused { status, .. } => *status,
            Self::Host(HostError::NotKept { .. }) => 404,
            _ => 500,
        }
    }

    /// The stable code of the answer.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Host(HostError::NotKept { .. }) => "TransactionNotKept",
            _ => "InternalError",
        }
    }

    /// The body of the answer. Errors that are not the caller's say nothing of their cause.
    pub fn body(&self) -> JsonValue {
        match self {
            Self::Refused {
                code,
                message,
                details,
                ..
            } => {
                let mut error = json!({ "code": code, "message": message });
                if !details.is_empty() {
                    error["details"] = JsonValue::Array(details.clone());
                }
                json!({ "error": error })
            }
            Self::Host(error @ HostError::NotKept { seqno, next }) => {
                let detail = json!({ "seqno": seqno, "next": next });
                json!({ "error": { "code": self.code(), "message": error.to_string(), "details": [detail] } })
            }
            _ => {
                json!({ "error": { "code": self.code(), "message": "The request failed inside the service." } })
            }
        }
    }
}
