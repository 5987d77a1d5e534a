//! The interface as an application uses it, on the host in memory.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use ccf_rs::testing::MemoryHost;
use ccf_rs::{
    Caller, Context, Endpoints, Error, Historical, ReadContext, Reply, Result, Seqno, Table, TxId,
    Verb, WriteContext,
};

struct App;

static NOTES: Table<String, String> = Table::json("public:notes");

fn put(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let id: String = ctx.path("id")?;
    let note: String = ctx.json()?;
    ctx.table(&NOTES).put(&id, &note)?;
    match ctx.query("then")?.as_deref() {
        Some("fail") => Err(Error::bad_request("Asked", "as asked")),
        Some("deny") => Ok(Reply::error(&Error::bad_request("Asked", "as asked")).keeping_writes()),
        _ => Ok(Reply::ok()),
    }
}

fn show(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let id: String = ctx.path("id")?;
    Reply::json(&ctx.read(&NOTES).get(&id)?)
}

fn history(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let last = ctx.last_committed()?.seqno;
    let Historical::Ready(states) = ctx.historical(Seqno(1)..=last)? else {
        return Ok(Reply::status(202));
    };
    let written = states
        .iter()
        .map(|s| s.get("public:notes", b"a"))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    Reply::json(&written.iter().flatten().count())
}

fn reserved(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    ctx.writer()
        .put("public:ccf.gov.members.info", b"m", b"{}")?;
    Ok(Reply::ok())
}

fn host() -> MemoryHost {
    MemoryHost::new(
        Endpoints::new(Arc::new(App))
            .put("/notes/{id}", put)
            .get("/notes/{id}", show)
            .get("/history", history)
            .post("/reserved", reserved)
            .build(),
    )
}

#[test]
fn a_write_is_kept_when_the_answer_is_a_success() {
    let mut host = host();
    let (reply, id) = host.call(Verb::Put, "/notes/a", Caller::Anonymous, r#""hello""#);
    assert_eq!((reply.status, id), (200, Some(TxId::new(2, 1))));
    let (reply, id) = host.call(Verb::Get, "/notes/a", Caller::Anonymous, "");
    assert_eq!(
        (reply.body.as_slice(), id),
        (br#""hello""#.as_slice(), None)
    );
}

#[test]
fn a_write_is_dropped_on_refusal_and_kept_on_a_recorded_denial() {
    let mut host = host();
    let (reply, id) = host.call(Verb::Put, "/notes/a?then=fail", Caller::Anonymous, r#""x""#);
    assert_eq!((reply.status, id), (400, None));
    assert_eq!(host.stored("public:notes", b"a"), None);
    let (reply, id) = host.call(Verb::Put, "/notes/a?then=deny", Caller::Anonymous, r#""x""#);
    assert_eq!((reply.status, id), (400, Some(TxId::new(2, 1))));
    assert_eq!(
        host.stored("public:notes", b"a"),
        Some(br#""x""#.as_slice())
    );
}

#[test]
fn malformed_bodies_are_the_callers_fault() {
    let mut host = host();
    for body in ["", "{", "7", "\"a\" trailing"] {
        let (reply, _) = host.call(Verb::Put, "/notes/a", Caller::Anonymous, body);
        assert_eq!(reply.status, 400, "{body:?}");
        assert!(
            String::from_utf8(reply.body)
                .unwrap()
                .contains("InvalidInput")
        );
    }
}

#[test]
fn history_shows_what_each_transaction_wrote() {
    let mut host = host();
    for id in ["a", "b", "a"] {
        host.call(
            Verb::Put,
            &format!("/notes/{id}"),
            Caller::Anonymous,
            r#""x""#,
        );
    }
    let (reply, _) = host.call(Verb::Get, "/history", Caller::Anonymous, "");
    assert_eq!(reply.body, b"2");
}

#[test]
fn reserved_tables_cannot_be_written() {
    let (reply, id) = host().call(Verb::Post, "/reserved", Caller::Anonymous, "");
    assert_eq!((reply.status, id), (500, None));
}

#[test]
fn promises_held_by_the_compiler() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

#[test]
fn w35_queries_are_split_before_they_are_decoded() {
    fn value(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
        Reply::json(&ctx.query("id")?)
    }
    let endpoints = Endpoints::new(Arc::new(App)).get("/value", value).build();
    let mut host = MemoryHost::new(endpoints);
    for (query, want) in [
        ("id=a=b", r#""a=b""#),
        ("id=x%26scope%3Ds9", r#""x&scope=s9""#),
        ("&id=p+q%20r", r#""p q r""#),
        ("id=d1&id=d2", r#""d2""#),
        ("id=", r#""""#),
        ("id", "null"),
        ("id=a&id", "null"),
        ("", "null"),
    ] {
        let (reply, _) = host.call(Verb::Get, &format!("/value?{query}"), Caller::Anonymous, "");
        assert_eq!(String::from_utf8(reply.body).unwrap(), want, "{query}");
    }
}
