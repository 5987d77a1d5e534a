//! The transaction of an exchange as a host.

use std::ops::RangeInclusive;
use std::pin::Pin;
use std::time::Duration;

use cxx::UniquePtr;

use super::bridge::ffi::{Ended, Exchange, Number, Past, Status};
use super::visitor::{Visitor, visiting};
use crate::error::HostError;
use crate::host::{
    Capabilities, Historical, HistoricalState, MAX_HISTORICAL_RANGE, ReadHost, WriteHost, may_read,
    may_write,
};
use crate::types::{Seqno, TxId, TxStatus, View};

/// One transaction of CCF, for one execution of a handler.
pub(super) struct Transaction<'a> {
    exchange: Pin<&'a mut Exchange>,
    now: Duration,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(exchange: Pin<&'a mut Exchange>, now: Duration) -> Self {
        Self { exchange, now }
    }

    /// Whether there was a value, or why the call failed.
    fn found(&self, ended: Ended) -> Result<bool, HostError> {
        match ended {
            Ended::Done => Ok(true),
            Ended::Absent => Ok(false),
            Ended::Again => Err(HostError::Retry),
            _ => Err(HostError::Failed(lossy(self.exchange.failure()))),
        }
    }

    fn number(&self, number: &Number) -> Result<Option<u64>, HostError> {
        Ok(self.found(number.ended)?.then_some(number.value))
    }

    /// The value that `call` shows.
    fn value(
        &mut self,
        call: impl FnOnce(Pin<&mut Exchange>, &mut Visitor<'_>) -> Ended,
    ) -> Result<Option<Vec<u8>>, HostError> {
        let (ended, value) = shown(|visitor| call(self.exchange.as_mut(), visitor));
        Ok(if self.found(ended)? { value } else { None })
    }
}

impl ReadHost for Transaction<'_> {
    fn get(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        may_read(table)?;
        self.value(|exchange, visitor| exchange.get(table, key, visitor))
    }

    fn has(&mut self, table: &str, key: &[u8]) -> Result<bool, HostError> {
        may_read(table)?;
        let ended = self.exchange.as_mut().has(table, key);
        self.found(ended)
    }

    fn foreach(
        &mut self,
        table: &str,
        f: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), HostError> {
        may_read(table)?;
        let ended = visiting(f, |visitor| self.exchange.as_mut().each(table, visitor));
        self.found(ended).map(drop)
    }

    fn range(
        &mut self,
        table: &str,
        from: Option<&[u8]>,
        to: Option<&[u8]>,
        f: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), HostError> {
        may_read(table)?;
        let ended = visiting(f, |visitor| {
            self.exchange.as_mut().range(
                table,
                from.is_some(),
                from.unwrap_or_default(),
                to.is_some(),
                to.unwrap_or_default(),
                visitor,
            )
        });
        self.found(ended).map(drop)
    }

    fn len(&mut self, table: &str) -> Result<usize, HostError> {
        may_read(table)?;
        let size = self.exchange.as_mut().size(table);
        let size = self.number(&size)?.unwrap_or_default();
        usize::try_from(size).map_err(|_| HostError::Failed(format!("{size} entries")))
    }

    fn previous_write(&mut self, table: &str, key: &[u8]) -> Result<Option<Seqno>, HostError> {
        may_read(table)?;
        let seqno = self.exchange.as_mut().previous_write(table, key);
        Ok(self.number(&seqno)?.map(Seqno))
    }

    fn committed(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        may_read(table)?;
        self.value(|exchange, visitor| exchange.committed(table, key, visitor))
    }

    fn view_of(&mut self, seqno: Seqno) -> Result<Option<View>, HostError> {
        let view = self.exchange.as_mut().view_of(seqno.0);
        Ok(self.number(&view)?.map(View))
    }

    fn status_of(&mut self, id: TxId) -> Result<TxStatus, HostError> {
        let status = self.exchange.as_mut().status_of(id.view.0, id.seqno.0);
        let status = self.number(&status)?.unwrap_or_default();
        let is = |known: Status| status == u64::from(known.repr);
        Ok(if is(Status::Committed) {
            TxStatus::Committed
        } else if is(Status::Pending) {
            TxStatus::Pending
        } else if is(Status::Invalid) {
            TxStatus::Invalid
        } else {
            TxStatus::Unknown
        })
    }

    fn last_committed(&mut self) -> Result<TxId, HostError> {
        let id = self.exchange.as_mut().last_committed();
        self.found(id.ended)?;
        Ok(TxId::new(id.view, id.seqno))
    }

    fn historical(&mut self, range: RangeInclusive<Seqno>) -> Result<Historical, HostError> {
        let (first, last) = (*range.start(), *range.end());
        let committed = self.last_committed()?.seqno;
        if first.0 == 0 || first > last || last > committed {
            let text = format!("transactions {first} to {last} are not all committed");
            return Err(HostError::Failed(text));
        }
        let count = last.0 - first.0 + 1;
        if count > MAX_HISTORICAL_RANGE {
            return Err(HostError::Failed(format!(
                "{count} transactions asked for, at most {MAX_HISTORICAL_RANGE}"
            )));
        }
        let ended = self.exchange.as_mut().fetch_past(first.0, last.0);
        if !self.found(ended)? {
            return Ok(Historical::Pending);
        }
        let mut states: Vec<Box<dyn HistoricalState>> = Vec::new();
        loop {
            let past = self.exchange.as_mut().take_past();
            if past.is_null() {
                return Ok(Historical::Ready(states));
            }
            states.push(Box::new(PastTransaction(past)));
        }
    }

    fn root_at_read_version(&mut self) -> Result<[u8; 32], HostError> {
        let root = self.value(|exchange, visitor| exchange.root(visitor))?;
        root.and_then(|root| root.try_into().ok())
            .ok_or(HostError::Unsupported(
                "root_at_read_version was not asked for",
            ))
    }

    fn untrusted_time(&self) -> Duration {
        self.now
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            replies_after_commit: false,
            root_at_read_version: true,
        }
    }
}

