//! A running node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle as Thread;

use ccf_rs::{Application, Seqno};
use ledger::PublicKey;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::core::Core;
use super::genesis::{GenesisError, GenesisInputs, genesis};
use super::launch::{Base, Launch, Prepared, joined, machine, new_secret};
use super::node_rows::put_node;
use super::restore::Recovering;
use super::sealer::sealed_secrets;
use super::settings::{NewService, Recovery, Settings, SettingsError};
use crate::identity::{CertificateError, KeyError, subject_of};
use crate::pipeline::{Files, FilesError, History, Pipeline, RealDisk, Views};
use crate::recovery::{
    CreateInputs, LedgerSource, PublicLedger, RecoveryError, SealingError, create,
};
use crate::server::{ServerError, TlsError};
use crate::store::{CommitError, State};

/// A node that serves. Dropping it stops it abruptly; [`Node::stop`] lets requests end.
pub struct Node {
    pub(super) core: Arc<Core>,
    pub(super) pipeline: Pipeline,
    pub(super) addresses: Vec<(String, SocketAddr)>,
    pub(super) servers: Vec<JoinHandle<Result<(), ServerError>>>,
    pub(super) stop: watch::Sender<bool>,
    /// Restores the private tables of a recovered service. Ends with the pipeline.
    pub(super) restorer: Option<Thread<()>>,
}

/// Where a node is reached, and what tells that it is the one.
#[derive(Clone, Debug)]
pub struct Reached {
    /// Interfaces and the addresses they bound.
    pub addresses: Vec<(String, SocketAddr)>,
    /// The certificate of the service at its start, PEM.
    pub service_certificate: String,
    /// The node's certificate as it signed it itself, PEM.
    pub self_signed_certificate: String,
}

/// A node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The ledger directory.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// An interface.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The first transaction.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The first transaction could not be committed.
    #[error("the first transaction: {0}")]
    Commit(#[from] CommitError),
    /// It was told to stop before it had read the ledger.
    #[error("stopped while the ledger was read; nothing was changed")]
    Stopped,
    /// The ledger of the service to be recovered.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// Sealed ledger secrets.
    #[error(
        "sealing ledger secrets: {0} (embedded_node.development_sealing takes the key from a file, which protects nothing)"
    )]
    Sealing(#[from] SealingError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The machine.
    #[error("{what}: {reason}")]
    Machine {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        reason: String,
    },
}

impl Node {
    /// Starts a new service with this application and waits until its first transaction is on
    /// disk and its interfaces serve. Must be called on a Tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]. The ledger directory may hold a first chunk then.
    pub async fn start(
        settings: Settings,
        service: NewService,
        application: Application,
    ) -> Result<Self, StartError> {
        settings.check()?;
        service.check()?;
        settings.sealing()?;
        let disk = Arc::new(RealDisk);
        let files = Files::create(disk, &settings.ledger_directory, settings.ledger_chunk_size)?;
        let prepared = Prepared::new(settings, &service.subject, service.validity_days).await?;
        let history = Arc::new(History::default());
        history.add_secret(Seqno(1), new_secret()?);
        let base = Base {
            state: State::default(),
            root: [0; 32],
            tree: ledger::MerkleTree::new(),
            views: Views::of_new_service(),
            history,
            files,
            cose_claims: service.cose_claims.clone(),
        };
        let launch = Launch::begin(prepared, base, None)?;
        let mut first = launch.transaction();
        let rows = launch.node_rows()?;
        let inputs = GenesisInputs {
            service: &service,
            service_data: launch.settings().service_data.as_ref(),
            service_certificate: launch.service_certificate(),
            node: &rows.inputs(launch.settings()),
        };
        genesis(&inputs, &mut first)?;
        launch.commit(first).await?;
        launch.serve(application, None)
    }

