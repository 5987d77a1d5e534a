//! Snapshots of the tables, taken beside the commit thread (ledger format, section 13).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ccf_rs::{Seqno, WriteHost as _};
use ledger::{
    Digest, SINGLE_KEY, SNAPSHOT_EVIDENCE_MAP, SnapshotMap, SnapshotPoint, canonical,
    encode_snapshot,
};
use serde_json::json;

use super::history::{History, Ledger};
use super::views::Views;
use crate::store::{Access, State, Store, Transaction};

/// Where snapshots go, and when one is taken.
#[derive(Clone, Debug)]
pub struct Snapshots {
    /// The directory.
    pub directory: PathBuf,
    /// Transactions after which one is due.
    pub every: u64,
    /// Set to take one at the next signature.
    pub requested: Arc<AtomicBool>,
}

/// The commit thread's side.
pub(super) struct Snapshotter {
    settings: Snapshots,
    last: Seqno,
    /// The one being taken; it says how long it took.
    running: Option<JoinHandle<Duration>>,
    /// When the next may begin that nobody asked for.
    rested: Option<Instant>,
    busy: Arc<Busy>,
}

/// Whether one is due or being taken, for whoever is about to stop: its evidence has to be signed before.
#[derive(Default)]
pub(super) struct Busy {
    taking: Mutex<bool>,
    ended: Condvar,
}

impl Busy {
    fn set(&self, taking: bool) {
        *self.taking.lock().unwrap_or_else(PoisonError::into_inner) = taking;
        self.ended.notify_all();
    }

    /// Waits until none is, for so long at most. Whether none is.
    pub(super) fn wait(&self, patience: Duration) -> bool {
        let taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let (taking, _) = self
            .ended
            .wait_timeout_while(taking, patience, |taking| *taking)
            .unwrap_or_else(PoisonError::into_inner);
        !*taking
    }
}

/// Ends what is under way when it is dropped, by a panic too.
struct Taking(Arc<Busy>);

impl Drop for Taking {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// What a snapshot is made of. The state is shared, not copied.
pub(super) struct Job {
    pub(super) state: Arc<State>,
    pub(super) leaf: Digest,
    pub(super) views: Views,
    pub(super) store: Arc<Store>,
    pub(super) history: Arc<History>,
    pub(super) now: Duration,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Ledger(String),
    #[error("{path}: {error}", path = .path.display())]
    File { path: PathBuf, error: io::Error },
}

impl Snapshotter {
    /// The ledger ends at `last` now.
    pub(super) fn new(settings: Snapshots, last: Seqno) -> Self {
        Self {
            settings,
            last,
            running: None,
            rested: None,
            busy: Arc::default(),
        }
    }

    /// Tells when one ends.
    pub(super) fn busy(&self) -> Arc<Busy> {
        Arc::clone(&self.busy)
    }

    /// Whether one is to be taken at this signature. Never two at a time: a request waits. And one that takes long makes the next
    /// wait, unless it is asked for, so that a large service under load does not write snapshots all the time.
    pub(super) fn is_due(&mut self, signature: Seqno) -> bool {
        if self.running.as_ref().is_some_and(|job| !job.is_finished()) {
            return false;
        }
        if let Some(took) = self.finish() {
            self.rested = Instant::now().checked_add(rest(took));
        }
        let due = self.settings.requested.swap(false, Ordering::AcqRel)
            || (signature.0 - self.last.0 >= self.settings.every
                && self.rested.is_none_or(|rested| rested <= Instant::now()));
        if due {
            self.last = signature;
            self.busy.set(true);
        }
        due
    }

    /// Takes one, on a thread of its own.
    pub(super) fn take(&mut self, job: Job) {
        let directory = self.settings.directory.clone();
        let taking = Taking(Arc::clone(&self.busy));
        let spawned = thread::Builder::new()
            .name("snapshot".to_owned())
            .spawn(move || {
                let _taking = taking;
                yield_to_requests();
                let begin = Instant::now();
                let at = job.state.seqno();
                match job.run(&directory) {
                    Ok(Some(file)) => tracing::info!(file = %file.display(), "snapshot written"),
                    Ok(None) => tracing::warn!(%at, "no snapshot: the node stops"),
                    Err(error) => tracing::error!(%error, %at, "no snapshot"),
                }
                begin.elapsed()
            });
        match spawned {
            Ok(handle) => self.running = Some(handle),
            Err(error) => tracing::error!(%error, "no thread for a snapshot"),
        }
    }

    /// Waits for the one being taken, if there is one, and says how long it took.
    pub(super) fn finish(&mut self) -> Option<Duration> {
        let took = self.running.take()?.join();
        if took.is_err() {
            tracing::error!("a snapshot's thread panicked");
        }
        took.ok()
    }
}

/// How long nobody's snapshot is begun after one that took so long: a fifth of the time goes into them at most. Those of small services
/// are never held up.
fn rest(took: Duration) -> Duration {
    took.saturating_sub(UNNOTICED) * 4
}

/// What a snapshot may take without a rest.
const UNNOTICED: Duration = Duration::from_millis(200);

impl Job {
    /// The file written; none when the node stops before the evidence is in the ledger.
    fn run(&self, directory: &Path) -> Result<Option<PathBuf>, Failed> {
        let bytes = self.encode()?;
        let Some(evidence) = self.commit_evidence(Digest::of(&bytes))? else {
            return Ok(None);
        };
        let receipt = self.history.receipt(evidence).map_err(ledger)?;
        let receipt = canonical(&receipt).map_err(ledger)?;
        let name = format!("snapshot_{}_{evidence}", self.state.seqno());
        let file = directory.join(&name);
        let committed = directory.join(format!("{name}{COMMITTED}"));
        write(directory, &file, &committed, &[&bytes, &receipt])
            .map_err(|error| Failed::File { path: file, error })?;
        Ok(Some(committed))
    }

