//! A recovered service between its first transaction and its opening.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::{io, time::Duration};

use ccf_rs::{Seqno, TxId};
use ledger::{
    Digest, ENCRYPTED_SECRETS_MAP, EncryptedNodeSecret, EncryptedSecretsRow, HistoricalSecretRow,
    LedgerSecret, LedgerSecrets, RsaPrivateKey, SINGLE_KEY,
};

use super::core::Core;
use super::endorser::endorser;
use super::launch::{Base, Prepared, new_secret, since_epoch};
use super::node::StartError;
use crate::gov::{self, NodeServices, Restoring};
use crate::pipeline::{Files, History, Ledger, Views};
use crate::recovery::{
    LedgerSource, PrivateRecovery, Progress, PublicLedger, SealedSecrets, all_secrets,
};
use crate::store::{Access, CommitError, State, Transaction, Writes};

/// How far the recovery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The public tables are served; members decide and submit shares.
    Public,
    /// There are enough shares; the ledger is read once more.
    ReadingPrivate,
    /// The service is open.
    Done,
}

/// What is known of the earlier service while the recovered one waits for its shares.
pub(super) struct Recovering {
    phase: Mutex<Phase>,
    progress: Progress,
    last: TxId,
    created: TxId,
    signed_root: Digest,
    /// Position of the snapshot that the ledger was read from; 0 without.
    startup: Seqno,
    private: PrivateRecovery,
    /// Rows that describe ledger secrets, with their positions, oldest first.
    secret_rows: Vec<(ledger::Seqno, Vec<u8>)>,
    /// Of the recovered service.
    secret: Arc<LedgerSecret>,
    /// What an earlier node of this machine has sealed.
    sealed: Option<SealedSecrets>,
    node_id: String,
    encryption_key: Arc<RsaPrivateKey>,
    /// Rows of secrets that were committed.
    restored: Mutex<Option<Sender<Vec<u8>>>>,
    to_restore: Mutex<Option<Receiver<Vec<u8>>>>,
}

impl Recovering {
    /// The ledger that the recovered service goes on from, and what its opening needs to know.
    pub(super) fn begin(
        source: &LedgerSource,
        mut public: PublicLedger,
        prepared: &Prepared,
        sealed: Option<SealedSecrets>,
    ) -> Result<(Base, Arc<Self>), StartError> {
        let settings = prepared.settings();
        let last = TxId::new(public.last.view.0, public.last.seqno.0);
        let views = Views::after_recovery(&public.views, last);
        let created = TxId {
            view: views.current(),
            seqno: Seqno(last.seqno.0 + 1),
        };
        let history = Arc::new(History::default());
        let secret = new_secret()?;
        history.add_secret(created.seqno, Arc::clone(&secret));
        history.endorse_with(endorser(
            public.identities.clone(),
            Arc::clone(prepared.service_key()),
            prepared.service_validity(),
        ));
        let private = public.hand_over(&history);
        let startup = public.snapshot.as_ref().map_or(0, |s| s.id.seqno.0);
        let root = public.tree.root();
        let (restored, to_restore) = channel();
        let recovering = Self {
            phase: Mutex::new(Phase::Public),
            progress: Progress::default(),
            last,
            created,
            signed_root: public.signed_root,
            startup: Seqno(startup),
            private,
            secret_rows: public.secret_rows,
            secret,
            sealed,
            node_id: prepared.node_id(),
            encryption_key: Arc::clone(prepared.encryption_key()),
            restored: Mutex::new(Some(restored)),
            to_restore: Mutex::new(Some(to_restore)),
        };
        let disk = Arc::clone(&source.disk);
        let base = Base {
            state: public.state,
            root: root.0,
            tree: public.tree,
            views,
            history,
            files: Files::recovering(disk, &settings.ledger_directory, settings.ledger_chunk_size),
            cose_claims: public.cose_claims,
        };
        Ok((base, Arc::new(recovering)))
    }

