//! A host in memory, for tests of applications: one request at a time, every write committed
//! at once as the next transaction of view 2.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;

use crate::caller::Caller;
use crate::context::{ReadContext, WriteContext};
use crate::endpoint::{Endpoint, Handler};
use crate::error::HostError;
use crate::host::{
    Capabilities, Historical, HistoricalState, Positions, ReadHost, WriteHost, may_write,
};
use crate::reply::Reply;
use crate::request::{Headers, Request, Verb};
use crate::router::{Match, Router};
use crate::types::{Seqno, TxId, TxStatus, View};

type Tables = BTreeMap<String, BTreeMap<Vec<u8>, (Vec<u8>, u64)>>;
type Writes = BTreeMap<String, BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

/// The host. Tables can be looked at and set up directly.
pub struct MemoryHost {
    router: Router,
    tables: Tables,
    history: Vec<(Writes, Option<[u8; 32]>)>,
    now: Duration,
    framework: bool,
    indexed: bool,
    uncommitted: u64,
    knows_views: bool,
}

/// One transaction.
struct Transaction<'a> {
    host: &'a MemoryHost,
    writes: Writes,
    claims: Option<[u8; 32]>,
}

/// A past transaction.
struct Past {
    id: TxId,
    writes: Writes,
}

impl MemoryHost {
    /// A host of these endpoints.
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        Self {
            router: Router::new(endpoints),
            tables: Tables::new(),
            history: Vec::new(),
            now: Duration::from_secs(1_780_272_000),
            framework: false,
            indexed: true,
            uncommitted: 0,
            knows_views: true,
        }
    }

    /// The same host without an index of past writes.
    #[must_use]
    pub const fn without_index(mut self) -> Self {
        self.indexed = false;
        self
    }

    /// The same host for the framework's own endpoints: they may write reserved tables, and a
    /// made-up Merkle root that changes with every transaction is at hand.
    #[must_use]
    pub const fn with_framework_tables(mut self) -> Self {
        self.framework = true;
        self
    }

    /// From now on this host does not know in which view anything was executed, as a node that joined lately.
    pub const fn forget_views(&mut self) {
        self.knows_views = false;
    }

    /// From now on the last `count` transactions are executed but not committed.
    pub const fn set_uncommitted(&mut self, count: u64) {
        self.uncommitted = count;
    }

    /// Runs `f` over a transaction whose writes are dropped.
    pub fn with_transaction<T>(&self, f: impl FnOnce(&mut dyn WriteHost) -> T) -> T {
        f(&mut Transaction {
            host: self,
            writes: Writes::new(),
            claims: None,
        })
    }

    /// Sets the clock.
    pub const fn set_time(&mut self, now: Duration) {
        self.now = now;
    }

    /// Stores a value as its own transaction, whoever owns the table.
    pub fn store(&mut self, table: &str, key: &[u8], value: &[u8]) -> TxId {
        let writes = BTreeMap::from([(
            table.to_owned(),
            BTreeMap::from([(key.to_vec(), Some(value.to_vec()))]),
        )]);
        self.commit(writes, None)
    }

    /// Removes a key as its own transaction.
    pub fn erase(&mut self, table: &str, key: &[u8]) -> TxId {
        let writes = BTreeMap::from([(table.to_owned(), BTreeMap::from([(key.to_vec(), None)]))]);
        self.commit(writes, None)
    }

    /// A stored value.
    pub fn stored(&self, table: &str, key: &[u8]) -> Option<&[u8]> {
        Some(self.tables.get(table)?.get(key)?.0.as_slice())
    }

    /// Names of all tables ever written.
    pub fn tables(&self) -> Vec<String> {
        self.tables.keys().cloned().collect()
    }

    /// All entries of a table.
    pub fn entries(&self, table: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.tables
            .get(table)
            .into_iter()
            .flatten()
            .map(|(k, (v, _))| (k.clone(), v.clone()))
            .collect()
    }

    /// Claims digest of the last transaction, if it set one.
    pub fn last_claims(&self) -> Option<[u8; 32]> {
        self.history.last().and_then(|(_, claims)| *claims)
    }

    /// Position of the last transaction.
    pub fn seqno(&self) -> Seqno {
        Seqno(self.history.len() as u64)
    }

    /// Runs one request as `caller` (policies are not checked: the caller is taken as
    /// authenticated). `target` is the path with its query. Returns the answer and, when
    /// something was written and kept, the transaction id.
    pub fn call(
        &mut self,
        verb: Verb,
        target: &str,
        caller: Caller,
        body: impl Into<Bytes>,
    ) -> (Reply, Option<TxId>) {
        self.call_with(verb, target, caller, Headers::default(), body)
    }

    /// As [`MemoryHost::call`], with headers.
    pub fn call_with(
        &mut self,
        verb: Verb,
        target: &str,
        caller: Caller,
        headers: Headers,
        body: impl Into<Bytes>,
    ) -> (Reply, Option<TxId>) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (endpoint, params) = match self.router.find(verb, path) {
            Match::Found(endpoint, params) => (endpoint.clone(), params),
            Match::OtherVerbs(_) => return (Reply::status(405), None),
            Match::Unknown => return (Reply::status(404), None),
        };
        let request = Request {
            verb,
            path: path.to_owned(),
            params,
            query: query.to_owned(),
            headers,
            body: body.into(),
            caller,
        };
        let mut tx = Transaction {
            host: self,
            writes: Writes::new(),
            claims: None,
        };
        let reply = match &endpoint.handler {
            Handler::Read(run) => run(&mut ReadContext::new(&request, &mut tx)),
            Handler::Write(run) => run(&mut WriteContext::new(&request, &mut tx)),
        };
        let reply = reply.unwrap_or_else(|error| Reply::error(&error));
        let Transaction { writes, claims, .. } = tx;
        let id = (reply.keeps_writes() && !writes.is_empty()).then(|| self.commit(writes, claims));
        (reply, id)
    }

    fn commit(&mut self, writes: Writes, claims: Option<[u8; 32]>) -> TxId {
        let seqno = self.history.len() as u64 + 1;
        for (table, changes) in &writes {
            let entries = self.tables.entry(table.clone()).or_default();
            for (key, value) in changes {
                match value {
                    Some(value) => entries.insert(key.clone(), (value.clone(), seqno)),
                    None => entries.remove(key),
                };
            }
        }
        self.history.push((writes, claims));
        TxId::new(2, seqno)
    }
}

