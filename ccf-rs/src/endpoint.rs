//! Endpoints: path, verb, policies, handler.

use std::sync::Arc;

use schemars::{JsonSchema, SchemaGenerator};

use crate::caller::Auth;
use crate::context::{ReadContext, WriteContext};
use crate::error::Result;
use crate::openapi::Description;
use crate::reply::Reply;
use crate::request::Verb;

/// One operation of an application.
#[derive(Clone)]
pub struct Endpoint {
    /// Verb.
    pub verb: Verb,
    /// Path template without the frontend prefix, `/contracts/{contractId}`.
    pub template: &'static str,
    /// Policies, tried in order. Empty: credentials are not looked at.
    pub auth: Vec<Auth>,
    /// Where it may run when the service has several nodes.
    pub forwarding: Forwarding,
    /// The transaction reads the Merkle root at its read version
    /// ([`crate::ReadHost::root_at_read_version`]); hosts prepare that only where asked.
    pub needs_root: bool,
    /// For the OpenAPI document.
    pub description: Description,
    /// The handler, which knows by its type whether it may write.
    pub handler: Handler,
}

/// Where a request may be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// On the primary only. The default of write handlers.
    Always,
    /// On any node; a backup's answer may be older than the primary's. The default of read
    /// handlers.
    Sometimes,
    /// On the node that was asked.
    Never,
}

/// Whether an endpoint may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Reads only.
    ReadOnly,
    /// Reads and writes.
    ReadWrite,
}

