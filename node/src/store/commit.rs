//! Where a transaction gets its place in the ledger.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ccf_rs::Seqno;
use tokio::sync::oneshot;

use super::state::{State, Writes};
use super::transaction::{Outcome, Reads, Transaction};

/// Tables that only the commit pipeline writes. While a signature is being made, its rows
/// are not in the state yet although its position is taken, so whoever read them has to wait.
const SIGNATURE_TABLES: [&str; 3] = [
    "public:ccf.internal.signatures",
    "public:ccf.internal.cose_signatures",
    "public:ccf.internal.tree",
];

/// How many transactions may wait for the disk. More are refused, not queued.
const MAX_QUEUED: usize = 10_000;

/// How long a batch is held open at most for handlers that were running when it could have been closed.
const GATHERING: Duration = Duration::from_micros(if cfg!(test) { 30_000_000 } else { 500 });

/// The store of one node.
pub struct Store {
    head: Mutex<Head>,
    work: Condvar,
    signed: Condvar,
    newest: ArcSwap<State>,
    durable: ArcSwap<Durable>,
}

struct Head {
    state: Arc<State>,
    queue: Vec<Pending>,
    signing: bool,
    closed: bool,
    /// Handlers that may write, since the start: how many began, and how many ended.
    begun: u64,
    ended: u64,
}

/// A handler that may write, until this is dropped.
pub struct Running<'s>(&'s Store);

/// The last state that is signed and on disk.
pub struct Durable {
    /// All tables.
    pub state: Arc<State>,
    /// Merkle root over everything up to that state, its signature included.
    pub root: [u8; 32],
}

/// A transaction with a place in the ledger, on its way to the disk.
pub struct Pending {
    /// Its position.
    pub seqno: Seqno,
    /// What it writes.
    pub writes: Writes,
    /// Claims digest; zero when it set none.
    pub claims: [u8; 32],
    /// Told when the transaction is signed and on disk.
    pub done: Option<oneshot::Sender<Result<(), CommitError>>>,
}

/// What the pipeline works on: transactions in order, and the position of the signature that
/// covers them.
pub struct Batch {
    /// The transactions, ascending and without gap.
    pub transactions: Vec<Pending>,
    /// The state after the last of them.
    pub state: Arc<State>,
    /// The position after the last of them.
    pub signature: Seqno,
}

/// A transaction that was accepted.
pub struct Appended {
    /// Its position.
    pub seqno: Seqno,
    /// Resolves when it is signed and on disk.
    pub durable: oneshot::Receiver<Result<(), CommitError>>,
}

/// Why a transaction was not committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Something it read has changed since: run it again.
    #[error("conflict with a transaction committed meanwhile")]
    Conflict,
    /// Too many transactions wait for the disk.
    #[error("too many transactions are waiting to be committed")]
    Busy,
    /// The ledger cannot be written. Whether the transaction survives is not known.
    #[error("the ledger cannot be written")]
    Unavailable,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

impl Store {
    /// A store at `state`, which is on disk with this root.
    pub fn new(state: State, root: [u8; 32]) -> Self {
        let state = Arc::new(state);
        Self {
            head: Mutex::new(Head {
                state: Arc::clone(&state),
                queue: Vec::new(),
                signing: false,
                closed: false,
                begun: 0,
                ended: 0,
            }),
            work: Condvar::new(),
            signed: Condvar::new(),
            newest: ArcSwap::new(Arc::clone(&state)),
            durable: ArcSwap::from_pointee(Durable { state, root }),
        }
    }

    /// The newest state. It may hold transactions that are not on disk yet.
    pub fn newest(&self) -> Arc<State> {
        self.newest.load_full()
    }

    /// The last state that is signed and on disk.
    pub fn durable(&self) -> Arc<Durable> {
        self.durable.load_full()
    }

