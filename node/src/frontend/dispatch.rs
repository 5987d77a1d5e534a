//! Runs requests: finds the endpoint, authenticates, executes the handler in a transaction,
//! commits, and runs again what conflicted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use ccf_rs::{
    Auth, Caller, Endpoint, Error, Handler, Headers, HostError, Match, ReadContext, ReadHost,
    Reply, Request, Router, Seqno, TxId, Verb, WriteContext,
};
use tokio::time::timeout;

use super::accepted::AcceptedEndpoints;
use crate::store::{Access, Appended, Chain, CommitError, State, Store, Transaction};

/// How often a request is run before it is given up for conflicts.
const MAX_ATTEMPTS: usize = 30;

/// Header with the transaction id of an answer.
const TRANSACTION_HEADER: &str = "x-ms-ccf-transaction-id";

/// A group of endpoints below one first path segment.
pub struct Frontend {
    /// `app`, `gov` or `node`.
    pub name: &'static str,
    /// Its endpoints, without the prefix.
    pub router: Router,
    /// Which tables its handlers may touch.
    pub access: Access,
    /// Whether it serves at a committed state.
    pub is_open: fn(&State) -> bool,
    /// Its handlers may take long (they run scripts), so they get threads of their own.
    pub blocking: bool,
}

/// A request as the server hands it over.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Verb in capitals.
    pub verb: String,
    /// Path and query as on the wire.
    pub target: String,
    /// Headers.
    pub headers: Headers,
    /// Body.
    pub body: Bytes,
    /// DER of the client certificate that the connection proved, if any.
    pub certificate: Option<Bytes>,
    /// What the interface it came by serves.
    pub accepted: AcceptedEndpoints,
}

/// What authentication looks at.
pub struct Credentials<'a> {
    /// Headers of the request.
    pub headers: &'a Headers,
    /// Its body.
    pub body: &'a Bytes,
    /// DER of the client certificate.
    pub certificate: Option<&'a Bytes>,
    /// The host's clock since the Unix epoch.
    pub now: Duration,
}

/// Authentication: the policies of an endpoint against the credentials of a request.
pub trait Authenticate: Send + Sync {
    /// The caller, or what is to become of the request.
    fn authenticate(
        &self,
        policies: &[Auth],
        credentials: &Credentials<'_>,
        host: &mut dyn ReadHost,
    ) -> Result<Caller, Unauthenticated>;
}

/// Why there is no caller.
#[derive(Debug)]
pub enum Unauthenticated {
    /// The answer that refuses the request.
    Refused(Box<Reply>),
    /// The transaction under the authentication has to be run again.
    Retry,
}

/// Everything that runs requests.
pub struct Dispatcher {
    parts: ArcSwap<Parts>,
}

/// What a dispatcher is made of.
pub struct Parts {
    /// The store.
    pub store: Arc<Store>,
    /// The ledger behind it.
    pub chain: Arc<dyn Chain>,
    /// Frontends by name. The one called `app` also gets every path that names none.
    pub frontends: Vec<Frontend>,
    /// Authentication.
    pub authenticator: Box<dyn Authenticate>,
    /// Clock since the Unix epoch.
    pub clock: Box<dyn Fn() -> Duration + Send + Sync>,
    /// How long an answer waits for the disk before the caller is told that the outcome is
    /// open.
    pub commit_patience: Duration,
}

/// What became of a request before anything is committed.
enum Handled {
    /// Nobody was authenticated.
    Refused(Box<Reply>),
    /// What the handler returned.
    Ran(ccf_rs::Result<Reply>),
}

/// How one execution ended.
enum Executed {
    /// Answered; nothing to commit.
    Answered(Reply),
    /// Answered if the transaction becomes durable.
    Appended(Reply, Appended),
    /// Has to be run again.
    Conflict,
}

