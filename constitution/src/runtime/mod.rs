//! One call in QuickJS: a fresh runtime and realm, the `ccf` object, the limits, and the exception read afterwards.

mod attestation;
mod cache;
mod check;
mod compiled;
mod console;
mod converters;
mod crypto;
mod effects;
mod exception;
mod kv;
mod pem;
mod session;
mod tcb;
mod templates;
mod values;

use std::rc::Rc;
use std::time::Instant;

use rquickjs::function::Args;
use rquickjs::promise::PromiseState;
use rquickjs::{Array, Context, Ctx, Function, Module, Object, Runtime, Value};

use crate::access::Access;
use crate::engine::{Ballot, Irregularity, Validation};
use crate::error::{EngineError, Failure};
use crate::host::{Argument, Bridge, Entry, Request, Returned};
use crate::limits::Limits;
use crate::snp::VerifySnp;
use session::{Session, Stop};

/// Runs one request on the current thread, whose stack must be at least [`Limits::thread_stack_bytes`].
///
/// `done` gets the result *before* the runtime is torn down: an engine that ran out of memory may abort the process while
/// it cleans up, and a worker's result should be on its way by then.
pub(crate) fn run(
    request: &Request,
    limits: Limits,
    verify_snp: Option<VerifySnp>,
    bridge: Box<dyn Bridge>,
    done: impl FnOnce(Result<Returned, EngineError>),
) {
    let session = Rc::new(Session::new(
        bridge,
        request.access,
        limits.clamped(),
        verify_snp,
        Instant::now(),
    ));
    match realm(&session) {
        Err(error) => done(Err(start_error(&error))),
        Ok((runtime, context)) => {
            let result = context.with(|ctx| execute(&ctx, request, &session));
            session.close();
            let exhausted =
                session.is_exhausted() || matches!(result, Err(EngineError::OutOfMemory(_)));
            done(result);
            if exhausted {
                // The engine asserts that nothing leaked when it is torn down, which after a failed allocation may not
                // hold; the assertion would end the process. The memory is lost instead, at most one heap per such call.
                std::mem::forget(context);
                std::mem::forget(runtime);
            }
        }
    }
}

/// A fresh runtime and realm under the session's limits.
fn realm(session: &Rc<Session>) -> rquickjs::Result<(Runtime, Context)> {
    let runtime = Runtime::new()?;
    runtime.set_memory_limit(session.limits.heap_bytes);
    runtime.set_max_stack_size(session.limits.stack_bytes);
    let watched = Rc::clone(session);
    runtime.set_interrupt_handler(Some(Box::new(move || watched.must_stop())));
    let context = Context::full(&runtime)?;
    Ok((runtime, context))
}

fn start_error(error: &rquickjs::Error) -> EngineError {
    EngineError::Start {
        reason: error.to_string(),
    }
}

fn execute<'js>(
    ctx: &Ctx<'js>,
    request: &Request,
    session: &Rc<Session>,
) -> Result<Returned, EngineError> {
    let returned = try_execute(ctx, request, session);
    match session.stop() {
        Some(Stop::TimedOut) if session.is_settled() => returned,
        // Even if the script caught it, or turned it into a promise.
        Some(Stop::TimedOut) => Err(EngineError::TimedOut {
            trace: match returned {
                Err(error) => error.trace().map(str::to_owned),
                Ok(_) => None,
            },
        }),
        Some(Stop::HostGone) => Err(EngineError::WorkerDied),
        None => returned,
    }
}

fn try_execute<'js>(
    ctx: &Ctx<'js>,
    request: &Request,
    session: &Rc<Session>,
) -> Result<Returned, EngineError> {
    if request.entry == Entry::CheckConstitution {
        check::check(&request.module, session).map_err(|text| exception::type_error(ctx, &text))?;
        return Ok(Returned::Nothing);
    }
    install(ctx, session).map_err(|e| exception::read(ctx, &e))?;
    let keep = (request.entry != Entry::Vote).then_some(session.limits);
    let loaded = Loaded::load(ctx, &request.module, &request.module_name, keep)?;
    let Some(function) = loaded.export(request.entry.export())? else {
        return match request.entry {
            Entry::Explain => Ok(Returned::Text(None)),
            _ => Err(loaded.missing(request.entry.export())),
        };
    };
    let value = call(ctx, &function, &request.arguments).map_err(|e| exception::read(ctx, &e))?;
    let returned = read_result(ctx, request.entry, value, loaded.top_level_threw)?;
    if let Returned::Resolution(state, None) = returned {
        let explanation = if state == "Accepted" || session.stop().is_some() {
            None
        } else {
            session.settle();
            explain(ctx, &loaded, request, session)
        };
        return Ok(Returned::Resolution(state, explanation));
    }
    Ok(returned)
}

/// What `explain` says of a state that stands already.
fn explain<'js>(
    ctx: &Ctx<'js>,
    loaded: &Loaded<'js>,
    request: &Request,
    session: &Session,
) -> Option<String> {
    let function = loaded.export(Entry::Explain.export()).ok()??;
    let said = call(ctx, &function, &request.arguments)
        .and_then(|value| values::to_json(ctx, value))
        .map_err(|error| exception::read(ctx, &error));
    if let Err(EngineError::OutOfMemory(_)) = said {
        session.exhaust();
    }
    said.ok().flatten()
}

