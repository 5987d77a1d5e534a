//! Tables: what is stored, in which order, since when.

use ccf_rs::{
    Context, Endpoints, Error, HostError, ReadContext, ReadHost, Reply, Result, WriteContext,
};
use serde_json::{Value, json};

use crate::Probe;

pub(crate) fn endpoints(endpoints: Endpoints<Probe>) -> Endpoints<Probe> {
    endpoints
        .put("/tables/{table}/{key}", put)
        .get("/tables/{table}/{key}", get)
        .delete("/tables/{table}/{key}", remove)
        .delete("/tables/{table}", clear)
        .get("/tables/{table}", list)
        .post("/tables/{table}/increment", increment)
        .post("/tables/{table}/refuse", refuse)
}

/// What the host says of a key.
fn seen(host: &mut dyn ReadHost, table: &str, key: &str) -> Result<Value, HostError> {
    let key = key.as_bytes();
    Ok(json!({
        "value": host.get(table, key)?.as_deref().map(text),
        "has": host.has(table, key)?,
        "previousWrite": host.previous_write(table, key)?.map(|seqno| seqno.0),
        "committed": host.committed(table, key)?.as_deref().map(text),
        "length": host.len(table)?,
    }))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn target<C: Context>(ctx: &C) -> Result<(String, String)> {
    Ok((ctx.path("table")?, ctx.path("key")?))
}

fn get(_: &Probe, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let (table, key) = target(ctx)?;
    Reply::json(&seen(ctx.reader(), &table, &key)?)
}

/// Answers what the transaction sees of its own write.
fn put(_: &Probe, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let (table, key) = target(ctx)?;
    let value = ctx.request().body.clone();
    ctx.writer().put(&table, key.as_bytes(), &value)?;
    Reply::json(&seen(ctx.reader(), &table, &key)?)
}

fn remove(_: &Probe, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let (table, key) = target(ctx)?;
    ctx.writer().remove(&table, key.as_bytes())?;
    Reply::json(&seen(ctx.reader(), &table, &key)?)
}

fn clear(_: &Probe, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let table: String = ctx.path("table")?;
    ctx.writer().clear(&table)?;
    Reply::json(&json!({ "length": ctx.reader().len(&table)? }))
}

/// The rows from `from` to before `to` in order, and how many any order shows; at most `limit` of each.
fn list(_: &Probe, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let table: String = ctx.path("table")?;
    let (from, to) = (ctx.query("from")?, ctx.query("to")?);
    let limit = ctx.query("limit")?.and_then(|text| text.parse().ok());
    let limit: usize = limit.unwrap_or(usize::MAX);
    let mut rows = Vec::new();
    let bytes = |bound: &Option<String>| bound.as_ref().map(|text| text.as_bytes().to_vec());
    let (from, to) = (bytes(&from), bytes(&to));
    let host = ctx.reader();
    host.range(&table, from.as_deref(), to.as_deref(), &mut |key, value| {
        rows.push(json!([text(key), text(value)]));
        rows.len() < limit
    })?;
    let mut any = 0;
    host.foreach(&table, &mut |_, _| {
        any += 1;
        any < limit
    })?;
    Reply::json(&json!({ "rows": rows, "any": any }))
}

/// Reads, waits a little, writes one more: only right if conflicting transactions are run again.
fn increment(_: &Probe, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let table: String = ctx.path("table")?;
    let stored = ctx.reader().get(&table, b"counter")?;
    let count: u64 = stored
        .and_then(|bytes| text(&bytes).parse().ok())
        .unwrap_or_default();
    std::thread::sleep(std::time::Duration::from_millis(1));
    let next = (count + 1).to_string();
    ctx.writer().put(&table, b"counter", next.as_bytes())?;
    Reply::json(&next)
}

/// Writes and refuses; the write is kept if the query says so.
fn refuse(_: &Probe, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let table: String = ctx.path("table")?;
    ctx.writer().put(&table, b"refused", b"1")?;
    let error = Error::refused(409, "Refused", "As asked.").with_detail(json!({ "table": table }));
    Ok(if ctx.query("keep")?.is_some() {
        Reply::error(&error).keeping_writes()
    } else {
        Reply::error(&error)
    })
}
