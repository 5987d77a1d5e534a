//! `/node/snapshot`: the files that CCF's nodes fetch (CCF interface, section 6.2).

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use ccf_rs::{Context, Endpoint, Endpoints, Error, Forwarding, ReadContext, Reply, Result, Verb};

use super::NodeEndpoints;
use super::node::not_found;

pub(super) fn list(node: &Arc<NodeEndpoints>) -> Vec<Endpoint> {
    let never = Forwarding::Never;
    Endpoints::new(Arc::clone(node))
        .get("/snapshot", latest_snapshot)
        .forwarding(never)
        .summary("The newest snapshot")
        .on(Verb::Head, "/snapshot", latest_snapshot)
        .forwarding(never)
        .get("/snapshot/{name}", snapshot)
        .forwarding(never)
        .summary("A snapshot")
        .on(Verb::Head, "/snapshot/{name}", snapshot)
        .forwarding(never)
        .build()
}

fn latest_snapshot(node: &NodeEndpoints, _: &mut ReadContext<'_>) -> Result<Reply> {
    let name = node
        .services
        .snapshots()
        .pop()
        .ok_or_else(|| not_found("This node has no committed snapshots"))?;
    Ok(Reply::status(308)
        .with_header("location", format!("/node/snapshot/{name}"))
        .with_header("x-ms-ccf-snapshot-name", name))
}

fn snapshot(node: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let name: String = ctx.path("name")?;
    let unknown = || not_found(format!("This node does not have a snapshot named {name}"));
    if !node.services.snapshots().contains(&name) {
        return Err(unknown());
    }
    let file = node.services.snapshot(&name).ok_or_else(unknown)?;
    let length = file.metadata().map_err(|error| unreadable(&error))?.len();
    let total = usize::try_from(length).map_err(|error| unreadable(&error))?;
    // Anybody may ask: no more is read than is asked for.
    let read = |from: usize, to: usize| {
        let mut bytes = vec![0; to.saturating_sub(from)];
        file.read_exact_at(&mut bytes, from as u64)
            .map_err(|error| unreadable(&error))?;
        Ok::<_, Error>(bytes)
    };
    let reply = |reply: Reply| {
        reply
            .with_header("accept-ranges", "bytes")
            .with_header("x-ms-ccf-snapshot-name", name.clone())
    };
    if ctx.request().verb == Verb::Head {
        return Ok(reply(Reply::ok()).with_header("content-length", total.to_string()));
    }
    let Some(range) = ctx.request().headers.first("range") else {
        return Ok(reply(
            Reply::ok().with_body("application/octet-stream", read(0, total)?),
        ));
    };
    let (from, to) = byte_range(range, total).ok_or_else(|| {
        Error::bad_request(
            "InvalidHeaderValue",
            format!("Unable to read a single byte range within {total} bytes from '{range}'"),
        )
    })?;
    Ok(reply(
        Reply::status(206)
            .with_body("application/octet-stream", read(from, to)?)
            .with_header(
                "content-range",
                format!("bytes {from}-{}/{total}", to.saturating_sub(1)),
            ),
    ))
}

fn unreadable(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a snapshot cannot be read: {error}"))
}

/// `bytes=A-B`, `bytes=A-` or `bytes=-N` as a half-open range (RFC 9110, section 14.1.2).
pub(super) fn byte_range(header: &str, total: usize) -> Option<(usize, usize)> {
    let (from, to) = header.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| -> Option<usize> {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse().ok())?
    };
    let (from, to) = match (from, to) {
        ("", last) => (total.saturating_sub(number(last)?), total),
        (from, "") => (number(from)?, total),
        (from, to) => (number(from)?, number(to)?.checked_add(1)?.min(total)),
    };
    (from < to).then_some((from, to))
}
