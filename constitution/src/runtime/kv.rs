//! `ccf.kv[table]`: handles on the caller's store (CCF interface, section 4.6).

use std::rc::Rc;

use rquickjs::function::This;
use rquickjs::object::Accessor;
use rquickjs::proxy::{Proxy, ProxyHandler, ProxyProperty, ProxyReceiver, ProxyTarget};
use rquickjs::{Ctx, Exception, Function, Object, Value};

use crate::host::{Answer, Ask};
use crate::runtime::session::Session;
use crate::runtime::values::{self, exactly};

const NAME: &str = "_map_name";
const ONE: &str = "Argument must be an ArrayBuffer";
const BOTH: &str = "Arguments must be ArrayBuffers";

pub(crate) fn install<'js>(
    ctx: &Ctx<'js>,
    ccf: &Object<'js>,
    session: &Rc<Session>,
) -> rquickjs::Result<()> {
    // The methods live on an object the scripts can reach but need not: `Object.getPrototypeOf(ccf.kv["x"])`.
    let prototype = prototype(ctx, session)?;
    let holder = Object::new(ctx.clone())?;
    holder.set("prototype", prototype)?;
    let access = session.access;
    let handler = ProxyHandler::new(ctx.clone())?.with_getter(
        move |target: ProxyTarget<'js>, property: ProxyProperty<'js>, _: ProxyReceiver<'js>| {
            let ctx = target.0.ctx().clone();
            if property.is_symbol() {
                return Ok(values::undefined(&ctx));
            }
            let table = values::to_text(&ctx, property.0)?;
            if let Err(reserved) = access.permission(&table) {
                return Err(Exception::throw_type(&ctx, &reserved.to_string()));
            }
            let prototype: Object<'js> = target.0.get("prototype")?;
            let handle = Object::new_proto(ctx, Some(&prototype))?;
            handle.set(NAME, table)?;
            Ok(handle.into_value())
        },
    )?;
    ccf.set("kv", Proxy::new(ctx.clone(), holder, handler)?)
}

fn prototype<'js>(ctx: &Ctx<'js>, session: &Rc<Session>) -> rquickjs::Result<Object<'js>> {
    let p = Object::new(ctx.clone())?;
    reader(&p, session, "has", 1, |ctx, s, _, table, args| {
        let [key] = exactly(ctx, args)?;
        let key = values::bytes(ctx, s, &key, ONE)?;
        match s.ask(ctx, Ask::Has(table, key))? {
            Answer::Flag(has) => Ok(Value::new_bool(ctx.clone(), has)),
            other => Err(unexpected(ctx, &other)),
        }
    })?;
    reader(&p, session, "get", 1, |ctx, s, _, table, args| {
        let [key] = exactly(ctx, args)?;
        let key = values::bytes(ctx, s, &key, ONE)?;
        match s.ask(ctx, Ask::Get(table, key))? {
            Answer::Value(Some(value)) => values::buffer(ctx, &value),
            Answer::Value(None) => Ok(values::undefined(ctx)),
            other => Err(unexpected(ctx, &other)),
        }
    })?;
    reader(
        &p,
        session,
        "getVersionOfPreviousWrite",
        1,
        |ctx, s, _, table, args| {
            let [key] = exactly(ctx, args)?;
            let key = values::bytes(ctx, s, &key, ONE)?;
            match s.ask(ctx, Ask::PreviousVersion(table, key))? {
                Answer::Number(Some(version)) => Ok(number(ctx, version)),
                Answer::Number(None) => Ok(values::undefined(ctx)),
                other => Err(unexpected(ctx, &other)),
            }
        },
    )?;
    reader(&p, session, "forEach", 1, |ctx, s, this, table, args| {
        let [callback] = exactly(ctx, args)?;
        let Some(callback) = callback.into_function() else {
            return Err(Exception::throw_type(ctx, "Argument must be a function"));
        };
        let Answer::Entries(entries) = s.ask(ctx, Ask::Entries(table))? else {
            return Err(Exception::throw_internal(ctx, "unexpected answer"));
        };
        for (key, value) in entries {
            let key = values::buffer(ctx, &key)?;
            let value = values::buffer(ctx, &value)?;
            callback.call::<_, Value<'js>>((
                This(values::undefined(ctx)),
                value,
                key,
                this.clone(),
            ))?;
        }
        Ok(values::undefined(ctx))
    })?;
    writer(&p, session, "set", 2, |ctx, s, this, table, args| {
        let [key, value] = exactly(ctx, args)?;
        let key = values::bytes(ctx, s, &key, BOTH)?;
        let value = values::bytes(ctx, s, &value, BOTH)?;
        s.ask(ctx, Ask::Put(table, key, value))?;
        Ok(this.clone())
    })?;
    writer(&p, session, "delete", 1, |ctx, s, _, table, args| {
        let [key] = exactly(ctx, args)?;
        let key = values::bytes(ctx, s, &key, ONE)?;
        s.ask(ctx, Ask::Remove(table, key))?;
        Ok(values::undefined(ctx))
    })?;
    writer(&p, session, "clear", 0, |ctx, s, _, table, args| {
        let [] = exactly(ctx, args)?;
        s.ask(ctx, Ask::Clear(table))?;
        Ok(values::undefined(ctx))
    })?;
    let session = Rc::clone(session);
    p.prop(
        "size",
        Accessor::from(move |ctx: Ctx<'js>, this: This<Value<'js>>| {
            let table = table_of(&ctx, &this.0)?;
            check(&ctx, &session, "size", &table, false)?;
            match session.ask(&ctx, Ask::Size(table))? {
                Answer::Number(Some(size)) => Ok(number(&ctx, size)),
                other => Err(unexpected(&ctx, &other)),
            }
        }),
    )?;
    Ok(p)
}

