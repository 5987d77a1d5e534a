//! A request as the host hands it over.

use bytes::Bytes;

use crate::caller::Caller;

/// HTTP verbs that endpoints use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// DELETE
    Delete,
    /// GET
    Get,
    /// HEAD
    Head,
    /// OPTIONS
    Options,
    /// PATCH
    Patch,
    /// POST
    Post,
    /// PUT
    Put,
}

/// Request headers, names in lower case. Values that are not text are left out.
#[derive(Clone, Debug, Default)]
pub struct Headers(Vec<(String, String)>);

/// A request: plain data, made by the host.
#[derive(Clone, Debug)]
pub struct Request {
    /// Verb.
    pub verb: Verb,
    /// Path as on the wire, percent-escapes as sent, including the `/app` prefix if it was sent.
    pub path: String,
    /// Values of the template's components, in template order, percent-escapes as sent.
    pub params: Vec<(String, String)>,
    /// Query string as on the wire, without the question mark; empty when there is none.
    pub query: String,
    /// Headers.
    pub headers: Headers,
    /// Body.
    pub body: Bytes,
    /// Who was authenticated.
    pub caller: Caller,
}

impl Verb {
    /// The verb in capitals.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }

    /// From capitals; `None` for verbs no endpoint uses.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Delete,
            Self::Get,
            Self::Head,
            Self::Options,
            Self::Patch,
            Self::Post,
            Self::Put,
        ]
        .into_iter()
        .find(|verb| verb.as_str() == text)
    }
}

impl Headers {
    /// From names and values; names are lowered.
    pub fn new(headers: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(
            headers
                .into_iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect(),
        )
    }

    /// First value of the header with this lower-case name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// All headers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
