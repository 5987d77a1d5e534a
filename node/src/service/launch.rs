//! What starting and recovering a service have in common: keys and certificates, the pipeline, the interfaces.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use ccf_rs::Application;
use ledger::{Digest, LedgerSecret, MerkleTree, RsaPrivateKey};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::certificates::NodeCertificates;
use super::core::{Core, Stage};
use super::frontends::{bind, frontends, frontends_while_reading, with_names};
use super::node::{Node, Reached, StartError};
use super::node_rows::NodeInputs;
use super::restore::Recovering;
use super::sealer::sealer;
use super::settings::Settings;
use crate::auth::Policies;
use crate::frontend::{Dispatcher, Frontend, Parts};
use crate::identity::{IdentityKey, Validity, endorse_node, self_signed_service, signing_request};
use crate::pipeline::{Files, History, Ledger, Pipeline, PipelineParts, Snapshots, Views};
use crate::server::{Server, ServerCertificate, ServerError, Sessions};
use crate::store::{Access, CommitError, State, Store, Transaction};

/// How long a write may wait for the disk.
const COMMIT_PATIENCE: Duration = Duration::from_secs(10);

/// Keys, certificates and sockets: everything that does not depend on the ledger.
pub(super) struct Prepared {
    settings: Settings,
    servers: Vec<Server>,
    addresses: Vec<(String, SocketAddr)>,
    service_subject: String,
    service_validity: Validity,
    service_key: Arc<IdentityKey>,
    service_certificate: String,
    node_key: Arc<IdentityKey>,
    node_certificate: String,
    /// What TLS presents.
    presented: Arc<ServerCertificate>,
    certificates: NodeCertificates,
    encryption_key: Arc<RsaPrivateKey>,
    program: Digest,
    sessions: Vec<(String, Arc<Sessions>)>,
    /// Set when the interfaces are served already.
    listening: Option<Listening>,
}

/// Interfaces that are served. They stop when this is dropped.
struct Listening {
    dispatcher: Arc<Dispatcher>,
    servers: Vec<JoinHandle<Result<(), ServerError>>>,
    stop: watch::Sender<bool>,
}

/// What a node's core has that depends on its ledger.
struct CoreParts {
    store: Arc<Store>,
    history: Arc<History>,
    views: Views,
    chunk_requested: Arc<AtomicBool>,
    snapshots: Snapshots,
    stage: Stage,
}

/// The ledger that a run goes on from.
pub(super) struct Base {
    /// Its tables.
    pub(super) state: State,
    /// The Merkle root over it.
    pub(super) root: [u8; 32],
    /// The Merkle tree.
    pub(super) tree: MerkleTree,
    /// Views up to the one of this run.
    pub(super) views: Views,
    /// Where its entries stand, and the secret of what comes next.
    pub(super) history: Arc<History>,
    /// The directory.
    pub(super) files: Files,
    /// `iss` and `sub` of COSE signatures.
    pub(super) cose_claims: (String, String),
}

/// A node whose pipeline runs and that does not serve yet.
pub(super) struct Launch {
    prepared: Prepared,
    store: Arc<Store>,
    history: Arc<History>,
    views: Views,
    chain: Arc<Ledger>,
    pipeline: Pipeline,
    chunk_requested: Arc<AtomicBool>,
    snapshots: Snapshots,
}

/// What [`NodeInputs`] borrows.
pub(super) struct NodeTexts {
    id: String,
    public_key: String,
    request: String,
    certificate: String,
    encryption_key: String,
    addresses: Vec<(String, String)>,
    program: Digest,
}

