//! What a handler sees: the request, and the host through typed tables.

use std::any::type_name;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::host::{Capabilities, Historical, Positions, ReadHost, WriteHost};
use crate::request::Request;
use crate::router::percent_decode;
use crate::table::{Table, TableHandle};
use crate::types::{Seqno, TxId, TxStatus, View};

/// What read and write handlers have in common.
pub trait Context {
    /// The request.
    fn request(&self) -> &Request;

    /// The host, for reading.
    fn reader(&mut self) -> &mut dyn ReadHost;

    /// A table, for reading.
    fn read<'a, K, V, C>(
        &'a mut self,
        table: &'a Table<K, V, C>,
    ) -> TableHandle<'a, dyn ReadHost + 'a, K, V, C>
    where
        Self: Sized,
    {
        table.open(self.reader())
    }

    /// Who was authenticated.
    fn caller(&self) -> &Caller {
        &self.request().caller
    }

    /// A component of the path, percent-escapes as sent (CCF interface, section 0.2).
    ///
    /// # Errors
    /// [`Error::Internal`] when the template has no such component, 400 `InvalidInput` when
    /// the text is no `T`.
    fn path<T: FromStr>(&self, name: &str) -> Result<T>
    where
        Self: Sized,
    {
        let (_, text) = self
            .request()
            .params
            .iter()
            .find(|(n, _)| n == name)
            .ok_or_else(|| Error::Internal(format!("the path has no component {name}")))?;
        text.parse().map_err(|_| {
            Error::bad_request(
                "InvalidInput",
                format!("Path component {name} is not valid."),
            )
        })
    }

    /// A query parameter: split at `&` and the first `=`, then percent-decoded (`+` is a
    /// space). The last of several wins; `None` when absent, or named without a `=`.
    ///
    /// # Errors
    /// 400 `InvalidInput` when the value is not UTF-8 once decoded.
    fn query(&self, name: &str) -> Result<Option<String>> {
        let mut found = None;
        for part in self.request().query.split('&') {
            let (key, value) = match part.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (part, None),
            };
            if percent_decode(key).as_deref() != Some(name) {
                continue;
            }
            let Some(value) = value else {
                found = None;
                continue;
            };
            found = Some(percent_decode(value).ok_or_else(|| {
                Error::bad_request(
                    "InvalidInput",
                    format!("Query parameter {name} is not valid text."),
                )
            })?);
        }
        Ok(found)
    }

    /// All query parameters as the members of `T`, each of them text or absent; unknown ones are ignored.
    ///
    /// # Errors
    /// 400 `InvalidInput` when a name or value is not UTF-8 once decoded, or a member is missing.
    fn queries<T: DeserializeOwned>(&self) -> Result<T>
    where
        Self: Sized,
    {
        let mut members = serde_json::Map::new();
        for part in self.request().query.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (Some(name), Some(value)) = (percent_decode(name), percent_decode(value)) else {
                let message = "The query is not valid text.";
                return Err(Error::bad_request("InvalidInput", message));
            };
            members.insert(name, value.into());
        }
        serde_json::from_value(members.into())
            .map_err(|e| Error::bad_request("InvalidInput", format!("The query is not valid: {e}")))
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// 415 `UnsupportedContentType` when the request says that the body is something else; 400 `InvalidInput` saying where it is
    /// malformed.
    fn json<T: DeserializeOwned>(&self) -> Result<T>
    where
        Self: Sized,
    {
        is_json(self.request())?;
        // An array would do for a derived reader, member by member.
        if self.request().body.trim_ascii_start().first() == Some(&b'[') {
            let message = "The request body is no object.";
            return Err(Error::bad_request("InvalidInput", message));
        }
        serde_json::from_slice(&self.request().body).map_err(|e| {
            let what = if e.is_data() {
                "does not have the expected form"
            } else {
                "is not JSON"
            };
            Error::bad_request("InvalidInput", format!("The request body {what}: {e}"))
        })
    }

    /// View of a position; see [`ReadHost::view_of`].
    fn view_of(&mut self, seqno: Seqno) -> Result<Option<View>> {
        Ok(self.reader().view_of(seqno)?)
    }

    /// Status of a transaction id.
    fn status_of(&mut self, id: TxId) -> Result<TxStatus> {
        Ok(self.reader().status_of(id)?)
    }

    /// The last committed transaction.
    fn last_committed(&mut self) -> Result<TxId> {
        Ok(self.reader().last_committed()?)
    }

    /// Past transactions; see [`ReadHost::historical`].
    fn historical(&mut self, range: RangeInclusive<Seqno>) -> Result<Historical> {
        Ok(self.reader().historical(range)?)
    }

    /// Past transactions at these positions; see [`ReadHost::historical_at`].
    fn historical_at(&mut self, positions: &[Seqno]) -> Result<Historical> {
        Ok(self.reader().historical_at(positions)?)
    }

    /// Where a key was written; see [`ReadHost::positions`].
    fn positions(
        &mut self,
        table: &str,
        key: &[u8],
        range: RangeInclusive<Seqno>,
        limit: usize,
    ) -> Result<Positions> {
        Ok(self.reader().positions(table, key, range, limit)?)
    }

    /// Position of the last write to a table; see [`ReadHost::table_version`].
    fn table_version(&mut self, table: &str) -> Result<Option<Seqno>> {
        Ok(self.reader().table_version(table)?)
    }

    /// The host's clock since the Unix epoch; the operator controls it.
    fn untrusted_time(&mut self) -> Duration {
        self.reader().untrusted_time()
    }

    /// What this host can do.
    fn capabilities(&mut self) -> Capabilities {
        self.reader().capabilities()
    }
}