type Body<'js> =
    fn(&Ctx<'js>, &Session, &Value<'js>, String, Vec<Value<'js>>) -> rquickjs::Result<Value<'js>>;

fn reader<'js>(
    prototype: &Object<'js>,
    session: &Rc<Session>,
    name: &'static str,
    length: usize,
    body: Body<'js>,
) -> rquickjs::Result<()> {
    define(prototype, session, name, length, false, body)
}

fn writer<'js>(
    prototype: &Object<'js>,
    session: &Rc<Session>,
    name: &'static str,
    length: usize,
    body: Body<'js>,
) -> rquickjs::Result<()> {
    define(prototype, session, name, length, true, body)
}

fn define<'js>(
    prototype: &Object<'js>,
    session: &Rc<Session>,
    name: &'static str,
    length: usize,
    writes: bool,
    body: Body<'js>,
) -> rquickjs::Result<()> {
    let session = Rc::clone(session);
    let function: Function<'js> =
        values::method(prototype.ctx(), name, length, move |ctx, this, args| {
            let table = table_of(&ctx, &this)?;
            check(&ctx, &session, name, &table, writes)?;
            body(&ctx, &session, &this, table, args)
        })?;
    prototype.set(name, function)
}

fn table_of<'js>(ctx: &Ctx<'js>, this: &Value<'js>) -> rquickjs::Result<String> {
    let name: Option<Value<'js>> = match this.as_object() {
        Some(handle) => handle.get(NAME)?,
        None => None,
    };
    match name {
        Some(name) if name.is_string() => values::to_text(ctx, name),
        _ => Err(Exception::throw_type(ctx, "not a handle of a table")),
    }
}

fn check(
    ctx: &Ctx<'_>,
    session: &Session,
    name: &str,
    table: &str,
    writes: bool,
) -> rquickjs::Result<()> {
    let permission = session
        .access
        .permission(table)
        .map_err(|reserved| Exception::throw_type(ctx, &reserved.to_string()))?;
    if if writes {
        permission.write
    } else {
        permission.read
    } {
        return Ok(());
    }
    Err(Exception::throw_type(
        ctx,
        &format!(
            "Cannot call {name} on table named {table}. The table is {} to {} scripts.",
            permission.describe(),
            session.access.describe()
        ),
    ))
}

/// Sequence numbers and sizes stay far below 2^53.
fn number<'js>(ctx: &Ctx<'js>, value: u64) -> Value<'js> {
    Value::new_number(ctx.clone(), value as f64)
}

fn unexpected(ctx: &Ctx<'_>, answer: &Answer) -> rquickjs::Error {
    Exception::throw_internal(ctx, &format!("unexpected answer {answer:?}"))
}
