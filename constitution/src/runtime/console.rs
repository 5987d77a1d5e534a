//! `console.*`, and `Math.random` from a cryptographic source.

use std::rc::Rc;

use rquickjs::{Ctx, Exception, Object, Value};

use crate::engine::ConsoleLevel;
use crate::host::Ask;
use crate::runtime::session::Session;
use crate::runtime::values;

/// Lines one call may write; after that one line says that more were dropped.
pub(crate) const MAX_LINES: u32 = 1000;
/// Bytes of one line.
const MAX_LINE_BYTES: usize = 64 << 10;

pub(crate) fn install<'js>(ctx: &Ctx<'js>, session: &Rc<Session>) -> rquickjs::Result<()> {
    let console = Object::new(ctx.clone())?;
    for (name, level) in [
        ("log", ConsoleLevel::Info),
        ("info", ConsoleLevel::Info),
        ("warn", ConsoleLevel::Warn),
        ("error", ConsoleLevel::Error),
    ] {
        let session = Rc::clone(session);
        let function = values::native(ctx, name, 1, move |ctx, args| {
            write(&ctx, &session, level, args)?;
            Ok(values::undefined(&ctx))
        })?;
        console.set(name, function)?;
    }
    ctx.globals().set("console", console)?;

    let math: Object<'js> = ctx.globals().get("Math")?;
    math.set(
        "random",
        values::native(ctx, "random", 0, |ctx, _| {
            let mut bytes = [0; 8];
            aws_lc_rs::rand::fill(&mut bytes)
                .map_err(|_| Exception::throw_internal(&ctx, "no randomness"))?;
            // 53 bits, the precision of a double, as a fraction below one.
            let fraction = (u64::from_le_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64;
            Ok(Value::new_float(ctx, fraction))
        })?,
    )
}

fn write<'js>(
    ctx: &Ctx<'js>,
    session: &Session,
    level: ConsoleLevel,
    args: Vec<Value<'js>>,
) -> rquickjs::Result<()> {
    let mut line = String::new();
    for (index, value) in args.into_iter().enumerate() {
        if index > 0 {
            line.push(' ');
        }
        if value.is_object() && !value.is_error() {
            match values::to_json(ctx, value)? {
                Some(json) => line.push_str(&json),
                None => line.push_str("undefined"),
            }
        } else {
            line.push_str(&values::to_text(ctx, value)?);
        }
        if line.len() > MAX_LINE_BYTES {
            let fits = |&(at, _): &(usize, char)| at <= MAX_LINE_BYTES;
            let end = line
                .char_indices()
                .take_while(fits)
                .last()
                .map_or(0, |(at, _)| at);
            line.truncate(end);
            break;
        }
    }
    match session.next_console_line() {
        Some(MAX_LINES) => line = "further console lines of this call are dropped".to_owned(),
        Some(_) => {}
        None => return Ok(()),
    }
    session.ask(ctx, Ask::Log(level, line))?;
    Ok(())
}
