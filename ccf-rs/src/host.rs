//! What a host offers to the application: small, object-safe traits that the embedded node
//! and the CCF bridge implement. Handlers use them through their context.
//!
//! Tables are untyped here: a name and byte strings. A name beginning `public:` is readable
//! by everyone who has the ledger; any other is encrypted. `public:ccf.gov.*` and
//! `public:ccf.internal.*` belong to the framework: an application may read them, never
//! write them.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::HostError;
use crate::types::{Seqno, TxId, TxStatus, View};

/// What this host can do beyond the traits. A handler that depends on one of these asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// A write is answered only after it is committed and signed. Where this is false (a CCF
    /// node), the reply precedes commitment and a caller polls the transaction id.
    pub replies_after_commit: bool,
    /// [`ReadHost::root_at_read_version`] gives a value.
    pub root_at_read_version: bool,
}

/// Reading: key-value tables at one version, consensus, history, time.
pub trait ReadHost {
    /// The value stored under `key`, own writes included.
    fn get(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, HostError>;

    /// Whether `key` is present, own writes included.
    fn has(&mut self, table: &str, key: &[u8]) -> Result<bool, HostError>;

    /// Calls `f` for every entry, own writes included, until it returns false.
    /// The order is unspecified. `f` cannot reach the host.
    fn foreach(
        &mut self,
        table: &str,
        f: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), HostError>;

    /// Calls `f` for every entry with `from <= key < to` in ascending byte order until it
    /// returns false; `None` leaves that side open.
    fn range(
        &mut self,
        table: &str,
        from: Option<&[u8]>,
        to: Option<&[u8]>,
        f: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), HostError>;

    /// Number of entries, own writes included.
    fn len(&mut self, table: &str) -> Result<usize, HostError>;

    /// Position of the last write of `key` before this transaction; `None` when it was never
    /// written or is deleted.
    fn previous_write(&mut self, table: &str, key: &[u8]) -> Result<Option<Seqno>, HostError>;

    /// The value at the last committed state. Creates no read dependency.
    fn committed(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, HostError>;

    /// The view in which `seqno` was executed; `None` when this node does not know.
    fn view_of(&mut self, seqno: Seqno) -> Result<Option<View>, HostError>;

    /// Status of a transaction id.
    fn status_of(&mut self, id: TxId) -> Result<TxStatus, HostError>;

    /// The last committed transaction.
    fn last_committed(&mut self) -> Result<TxId, HostError>;

    /// The transactions of a range of the ledger, ascending. The range must be committed and no longer than
    /// [`MAX_HISTORICAL_RANGE`].
    fn historical(&mut self, range: RangeInclusive<Seqno>) -> Result<Historical, HostError>;

    /// Committed transactions at these positions, ascending, as for [`ReadHost::historical`].
    fn historical_at(&mut self, positions: &[Seqno]) -> Result<Historical, HostError> {
        let mut found = Vec::with_capacity(positions.len());
        for position in positions {
            match self.historical(*position..=*position)? {
                Historical::Ready(states) => found.extend(states),
                Historical::Pending => return Ok(Historical::Pending),
            }
        }
        Ok(Historical::Ready(found))
    }

    /// The first `limit` positions in `range` at which `key` was written or removed, from the host's index of a table that the
    /// application names in [`crate::Application::indexed`].
    fn positions(
        &mut self,
        _table: &str,
        _key: &[u8],
        _range: RangeInclusive<Seqno>,
        _limit: usize,
    ) -> Result<Positions, HostError> {
        Ok(Positions::NotIndexed)
    }

    /// Position of the last write to any key of a table, removals included; 0 when there was none. `None` on hosts that do
    /// not keep it. Two transactions that see the same value see the same table.
    fn table_version(&mut self, _table: &str) -> Result<Option<Seqno>, HostError> {
        Ok(None)
    }

    /// Merkle root over everything up to the version this transaction reads.
    fn root_at_read_version(&mut self) -> Result<[u8; 32], HostError>;

    /// The host's clock since the Unix epoch. The operator controls it; it is one value
    /// within one execution.
    fn untrusted_time(&self) -> Duration;

    /// What this host can do.
    fn capabilities(&self) -> Capabilities;
}

/// Writing: everything a reader can do, and changes to tables.
pub trait WriteHost: ReadHost {
    /// Stores `value` under `key`.
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), HostError>;

    /// Removes `key`; no error when it is absent.
    fn remove(&mut self, table: &str, key: &[u8]) -> Result<(), HostError>;

    /// Removes every entry.
    fn clear(&mut self, table: &str) -> Result<(), HostError>;

    /// Binds 32 bytes to the transaction's leaf in the Merkle tree, so that its receipt
    /// proves them.
    fn set_claims_digest(&mut self, digest: [u8; 32]) -> Result<(), HostError>;
}

/// How many transactions one look into history may ask for.
pub const MAX_HISTORICAL_RANGE: u64 = 10_000;

/// For hosts: an application reads every table but the framework's private ones.
///
/// # Errors
/// [`HostError::NotPermitted`].
pub fn may_read(table: &str) -> Result<(), HostError> {
    permit(!table.starts_with("ccf."), table, "read")
}

/// For hosts: an application writes no table of the framework.
///
/// # Errors
/// [`HostError::NotPermitted`].
pub fn may_write(table: &str) -> Result<(), HostError> {
    let reserved = table.starts_with("ccf.") || table.starts_with("public:ccf.");
    permit(!reserved, table, "write")
}

fn permit(permitted: bool, table: &str, operation: &'static str) -> Result<(), HostError> {
    if permitted {
        return Ok(());
    }
    Err(HostError::NotPermitted {
        table: table.to_owned(),
        operation,
    })
}

/// Answer to a question about history.
pub enum Historical {
    /// The transactions asked for, ascending.
    Ready(Vec<Box<dyn HistoricalState>>),
    /// Not at hand yet: the caller is told to ask again.
    Pending,
}

/// Where a key was written, as far as an index knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Positions {
    /// These, ascending.
    At(Vec<Seqno>),
    /// The index is behind: the caller is told to ask again.
    Pending,
    /// The host does not index the table. What a range holds is then found by loading it.
    NotIndexed,
}

/// What one past transaction wrote.
pub trait HistoricalState: Send {
    /// Its id.
    fn id(&self) -> TxId;

    /// The value it wrote under `key`; `None` when it did not write the key or removed it.
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, HostError>;

    /// Its receipt, in CCF's JSON form.
    fn receipt(&self) -> Result<serde_json::Value, HostError>;
}
