//! Requests: what arrives, who calls, and what goes wrong in a handler.

use ccf_rs::{
    Auth, Caller, Context, CoseMessage, Endpoints, Forwarding, ReadContext, Reply, Result, Verb,
    WriteContext,
};
use serde_json::{Value, json};

use crate::Probe;

pub(crate) fn endpoints(endpoints: Endpoints<Probe>) -> Endpoints<Probe> {
    let message_type = Some("probe");
    endpoints
        .get("/empty", |_: &Probe, _: &mut ReadContext<'_>| {
            Ok(Reply::ok())
        })
        .get("/echo/{second}/{first}:done", echo)
        .get("/echo/here", echo)
        .forwarding(Forwarding::Never)
        .on(Verb::Patch, "/echo/here", echo)
        .get("/caller/member", caller)
        .auth([Auth::MemberCert])
        .get("/caller/anybody", caller)
        .auth([Auth::MemberCert, Auth::UserCert, Auth::Jwt, Auth::Anonymous])
        .get("/caller/certificate", caller)
        .auth([Auth::AnyCert])
        .get("/caller/token", caller)
        .auth([Auth::Jwt])
        .post("/caller/member-message", caller)
        .auth([Auth::MemberCose {
            active: false,
            message_type: None,
        }])
        .post("/caller/active-member-message", caller)
        .auth([Auth::MemberCose {
            active: true,
            message_type: Some("ack"),
        }])
        .post("/caller/user-message", caller)
        .auth([Auth::UserCose { message_type }])
        .post("/wrong/panic", panic)
        .post("/wrong/panic-while-visiting", panic_while_visiting)
        .post("/wrong/table", reserved)
        .get("/wrong/hidden", hidden)
}

fn echo(_: &Probe, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let request = ctx.request();
    Reply::json(&json!({
        "verb": request.verb.as_str(),
        "path": request.path,
        "params": request.params,
        "query": request.query,
        "header": request.headers.first("x-probe"),
        "body": String::from_utf8_lossy(&request.body),
    }))
    .map(|reply| reply.with_header("x-probe", "seen"))
}

fn caller(_: &Probe, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    Reply::json(&match ctx.caller() {
        Caller::Unasked => json!({ "kind": "unasked" }),
        Caller::Anonymous => json!({ "kind": "anonymous" }),
        Caller::Member(id) => json!({ "kind": "member", "id": id }),
        Caller::User(id) => json!({ "kind": "user", "id": id }),
        Caller::Certificate(der) => json!({ "kind": "certificate", "length": der.len() }),
        Caller::Jwt(claims) => json!({
            "kind": "token",
            "issuer": claims.key_issuer,
            "header": claims.header,
            "payload": claims.payload,
        }),
        Caller::MemberCose(id, message) => with_message("member message", &id.0, message),
        Caller::UserCose(id, message) => with_message("user message", &id.0, message),
    })
}

fn with_message(kind: &str, id: &str, message: &CoseMessage) -> Value {
    json!({
        "kind": kind,
        "id": id,
        "payload": String::from_utf8_lossy(&message.payload),
        "envelopeLength": message.envelope.len(),
        "signatureLength": message.signature.len(),
        "type": message.message_type,
        "proposal": message.proposal_id,
        "createdAt": message.created_at,
    })
}

#[allow(clippy::panic, reason = "the test wants one")]
fn panic(_: &Probe, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    ctx.writer().put("public:wrong", b"panic", b"1")?;
    panic!("as asked, with a secret: {}", "hunter2");
}

#[allow(clippy::panic, reason = "the test wants one")]
fn panic_while_visiting(_: &Probe, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    ctx.writer().put("public:wrong", b"visit", b"1")?;
    ctx.writer()
        .foreach("public:wrong", &mut |_, _| panic!("as asked"))?;
    Ok(Reply::ok())
}

fn reserved(_: &Probe, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    ctx.writer().put("public:ccf.gov.constitution", b"", b"")?;
    Ok(Reply::ok())
}

fn hidden(_: &Probe, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    ctx.reader().len("ccf.internal")?;
    Ok(Reply::ok())
}
