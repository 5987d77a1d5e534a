//! What a handler answers.

use serde::Serialize;

use crate::error::{Error, Result};

/// An answer: status, headers, body, and whether the transaction's writes are kept.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers beyond those the host adds, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Vec<u8>,
    keep_writes: Option<bool>,
}

impl Reply {
    /// An empty answer with this status.
    pub const fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            keep_writes: None,
        }
    }

    /// 200, empty.
    pub const fn ok() -> Self {
        Self::status(200)
    }

    /// 204, empty.
    pub const fn no_content() -> Self {
        Self::status(204)
    }

    /// 200 with compact JSON.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|e| Error::Internal(format!("reply: {e}")))?;
        Ok(Self::ok().with_body("application/json", body))
    }

    /// 200 with text.
    pub fn text(content_type: &'static str, text: impl Into<String>) -> Self {
        Self::ok().with_body(content_type, text.into().into_bytes())
    }

    /// The answer to a refusal or failure.
    pub fn error(error: &Error) -> Self {
        Self::status(error.status())
            .with_body("application/json", error.body().to_string().into_bytes())
    }

    /// The same answer with this body.
    #[must_use]
    pub fn with_body(mut self, content_type: &'static str, body: Vec<u8>) -> Self {
        self.headers.push(("content-type", content_type.to_owned()));
        self.body = body;
        self
    }

    /// The same answer with one more header; `name` in lower case.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same answer with another status.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Keeps the transaction's writes although the status is not 2xx, for denials that leave
    /// a record.
    #[must_use]
    pub const fn keeping_writes(mut self) -> Self {
        self.keep_writes = Some(true);
        self
    }

    /// Whether the host keeps the transaction's writes.
    pub fn keeps_writes(&self) -> bool {
        self.keep_writes
            .unwrap_or((200..300).contains(&self.status))
    }
}