    /// Gives a transaction its place, if nothing it read has changed since it began.
    ///
    /// # Errors
    /// [`CommitError`]; after [`CommitError::Conflict`] the transaction can be run again.
    pub fn append(&self, transaction: Transaction) -> Result<Appended, CommitError> {
        let Outcome {
            base,
            reads,
            writes,
            claims,
        } = transaction.finish();
        let mut head = self.lock();
        if head.closed {
            return Err(CommitError::Stopping);
        }
        if head.queue.len() >= MAX_QUEUED {
            return Err(CommitError::Busy);
        }
        let waits_for_signature = head.signing
            && SIGNATURE_TABLES
                .iter()
                .any(|table| reads.contains_key(*table));
        let unchanged = Arc::ptr_eq(&base, &head.state)
            || reads
                .iter()
                .all(|(table, reads)| holds(&head.state, table, reads));
        if waits_for_signature || !unchanged {
            return Err(CommitError::Conflict);
        }
        let seqno = Seqno(head.state.seqno().0 + 1);
        head.state = Arc::new(head.state.with(seqno, &writes));
        self.newest.store(Arc::clone(&head.state));
        let (done, durable) = oneshot::channel();
        head.queue.push(Pending {
            seqno,
            writes,
            claims: claims.unwrap_or_default(),
            done: Some(done),
        });
        drop(head);
        self.work.notify_one();
        Ok(Appended { seqno, durable })
    }

    /// Says that a handler runs which may write, and soon: a batch is held open for it.
    pub fn running(&self) -> Running<'_> {
        self.lock().begun += 1;
        Running(self)
    }

    /// For the pipeline: waits for transactions, and for handlers that are running when the first is there, and takes all there are; an
    /// empty batch when `patience` has passed, `None` when the store is closed and everything was taken.
    pub fn take(&self, patience: Duration) -> Option<Batch> {
        let (head, _) = self
            .work
            .wait_timeout_while(self.lock(), patience, |head| {
                head.queue.is_empty() && !head.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        let mut head = self.gather(head);
        if head.queue.is_empty() && head.closed {
            return None;
        }
        let transactions = std::mem::take(&mut head.queue);
        let state = Arc::clone(&head.state);
        let signature = Seqno(state.seqno().0 + 1);
        if !transactions.is_empty() {
            head.signing = true;
            head.state = Arc::new(state.reserving());
            self.newest.store(Arc::clone(&head.state));
        }
        Some(Batch {
            transactions,
            state,
            signature,
        })
    }

    /// Waits until as many handlers have ended as are running now. The two signatures over a batch cost as much as a handler does, so what
    /// arrives in a moment is worth the moment; handlers that begin meanwhile are not waited for.
    fn gather<'s>(&self, head: MutexGuard<'s, Head>) -> MutexGuard<'s, Head> {
        if head.queue.is_empty() {
            return head;
        }
        let begun = head.begun;
        let (head, _) = self
            .work
            .wait_timeout_while(head, GATHERING, |head| head.ended < begun && !head.closed)
            .unwrap_or_else(PoisonError::into_inner);
        head
    }

    /// For the pipeline: the batch and the signature over it are on disk. `root` covers both.
    pub fn publish(&self, batch: &Batch, signature: &Writes, root: [u8; 32]) {
        let mut head = self.lock();
        head.state = Arc::new(head.state.with(batch.signature, signature));
        head.signing = false;
        self.newest.store(Arc::clone(&head.state));
        let state = Arc::new(batch.state.with(batch.signature, signature));
        self.durable.store(Arc::new(Durable { state, root }));
        self.signed.notify_all();
    }

    /// Puts the private tables of a recovered service beside the public ones, in every state from now on. Waits until no
    /// batch is being made durable. Transactions that looked for one of these tables run again.
    pub fn adopt(&self, private: &State) {
        let mut head = self.lock();
        while head.signing {
            head = self
                .signed
                .wait(head)
                .unwrap_or_else(PoisonError::into_inner);
        }
        head.state = Arc::new(head.state.with_tables_of(private));
        self.newest.store(Arc::clone(&head.state));
        let durable = self.durable.load_full();
        self.durable.store(Arc::new(Durable {
            state: Arc::new(durable.state.with_tables_of(private)),
            root: durable.root,
        }));
    }

    /// Takes no more transactions; the pipeline finishes what is queued.
    pub fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }

    /// Whether the store takes no more transactions.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, Head> {
        // Nothing between lock and unlock leaves the head half changed.
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut head = self.0.lock();
        head.ended += 1;
        let awaited = !head.queue.is_empty();
        drop(head);
        if awaited {
            self.0.work.notify_one();
        }
    }
}

/// Whether what was read of a table still stands.
fn holds(state: &State, table: &str, reads: &Reads) -> bool {
    reads
        .whole
        .is_none_or(|version| state.table_version(table) == version)
        && reads
            .keys
            .iter()
            .all(|(key, version)| state.version(table, key).unwrap_or_default() == *version)
}
