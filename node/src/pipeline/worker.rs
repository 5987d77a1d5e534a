//! The thread that makes transactions durable.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ccf_rs::Seqno;
use ledger::{
    Digest, ENCRYPTED_SECRETS_MAP, EncryptedSecretsRow, FLAG_CHUNK_AFTER, FLAG_CHUNK_BEFORE,
    MerkleTree, RsaPrivateKey, SINGLE_KEY, SignatureInputs, WriteSet, encode, signature_write_set,
};

use super::checkpoints::Checkpoints;
use super::files::Files;
use super::history::History;
use super::snapshots::{Busy, Job, Snapshots, Snapshotter};
use super::views::Views;
use crate::frontend::says_open;
use crate::identity::IdentityKey;
use crate::store::{Batch, Bytes, CommitError, Pending, Store, Writes};

const NODES_CERTIFICATES: &str = "public:ccf.gov.nodes.endorsed_certificates";
const SERVICE_INFO: &str = "public:ccf.gov.service.info";

/// How long the thread sleeps without work before it looks whether it should end.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a stop waits for a snapshot that is being taken.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(5);

/// Pause before a failed write is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 100 });

/// What the pipeline works with.
pub struct PipelineParts {
    /// The store it serves.
    pub store: Arc<Store>,
    /// The directory it writes.
    pub files: Files,
    /// Where committed entries are noted, and the ledger secrets.
    pub history: Arc<History>,
    /// The Merkle tree over everything in the ledger so far, which ends with a signature or is empty.
    pub tree: MerkleTree,
    /// Views up to the one of this run.
    pub views: Views,
    /// Signs roots as the service.
    pub service_key: Arc<IdentityKey>,
    /// Signs roots as the node.
    pub node_key: Arc<IdentityKey>,
    /// Opens new ledger secrets that governance issues.
    pub encryption_key: Arc<RsaPrivateKey>,
    /// `iss` and `sub` of COSE signatures.
    pub cose_claims: (String, String),
    /// Where snapshots go.
    pub snapshots: Snapshots,
    /// Set to end the chunk at the next signature.
    pub chunk_requested: Arc<AtomicBool>,
    /// Where the last signature is kept; `None`: nowhere.
    pub checkpoint_file: Option<PathBuf>,
    /// Seconds since the epoch.
    pub clock: Box<dyn Fn() -> Duration + Send + Sync>,
    /// Told of each transaction once it is on disk, in order.
    pub on_commit: Box<dyn Fn(&Writes) + Send>,
}

/// The running pipeline. Dropping it closes the store and waits for what is queued.
pub struct Pipeline {
    store: Arc<Store>,
    snapshots: Arc<Busy>,
    thread: Option<JoinHandle<()>>,
}

struct Worker {
    parts: PipelineParts,
    /// Flags of the next transaction.
    flags: u8,
    /// Position of the last signature: everything up to it is committed.
    committed: Seqno,
    snapshotter: Snapshotter,
    checkpoints: Checkpoints,
}

/// A batch in the form that goes to disk.
struct Encoded {
    entries: Vec<Vec<u8>>,
    signature: Writes,
    root: Digest,
    /// Leaf of the signature.
    leaf: Digest,
    ends_chunk: bool,
    snapshot: bool,
}

/// Something that cannot be put right by trying again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Broken(String);

impl Pipeline {
    /// Starts the thread. The store stands where the ledger ends.
    pub fn start(parts: PipelineParts) -> std::io::Result<Self> {
        let store = Arc::clone(&parts.store);
        let committed = store.durable().state.seqno();
        // A recovered service begins with a chunk of its own.
        let flags = if parts.files.is_recovering() {
            FLAG_CHUNK_BEFORE
        } else {
            0
        };
        let mut worker = Worker {
            snapshotter: Snapshotter::new(parts.snapshots.clone(), committed),
            checkpoints: Checkpoints::new(parts.checkpoint_file.clone()),
            parts,
            flags,
            committed,
        };
        let snapshots = worker.snapshotter.busy();
        let thread = thread::Builder::new()
            .name("commit".to_owned())
            .spawn(move || worker.run())?;
        Ok(Self {
            store,
            snapshots,
            thread: Some(thread),
        })
    }