    /// Recovers a service from its ledger and serves it to its members, who then open it: first the public tables, and once
    /// they have submitted enough recovery shares the private ones. Must be called on a Tokio runtime.
    ///
    /// The interfaces are served from the start: while the ledger is read the node answers how it is. `listening` is called
    /// once they are. When `stop` ends before the ledger is read, so does this; a thread that reads may outlive it, and changes nothing.
    ///
    /// # Errors
    /// [`StartError`]. Nothing is changed in the ledger's directory when the ledger cannot be used, or is not read to its end.
    pub async fn recover(
        settings: Settings,
        recovery: Recovery,
        application: Application,
        listening: impl FnOnce(&Reached),
        stop: impl Future<Output = ()>,
    ) -> Result<Self, StartError> {
        settings.check()?;
        settings.sealing()?;
        let sealed = recovery
            .previous_sealing_directory
            .map(|directory| sealed_secrets(directory, settings.development_sealing))
            .transpose()?;
        let identity = PublicKey::of_certificate(&recovery.previous_identity)
            .map_err(|e| machine("the previous service identity", e))?;
        let source = LedgerSource {
            disk: Arc::new(RealDisk),
            directory: settings.ledger_directory.clone(),
            read_only: settings.read_only_ledger_directories.clone(),
            snapshots: std::iter::once(&settings.snapshot_directory)
                .chain(&settings.read_only_snapshot_directory)
                .cloned()
                .collect(),
            checkpoints: recovery.checkpoints.clone(),
        };
        let subject = subject_of(&recovery.previous_identity)?;
        let mut prepared = Prepared::new(settings, &subject, recovery.validity_days).await?;
        prepared.serve_while_reading();
        listening(&prepared.reached());
        let reading = tokio::task::spawn_blocking({
            let source = source.clone();
            move || PublicLedger::read(&source, &identity)
        });
        let mut public = tokio::select! {
            read = joined("reading the ledger", reading) => read??,
            () = stop => return Err(StartError::Stopped),
        };
        let rollbacks = std::mem::take(&mut public.rollbacks);
        if !rollbacks.is_empty() && recovery.accept_rollback.is_none() {
            return Err(RecoveryError::RolledBack { rollbacks }.into());
        }
        public.settle()?;
        let (base, recovering) = Recovering::begin(&source, public, &prepared, sealed)?;
        let created = recovering.created();
        let launch = Launch::begin(prepared, base, Some(&recovering))?;
        let mut first = launch.transaction();
        let inputs = CreateInputs {
            id: created,
            service_certificate: launch.service_certificate(),
            last_signed_root: recovering.signed_root(),
            rollback: recovery
                .accept_rollback
                .as_deref()
                .filter(|_| !rollbacks.is_empty())
                .map(|reason| (rollbacks.as_slice(), reason)),
            service_data: launch.settings().service_data.as_ref(),
        };
        create(&inputs, &mut first)?;
        let rows = launch.node_rows()?;
        put_node(&rows.inputs(launch.settings()), &mut first)?;
        launch.commit(first).await?;
        launch.serve(application, Some(recovering))
    }

    /// Where it is reached.
    pub fn reached(&self) -> Reached {
        Reached {
            addresses: self.addresses.clone(),
            service_certificate: self.core.service_certificate.clone(),
            self_signed_certificate: self.core.certificates.self_signed().as_str().to_owned(),
        }
    }

    /// Address bound by an interface.
    pub fn address(&self, interface: &str) -> Option<SocketAddr> {
        self.addresses
            .iter()
            .find(|(name, _)| name == interface)
            .map(|(_, address)| *address)
    }

    /// Interfaces and the addresses they bound.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// The certificate of the service at its start, PEM.
    pub fn service_certificate(&self) -> &str {
        &self.core.service_certificate
    }

    /// Stops serving, gives open requests a bounded time, and finishes the ledger.
    pub async fn stop(mut self) {
        self.core.stopping.store(true, Ordering::Relaxed);
        let _ = self.stop.send(true);
        for server in self.servers.drain(..) {
            match server.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "an interface failed"),
                Err(error) => tracing::error!(%error, "an interface failed"),
            }
        }
        if let Some(recovering) = self.core.recovering() {
            recovering.stop();
        }
        let mut pipeline = self.pipeline;
        if tokio::task::spawn_blocking(move || pipeline.stop())
            .await
            .is_err()
        {
            tracing::error!("the commit thread could not be stopped");
        }
        if let Some(restorer) = self.restorer.take()
            && restorer.join().is_err()
        {
            tracing::error!("the thread that restores private tables panicked");
        }
    }
}
