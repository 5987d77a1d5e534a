//! The transaction as scripts see it.

use ccf_rs::{Error, HostError, WriteHost};
use constitution::{Kv, KvError};

/// A transaction, and what its host said when it failed: a script call has no room for
/// [`HostError::Retry`], which must reach the host unchanged.
pub(super) struct HostKv<'a> {
    host: &'a mut dyn WriteHost,
    failure: Option<HostError>,
}

impl<'a> HostKv<'a> {
    pub(super) fn new(host: &'a mut dyn WriteHost) -> Self {
        Self {
            host,
            failure: None,
        }
    }

    /// `result`, unless the host failed underneath it.
    pub(super) fn finish<T, E>(self, result: Result<T, E>) -> Result<Result<T, E>, Error> {
        match self.failure {
            Some(failure) => Err(Error::Host(failure)),
            None => Ok(result),
        }
    }

    fn note<T>(&mut self, result: Result<T, HostError>) -> Result<T, KvError> {
        result.map_err(|error| {
            let text = error.to_string();
            self.failure.get_or_insert(error);
            KvError(text)
        })
    }
}

impl Kv for HostKv<'_> {
    fn get(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        let result = self.host.get(table, key);
        self.note(result)
    }

    fn has(&mut self, table: &str, key: &[u8]) -> Result<bool, KvError> {
        let result = self.host.has(table, key);
        self.note(result)
    }

    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        let result = self.host.put(table, key, value);
        self.note(result)
    }

    fn remove(&mut self, table: &str, key: &[u8]) -> Result<(), KvError> {
        let result = self.host.remove(table, key);
        self.note(result)
    }

    fn clear(&mut self, table: &str) -> Result<(), KvError> {
        let result = self.host.clear(table);
        self.note(result)
    }

    fn for_each(
        &mut self,
        table: &str,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), KvError> {
        let result = self.host.foreach(table, &mut |key, value| {
            visit(key, value);
            true
        });
        self.note(result)
    }

    fn size(&mut self, table: &str) -> Result<u64, KvError> {
        let result = self.host.len(table);
        self.note(result).map(|len| len as u64)
    }

    fn version_of_previous_write(
        &mut self,
        table: &str,
        key: &[u8],
    ) -> Result<Option<u64>, KvError> {
        let result = self.host.previous_write(table, key);
        Ok(self.note(result)?.map(|seqno| seqno.0))
    }
}