    /// Position of the snapshot that the ledger was read from; 0 without.
    pub(super) const fn startup(&self) -> Seqno {
        self.startup
    }

    /// The first transaction of the recovered service.
    pub(super) const fn created(&self) -> TxId {
        self.created
    }

    /// The root that the earlier service's last signature signs.
    pub(super) const fn signed_root(&self) -> &Digest {
        &self.signed_root
    }

    /// The node's state (CCF interface, section 7.2), and while the ledger is read target and reached position. `open` says
    /// that the opening is committed, which the restoring thread may not have noticed yet.
    pub(super) fn state(&self, open: bool) -> (&'static str, Option<(Seqno, Seqno)>) {
        let progress = Some((self.last.seqno, self.progress.reached()));
        match self.phase() {
            Phase::Public => ("PartOfPublicNetwork", None),
            Phase::ReadingPrivate if !open => ("ReadingPrivateLedger", progress),
            Phase::ReadingPrivate | Phase::Done => ("PartOfNetwork", None),
        }
    }

    /// Whether the private tables are not there yet.
    pub(super) fn is_public_only(&self) -> bool {
        self.phase() == Phase::Public
    }

    /// Tells the restoring thread of ledger secrets that were committed.
    pub(super) fn watch(&self) -> impl Fn(&Writes) + Send + use<> {
        let restored = lock(&self.restored).take();
        move |writes| {
            let row = writes
                .get(ENCRYPTED_SECRETS_MAP)
                .and_then(|rows| rows.get(SINGLE_KEY.as_slice())?.as_ref());
            if let (Some(row), Some(restored)) = (row, &restored) {
                // Once the service is open nobody listens: a rekey is not a recovery.
                let _ = restored.send(row.to_vec());
            }
        }
    }

    /// Ends the reading of the private tables, if it is under way.
    pub(super) fn stop(&self) {
        self.progress.stop();
    }

    /// Starts the thread that restores the private tables. It ends with the pipeline, or when it is done.
    /// Past writes to the tables `indexed` can be found from then on.
    pub(super) fn spawn(
        self: Arc<Self>,
        core: &Arc<Core>,
        chain: &Arc<Ledger>,
        indexed: Vec<&'static str>,
    ) -> io::Result<JoinHandle<()>> {
        let (core, chain) = (Arc::clone(core), Arc::clone(chain));
        thread::Builder::new()
            .name("recovery".to_owned())
            .spawn(move || {
                let rows = lock(&self.to_restore).take();
                for row in rows.into_iter().flatten() {
                    if self.attempt(&row, &core, &chain, &indexed) {
                        break;
                    }
                }
            })
    }

    /// Restores from one row of secrets. True when there is nothing more to do.
    fn attempt(&self, row: &[u8], core: &Arc<Core>, chain: &Arc<Ledger>, indexed: &[&str]) -> bool {
        self.set_phase(Phase::ReadingPrivate);
        match self.restore_and_open(row, core, chain, indexed) {
            Ok(()) => {
                self.set_phase(Phase::Done);
                tracing::info!("the service is recovered");
                true
            }
            Err(error) => {
                tracing::error!(%error, "the private tables cannot be recovered");
                self.set_phase(Phase::Public);
                core.store.is_closed()
            }
        }
    }

    fn restore_and_open(
        &self,
        row: &[u8],
        core: &Arc<Core>,
        chain: &Arc<Ledger>,
        indexed: &[&str],
    ) -> Result<(), String> {
        let secrets = self.open_secrets(row)?;
        let newest = secrets.latest().ok_or("no ledger secret was recovered")?;
        let private = self.private.run(&secrets, &self.progress);
        let state: State = private.map_err(|e| e.to_string())?;
        core.store.adopt(&state);
        for (from, secret) in secrets.iter() {
            core.history.add_secret(Seqno(from.0), Arc::clone(secret));
        }
        // Not before: what stands in front of a snapshot is believed only as far as the secrets open it.
        core.history
            .index_keys(indexed, &core.store)
            .map_err(|e| e.to_string())?;
        self.open(core, chain, (newest.0, newest.1.as_ref()))
    }