impl Prepared {
    /// Binds the interfaces and makes the keys and certificates of a service with this subject.
    pub(super) async fn new(
        settings: Settings,
        subject: &str,
        validity_days: u32,
    ) -> Result<Self, StartError> {
        let encryption_key = tokio::task::spawn_blocking(RsaPrivateKey::generate);
        let program = tokio::task::spawn_blocking(program_digest);
        let (servers, addresses) = bind(&settings).await?;
        let settings = with_names(settings, &addresses);
        let service_key = Arc::new(IdentityKey::generate()?);
        let node_key = Arc::new(IdentityKey::generate()?);
        let from = OffsetDateTime::now_utc();
        let service_validity = Validity {
            from,
            days: validity_days,
        };
        let node_validity = Validity {
            from,
            days: settings.node_validity_days,
        };
        let names = &settings.node_subject;
        let node_certificate =
            endorse_node(&node_key, names, node_validity, &service_key, subject)?;
        let encryption_key = joined("generating the encryption key", encryption_key).await?;
        Ok(Self {
            service_certificate: self_signed_service(&service_key, subject, service_validity)?,
            certificates: NodeCertificates::new(
                Arc::clone(&node_key),
                names.clone(),
                node_validity,
            )?,
            presented: Arc::new(ServerCertificate::new(&node_certificate, &node_key)?),
            node_certificate,
            service_subject: subject.to_owned(),
            service_validity,
            encryption_key: Arc::new(
                encryption_key.map_err(|e| machine("generating the encryption key", e))?,
            ),
            program: joined("reading the program", program).await?,
            sessions: addresses
                .iter()
                .map(|(name, _)| name.clone())
                .zip(servers.iter().map(Server::sessions))
                .collect(),
            listening: None,
            settings,
            servers,
            addresses,
            service_key,
            node_key,
        })
    }

    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) const fn service_key(&self) -> &Arc<IdentityKey> {
        &self.service_key
    }

    pub(super) const fn service_validity(&self) -> Validity {
        self.service_validity
    }

    pub(super) const fn encryption_key(&self) -> &Arc<RsaPrivateKey> {
        &self.encryption_key
    }

    pub(super) fn node_id(&self) -> String {
        self.node_key.id()
    }

    /// Where the node is reached.
    pub(super) fn reached(&self) -> Reached {
        Reached {
            addresses: self.addresses.clone(),
            service_certificate: self.service_certificate.clone(),
            self_signed_certificate: self.certificates.self_signed().as_str().to_owned(),
        }
    }

    /// Serves what a node can say before it has read its ledger: that it reads it.
    pub(super) fn serve_while_reading(&mut self) {
        let store = Arc::new(Store::new(State::default(), [0; 32]));
        // Nothing is written before there is a ledger.
        store.close();
        let history = Arc::new(History::default());
        let views = Views::of_new_service();
        let chain = Ledger::new(Arc::clone(&history), Arc::downgrade(&store), views.clone());
        let core = Arc::new(self.core(CoreParts {
            store: Arc::clone(&store),
            history,
            views,
            chunk_requested: Arc::default(),
            snapshots: self.snapshots(),
            stage: Stage::ReadingPublic,
        }));
        let frontends = frontends_while_reading(&core);
        self.listening = Some(self.listen(parts(store, Arc::new(chain), frontends)));
    }

    fn listen(&mut self, parts: Parts) -> Listening {
        let dispatcher = Arc::new(Dispatcher::new(parts));
        let (stop, stopped) = watch::channel(false);
        let servers = self.servers.drain(..).map(|server| {
            tokio::spawn(server.serve(
                Arc::clone(&self.presented),
                Arc::clone(&dispatcher),
                stopped.clone(),
            ))
        });
        Listening {
            servers: servers.collect(),
            dispatcher,
            stop,
        }
    }

    fn core(&self, parts: CoreParts) -> Core {
        Core {
            store: parts.store,
            history: parts.history,
            views: parts.views,
            service_key: Arc::clone(&self.service_key),
            node_key: Arc::clone(&self.node_key),
            service_subject: self.service_subject.clone(),
            service_certificate: self.service_certificate.clone(),
            certificates: self.certificates.clone(),
            sessions: self.sessions.clone(),
            chunk_requested: parts.chunk_requested,
            snapshots: parts.snapshots,
            stopping: AtomicBool::new(false),
            stage: parts.stage,
        }
    }

    fn snapshots(&self) -> Snapshots {
        Snapshots {
            directory: self.settings.snapshot_directory.clone(),
            every: self.settings.snapshot_tx_count,
            requested: Arc::default(),
        }
    }
}

fn parts(store: Arc<Store>, chain: Arc<Ledger>, frontends: Vec<Frontend>) -> Parts {
    Parts {
        store,
        chain,
        frontends,
        authenticator: Box::new(Policies),
        clock: Box::new(since_epoch),
        commit_patience: COMMIT_PATIENCE,
    }
}

impl Launch {
    /// Starts the pipeline.
    pub(super) fn begin(
        prepared: Prepared,
        base: Base,
        recovering: Option<&Arc<Recovering>>,
    ) -> Result<Self, StartError> {
        let store = Arc::new(Store::new(base.state, base.root));
        let chain = Arc::new(Ledger::new(
            Arc::clone(&base.history),
            Arc::downgrade(&store),
            base.views.clone(),
        ));
        let chunk_requested = Arc::new(AtomicBool::new(false));
        let snapshots = prepared.snapshots();
        std::fs::create_dir_all(&snapshots.directory)
            .map_err(|e| machine("making the directory of snapshots", e))?;
        let follow = prepared
            .certificates
            .follow(Arc::clone(&prepared.presented));
        let restore = recovering.map(|recovering| recovering.watch());
        let seal = prepared
            .settings
            .sealing()?
            .map(|sealed| sealer(sealed, Arc::clone(&base.history), &store));
        let pipeline = Pipeline::start(PipelineParts {
            store: Arc::clone(&store),
            files: base.files,
            history: Arc::clone(&base.history),
            tree: base.tree,
            views: base.views.clone(),
            service_key: Arc::clone(&prepared.service_key),
            node_key: Arc::clone(&prepared.node_key),
            encryption_key: Arc::clone(&prepared.encryption_key),
            cose_claims: base.cose_claims,
            snapshots: snapshots.clone(),
            chunk_requested: Arc::clone(&chunk_requested),
            checkpoint_file: prepared.settings.checkpoint_file.clone(),
            clock: Box::new(since_epoch),
            on_commit: Box::new(move |writes| {
                follow(writes);
                if let Some(restore) = &restore {
                    restore(writes);
                }
                if let Some(seal) = &seal {
                    seal(writes);
                }
            }),
        })
        .map_err(|e| machine("starting the commit thread", e))?;
        Ok(Self {
            prepared,
            store,
            history: base.history,
            views: base.views,
            chain,
            pipeline,
            chunk_requested,
            snapshots,
        })
    }