/// A handler that only reads.
pub type ReadFn = dyn Fn(&mut ReadContext<'_>) -> Result<Reply> + Send + Sync;

/// A handler that may write.
pub type WriteFn = dyn Fn(&mut WriteContext<'_>) -> Result<Reply> + Send + Sync;

/// A handler bound to its application.
#[derive(Clone)]
pub enum Handler {
    /// Reads only.
    Read(Arc<ReadFn>),
    /// May write; may be executed more than once for one request.
    Write(Arc<WriteFn>),
}

/// Builder of the list of endpoints of an application with state `S`.
pub struct Endpoints<S> {
    state: Arc<S>,
    list: Vec<Endpoint>,
}

/// A function that can be a handler: `fn(&S, &mut ReadContext) -> Result<Reply>` or the same
/// with [`WriteContext`]. `M` is inferred.
pub trait IntoHandler<S, M> {
    /// Binds the function to the application's state.
    fn into_handler(self, state: Arc<S>) -> Handler;
}

/// Marks handlers that only read.
pub enum Reads {}

/// Marks handlers that may write.
pub enum Writes {}

impl<S, F> IntoHandler<S, Reads> for F
where
    S: Send + Sync + 'static,
    F: Fn(&S, &mut ReadContext<'_>) -> Result<Reply> + Send + Sync + 'static,
{
    fn into_handler(self, state: Arc<S>) -> Handler {
        Handler::Read(Arc::new(move |ctx| self(&state, ctx)))
    }
}

impl<S, F> IntoHandler<S, Writes> for F
where
    S: Send + Sync + 'static,
    F: Fn(&S, &mut WriteContext<'_>) -> Result<Reply> + Send + Sync + 'static,
{
    fn into_handler(self, state: Arc<S>) -> Handler {
        Handler::Write(Arc::new(move |ctx| self(&state, ctx)))
    }
}

impl<S: Send + Sync + 'static> Endpoints<S> {
    /// No endpoints yet.
    pub const fn new(state: Arc<S>) -> Self {
        Self {
            state,
            list: Vec::new(),
        }
    }

    /// Adds an endpoint.
    #[must_use]
    pub fn on<M>(
        mut self,
        verb: Verb,
        template: &'static str,
        handler: impl IntoHandler<S, M>,
    ) -> Self {
        let handler = handler.into_handler(Arc::clone(&self.state));
        let forwarding = match handler {
            Handler::Read(_) => Forwarding::Sometimes,
            Handler::Write(_) => Forwarding::Always,
        };
        self.list.push(Endpoint {
            verb,
            template,
            auth: Vec::new(),
            forwarding,
            needs_root: false,
            description: Description::default(),
            handler,
        });
        self
    }

    /// Adds an endpoint for DELETE.
    #[must_use]
    pub fn delete<M>(self, template: &'static str, handler: impl IntoHandler<S, M>) -> Self {
        self.on(Verb::Delete, template, handler)
    }

    /// Adds an endpoint for GET.
    #[must_use]
    pub fn get<M>(self, template: &'static str, handler: impl IntoHandler<S, M>) -> Self {
        self.on(Verb::Get, template, handler)
    }

    /// Adds an endpoint for POST.
    #[must_use]
    pub fn post<M>(self, template: &'static str, handler: impl IntoHandler<S, M>) -> Self {
        self.on(Verb::Post, template, handler)
    }

    /// Adds an endpoint for PUT.
    #[must_use]
    pub fn put<M>(self, template: &'static str, handler: impl IntoHandler<S, M>) -> Self {
        self.on(Verb::Put, template, handler)
    }

    /// Policies of the endpoint added last.
    #[must_use]
    pub fn auth(mut self, policies: impl IntoIterator<Item = Auth>) -> Self {
        self.last(|endpoint| endpoint.auth = policies.into_iter().collect());
        self
    }

    /// Forwarding of the endpoint added last.
    #[must_use]
    pub fn forwarding(mut self, forwarding: Forwarding) -> Self {
        self.last(|endpoint| endpoint.forwarding = forwarding);
        self
    }

    /// Says that the endpoint added last reads the Merkle root.
    #[must_use]
    pub fn needs_root(mut self) -> Self {
        self.last(|endpoint| endpoint.needs_root = true);
        self
    }

    /// One line about the endpoint added last.
    #[must_use]
    pub fn summary(mut self, summary: &'static str) -> Self {
        self.last(|endpoint| endpoint.description.summary = summary);
        self
    }

    /// Says that the members of `T` are the query parameters of the endpoint added last; the handler reads them with
    /// [`Context::queries`](crate::Context::queries).
    #[must_use]
    pub fn query<T: JsonSchema>(mut self) -> Self {
        self.last(|endpoint| endpoint.description.query = Some(T::json_schema));
        self
    }

    /// Says that the endpoint added last reads a JSON body of this type.
    #[must_use]
    pub fn body<T: JsonSchema>(mut self) -> Self {
        self.last(|endpoint| {
            endpoint.description.body = Some(SchemaGenerator::subschema_for::<T>);
        });
        self
    }

    /// The same, but some callers need none.
    #[must_use]
    pub fn optional_body<T: JsonSchema>(self) -> Self {
        let mut described = self.body::<T>();
        described.last(|endpoint| endpoint.description.body_is_optional = true);
        described
    }

    /// Says that the endpoint added last answers 200 with a JSON body of this type.
    #[must_use]
    pub fn reply<T: JsonSchema>(mut self) -> Self {
        self.last(|endpoint| {
            endpoint.description.reply = Some(SchemaGenerator::subschema_for::<T>);
        });
        self
    }

    /// Says that the endpoint added last also answers with this status and no JSON body, and what that means.
    #[must_use]
    pub fn answers(mut self, status: u16, meaning: &'static str) -> Self {
        self.last(|endpoint| endpoint.description.answers.push((status, meaning)));
        self
    }

    /// Says how the handler of the endpoint added last refuses, by status and code, beyond
    /// [`COMMON_REFUSALS`](crate::openapi::COMMON_REFUSALS).
    #[must_use]
    pub fn refuses(mut self, refusals: impl IntoIterator<Item = (u16, &'static str)>) -> Self {
        self.last(|endpoint| endpoint.description.refusals.extend(refusals));
        self
    }

    /// Says of the endpoint added last what several have in common.
    #[must_use]
    pub fn describe(self, common: impl FnOnce(Self) -> Self) -> Self {
        common(self)
    }

    /// The list.
    pub fn build(self) -> Vec<Endpoint> {
        self.list
    }

    fn last(&mut self, change: impl FnOnce(&mut Endpoint)) {
        if let Some(endpoint) = self.list.last_mut() {
            change(endpoint);
        }
    }
}

impl Endpoint {
    /// Whether the endpoint may write.
    pub const fn mode(&self) -> Mode {
        match self.handler {
            Handler::Read(_) => Mode::ReadOnly,
            Handler::Write(_) => Mode::ReadWrite,
        }
    }
}