/// Everything a governance script finds in its realm.
fn install(ctx: &Ctx<'_>, session: &Rc<Session>) -> rquickjs::Result<()> {
    session.prepare(ctx)?;
    let ccf = Object::new(ctx.clone())?;
    converters::install(ctx, &ccf, session)?;
    kv::install(ctx, &ccf, session)?;
    crypto::install(ctx, &ccf, session)?;
    attestation::install(ctx, session)?;
    check::install(ctx, &ccf, session)?;
    if session.access == Access::Apply {
        effects::install(ctx, &ccf, session)?;
    }
    ctx.globals().set("ccf", ccf)?;
    console::install(ctx, session)
}

/// A module that compiled and was evaluated.
struct Loaded<'js> {
    exports: Object<'js>,
    name: String,
    top_level_threw: bool,
}

impl<'js> Loaded<'js> {
    /// `keep`, the limits of the call, says that the same text is likely to come again.
    fn load(
        ctx: &Ctx<'js>,
        text: &str,
        name: &str,
        keep: Option<Limits>,
    ) -> Result<Self, EngineError> {
        let bad = |error: &rquickjs::Error| match exception::read(ctx, error) {
            EngineError::Threw(f) => EngineError::BadModule(Failure {
                reason: format!("Failed to compile {name}: {}", f.reason),
                trace: f.trace,
            }),
            other => other,
        };
        let module = match keep {
            Some(limits) => compiled::declare(ctx, name, text, limits),
            None => Module::declare(ctx.clone(), name, text),
        }
        .map_err(|e| bad(&e))?;
        let (module, evaluation) = module.eval().map_err(|e| bad(&e))?;
        // CCF never looks at this promise, so a throw at the top level goes unnoticed; we notice, and do the same.
        let top_level_threw = evaluation.state() == PromiseState::Rejected;
        let exports = module.namespace().map_err(|e| bad(&e))?;
        Ok(Self {
            exports,
            name: name.to_owned(),
            top_level_threw,
        })
    }

    /// The exported function, or `None` when there is no such export.
    fn export(&self, name: &str) -> Result<Option<Function<'js>>, EngineError> {
        let ctx = self.exports.ctx();
        match self.exports.get::<_, Value<'js>>(name) {
            Ok(value) if value.is_undefined() => Ok(None),
            Ok(value) => match value.into_function() {
                Some(function) => Ok(Some(function)),
                None => Err(EngineError::BadModule(Failure {
                    reason: format!(
                        "Export '{name}' of module '{}' is not a function",
                        self.name
                    ),
                    trace: None,
                })),
            },
            // The binding was never initialised, because the top level threw before it.
            Err(error) => {
                exception::read(ctx, &error);
                Ok(None)
            }
        }
    }

    fn missing(&self, name: &str) -> EngineError {
        EngineError::BadModule(Failure {
            reason: format!("Failed to find export '{name}' in module '{}'", self.name),
            trace: None,
        })
    }
}

fn call<'js>(
    ctx: &Ctx<'js>,
    function: &Function<'js>,
    arguments: &[Argument],
) -> rquickjs::Result<Value<'js>> {
    let mut args = Args::new(ctx.clone(), arguments.len());
    for argument in arguments {
        match argument {
            Argument::Text(text) => args.push_arg(text.as_str())?,
            Argument::Votes(votes) => {
                let array = Array::new(ctx.clone())?;
                for (index, vote) in votes.iter().enumerate() {
                    let entry = Object::new(ctx.clone())?;
                    entry.set("member_id", vote.member_id.as_str())?;
                    entry.set("vote", vote.vote)?;
                    array.set(index, entry)?;
                }
                args.push_arg(array)?;
            }
        }
    }
    function.call_arg(args)
}

fn read_result<'js>(
    ctx: &Ctx<'js>,
    entry: Entry,
    value: Value<'js>,
    top_level_threw: bool,
) -> Result<Returned, EngineError> {
    let thrown = |e: rquickjs::Error| exception::read(ctx, &e);
    Ok(match entry {
        Entry::Apply | Entry::CheckConstitution => Returned::Nothing,
        Entry::Resolve => Returned::Text(Some(values::to_text(ctx, value).map_err(thrown)?)),
        Entry::ResolveExplained => {
            Returned::Resolution(values::to_text(ctx, value).map_err(thrown)?, None)
        }
        Entry::Explain => Returned::Text(values::to_json(ctx, value).map_err(thrown)?),
        Entry::Validate => {
            let Some(object) = value.into_object() else {
                return Err(EngineError::BadReturn {
                    reason: "Validation failed to return an object".to_owned(),
                });
            };
            let valid: Value<'js> = object.get("valid").map_err(thrown)?;
            let description: Value<'js> = object.get("description").map_err(thrown)?;
            let description = match description.as_string() {
                Some(_) => Some(values::to_text(ctx, description).map_err(thrown)?),
                None => None,
            };
            Returned::Validation(Validation {
                valid: values::is_truthy(ctx, valid).map_err(thrown)?,
                description,
            })
        }
        Entry::Vote => {
            let irregularity = if top_level_threw {
                Some(Irregularity::TopLevelThrew)
            } else if value.is_promise() {
                Some(Irregularity::Promise)
            } else if !value.is_bool() {
                Some(Irregularity::NotBoolean)
            } else {
                None
            };
            Returned::Ballot(Ballot {
                vote: values::is_truthy(ctx, value).map_err(thrown)?,
                irregularity,
            })
        }
    })
}