impl Dispatcher {
    /// A dispatcher of these parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: ArcSwap::from_pointee(parts),
        }
    }

    /// From the next request on runs them with other parts.
    pub fn replace(&self, parts: Parts) {
        self.parts.store(Arc::new(parts));
    }

    /// Runs a request to its answer. A write is answered only when it is signed and on disk.
    pub async fn call(&self, incoming: Incoming) -> Reply {
        let (path, query) = incoming
            .target
            .split_once('?')
            .unwrap_or((&incoming.target, ""));
        let parts = self.parts.load_full();
        let (index, local) = parts.frontend(path);
        let Some(frontend) = parts.frontends.get(index) else {
            return Reply::error(&not_found(path));
        };
        if !(frontend.is_open)(&parts.store.durable().state) {
            return Reply::error(&Error::not_found(
                "FrontendNotOpen",
                "Frontend is not open.",
            ));
        }
        let (endpoint, params, verb) = match route(&frontend.router, &incoming.verb, local) {
            Ok(found) => found,
            Err(reply) => return *reply,
        };
        if !incoming.accepted.has(frontend.name, endpoint.template) {
            return Reply::status(503);
        }
        let request = Request {
            verb,
            path: path.to_owned(),
            params,
            query: query.to_owned(),
            headers: incoming.headers,
            body: incoming.body,
            caller: Caller::Unasked,
        };
        let (access, blocking) = (frontend.access, frontend.blocking);
        let mut job = Job {
            endpoint: endpoint.clone(),
            parts,
            access,
            request,
            certificate: incoming.certificate,
        };
        for attempt in 0..MAX_ATTEMPTS {
            let ran = if blocking {
                job.run_blocking().await
            } else {
                Some(job.run_inline())
            };
            let Some((returned, executed)) = ran else {
                return refusal(CommitError::Stopping);
            };
            job = returned;
            match executed {
                Executed::Answered(reply) => return reply,
                Executed::Appended(reply, appended) => {
                    return job.parts.durable(reply, appended).await;
                }
                // A signature being made is done within a millisecond or two.
                Executed::Conflict if attempt > 0 => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Executed::Conflict => {}
            }
        }
        let error = Error::refused(
            503,
            "TransactionCommitAttemptsExceedLimit",
            "Too many conflicts with other requests.",
        );
        Reply::error(&error).with_header("retry-after", "3")
    }
}

/// One request on its way, owned so that it can move to another thread.
struct Job {
    parts: Arc<Parts>,
    endpoint: Endpoint,
    access: Access,
    request: Request,
    certificate: Option<Bytes>,
}

impl Job {
    /// A batch is held open for it if it may write.
    fn run_inline(mut self) -> (Self, Executed) {
        let parts = Arc::clone(&self.parts);
        let writes = matches!(self.endpoint.handler, Handler::Write(_));
        let running = writes.then(|| parts.store.running());
        let executed = self.execute();
        drop(running);
        (self, executed)
    }

    /// No batch waits for these, which may take long.
    /// `None` when the thread was lost, which happens only while the runtime stops.
    async fn run_blocking(mut self) -> Option<(Self, Executed)> {
        let ran = tokio::task::spawn_blocking(move || {
            let executed = self.execute();
            (self, executed)
        });
        ran.await.ok()
    }

    /// Runs the handler once.
    fn execute(&mut self) -> Executed {
        let committed =
            matches!(self.endpoint.handler, Handler::Read(_)) || self.endpoint.needs_root;
        let durable = committed.then(|| self.parts.store.durable());
        let (base, root) = match durable {
            Some(durable) => (Arc::clone(&durable.state), Some(durable.root)),
            None => (self.parts.store.newest(), None),
        };
        let now = (self.parts.clock)();
        let mut transaction =
            Transaction::new(base, root, Arc::clone(&self.parts.chain), self.access, now);
        // The transaction is dropped after a panic, so nothing half done is kept.
        let result = catch_unwind(AssertUnwindSafe(|| self.handle(&mut transaction, now)));
        match result {
            Ok(Handled::Refused(reply)) => Executed::Answered(*reply),
            Ok(Handled::Ran(Ok(reply))) => self.conclude(reply, transaction),
            Ok(Handled::Ran(Err(Error::Host(HostError::Retry)))) => Executed::Conflict,
            Ok(Handled::Ran(Err(error))) => {
                if !matches!(
                    error,
                    Error::Refused { .. } | Error::Host(HostError::NotKept { .. })
                ) {
                    tracing::error!(endpoint = self.endpoint.template, %error, "request failed");
                }
                Executed::Answered(Reply::error(&error))
            }
            Err(_) => {
                tracing::error!(endpoint = self.endpoint.template, "handler panicked");
                Executed::Answered(Reply::error(&Error::Internal("panic".into())))
            }
        }
    }

