//! Typed tables over the host's byte maps.

use std::borrow::Cow;
use std::marker::PhantomData;

use crate::codec::{Json, Key, Raw, Text, Types, Value};
use crate::error::{Error, Result};
use crate::host::{ReadHost, WriteHost};
use crate::types::Seqno;

/// A table: a name, the type of its keys and values, and how values are stored.
///
/// Declare fixed ones as statics; [`Table::named`] makes the ones whose name is computed.
pub struct Table<K, V, C = Json> {
    name: Cow<'static, str>,
    types: Types<K, V, C>,
}

/// A table opened in a transaction.
pub struct TableHandle<'a, H: ?Sized, K, V, C> {
    host: &'a mut H,
    table: &'a Table<K, V, C>,
}

impl<K, V> Table<K, V, Json> {
    /// A table of JSON values.
    pub const fn json(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            types: PhantomData,
        }
    }
}

impl<K> Table<K, String, Text> {
    /// A table of text values.
    pub const fn text(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            types: PhantomData,
        }
    }
}

impl<K> Table<K, Vec<u8>, Raw> {
    /// A table of byte strings.
    pub const fn raw(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            types: PhantomData,
        }
    }
}

impl<K, V, C> Table<K, V, C> {
    /// A table with a computed name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Cow::Owned(name.into()),
            types: PhantomData,
        }
    }

    /// The table's name in the store and in the ledger.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn open<'a, H: ?Sized>(&'a self, host: &'a mut H) -> TableHandle<'a, H, K, V, C> {
        TableHandle { host, table: self }
    }

    fn unreadable(&self, reason: String) -> Error {
        Error::Stored {
            table: self.name.clone().into_owned(),
            reason,
        }
    }
}

impl<H: ReadHost + ?Sized, K: Key, V: Value<C>, C> TableHandle<'_, H, K, V, C> {
    /// The value stored under `key`.
    pub fn get(&mut self, key: &K) -> Result<Option<V>> {
        self.host
            .get(self.table.name(), &key.to_bytes())?
            .map(|bytes| V::decode(&bytes).map_err(|reason| self.table.unreadable(reason)))
            .transpose()
    }

    /// The value at the last committed state; creates no read dependency.
    pub fn committed(&mut self, key: &K) -> Result<Option<V>> {
        self.host
            .committed(self.table.name(), &key.to_bytes())?
            .map(|bytes| V::decode(&bytes).map_err(|reason| self.table.unreadable(reason)))
            .transpose()
    }

    /// Whether `key` is present.
    pub fn has(&mut self, key: &K) -> Result<bool> {
        Ok(self.host.has(self.table.name(), &key.to_bytes())?)
    }

    /// Number of entries.
    #[allow(
        clippy::len_without_is_empty,
        reason = "a count that can fail, not a container"
    )]
    pub fn len(&mut self) -> Result<usize> {
        Ok(self.host.len(self.table.name())?)
    }

    /// Position of the last write of `key` before this transaction.
    pub fn previous_write(&mut self, key: &K) -> Result<Option<Seqno>> {
        Ok(self
            .host
            .previous_write(self.table.name(), &key.to_bytes())?)
    }

    /// All keys, in unspecified order.
    pub fn keys(&mut self) -> Result<Vec<K>> {
        let mut keys = Vec::new();
        self.collect(|key, _| {
            K::from_bytes(key)
                .map(|key| keys.push(key))
                .ok_or("not a key of this table".into())
        })?;
        Ok(keys)
    }

    /// All entries, in unspecified order.
    pub fn entries(&mut self) -> Result<Vec<(K, V)>> {
        let mut entries = Vec::new();
        self.collect(|key, value| {
            let key = K::from_bytes(key).ok_or("not a key of this table")?;
            entries.push((key, V::decode(value)?));
            Ok(())
        })?;
        Ok(entries)
    }

    /// Entries with `from <= key < to` in ascending byte order, at most `limit` of them.
    pub fn range(
        &mut self,
        from: Option<&[u8]>,
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(K, V)>> {
        let mut entries = Vec::new();
        let mut failure = None;
        if limit == 0 {
            return Ok(entries);
        }
        self.host
            .range(self.table.name(), from, to, &mut |key, value| {
                match (K::from_bytes(key), V::decode(value)) {
                    (Some(key), Ok(value)) => entries.push((key, value)),
                    (None, _) => failure = Some("not a key of this table".to_owned()),
                    (_, Err(reason)) => failure = Some(reason),
                }
                failure.is_none() && entries.len() < limit
            })?;
        match failure {
            None => Ok(entries),
            Some(reason) => Err(self.table.unreadable(reason)),
        }
    }

    /// Keys with `from <= key < to` in ascending byte order, at most `limit` of them. Values are not copied.
    pub fn keys_in(
        &mut self,
        from: Option<&[u8]>,
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<K>> {
        let mut keys = Vec::new();
        let mut unreadable = false;
        if limit == 0 {
            return Ok(keys);
        }
        self.host
            .range(self.table.name(), from, to, &mut |key, _| {
                match K::from_bytes(key) {
                    Some(key) => keys.push(key),
                    None => unreadable = true,
                }
                !unreadable && keys.len() < limit
            })?;
        if unreadable {
            return Err(self.table.unreadable("not a key of this table".to_owned()));
        }
        Ok(keys)
    }

    fn collect(&mut self, mut take: impl FnMut(&[u8], &[u8]) -> Result<(), String>) -> Result<()> {
        let mut failure = None;
        self.host.foreach(self.table.name(), &mut |key, value| {
            failure = take(key, value).err();
            failure.is_none()
        })?;
        failure.map_or(Ok(()), |reason| Err(self.table.unreadable(reason)))
    }
}

impl<H: WriteHost + ?Sized, K: Key, V: Value<C>, C> TableHandle<'_, H, K, V, C> {
    /// Stores `value` under `key`.
    pub fn put(&mut self, key: &K, value: &V) -> Result<()> {
        let bytes = value
            .encode()
            .map_err(|reason| Error::Internal(format!("table {}: {reason}", self.table.name())))?;
        Ok(self.host.put(self.table.name(), &key.to_bytes(), &bytes)?)
    }

    /// Removes `key`; no error when it is absent.
    pub fn remove(&mut self, key: &K) -> Result<()> {
        Ok(self.host.remove(self.table.name(), &key.to_bytes())?)
    }

    /// Removes every entry.
    pub fn clear(&mut self) -> Result<()> {
        Ok(self.host.clear(self.table.name())?)
    }
}