    /// Lets a snapshot be finished, within reason, takes no more transactions, finishes those that are queued, and ends.
    pub fn stop(&mut self) {
        if !self.store.is_closed() && !self.snapshots.wait(SNAPSHOT_PATIENCE) {
            tracing::warn!("a snapshot is being taken and will not be finished");
        }
        self.store.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the commit thread panicked");
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Worker {
    fn run(&mut self) {
        while let Some(batch) = self.parts.store.take(PATIENCE) {
            if batch.transactions.is_empty() {
                continue;
            }
            if let Err(error) = self.commit(batch) {
                tracing::error!(%error, "the ledger cannot be continued; no more writes are taken");
                break;
            }
        }
        self.parts.store.close();
        self.checkpoints.write();
        let _ = self.snapshotter.finish();
    }

    fn commit(&mut self, mut batch: Batch) -> Result<(), Broken> {
        let encoded = self
            .encode(&batch)
            .inspect_err(|_| answer(&mut batch.transactions, Err(CommitError::Unavailable)))?;
        self.write(&mut batch, &encoded)?;
        if self.parts.files.is_recovering() && batch.transactions.iter().any(opens_service) {
            // Before anybody is told: a node that is started again would set these files aside.
            self.retry("ending the recovery", |parts| parts.files.end_recovery())?;
        }
        self.parts
            .history
            .note_writes(&batch.transactions, batch.signature);
        self.committed = batch.signature;
        self.parts.tree.flush(ledger::Seqno(batch.signature.0));
        self.parts
            .store
            .publish(&batch, &encoded.signature, encoded.root.0);
        batch
            .transactions
            .iter()
            .for_each(|pending| (self.parts.on_commit)(&pending.writes));
        answer(&mut batch.transactions, Ok(()));
        self.checkpoints.signed(&encoded.signature, &batch.state);
        if encoded.snapshot {
            self.snapshotter.take(Job {
                state: Arc::clone(&self.parts.store.durable().state),
                leaf: encoded.leaf,
                views: self.parts.views.clone(),
                store: Arc::clone(&self.parts.store),
                history: Arc::clone(&self.parts.history),
                now: (self.parts.clock)(),
            });
        }
        if encoded.ends_chunk {
            self.retry("finishing a chunk", |parts| parts.files.finish_chunk())?;
        }
        Ok(())
    }

    /// Encodes a batch and the signature over it, and extends the tree.
    fn encode(&mut self, batch: &Batch) -> Result<Encoded, Broken> {
        let mut entries = Vec::with_capacity(batch.transactions.len() + 1);
        let mut size = 0;
        for pending in &batch.transactions {
            let flags = std::mem::take(&mut self.flags);
            let bytes = self.encode_one(
                pending.seqno,
                flags,
                Digest(pending.claims),
                &write_set(&pending.writes),
            )?;
            size += bytes.bytes.len() as u64;
            entries.push(bytes.bytes);
            self.install_secret(pending)?;
        }
        // While a recovery is in progress the private tables are not there; when the service opens they are.
        let whole =
            !self.parts.files.is_recovering() || batch.transactions.iter().any(opens_service);
        let snapshot = whole && self.snapshotter.is_due(batch.signature);
        let ends_chunk = snapshot
            || self.parts.chunk_requested.swap(false, Ordering::AcqRel)
            || self.parts.files.chunk_is_due(size);
        let set = self.sign(batch)?;
        let flags = if ends_chunk { FLAG_CHUNK_AFTER } else { 0 };
        let signature = self.encode_one(batch.signature, flags, Digest::ZERO, &set)?;
        entries.push(signature.bytes);
        Ok(Encoded {
            entries,
            signature: writes(&set),
            root: self.parts.tree.root(),
            leaf: signature.leaf,
            ends_chunk,
            snapshot,
        })
    }

    fn encode_one<B: AsRef<[u8]> + Ord>(
        &mut self,
        seqno: Seqno,
        flags: u8,
        claims: Digest,
        set: &WriteSet<B>,
    ) -> Result<ledger::Encoded, Broken> {
        let secret = self
            .parts
            .history
            .secret_at(seqno)
            .ok_or_else(|| Broken(format!("no ledger secret at {seqno}")))?;
        let id = ledger::TxId::new(self.parts.views.current().0, seqno.0);
        let encoded = encode(id, flags, claims, set, &secret).map_err(broken)?;
        self.parts.tree.append(encoded.leaf);
        Ok(encoded)
    }

    fn sign(&self, batch: &Batch) -> Result<WriteSet, Broken> {
        let node = self.parts.node_key.id();
        let certificate = batch
            .state
            .value(NODES_CERTIFICATES, node.as_bytes())
            .and_then(|pem| std::str::from_utf8(pem).ok())
            .ok_or_else(|| Broken("the node has no endorsed certificate".to_owned()))?;
        let (issuer, subject) = &self.parts.cose_claims;
        signature_write_set(&SignatureInputs {
            id: ledger::TxId::new(self.parts.views.current().0, batch.signature.0),
            tree: &self.parts.tree,
            tree_from: ledger::Seqno(self.committed.0),
            node_key: self.parts.node_key.as_ref(),
            node_certificate: certificate,
            service_key: self.parts.service_key.as_ref(),
            issuer,
            subject,
            issued_at: (self.parts.clock)().as_secs(),
        })
        .map_err(broken)
    }

    /// A rekey writes the new secret encrypted to this node; it covers what comes behind.
    fn install_secret(&self, pending: &Pending) -> Result<(), Broken> {
        let row = pending
            .writes
            .get(ENCRYPTED_SECRETS_MAP)
            .and_then(|rows| rows.get(SINGLE_KEY.as_slice())?.as_ref());
        let Some(row) = row else { return Ok(()) };
        let row: EncryptedSecretsRow = serde_json::from_slice(row).map_err(broken)?;
        let mine = row.0.get(&self.parts.node_key.id()).into_iter().flatten();
        for secret in mine.filter(|secret| secret.version.is_none()) {
            let secret = secret.open(&self.parts.encryption_key).map_err(broken)?;
            self.parts
                .history
                .add_secret(Seqno(pending.seqno.0 + 1), Arc::new(secret));
        }
        Ok(())
    }

    /// Writes until it succeeds. After the first failure nobody is kept waiting: whether the
    /// transactions survive is open, which is what the callers are told.
    fn write(&mut self, batch: &mut Batch, encoded: &Encoded) -> Result<(), Broken> {
        let first = ledger::Seqno(batch.signature.0 + 1 - encoded.entries.len() as u64);
        let mut failed = false;
        loop {
            match self.parts.files.append(first, &encoded.entries) {
                Ok(places) => {
                    self.parts.history.extend(places);
                    return Ok(());
                }
                Err(error) => {
                    tracing::error!(%error, "the ledger cannot be written; trying again");
                    if !failed {
                        answer(&mut batch.transactions, Err(CommitError::Unavailable));
                        failed = true;
                    }
                    self.pause()?;
                }
            }
        }
    }

    fn retry(
        &mut self,
        what: &str,
        mut act: impl FnMut(&mut PipelineParts) -> std::io::Result<()>,
    ) -> Result<(), Broken> {
        while let Err(error) = act(&mut self.parts) {
            tracing::error!(%error, "{what} failed; trying again");
            self.pause()?;
        }
        Ok(())
    }

    fn pause(&self) -> Result<(), Broken> {
        if self.parts.store.is_closed() {
            return Err(Broken(
                "stopped while the ledger could not be written".to_owned(),
            ));
        }
        thread::sleep(RETRY_PAUSE);
        Ok(())
    }
}

/// Whether the transaction opens the service.
fn opens_service(pending: &Pending) -> bool {
    pending
        .writes
        .get(SERVICE_INFO)
        .and_then(|rows| rows.get(SINGLE_KEY.as_slice())?.as_ref())
        .is_some_and(|row| says_open(row))
}

fn answer(transactions: &mut [Pending], result: Result<(), CommitError>) {
    for done in transactions
        .iter_mut()
        .filter_map(|pending| pending.done.take())
    {
        // Whoever asked may have gone away.
        let _ = done.send(result);
    }
}

fn write_set(writes: &Writes) -> WriteSet<Bytes> {
    let mut set = WriteSet::new();
    for (table, changes) in writes {
        set.extend_map(
            table,
            changes
                .iter()
                .map(|(key, value)| (Arc::clone(key), value.clone())),
        );
    }
    set
}

fn writes(set: &WriteSet) -> Writes {
    set.maps()
        .map(|(table, changes)| {
            let changes = changes.iter().map(|(key, value)| {
                (
                    Bytes::from(key.as_slice()),
                    value.as_ref().map(|value| Bytes::from(value.as_slice())),
                )
            });
            (Arc::from(table), changes.collect())
        })
        .collect()
}

#[allow(clippy::needless_pass_by_value, reason = "used as an error mapper")]
fn broken(error: impl ToString) -> Broken {
    Broken(error.to_string())
}
