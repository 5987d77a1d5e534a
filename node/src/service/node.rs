//! A running node.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use ccf_rs::{Application, Router, Seqno, View};
use ledger::{Digest, LedgerSecret, RsaPrivateKey};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::core::Core;
use super::genesis::{GenesisError, GenesisInputs, genesis};
use super::settings::{Settings, SettingsError};
use crate::auth::Policies;
use crate::endpoints::{node_endpoints, with_common};
use crate::frontend::{Dispatcher, Frontend, Parts, app_is_open, gov_is_open, node_is_open};
use crate::gov::{self, NodeServices};
use crate::identity::{
    CertificateError, IdentityKey, KeyError, Subject, Validity, endorse_node, self_signed_node,
    self_signed_service, signing_request,
};
use crate::pipeline::{Files, FilesError, History, Ledger, Pipeline, PipelineParts, Snapshots};
use crate::server::{Server, ServerCertificate, ServerError, TlsError};
use crate::store::{Access, CommitError, State, Store, Transaction, Writes};

/// The view of a new service.
pub(super) const FIRST_VIEW: View = View(2);

/// How long a write may wait for the disk.
const COMMIT_PATIENCE: Duration = Duration::from_secs(10);

const NODES_CERTIFICATES: &str = "public:ccf.gov.nodes.endorsed_certificates";

/// A node that serves. Dropping it stops it abruptly; [`Node::stop`] lets requests end.
pub struct Node {
    core: Arc<Core>,
    pipeline: Pipeline,
    addresses: Vec<(String, SocketAddr)>,
    servers: Vec<JoinHandle<Result<(), ServerError>>>,
    stop: watch::Sender<bool>,
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
    pub async fn start(settings: Settings, application: Application) -> Result<Self, StartError> {
        settings.check()?;
        let encryption_key = tokio::task::spawn_blocking(RsaPrivateKey::generate);
        let program = tokio::task::spawn_blocking(program_digest);
        let files = Files::create(&settings.ledger_directory, settings.ledger_chunk_size)?;
        let (servers, addresses) = bind(&settings).await?;
        let settings = with_names(settings, &addresses);

        let service_key = Arc::new(IdentityKey::generate()?);
        let node_key = Arc::new(IdentityKey::generate()?);
        let now = OffsetDateTime::now_utc();
        let service_validity = Validity {
            from: now,
            days: settings.service_validity_days,
        };
        let node_validity = Validity {
            from: now,
            days: settings.node_validity_days,
        };
        let service_certificate =
            self_signed_service(&service_key, &settings.service_subject, service_validity)?;
        let subject = &settings.node_subject;
        let self_signed = self_signed_node(&node_key, subject, node_validity)?;
        let node_certificate = endorse_node(
            &node_key,
            subject,
            node_validity,
            &service_key,
            &settings.service_subject,
        )?;
        let certificate = Arc::new(ServerCertificate::new(&node_certificate, &node_key)?);

        let encryption_key = joined("generating the encryption key", encryption_key).await?;
        let encryption_key =
            encryption_key.map_err(|e| machine("generating the encryption key", e))?;
        let history = Arc::new(History::default());
        let secret = LedgerSecret::generate(&SystemRandom::new())
            .map_err(|e| machine("generating a secret", e))?;
        history.add_secret(Seqno(1), Arc::new(secret));
        let store = Arc::new(Store::new(State::default(), [0; 32]));
        let chain = Arc::new(Ledger::new(
            Arc::clone(&history),
            Arc::downgrade(&store),
            FIRST_VIEW,
        ));
        let encryption_public = encryption_key
            .public_key_pem()
            .map_err(|e| machine("the encryption key", e))?;
        let chunk_requested = Arc::new(AtomicBool::new(false));
        let snapshots = Snapshots {
            directory: settings.snapshot_directory.clone(),
            every: settings.snapshot_tx_count,
            requested: Arc::default(),
        };
        std::fs::create_dir_all(&snapshots.directory)
            .map_err(|e| machine("making the directory of snapshots", e))?;
        let pipeline = Pipeline::start(PipelineParts {
            store: Arc::clone(&store),
            files,
            history: Arc::clone(&history),
            view: FIRST_VIEW,
            service_key: Arc::clone(&service_key),
            node_key: Arc::clone(&node_key),
            encryption_key: Arc::new(encryption_key),
            cose_claims: settings.cose_claims.clone(),
            snapshots: snapshots.clone(),
            chunk_requested: Arc::clone(&chunk_requested),
            clock: Box::new(since_epoch),
            on_commit: Box::new(tls_follows_tables(
                Arc::clone(&certificate),
                Arc::clone(&node_key),
            )),
        })
        .map_err(|e| machine("starting the commit thread", e))?;

        let mut first = Transaction::new(
            store.newest(),
            None,
            Arc::clone(&chain) as _,
            Access::Framework,
            since_epoch(),
        );
        let published: Vec<_> = settings
            .interfaces
            .iter()
            .zip(&addresses)
            .map(|(interface, (_, bound))| {
                let bound = bound.to_string();
                (
                    bound.clone(),
                    interface.published_address.clone().unwrap_or(bound),
                )
            })
            .collect();
        let inputs = GenesisInputs {
            settings: &settings,
            service_certificate: &service_certificate,
            node_id: &node_key.id(),
            node_public_key: &node_key.public_key_pem(),
            node_request: &signing_request(&node_key, subject)?,
            node_certificate: &node_certificate,
            node_encryption_key: &encryption_public,
            addresses: &published,
            program: joined("reading the program", program).await?,
        };
        genesis(&inputs, &mut first)?;
        let appended = store.append(first)?;
        appended
            .durable
            .await
            .map_err(|_| CommitError::Stopping)??;

        let core = Arc::new(Core {
            store: Arc::clone(&store),
            history,
            service_key,
            node_key,
            service_subject: settings.service_subject.clone(),
            service_certificate,
            self_signed,
            sessions: addresses
                .iter()
                .map(|(name, _)| name.clone())
                .zip(servers.iter().map(Server::sessions))
                .collect(),
            chunk_requested,
            snapshots,
            stopping: AtomicBool::new(false),
        });
        let dispatcher = Arc::new(Dispatcher::new(Parts {
            store,
            chain,
            frontends: frontends(&core, application),
            authenticator: Box::new(Policies),
            clock: Box::new(since_epoch),
            commit_patience: COMMIT_PATIENCE,
        }));
        let (stop, stopped) = watch::channel(false);
        let servers = servers
            .into_iter()
            .map(|server| {
                tokio::spawn(server.serve(
                    Arc::clone(&certificate),
                    Arc::clone(&dispatcher),
                    stopped.clone(),
                ))
            })
            .collect();
        Ok(Self {
            core,
            pipeline,
            addresses,
            servers,
            stop,
        })
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

    /// The node's certificate as it signed it itself, PEM.
    pub fn self_signed_certificate(&self) -> &str {
        &self.core.self_signed
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
        let mut pipeline = self.pipeline;
        if tokio::task::spawn_blocking(move || pipeline.stop())
            .await
            .is_err()
        {
            tracing::error!("the commit thread could not be stopped");
        }
    }
}

/// The three frontends of a node.
fn frontends(core: &Arc<Core>, application: Application) -> Vec<Frontend> {
    let services = || Arc::clone(core) as Arc<dyn NodeServices>;
    let Application {
        title,
        version,
        endpoints,
    } = application;
    let frontend = |name, title, version, endpoints, access, is_open, blocking| Frontend {
        name,
        router: Router::new(with_common(
            services(),
            prefix(name),
            title,
            version,
            endpoints,
        )),
        access,
        is_open,
        blocking,
    };
    let ours = env!("CARGO_PKG_VERSION");
    vec![
        frontend(
            "app",
            title,
            version,
            endpoints,
            Access::Application,
            app_is_open as fn(&State) -> bool,
            false,
        ),
        frontend(
            "gov",
            "Governance",
            ours,
            gov::endpoints(services()),
            Access::Framework,
            gov_is_open,
            true,
        ),
        frontend(
            "node",
            "Node",
            ours,
            node_endpoints(services()),
            Access::Framework,
            node_is_open,
            false,
        ),
    ]
}

const fn prefix(name: &str) -> &'static str {
    match name.as_bytes() {
        b"gov" => "/gov",
        b"node" => "/node",
        _ => "/app",
    }
}