    pub(super) const fn settings(&self) -> &Settings {
        &self.prepared.settings
    }

    pub(super) fn service_certificate(&self) -> &str {
        &self.prepared.service_certificate
    }

    /// A transaction over the newest state, with access to everything.
    pub(super) fn transaction(&self) -> Transaction {
        Transaction::new(
            self.store.newest(),
            None,
            Arc::clone(&self.chain) as _,
            Access::Framework,
            since_epoch(),
        )
    }

    /// Commits it and waits until it is on disk.
    pub(super) async fn commit(&self, transaction: Transaction) -> Result<(), StartError> {
        let appended = self.store.append(transaction)?;
        Ok(appended
            .durable
            .await
            .map_err(|_| CommitError::Stopping)??)
    }

    /// What the first transaction says of the node.
    pub(super) fn node_rows(&self) -> Result<NodeTexts, StartError> {
        let prepared = &self.prepared;
        let interfaces = prepared.settings.interfaces.iter().zip(&prepared.addresses);
        let addresses = interfaces.map(|(interface, (_, bound))| {
            let bound = bound.to_string();
            let published = interface.published_address.as_deref();
            (
                bound.clone(),
                published.map_or(bound.clone(), |published| with_port(published, &bound)),
            )
        });
        Ok(NodeTexts {
            id: prepared.node_key.id(),
            public_key: prepared.node_key.public_key_pem(),
            request: signing_request(&prepared.node_key, &prepared.settings.node_subject)?,
            certificate: prepared.node_certificate.clone(),
            encryption_key: prepared
                .encryption_key
                .public_key_pem()
                .map_err(|e| machine("the encryption key", e))?,
            addresses: addresses.collect(),
            program: prepared.program,
        })
    }

    /// Serves the interfaces.
    pub(super) fn serve(
        mut self,
        application: Application,
        recovering: Option<Arc<Recovering>>,
    ) -> Result<Node, StartError> {
        let indexed = application.indexed.clone();
        if recovering.is_none() {
            self.history
                .index_keys(&indexed, &self.store)
                .map_err(|e| machine("starting the thread that indexes past writes", e))?;
        }
        let listening = self.prepared.listening.take();
        let core = Arc::new(self.prepared.core(CoreParts {
            store: Arc::clone(&self.store),
            history: self.history,
            views: self.views,
            chunk_requested: self.chunk_requested,
            snapshots: self.snapshots,
            stage: recovering.clone().map_or(Stage::New, Stage::Recovered),
        }));
        let restorer = recovering
            .map(|recovering| recovering.spawn(&core, &self.chain, indexed))
            .transpose()
            .map_err(|e| machine("starting the thread that restores private tables", e))?;
        let parts = parts(self.store, self.chain, frontends(&core, application));
        let listening = match listening {
            Some(listening) => {
                listening.dispatcher.replace(parts);
                listening
            }
            None => self.prepared.listen(parts),
        };
        Ok(Node {
            core,
            pipeline: self.pipeline,
            addresses: self.prepared.addresses,
            servers: listening.servers,
            stop: listening.stop,
            restorer,
        })
    }
}

impl NodeTexts {
    pub(super) fn inputs<'a>(&'a self, settings: &'a Settings) -> NodeInputs<'a> {
        NodeInputs {
            settings,
            id: &self.id,
            public_key: &self.public_key,
            request: &self.request,
            certificate: &self.certificate,
            encryption_key: &self.encryption_key,
            addresses: &self.addresses,
            program: self.program,
        }
    }
}

/// A published address whose port 0 stands for the one that was bound.
fn with_port(published: &str, bound: &str) -> String {
    match (published.strip_suffix(":0"), bound.rsplit_once(':')) {
        (Some(host), Some((_, port))) => format!("{host}:{port}"),
        _ => published.to_owned(),
    }
}

/// A fresh ledger secret.
pub(super) fn new_secret() -> Result<Arc<LedgerSecret>, StartError> {
    let secret = LedgerSecret::generate(&SystemRandom::new());
    Ok(Arc::new(
        secret.map_err(|e| machine("generating a secret", e))?,
    ))
}

/// Digest of the running program; of nothing where it cannot be read.
fn program_digest() -> Digest {
    let program = std::env::current_exe()
        .and_then(std::fs::read)
        .unwrap_or_default();
    Digest::of(&program)
}

pub(super) fn since_epoch() -> Duration {
    // A clock before 1970 is as good as one that stands at 1970.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

pub(super) async fn joined<T>(what: &'static str, task: JoinHandle<T>) -> Result<T, StartError> {
    task.await.map_err(|e| machine(what, io::Error::other(e)))
}

#[allow(clippy::needless_pass_by_value, reason = "used as an error mapper")]
pub(super) fn machine(what: &'static str, reason: impl ToString) -> StartError {
    StartError::Machine {
        what,
        reason: reason.to_string(),
    }
}
