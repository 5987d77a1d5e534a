//! Transactions: ids, states, receipts, claims, roots.

use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use ccf_rs::{
    Context, Endpoints, Historical, ReadContext, Reply, Result, Seqno, TxId, WriteContext,
};
use serde_json::{Value, json};

use crate::Probe;

pub(crate) fn endpoints(endpoints: Endpoints<Probe>) -> Endpoints<Probe> {
    endpoints
        .get("/transactions/{id}", transaction)
        .get("/past/{table}/{key}", past)
        .post("/claims/{byte}", claims)
        .post("/root", root)
        .needs_root()
        .post("/late/{table}", late)
        .get("/host", host)
}

fn transaction(_: &Probe, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let id: TxId = ctx.path("id")?;
    Reply::json(&json!({
        "status": ctx.status_of(id)?.as_str(),
        "view": ctx.view_of(id.seqno)?.map(|view| view.0),
        "lastCommitted": ctx.last_committed()?,
    }))
}

/// What the transactions `from` to `to` wrote at a key, and their receipts; 202 while they are fetched.
fn past(_: &Probe, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let (table, key): (String, String) = (ctx.path("table")?, ctx.path("key")?);
    let seqno = |text: Option<String>| Seqno(text.and_then(|t| t.parse().ok()).unwrap_or_default());
    let (from, to) = (seqno(ctx.query("from")?), seqno(ctx.query("to")?));
    let Historical::Ready(states) = ctx.historical(from..=to)? else {
        return Ok(Reply::status(202));
    };
    let mut shown: Vec<Value> = Vec::new();
    for state in states {
        let value = state.get(&table, key.as_bytes())?;
        shown.push(json!({
            "id": state.id(),
            "value": value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            "receipt": state.receipt()?,
        }));
    }
    Reply::json(&shown)
}

/// A write whose claims digest is this byte, 32 times.
fn claims(_: &Probe, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let byte: u8 = ctx.path("byte")?;
    ctx.writer().put("public:claims", b"byte", &[byte])?;
    ctx.set_claims_digest([byte; 32])?;
    Ok(Reply::ok())
}

fn root(_: &Probe, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    Reply::json(&ctx.reader().root_at_read_version()?)
}

/// Begins, and the first time lets commits pass by before it opens the table. How often it ran.
fn late(probe: &Probe, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let table: String = ctx.path("table")?;
    ctx.reader().get("public:begins", b"here")?;
    if probe.executions.fetch_add(1, Ordering::Relaxed) == 0 {
        let begun = ctx.last_committed()?.seqno.0;
        for _ in 0..500 {
            if ctx.last_committed()?.seqno.0 > begun + 3 {
                break;
            }
            sleep(Duration::from_millis(10));
        }
    }
    ctx.writer().put(&table, b"late", b"1")?;
    Reply::json(&probe.executions.swap(0, Ordering::Relaxed))
}

fn host(_: &Probe, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let can = ctx.capabilities();
    Reply::json(&json!({
        "time": ctx.untrusted_time().as_secs(),
        "repliesAfterCommit": can.replies_after_commit,
        "rootAtReadVersion": can.root_at_read_version,
    }))
}