    /// Authenticates the caller and calls the handler.
    fn handle(&mut self, transaction: &mut Transaction, now: Duration) -> Handled {
        let policies = &self.endpoint.auth;
        if !policies.is_empty() {
            let credentials = Credentials {
                headers: &self.request.headers,
                body: &self.request.body,
                certificate: self.certificate.as_ref(),
                now,
            };
            match self
                .parts
                .authenticator
                .authenticate(policies, &credentials, transaction)
            {
                Ok(caller) => self.request.caller = caller,
                Err(Unauthenticated::Refused(reply)) => return Handled::Refused(reply),
                Err(Unauthenticated::Retry) => return Handled::Ran(Err(HostError::Retry.into())),
            }
        }
        Handled::Ran(match &self.endpoint.handler {
            Handler::Read(run) => run(&mut ReadContext::new(&self.request, transaction)),
            Handler::Write(run) => run(&mut WriteContext::new(&self.request, transaction)),
        })
    }

    /// Commits what the handler wrote, if it is to be kept.
    fn conclude(&self, reply: Reply, transaction: Transaction) -> Executed {
        let keeps = reply.keeps_writes();
        let writes =
            matches!(self.endpoint.handler, Handler::Write(_)) && keeps && transaction.has_writes();
        if !writes {
            let seqno = transaction.read_version();
            let id = (keeps && transaction.touched_tables())
                .then(|| self.parts.id_of(seqno))
                .flatten();
            return Executed::Answered(with_transaction_id(reply, id));
        }
        match self.parts.store.append(transaction) {
            Ok(appended) => Executed::Appended(reply, appended),
            Err(CommitError::Conflict) => Executed::Conflict,
            Err(error) => Executed::Answered(refusal(error)),
        }
    }
}

impl Parts {
    /// Index of the frontend of a path, and the path below it.
    fn frontend<'p>(&self, path: &'p str) -> (usize, &'p str) {
        let below = path.strip_prefix('/').unwrap_or(path);
        let first = below.split('/').next().unwrap_or_default();
        if let Some(index) = self
            .frontends
            .iter()
            .position(|frontend| frontend.name == first)
        {
            let local = below.strip_prefix(first).unwrap_or_default();
            return (index, local);
        }
        let app = self
            .frontends
            .iter()
            .position(|frontend| frontend.name == "app")
            .unwrap_or(usize::MAX);
        (app, path)
    }

    fn id_of(&self, seqno: Seqno) -> Option<TxId> {
        self.chain.view_of(seqno).map(|view| TxId { view, seqno })
    }

    /// The answer once the transaction is durable, or why it is not.
    async fn durable(&self, reply: Reply, appended: Appended) -> Reply {
        match timeout(self.commit_patience, appended.durable).await {
            Ok(Ok(Ok(()))) => with_transaction_id(reply, self.id_of(appended.seqno)),
            Ok(Ok(Err(error))) => refusal(error),
            Ok(Err(_)) => refusal(CommitError::Stopping),
            Err(_) => refusal(CommitError::Unavailable),
        }
    }
}

/// What a router found: the endpoint, the values of its path components, the verb.
type Routed<'r> = (&'r Endpoint, Vec<(String, String)>, Verb);

fn route<'r>(router: &'r Router, verb: &str, path: &str) -> Result<Routed<'r>, Box<Reply>> {
    // A verb no endpoint uses is looked up as OPTIONS, which none does either.
    let known = Verb::parse(verb);
    match router.find(known.unwrap_or(Verb::Options), path) {
        Match::Found(endpoint, params) => Ok((endpoint, params, endpoint.verb)),
        Match::Unknown => Err(Box::new(Reply::error(&not_found(path)))),
        Match::OtherVerbs(verbs) => {
            let allow = std::iter::once("OPTIONS")
                .chain(verbs.iter().map(|verb| verb.as_str()))
                .collect::<Vec<_>>();
            let reply = if known == Some(Verb::Options) {
                Reply::no_content()
            } else {
                let text = format!(
                    "{verb} is not supported here; allowed: {}",
                    allow.join(", ")
                );
                Reply::error(&Error::refused(405, "UnsupportedHttpVerb", text))
            };
            Err(Box::new(reply.with_header("allow", allow.join(", "))))
        }
    }
}

fn not_found(path: &str) -> Error {
    Error::not_found("ResourceNotFound", format!("Unknown path: {path}."))
}

fn refusal(error: CommitError) -> Reply {
    let code = match error {
        CommitError::Busy => "TooManyPendingTransactions",
        CommitError::Conflict => "TransactionCommitAttemptsExceedLimit",
        CommitError::Unavailable | CommitError::Stopping => "TransactionReplicationFailed",
    };
    Reply::error(&Error::refused(503, code, error.to_string())).with_header("retry-after", "3")
}

fn with_transaction_id(reply: Reply, id: Option<TxId>) -> Reply {
    match id {
        Some(id) => reply.with_header(TRANSACTION_HEADER, id.to_string()),
        None => reply,
    }
}