/// A request that only reads.
pub struct ReadContext<'a> {
    request: &'a Request,
    host: &'a mut dyn ReadHost,
}

/// A request that may write.
pub struct WriteContext<'a> {
    request: &'a Request,
    host: &'a mut dyn WriteHost,
}

impl<'a> ReadContext<'a> {
    /// For hosts: a context over this request and transaction.
    pub fn new(request: &'a Request, host: &'a mut dyn ReadHost) -> Self {
        Self { request, host }
    }
}

impl<'a> WriteContext<'a> {
    /// For hosts: a context over this request and transaction.
    pub fn new(request: &'a Request, host: &'a mut dyn WriteHost) -> Self {
        Self { request, host }
    }

    /// A table, for reading and writing.
    pub fn table<'t, K, V, C>(
        &'t mut self,
        table: &'t Table<K, V, C>,
    ) -> TableHandle<'t, dyn WriteHost + 't, K, V, C> {
        table.open(&mut *self.host)
    }

    /// The host, for writing.
    pub fn writer(&mut self) -> &mut dyn WriteHost {
        &mut *self.host
    }

    /// Binds 32 bytes to this transaction, so that its receipt proves them.
    pub fn set_claims_digest(&mut self, digest: [u8; 32]) -> Result<()> {
        Ok(self.host.set_claims_digest(digest)?)
    }
}

impl Context for ReadContext<'_> {
    fn request(&self) -> &Request {
        self.request
    }

    fn reader(&mut self) -> &mut dyn ReadHost {
        &mut *self.host
    }
}

impl Context for WriteContext<'_> {
    fn request(&self) -> &Request {
        self.request
    }

    fn reader(&mut self) -> &mut dyn ReadHost {
        &mut *self.host
    }
}

impl std::fmt::Debug for ReadContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(type_name::<Self>())
    }
}

impl std::fmt::Debug for WriteContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(type_name::<Self>())
    }
}

/// Bodies without a type are taken for JSON, as clients have always sent them.
fn is_json(request: &Request) -> Result<()> {
    let Some(content_type) = request.headers.first("content-type") else {
        return Ok(());
    };
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let subtype = media_type.to_ascii_lowercase();
    if subtype == "application/json"
        || (subtype.starts_with("application/") && subtype.ends_with("+json"))
    {
        return Ok(());
    }
    Err(Error::refused(
        415,
        "UnsupportedContentType",
        format!("The request body must be application/json, not {media_type}."),
    ))
}