    fn encode(&self) -> Result<Vec<u8>, Failed> {
        let seqno = self.state.seqno();
        let secret = self
            .history
            .secret_at(seqno)
            .ok_or_else(|| ledger(format!("no ledger secret at {seqno}")))?;
        let maps = self.state.tables().map(|(name, version)| SnapshotMap {
            name,
            version: ledger::Seqno(version.0),
            rows: self
                .state
                .versioned_rows(name)
                .map(|(key, value, version)| (&**key, &**value, ledger::Seqno(version.0)))
                .collect(),
        });
        let firsts = self.views.firsts().iter();
        let view_history: Vec<_> = firsts.map(|first| ledger::Seqno(first.0)).collect();
        let point = SnapshotPoint {
            seqno: ledger::Seqno(seqno.0),
            leaf: self.leaf,
            view_history: &view_history,
        };
        encode_snapshot(point, maps.collect(), &secret).map_err(ledger)
    }

    /// Writes the digest to the ledger and waits until it is signed.
    fn commit_evidence(&self, digest: Digest) -> Result<Option<Seqno>, Failed> {
        let chain = Ledger::new(
            Arc::clone(&self.history),
            Arc::downgrade(&self.store),
            self.views.clone(),
        );
        let mut transaction = Transaction::new(
            self.store.newest(),
            None,
            Arc::new(chain),
            Access::Framework,
            self.now,
        );
        let row = json!({ "hash": digest.to_string(), "version": self.state.seqno().0 });
        let row = canonical(&row).map_err(ledger)?;
        transaction
            .put(SNAPSHOT_EVIDENCE_MAP, &SINGLE_KEY, &row)
            .map_err(ledger)?;
        transaction.set_claims_digest(digest.0).map_err(ledger)?;
        // The store refuses when the node stops; then there is nothing to be done about it.
        let Ok(appended) = self.store.append(transaction) else {
            return Ok(None);
        };
        match appended.durable.blocking_recv() {
            Ok(Ok(())) => Ok(Some(appended.seqno)),
            _ => Ok(None),
        }
    }
}

/// A snapshot is as large as the service's tables and nobody waits for it: requests go first where both want a processor.
fn yield_to_requests() {
    // On Linux this is of the calling thread alone; elsewhere a snapshot runs like everything else.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a snapshot's priority stays");
    }
}

/// About a tenth of a processor that is wanted all the time.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

const COMMITTED: &str = ".committed";

/// A name with the suffix is complete on disk.
fn write(directory: &Path, file: &Path, committed: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut out = File::create(file)?;
    for part in parts {
        out.write_all(part)?;
    }
    out.sync_all()?;
    fs::rename(file, committed)?;
    File::open(directory)?.sync_all()
}

#[allow(clippy::needless_pass_by_value, reason = "used as an error mapper")]
fn ledger(error: impl ToString) -> Failed {
    Failed::Ledger(error.to_string())
}

/// Names of the committed snapshots in a directory, oldest first.
pub fn committed_snapshots(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<(u64, String)> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| Some((committed_snapshot(&name)?, name)))
        .collect();
    found.sort();
    found.into_iter().map(|(_, name)| name).collect()
}

/// Position of the snapshot that a file of this name is; `None` for every other file.
pub fn committed_snapshot(name: &str) -> Option<u64> {
    let stem = name.strip_prefix("snapshot_")?.strip_suffix(COMMITTED)?;
    let (at, evidence) = stem.split_once('_')?;
    evidence.parse::<u64>().ok()?;
    at.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_took_long_makes_the_next_wait_unless_it_is_asked_for() {
        let requested = Arc::new(AtomicBool::new(false));
        let settings = Snapshots {
            directory: PathBuf::new(),
            every: 10,
            requested: Arc::clone(&requested),
        };
        let mut snapshotter = Snapshotter::new(settings, Seqno(5));
        assert!(!snapshotter.is_due(Seqno(14)));
        assert!(snapshotter.is_due(Seqno(15)));
        let took = |snapshotter: &mut Snapshotter, took| {
            snapshotter.running = Some(thread::spawn(move || took));
            while snapshotter
                .running
                .as_ref()
                .is_some_and(|job| !job.is_finished())
            {
                thread::yield_now();
            }
        };
        took(&mut snapshotter, UNNOTICED);
        assert!(snapshotter.is_due(Seqno(25)));
        took(&mut snapshotter, Duration::from_secs(3600));
        assert!(!snapshotter.is_due(Seqno(35)));
        assert!(!snapshotter.is_due(Seqno(1_000_000)));
        requested.store(true, Ordering::Release);
        assert!(snapshotter.is_due(Seqno(36)));
        // It counts from the one that was asked for.
        snapshotter.rested = None;
        assert!(!snapshotter.is_due(Seqno(45)));
        assert!(snapshotter.is_due(Seqno(46)));
        assert_eq!(
            rest(UNNOTICED + Duration::from_secs(1)),
            Duration::from_secs(4)
        );
    }
}