/// Presents a renewed node certificate once its row is committed.
fn tls_follows_tables(
    certificate: Arc<ServerCertificate>,
    key: Arc<IdentityKey>,
) -> impl Fn(&Writes) + Send {
    let id = key.id();
    move |writes| {
        let row = writes
            .get(NODES_CERTIFICATES)
            .and_then(|rows| rows.get(id.as_bytes())?.as_ref());
        let Some(pem) = row.and_then(|row| std::str::from_utf8(row).ok()) else {
            return;
        };
        if let Err(error) = certificate.replace(pem, &key) {
            tracing::error!(%error, "the renewed node certificate cannot be presented");
        }
    }
}

async fn bind(settings: &Settings) -> Result<(Vec<Server>, Vec<(String, SocketAddr)>), StartError> {
    let (mut servers, mut addresses) = (Vec::new(), Vec::new());
    for interface in &settings.interfaces {
        let server = Server::bind(&interface.bind_address, interface.limits)
            .await?
            .accepting(interface.accepted()?);
        let address = server
            .address()
            .map_err(|e| machine("the bound address", e))?;
        addresses.push((interface.name.clone(), address));
        servers.push(server);
    }
    Ok((servers, addresses))
}

/// Without configured names the node is named after the hosts of its interfaces.
fn with_names(mut settings: Settings, addresses: &[(String, SocketAddr)]) -> Settings {
    if !settings.node_subject.alternative_names.is_empty() {
        return settings;
    }
    let mut names: Vec<String> = settings
        .interfaces
        .iter()
        .zip(addresses)
        .map(|(interface, (_, bound))| {
            let published = interface
                .published_address
                .clone()
                .unwrap_or_else(|| bound.to_string());
            let host = published
                .rsplit_once(':')
                .map_or(published.as_str(), |(host, _)| host);
            let host = host.trim_matches(['[', ']']);
            let kind = if host.parse::<std::net::IpAddr>().is_ok() {
                "iPAddress"
            } else {
                "dNSName"
            };
            format!("{kind}:{host}")
        })
        .collect();
    names.sort();
    names.dedup();
    settings.node_subject = Subject {
        alternative_names: names,
        ..settings.node_subject
    };
    settings
}

/// Digest of the running program; of nothing where it cannot be read.
fn program_digest() -> Digest {
    let program = std::env::current_exe()
        .and_then(std::fs::read)
        .unwrap_or_default();
    Digest::of(&program)
}

fn since_epoch() -> Duration {
    // A clock before 1970 is as good as one that stands at 1970.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

async fn joined<T>(what: &'static str, task: JoinHandle<T>) -> Result<T, StartError> {
    task.await.map_err(|e| machine(what, io::Error::other(e)))
}

#[allow(clippy::needless_pass_by_value, reason = "used as an error mapper")]
fn machine(what: &'static str, reason: impl ToString) -> StartError {
    StartError::Machine {
        what,
        reason: reason.to_string(),
    }
}