    /// The secrets of a row that are encrypted to this node.
    fn open_secrets(&self, row: &[u8]) -> Result<LedgerSecrets, String> {
        let row: EncryptedSecretsRow = serde_json::from_slice(row).map_err(|e| e.to_string())?;
        let mut secrets = LedgerSecrets::new();
        for sealed in row.0.get(&self.node_id).into_iter().flatten() {
            let secret = sealed
                .open(&self.encryption_key)
                .map_err(|e| e.to_string())?;
            let from = sealed.version.ok_or("a secret without position")?;
            secrets.insert(from, Arc::new(secret));
        }
        Ok(secrets)
    }

    /// Opens the service, now that its private tables are there.
    fn open(
        &self,
        core: &Arc<Core>,
        chain: &Arc<Ledger>,
        before: (ledger::Seqno, &LedgerSecret),
    ) -> Result<(), String> {
        loop {
            let mut transaction = Transaction::new(
                core.store.newest(),
                None,
                Arc::clone(chain) as _,
                Access::Framework,
                since_epoch(),
            );
            gov::open_recovered(&mut transaction, core.as_ref() as &dyn NodeServices, before)
                .map_err(|e| e.to_string())??;
            match core.store.append(transaction) {
                Ok(appended) => {
                    let durable = appended.durable.blocking_recv();
                    return durable
                        .map_err(|_| CommitError::Stopping)
                        .and_then(|result| result)
                        .map_err(|e| e.to_string());
                }
                Err(CommitError::Conflict) => thread::sleep(Duration::from_millis(1)),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn phase(&self) -> Phase {
        *lock(&self.phase)
    }

    fn set_phase(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }
}

impl Recovering {
    /// First position covered by the newest ledger secret of the earlier service, as its rows say.
    fn newest_from(&self) -> ledger::Seqno {
        let row = self.secret_rows.last().and_then(|(seqno, row)| {
            let row = HistoricalSecretRow::from_json(*seqno, row).ok()?;
            Some(row.covers_from(*seqno))
        });
        row.unwrap_or(ledger::Seqno(1))
    }
}

impl Restoring for Recovering {
    fn secret(&self) -> Arc<LedgerSecret> {
        Arc::clone(&self.secret)
    }

    fn restore(&self, newest: LedgerSecret) -> Result<EncryptedSecretsRow, String> {
        let rows = &self.secret_rows;
        let secrets = all_secrets(Arc::new(newest), rows).map_err(|e| e.to_string())?;
        let described_at = |from| {
            rows.iter().rev().find_map(|(seqno, row)| {
                let row = HistoricalSecretRow::from_json(*seqno, row).ok()?;
                (row.covers_from(*seqno) == from).then_some(*seqno)
            })
        };
        let key = self.encryption_key.public_key();
        let sealed = secrets.iter().map(|(from, secret)| {
            EncryptedNodeSecret::seal(secret, Some(from), described_at(from), &key)
        });
        let sealed = sealed
            .collect::<Result<_, _>>()
            .map_err(|e| e.to_string())?;
        let secrets = [(self.node_id.clone(), sealed)].into();
        Ok(EncryptedSecretsRow(secrets))
    }

    fn sealed(&self) -> Result<Option<EncryptedSecretsRow>, String> {
        let Some(sealed) = &self.sealed else {
            return Ok(None);
        };
        let want = self.newest_from();
        match sealed.newest(self.last.seqno) {
            Ok(Some((from, secret))) if from.0 == want.0 => self.restore(secret).map(Some),
            Ok(found) => {
                let from = found.map(|(from, _)| from.0);
                tracing::warn!(?from, %want, "no sealed secret fits the ledger: shares are needed");
                Ok(None)
            }
            Err(error) => {
                tracing::warn!(%error, "sealed secrets cannot be read: shares are needed");
                Ok(None)
            }
        }
    }
}

/// Nothing between lock and unlock leaves what it guards half changed.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