impl WriteHost for Transaction<'_> {
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), HostError> {
        may_write(table)?;
        let ended = self.exchange.as_mut().put(table, key, value);
        self.found(ended).map(drop)
    }

    fn remove(&mut self, table: &str, key: &[u8]) -> Result<(), HostError> {
        may_write(table)?;
        let ended = self.exchange.as_mut().remove(table, key);
        self.found(ended).map(drop)
    }

    fn clear(&mut self, table: &str) -> Result<(), HostError> {
        may_write(table)?;
        let ended = self.exchange.as_mut().clear(table);
        self.found(ended).map(drop)
    }

    fn set_claims_digest(&mut self, digest: [u8; 32]) -> Result<(), HostError> {
        let ended = self.exchange.as_mut().set_claims_digest(&digest);
        self.found(ended).map(drop)
    }
}

/// A past transaction; never null.
struct PastTransaction(UniquePtr<Past>);

// SAFETY: `Past` owns a reference-counted state of CCF's cache that nobody changes any more, and counting is atomic. It is used by one
// thread at a time: `HistoricalState` is not `Sync`, and no thread-local value is behind it.
unsafe impl Send for PastTransaction {}

impl HistoricalState for PastTransaction {
    fn id(&self) -> TxId {
        TxId::new(self.0.view(), self.0.seqno())
    }

    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        may_read(table)?;
        let (ended, value) = shown(|visitor| self.0.get(table, key, visitor));
        match ended {
            Ended::Done => Ok(value),
            Ended::Absent => Ok(None),
            _ => Err(HostError::Failed(lossy(&value.unwrap_or_default()))),
        }
    }

    fn receipt(&self) -> Result<serde_json::Value, HostError> {
        let (ended, text) = shown(|visitor| self.0.receipt(visitor));
        let text = text.unwrap_or_default();
        if ended != Ended::Done {
            return Err(HostError::Failed(lossy(&text)));
        }
        serde_json::from_slice(&text).map_err(|error| HostError::Failed(error.to_string()))
    }
}

/// The last value that `call` shows.
fn shown(call: impl FnOnce(&mut Visitor<'_>) -> Ended) -> (Ended, Option<Vec<u8>>) {
    let mut value = None;
    let ended = visiting(
        &mut |_, bytes| {
            value = Some(bytes.to_vec());
            true
        },
        call,
    );
    (ended, value)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
