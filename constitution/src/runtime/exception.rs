//! Reading what a script threw.

use rquickjs::{Ctx, Error, Exception, Value};

use crate::error::{EngineError, Failure};
use crate::runtime::values;

/// Turns a failed engine call into what CCF would report: the exception as text (JSON if it is an object but no `Error`), and
/// the stack of an `Error`.
pub(crate) fn read(ctx: &Ctx<'_>, error: &Error) -> EngineError {
    if matches!(error, Error::Allocation) {
        return out_of_memory();
    }
    if !error.is_exception() {
        return EngineError::Threw(Failure {
            reason: error.to_string(),
            trace: None,
        });
    }
    from_value(ctx, ctx.catch())
}

/// What CCF would report of `TypeError(message)`.
pub(crate) fn type_error(ctx: &Ctx<'_>, message: &str) -> EngineError {
    read(ctx, &Exception::throw_type(ctx, message))
}

fn from_value<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> EngineError {
    let is_error = value.is_error();
    let trace = if is_error {
        value
            .as_object()
            .and_then(|object| object.get::<_, Value<'js>>("stack").ok())
            .filter(|stack| !stack.is_undefined())
            .and_then(|stack| values::to_text(ctx, stack).ok())
    } else {
        None
    };
    let text = if value.is_object() && !is_error {
        values::to_json(ctx, value).map(Option::unwrap_or_default)
    } else {
        values::to_text(ctx, value)
    };
    // Turning it into text may throw in turn; that exception is dropped.
    let reason = text.unwrap_or_else(|_| {
        ctx.catch();
        String::new()
    });
    let failure = Failure { reason, trace };
    if is_error && failure.reason == "InternalError: out of memory" {
        EngineError::OutOfMemory(failure)
    } else {
        EngineError::Threw(failure)
    }
}

fn out_of_memory() -> EngineError {
    EngineError::OutOfMemory(Failure {
        reason: "InternalError: out of memory".to_owned(),
        trace: None,
    })
}
