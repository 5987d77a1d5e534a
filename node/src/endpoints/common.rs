//! Endpoints of every frontend (CCF interface, section 6.1).

use std::sync::Arc;

use ccf_rs::{
    Context, Endpoint, Endpoints, Error, Forwarding, Historical, ReadContext, Reply, Result, TxId,
    TxStatus,
};
use serde_json::{Value as JsonValue, json};

use super::NodeEndpoints;
use crate::gov::NodeServices;
use crate::query::parameter;

/// `/commit`, `/tx` and `/receipt`.
pub(super) fn endpoints(services: Arc<dyn NodeServices>, before: Vec<Endpoint>) -> Vec<Endpoint> {
    let mut list = before;
    list.extend(
        Endpoints::new(Arc::new(NodeEndpoints { services }))
            .get("/commit", commit)
            .summary("The last committed transaction, and where views began")
            .get("/tx", tx)
            .summary("Status of a transaction")
            .get("/receipt", receipt)
            .summary("Receipt of a committed transaction")
            .build(),
    );
    list
}

/// `/api`. `check` is asked before the document is shown.
pub(super) fn api(document: JsonValue, check: fn(&ReadContext<'_>) -> Result<()>) -> Vec<Endpoint> {
    let show = move |document: &JsonValue, ctx: &mut ReadContext<'_>| {
        check(ctx)?;
        Reply::json(document)
    };
    Endpoints::new(Arc::new(document))
        .get("/api", show)
        .forwarding(Forwarding::Never)
        .summary("This document")
        .build()
}

/// GET `/commit`
fn commit(node: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let history = match parameter(ctx, "view_history")?.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            return Err(invalid(format!(
                "Invalid value '{other}' for query parameter view_history: want true or false."
            )));
        }
    };
    let since = match parameter(ctx, "view_history_since")? {
        None => None,
        Some(text) => Some(text.parse::<u64>().map_err(|_| {
            invalid(format!(
                "Invalid value '{text}' for query parameter view_history_since: want a view."
            ))
        })?),
    };
    let id = ctx.last_committed()?;
    let mut body = json!({ "transaction_id": id });
    if history || since.is_some() {
        let since = since.unwrap_or(1);
        if since == 0 {
            return Err(invalid("Views begin at 1."));
        }
        if since > node.services.view().0 {
            return Err(Error::not_found(
                "InvalidQueryParameterValue",
                format!("View {since} has not begun."),
            ));
        }
        let views: Vec<TxId> = node
            .services
            .view_history()
            .into_iter()
            .filter(|first| first.view.0 >= since)
            .collect();
        body["view_history"] = json!(views);
    }
    Reply::json(&body)
}

/// GET `/tx`
fn tx(_: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let id = transaction_id(ctx)?;
    let status = ctx.status_of(id)?;
    Reply::json(&json!({ "status": status.as_str(), "transaction_id": id }))
}

/// GET `/receipt`
fn receipt(_: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let Ok(id) = transaction_id(ctx) else {
        return Err(Error::not_found(
            "TransactionInvalid",
            "The query parameter transaction_id is missing or not a transaction id.",
        ));
    };
    match ctx.status_of(id)? {
        TxStatus::Committed => {}
        TxStatus::Invalid => {
            return Err(Error::not_found(
                "TransactionInvalid",
                format!("Transaction {id} is invalid."),
            ));
        }
        TxStatus::Pending | TxStatus::Unknown => {
            return Ok(Reply::error(&Error::not_found(
                "TransactionPendingOrUnknown",
                format!("Transaction {id} is not available."),
            ))
            .with_header("cache-control", "no-cache"));
        }
    }
    match ctx.historical(id.seqno..=id.seqno)? {
        Historical::Ready(states) => match states.first() {
            Some(state) => Reply::json(&state.receipt()?),
            None => Err(Error::Internal("an empty range of history".into())),
        },
        Historical::Pending => Ok(Reply::text(
            "text/plain",
            format!("Historical transaction {id} is not currently available."),
        )
        .with_status(202)
        .with_header("retry-after", "3")),
    }
}

fn transaction_id(ctx: &ReadContext<'_>) -> Result<TxId> {
    let text = parameter(ctx, "transaction_id")?
        .ok_or_else(|| invalid("Missing query parameter transaction_id."))?;
    text.parse()
        .map_err(|e: ccf_rs::ParseTxIdError| invalid(e.to_string()))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::bad_request("InvalidQueryParameterValue", message)
}
