//! `ccf.gov.validateConstitution` (CCF interface, section 4.7).

use std::rc::Rc;

use rquickjs::{Ctx, Exception, Object, Value};

use crate::error::EngineError;
use crate::runtime::session::Session;
use crate::runtime::values::{self, exactly, native};
use crate::runtime::{Loaded, realm};

const NAME: &str = "proposed constitution";

struct Function {
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

const FUNCTIONS: [Function; 3] = [
    Function {
        name: "apply",
        required: &["proposal", "proposalId"],
        optional: &[],
    },
    Function {
        name: "resolve",
        required: &["proposal", "proposerId", "votes"],
        optional: &["proposalId"],
    },
    Function {
        name: "validate",
        required: &["input"],
        optional: &[],
    },
];

pub(crate) fn install<'js>(
    ctx: &Ctx<'js>,
    ccf: &Object<'js>,
    session: &Rc<Session>,
) -> rquickjs::Result<()> {
    let session = Rc::clone(session);
    let gov = Object::new(ctx.clone())?;
    gov.set(
        "validateConstitution",
        native(ctx, "validateConstitution", 1, move |ctx, args| {
            let [text] = exactly(&ctx, args)?;
            if !text.is_string() {
                return Err(Exception::throw_type(&ctx, "constitution is not a string"));
            }
            let text = values::to_c_text(&ctx, text)?;
            check(&text, &session).map_err(|reason| Exception::throw_type(&ctx, &reason))?;
            Ok(Value::new_bool(ctx, true))
        })?,
    )?;
    ccf.set("gov", gov)
}

/// Checks a constitution in a bare realm of its own, within the time of `session`.
pub(crate) fn check(text: &str, session: &Session) -> Result<(), String> {
    if text.is_empty() {
        return Err("constitution is empty".to_owned());
    }
    let nested = Rc::new(session.nested());
    let (_runtime, context) = realm(&nested).map_err(|e| e.to_string())?;
    let result = context.with(|ctx| {
        let loaded = Loaded::load(&ctx, text, NAME, None);
        for function in &FUNCTIONS {
            let length = loaded
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|loaded| length(loaded, function.name))
                .map_err(|error| {
                    format!(
                        "{NAME} does not export a function named {}: {error}",
                        function.name
                    )
                })?;
            function.check_length(length)?;
        }
        Ok(())
    });
    session.inherit(&nested);
    result
}

fn length(loaded: &Loaded<'_>, name: &str) -> Result<u64, EngineError> {
    let function = loaded.export(name)?.ok_or_else(|| loaded.missing(name))?;
    // A function's length may have been redefined to anything; CCF coerces, too.
    Ok(function.get::<_, f64>("length").unwrap_or(f64::NAN) as u64)
}

impl Function {
    fn check_length(&self, length: u64) -> Result<(), String> {
        let least = self.required.len() as u64;
        let most = least + self.optional.len() as u64;
        if (least..=most).contains(&length) {
            return Ok(());
        }
        let required = self.required.join(", ");
        let expected = if least == most {
            format!("{least} {} ({required})", plural(least))
        } else {
            let optional = self.optional.join(", ");
            format!("between {least} and {most} args ({required}[, {optional}])")
        };
        Err(format!(
            "{NAME} exports function {} with {length} {}, expected {expected}",
            self.name,
            plural(length)
        ))
    }
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "arg" } else { "args" }
}
