//! The application on its host: how it starts, how its endpoints are installed, how a request is run.

use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Startup;
use super::bridge::ffi::{self, Ended, Exchange, Place, Policy, Registry};
use super::request;
use super::transaction::Transaction;
use crate::caller::Auth;
use crate::context::{ReadContext, WriteContext};
use crate::endpoint::{Endpoint, Forwarding, Handler, Mode};
use crate::error::{Error, HostError};
use crate::reply::Reply;
use crate::request::Verb;
use crate::router::{Match, Router};

/// What runs on this node.
struct Hosted {
    /// OpenAPI, JSON.
    document: String,
    router: Router,
}

static ARGUMENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static HOSTED: OnceLock<Hosted> = OnceLock::new();

// SAFETY: `ccf_node!` defines it with this type; a node in which nobody said that macro does not link.
unsafe extern "Rust" {
    safe fn ccf_rs_application(startup: Startup) -> Result<crate::Application, String>;
}

pub(super) fn add_argument(argument: &str) {
    let mut arguments = ARGUMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    arguments.push(argument.to_owned());
}

pub(super) fn start(confidential: bool) -> bool {
    // What a panic says could be anything, and the log is the operator's. Where it happened is enough.
    set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        ffi::log_failure(&format!("panic at {}", place.unwrap_or_default()));
    }));
    let arguments = std::mem::take(&mut *ARGUMENTS.lock().unwrap_or_else(PoisonError::into_inner));
    let startup = Startup {
        arguments,
        confidential,
    };
    let problem = match catch_unwind(|| ccf_rs_application(startup)) {
        Ok(Ok(application)) => {
            let hosted = Hosted {
                document: application.document("/app").to_string(),
                router: Router::new(application.endpoints),
            };
            match HOSTED.set(hosted) {
                Ok(()) => return true,
                Err(_) => "started twice".to_owned(),
            }
        }
        Ok(Err(problem)) => problem,
        Err(_) => "panic at the start".to_owned(),
    };
    eprintln!("the application does not start: {problem}");
    false
}

pub(super) fn install(mut registry: Pin<&mut Registry>) -> Result<(), Box<dyn StdError>> {
    let hosted = HOSTED.get().ok_or("the application was not started")?;
    registry.as_mut().describe(&hosted.document)?;
    for (index, endpoint) in hosted.router.endpoints().iter().enumerate() {
        for auth in &endpoint.auth {
            let (policy, message_type) = policy(auth);
            let message_type = message_type.unwrap_or_default();
            registry.as_mut().admit(policy, message_type);
        }
        let place = match endpoint.forwarding {
            Forwarding::Always => Place::Primary,
            Forwarding::Sometimes => Place::AnyNode,
            Forwarding::Never => Place::ThisNode,
        };
        registry.as_mut().serve(
            index,
            endpoint.verb.as_str(),
            endpoint.template,
            endpoint.mode() == Mode::ReadWrite,
            place,
        )?;
    }
    Ok(())
}

fn policy(auth: &Auth) -> (Policy, Option<&'static str>) {
    match auth {
        Auth::Anonymous => (Policy::Anonymous, None),
        Auth::MemberCert => (Policy::MemberCert, None),
        Auth::UserCert => (Policy::UserCert, None),
        Auth::AnyCert => (Policy::AnyCert, None),
        Auth::Jwt => (Policy::Jwt, None),
        Auth::MemberCose {
            active: true,
            message_type,
        } => (Policy::ActiveMemberCose, *message_type),
        Auth::MemberCose {
            active: false,
            message_type,
        } => (Policy::MemberCose, *message_type),
        Auth::UserCose { message_type } => (Policy::UserCose, *message_type),
    }
}

pub(super) fn needs_root(verb: &str, path: &str) -> bool {
    let Some((hosted, verb)) = HOSTED.get().zip(Verb::parse(verb)) else {
        return false;
    };
    // Routing a second time costs; most applications never ask.
    hosted.router.endpoints().iter().any(|e| e.needs_root)
        && matches!(hosted.router.find(verb, path), Match::Found(endpoint, _) if endpoint.needs_root)
}

pub(super) fn dispatch(index: usize, mut exchange: Pin<&mut Exchange>) {
    let endpoint = HOSTED
        .get()
        .and_then(|hosted| hosted.router.endpoints().get(index));
    // The transaction is dropped after a panic, so nothing half done is kept.
    let result = catch_unwind(AssertUnwindSafe(|| match endpoint {
        Some(endpoint) => run(endpoint, exchange.as_mut()),
        None => Err(Error::Internal(format!("there is no endpoint {index}"))),
    }));
    let reply = match result {
        Ok(Ok(reply)) => reply,
        // C++ throws on what made the transaction impossible.
        Ok(Err(Error::Host(HostError::Retry))) => return,
        Ok(Err(error)) => {
            if !matches!(error, Error::Refused { .. }) {
                ffi::log_failure(&format!("{}: {error}", name(endpoint)));
            }
            Reply::error(&error)
        }
        Err(_) => {
            ffi::log_failure(&format!("{}: handler panicked", name(endpoint)));
            Reply::error(&Error::Internal("panic".into()))
        }
    };
    if !answer(exchange, &reply) {
        ffi::log_failure(&format!("{}: the answer cannot be given", name(endpoint)));
    }
}

fn run(endpoint: &Endpoint, mut exchange: Pin<&mut Exchange>) -> crate::Result<Reply> {
    let request = request::read(endpoint, exchange.as_mut())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut transaction = Transaction::new(exchange, now.unwrap_or(Duration::ZERO));
    match &endpoint.handler {
        Handler::Read(run) => run(&mut ReadContext::new(&request, &mut transaction)),
        Handler::Write(run) => run(&mut WriteContext::new(&request, &mut transaction)),
    }
}

fn answer(mut exchange: Pin<&mut Exchange>, reply: &Reply) -> bool {
    let headers = reply
        .headers
        .iter()
        .all(|(name, value)| exchange.as_mut().add_header(name, value) == Ended::Done);
    headers && exchange.answer(reply.status, &reply.body, reply.keeps_writes()) == Ended::Done
}

fn name(endpoint: Option<&Endpoint>) -> &'static str {
    endpoint.map_or("unknown endpoint", |endpoint| endpoint.template)
}