impl Transaction<'_> {
    fn view(&self, table: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut entries: BTreeMap<_, _> = self
            .host
            .tables
            .get(table)
            .into_iter()
            .flatten()
            .map(|(key, (value, _))| (key.clone(), value.clone()))
            .collect();
        for (key, value) in self.writes.get(table).into_iter().flatten() {
            match value {
                Some(value) => entries.insert(key.clone(), value.clone()),
                None => entries.remove(key),
            };
        }
        entries
    }

    fn change(&mut self, table: &str, key: &[u8], value: Option<Vec<u8>>) -> Result<(), HostError> {
        if !self.host.framework {
            may_write(table)?;
        }
        self.writes
            .entry(table.to_owned())
            .or_default()
            .insert(key.to_vec(), value);
        Ok(())
    }
}

impl ReadHost for Transaction<'_> {
    fn get(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        if let Some(value) = self.writes.get(table).and_then(|changes| changes.get(key)) {
            return Ok(value.clone());
        }
        Ok(self.host.stored(table, key).map(<[u8]>::to_vec))
    }

    fn has(&mut self, table: &str, key: &[u8]) -> Result<bool, HostError> {
        Ok(self.get(table, key)?.is_some())
    }

    fn foreach(
        &mut self,
        table: &str,
        f: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), HostError> {
        self.range(table, None, None, f)
    }

    fn range(
        &mut self,
        table: &str,
        from: Option<&[u8]>,
        to: Option<&[u8]>,
        f: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), HostError> {
        for (key, value) in self.view(table) {
            let inside = from.is_none_or(|from| key.as_slice() >= from)
                && to.is_none_or(|to| key.as_slice() < to);
            if inside && !f(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn len(&mut self, table: &str) -> Result<usize, HostError> {
        Ok(self.view(table).len())
    }

    fn previous_write(&mut self, table: &str, key: &[u8]) -> Result<Option<Seqno>, HostError> {
        Ok(self
            .host
            .tables
            .get(table)
            .and_then(|entries| entries.get(key))
            .map(|(_, seqno)| Seqno(*seqno)))
    }

    fn committed(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        Ok(self.host.stored(table, key).map(<[u8]>::to_vec))
    }

    fn view_of(&mut self, seqno: Seqno) -> Result<Option<View>, HostError> {
        let known = self.host.knows_views && seqno <= self.host.seqno();
        Ok(known.then_some(View(2)))
    }

    fn status_of(&mut self, id: TxId) -> Result<TxStatus, HostError> {
        Ok(match id {
            TxId {
                view: View(2),
                seqno,
            } if seqno <= self.host.seqno() => TxStatus::Committed,
            TxId { seqno, .. } if seqno <= self.host.seqno() => TxStatus::Invalid,
            _ => TxStatus::Unknown,
        })
    }

    fn last_committed(&mut self) -> Result<TxId, HostError> {
        Ok(TxId {
            view: View(2),
            seqno: Seqno(self.host.seqno().0 - self.host.uncommitted),
        })
    }

    fn historical(&mut self, range: RangeInclusive<Seqno>) -> Result<Historical, HostError> {
        if *range.end() > self.host.seqno() || range.start().0 == 0 {
            return Err(HostError::Failed("the range is not committed".into()));
        }
        let states = (range.start().0..=range.end().0)
            .filter_map(|seqno| {
                let (writes, _) = self.host.history.get(usize::try_from(seqno).ok()? - 1)?;
                Some(Box::new(Past {
                    id: TxId::new(2, seqno),
                    writes: writes.clone(),
                }) as Box<dyn HistoricalState>)
            })
            .collect();
        Ok(Historical::Ready(states))
    }

    fn positions(
        &mut self,
        table: &str,
        key: &[u8],
        range: RangeInclusive<Seqno>,
        limit: usize,
    ) -> Result<Positions, HostError> {
        let wrote = |(writes, _): &(Writes, _)| {
            writes
                .get(table)
                .is_some_and(|changes| changes.contains_key(key))
        };
        let found = (1..)
            .map(Seqno)
            .zip(&self.host.history)
            .filter(|(seqno, past)| range.contains(seqno) && wrote(past))
            .map(|(seqno, _)| seqno);
        Ok(if self.host.indexed {
            Positions::At(found.take(limit).collect())
        } else {
            Positions::NotIndexed
        })
    }

    fn table_version(&mut self, table: &str) -> Result<Option<Seqno>, HostError> {
        let behind = self
            .host
            .history
            .iter()
            .rev()
            .position(|(writes, _)| writes.contains_key(table));
        let last = self.host.seqno().0;
        Ok(Some(Seqno(behind.map_or(0, |behind| last - behind as u64))))
    }

    fn root_at_read_version(&mut self) -> Result<[u8; 32], HostError> {
        if !self.host.framework {
            return Err(HostError::Unsupported("root_at_read_version"));
        }
        let mut root = [0xaa; 32];
        root[..8].copy_from_slice(&self.host.seqno().0.to_be_bytes());
        Ok(root)
    }

    fn untrusted_time(&self) -> Duration {
        self.host.now
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            replies_after_commit: true,
            root_at_read_version: self.host.framework,
        }
    }
}

impl WriteHost for Transaction<'_> {
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), HostError> {
        self.change(table, key, Some(value.to_vec()))
    }

    fn remove(&mut self, table: &str, key: &[u8]) -> Result<(), HostError> {
        self.change(table, key, None)
    }

    fn clear(&mut self, table: &str) -> Result<(), HostError> {
        for key in self.view(table).into_keys() {
            self.change(table, &key, None)?;
        }
        Ok(())
    }

    fn set_claims_digest(&mut self, digest: [u8; 32]) -> Result<(), HostError> {
        self.claims = Some(digest);
        Ok(())
    }
}

impl HistoricalState for Past {
    fn id(&self) -> TxId {
        self.id
    }

    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        Ok(self
            .writes
            .get(table)
            .and_then(|changes| changes.get(key))
            .cloned()
            .flatten())
    }

    fn receipt(&self) -> Result<serde_json::Value, HostError> {
        Err(HostError::Unsupported("receipts of a host in memory"))
    }
}
