//! `/node` (CCF interface, section 6.2), for a service of one node.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{
    Context, Endpoint, Endpoints, Error, Forwarding, ReadContext, Reply, Result, Singleton, Verb,
};
use serde_json::{Map, Value as JsonValue, json};

use super::{NodeEndpoints, negotiation, snapshots};
use crate::gov::tables::{
    JS_RUNTIME_OPTIONS, MODULES_BYTECODE, NODE_INFO, NodeInfo, PREVIOUS_SERVICE_IDENTITY,
    SERVICE_CONFIG, SERVICE_INFO,
};
use crate::query::parameter;

/// What this node calls itself where CCF says which release it is.
const VERSION: &str = concat!("cleanroom-", env!("CARGO_PKG_VERSION"));

pub(super) fn list(shared: &Arc<NodeEndpoints>) -> Vec<Endpoint> {
    let mut all = negotiation::json_only(about(shared));
    all.extend(plain(shared));
    all.extend(snapshots::list(shared));
    all
}

/// What answers JSON.
fn about(shared: &Arc<NodeEndpoints>) -> Vec<Endpoint> {
    let never = Forwarding::Never;
    Endpoints::new(Arc::clone(shared))
        .get("/state", state)
        .forwarding(never)
        .summary("State of this node")
        .get("/network", network)
        .summary("State of the service")
        .get("/network/nodes", nodes)
        .summary("All nodes")
        .get("/network/nodes/self", this_node)
        .forwarding(never)
        .summary("This node")
        .get("/network/nodes/primary", this_node)
        .summary("The primary")
        .get("/network/nodes/{node_id}", node)
        .summary("One node")
        .delete("/network/nodes/{node_id}", remove_node)
        .summary("Remove the record of a retired node")
        .get("/network/removable_nodes", removable_nodes)
        .summary("Retired nodes whose record can be removed")
        .get("/version", version)
        .forwarding(never)
        .summary("Version of this software")
        .get("/quotes", quotes)
        .summary("Quotes of all nodes")
        .get("/quotes/self", own_quote)
        .forwarding(never)
        .summary("Quote of this node")
        .get("/attestations", attestations)
        .summary("Attestations of all nodes")
        .get("/attestations/self", own_quote)
        .forwarding(never)
        .summary("Attestation of this node")
        .get("/self_signed_certificate", self_signed_certificate)
        .forwarding(never)
        .summary("This node's certificate as signed by itself")
        .get("/service/previous_identity", previous_identity)
        .summary("Certificate of the service before the last recovery")
        .get("/service/configuration", configuration)
        .summary("Configuration of the service")
        .get("/memory", memory)
        .forwarding(never)
        .summary("Memory of this process")
        .get("/metrics", metrics)
        .forwarding(never)
        .summary("Sessions of this node")
        .get("/js_metrics", js_metrics)
        .summary("Size of the JavaScript application and limits of scripts")
        .get("/consensus", consensus)
        .forwarding(never)
        .summary("Consensus, which is trivial with one node")
        .get("/config", config)
        .forwarding(never)
        .summary("Nodes taking part in consensus")
        .get("/index/strategies", strategies)
        .forwarding(never)
        .summary("Indexing strategies")
        .get("/jwt_keys/refresh/metrics", refresh_metrics)
        .forwarding(never)
        .summary("Attempts at refreshing token keys")
        .build()
}

/// What answers with a status, or is between nodes.
fn plain(shared: &Arc<NodeEndpoints>) -> Vec<Endpoint> {
    let never = Forwarding::Never;
    Endpoints::new(Arc::clone(shared))
        .get("/ready/app", ready_app)
        .forwarding(never)
        .summary("Whether the application is served")
        .get("/ready/gov", ready_gov)
        .forwarding(never)
        .summary("Whether governance is served")
        .get("/primary", primary)
        .forwarding(never)
        .summary("Whether this node is the primary")
        .on(Verb::Head, "/primary", primary)
        .forwarding(never)
        .get("/backup", backup)
        .forwarding(never)
        .summary("Whether this node is a backup")
        .post("/create", create)
        .post("/join", join)
        .post("/network/nodes/set_retired_committed", node_to_node)
        .post("/jwt_keys/refresh", node_to_node)
        .build()
}

fn state(node: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    // The table read gives the answer the transaction id that CCF's has.
    ctx.read(&SERVICE_INFO).has(&Singleton)?;
    let state = node.services.state();
    let mut body = json!({
        "node_id": node.services.node_id(),
        "state": state.name,
        "last_signed_seqno": state.last_signed,
        "startup_seqno": state.startup,
        "stop_notice": state.stopping,
    });
    if let Some((target, reached)) = state.recovery {
        body["recovery_target_seqno"] = json!(target);
        body["last_recovered_seqno"] = json!(reached);
    }
    Reply::json(&body)
}

fn network(node: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let service = ctx
        .read(&SERVICE_INFO)
        .get(&Singleton)?
        .ok_or_else(|| not_found("Service state not available."))?;
    Reply::json(&json!({
        "service_status": service.status,
        "service_certificate": service.cert,
        "current_view": node.services.view(),
        "primary_id": node.services.node_id(),
        "recovery_count": service.recovery_count,
        "current_service_create_txid": service.current_service_create_txid,
        "service_data": service.service_data,
    }))
}

fn shown(
    node: &NodeEndpoints,
    ctx: &mut ReadContext<'_>,
    id: &str,
    info: &NodeInfo,
) -> Result<JsonValue> {
    let written = ctx.read(&NODE_INFO).previous_write(&id.to_owned())?;
    Ok(json!({
        "node_id": id,
        "status": info.status,
        "primary": id == node.services.node_id(),
        "rpc_interfaces": info.rpc_interfaces,
        "node_data": info.node_data,
        "last_written": written.unwrap_or_default(),
    }))
}

fn nodes(node: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let host = parameter(ctx, "host")?;
    let port = parameter(ctx, "port")?;
    let status = parameter(ctx, "status")?;
    if let Some(status) = &status
        && !["Pending", "Trusted", "Retired"].contains(&status.as_str())
    {
        return Err(Error::bad_request(
            "InvalidQueryParameterValue",
            format!("Query parameter '{status}' is not a valid node status"),
        ));
    }
    let mut all = Vec::new();
    for (id, info) in ctx.read(&NODE_INFO).entries()? {
        let published = info.rpc_interfaces.values().any(|interface| {
            let address = interface
                .get("published_address")
                .and_then(JsonValue::as_str);
            let (h, p) = address.and_then(|a| a.rsplit_once(':')).unwrap_or_default();
            host.as_deref().is_none_or(|host| host == h)
                && port.as_deref().is_none_or(|port| port == p)
        });
        let wanted = status.as_ref().is_none_or(|status| *status == info.status);
        if wanted && (published || (host.is_none() && port.is_none())) {
            all.push(shown(node, ctx, &id, &info)?);
        }
    }
    Reply::json(&json!({ "nodes": all }))
}

fn node_info(ctx: &mut ReadContext<'_>, id: &str) -> Result<NodeInfo> {
    ctx.read(&NODE_INFO)
        .get(&id.to_owned())?
        .ok_or_else(|| not_found("Node not found"))
}

fn this_node(node: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let id = node.services.node_id();
    let info = node_info(ctx, &id)?;
    Reply::json(&shown(node, ctx, &id, &info)?)
}

fn node(node: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let id: String = ctx.path("node_id")?;
    let info = node_info(ctx, &id)?;
    Reply::json(&shown(node, ctx, &id, &info)?)
}

fn remove_node(_: &NodeEndpoints, ctx: &mut ccf_rs::WriteContext<'_>) -> Result<Reply> {
    let id: String = ctx.path("node_id")?;
    let info = ctx
        .table(&NODE_INFO)
        .get(&id)?
        .ok_or_else(|| not_found("Node not found"))?;
    if info.status != "Retired" || !info.retired_committed {
        return Err(Error::bad_request(
            "NodeNotRetiredCommitted",
            format!("Node {id} is not completely retired"),
        ));
    }
    ctx.table(&NODE_INFO).remove(&id)?;
    Reply::json(&true)
}

fn removable_nodes(node: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let mut all = Vec::new();
    for (id, info) in ctx.read(&NODE_INFO).entries()? {
        if info.status == "Retired" && info.retired_committed {
            all.push(shown(node, ctx, &id, &info)?);
        }
    }
    Reply::json(&json!({ "nodes": all }))
}

fn version(_: &NodeEndpoints, _: &mut ReadContext<'_>) -> Result<Reply> {
    Reply::json(
        &json!({ "ccf_version": VERSION, "quickjs_version": "quickjs-ng", "unsafe": false }),
    )
}

fn quote(id: &str, info: &NodeInfo) -> JsonValue {
    let stored = &info.quote_info;
    let field = |name: &str| stored.get(name).cloned().unwrap_or(json!(""));
    let mut shown = json!({
        "node_id": id,
        "raw": field("quote"),
        "endorsements": field("endorsements"),
        "format": field("format"),
    });
    let code_digest = info.other.get("code_digest").filter(|d| !d.is_null());
    match code_digest.cloned().or_else(|| virtual_measurement(stored)) {
        Some(measurement) => shown["measurement"] = measurement,
        None => shown["error"] = json!("Quote has no measurement that can be read"),
    }
    if let Some(endorsements) = stored.get("uvm_endorsements").filter(|e| !e.is_null()) {
        shown["uvm_endorsements"] = endorsements.clone();
    }
    shown
}

/// The measurement that a virtual quote states, as hex of its text.
fn virtual_measurement(stored: &JsonValue) -> Option<JsonValue> {
    let quote = STANDARD.decode(stored.get("quote")?.as_str()?).ok()?;
    let quote: JsonValue = serde_json::from_slice(&quote).ok()?;
    Some(json!(hex::encode(quote.get("measurement")?.as_str()?)))
}

fn all_quotes(ctx: &mut ReadContext<'_>) -> Result<Vec<JsonValue>> {
    Ok(ctx
        .read(&NODE_INFO)
        .entries()?
        .iter()
        .filter(|(_, info)| info.status == "Trusted")
        .map(|(id, info)| quote(id, info))
        .collect())
}

fn quotes(_: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    Reply::json(&json!({ "quotes": all_quotes(ctx)? }))
}

fn attestations(_: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    Reply::json(&json!({ "attestations": all_quotes(ctx)? }))
}

fn own_quote(node: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let id = node.services.node_id();
    let info = node_info(ctx, &id)?;
    Reply::json(&quote(&id, &info))
}

fn self_signed_certificate(node: &NodeEndpoints, _: &mut ReadContext<'_>) -> Result<Reply> {
    Reply::json(&json!({ "self_signed_certificate": node.services.self_signed_certificate() }))
}

fn previous_identity(_: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let pem = ctx
        .read(&PREVIOUS_SERVICE_IDENTITY)
        .get(&Singleton)?
        .ok_or_else(|| not_found("This service is not a recovery of a previous service."))?;
    Reply::json(&json!({ "previous_service_identity": pem }))
}

fn configuration(_: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let config = ctx
        .read(&SERVICE_CONFIG)
        .get(&Singleton)?
        .ok_or_else(|| not_found("Service configuration not found."))?;
    Reply::json(&config)
}

/// From `/proc/self/status`, in bytes: what is resident now and was at most, and the address
/// space.
fn memory(_: &NodeEndpoints, _: &mut ReadContext<'_>) -> Result<Reply> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |name: &str| -> u64 {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.split_ascii_whitespace().next())
            .and_then(|kilobytes| kilobytes.parse::<u64>().ok())
            .unwrap_or(0)
            * 1024
    };
    Reply::json(&json!({
        "max_total_heap_size": value("VmSize:"),
        "current_allocated_heap_size": value("VmRSS:"),
        "peak_allocated_heap_size": value("VmHWM:"),
    }))
}

fn metrics(node: &NodeEndpoints, _: &mut ReadContext<'_>) -> Result<Reply> {
    Reply::json(&json!({ "sessions": node.services.session_metrics() }))
}

fn js_metrics(_: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let bytecode: usize = ctx
        .read(&MODULES_BYTECODE)
        .entries()?
        .iter()
        .map(|(_, code)| code.len())
        .sum();
    let options: Map<String, JsonValue> = ctx
        .read(&JS_RUNTIME_OPTIONS)
        .get(&Singleton)?
        .and_then(|json| serde_json::from_slice(&json).ok())
        .unwrap_or_default();
    let option = |name: &str, default: u64| {
        options
            .get(name)
            .and_then(JsonValue::as_u64)
            .unwrap_or(default)
    };
    Reply::json(&json!({
        "bytecode_size": bytecode,
        "bytecode_used": bytecode > 0,
        "max_heap_size": option("max_heap_bytes", 100 << 20),
        "max_stack_size": option("max_stack_bytes", 1 << 20),
        "max_execution_time": option("max_execution_time_ms", 5000),
        "max_cached_interpreters": option("max_cached_interpreters", 10),
    }))
}

/// This node and its node-to-node address.
fn members_of_consensus(
    node: &NodeEndpoints,
    ctx: &mut ReadContext<'_>,
) -> Result<BTreeMap<String, JsonValue>> {
    let id = node.services.node_id();
    let info = node_info(ctx, &id)?;
    let address = info
        .other
        .get("node_to_node_interface")
        .and_then(|interface| interface.get("published_address"))
        .cloned()
        .unwrap_or(json!(""));
    Ok(BTreeMap::from([(id, json!({ "address": address }))]))
}

fn consensus(node: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let nodes = members_of_consensus(node, ctx)?;
    Reply::json(&json!({
        "details": {
            "configs": [{ "idx": node.services.state().startup, "rid": 0, "nodes": nodes }],
            "acks": {},
            "current_view": node.services.view(),
            "primary_id": node.services.node_id(),
            "leadership_state": "Leader",
            "membership_state": "Active",
            "reconfiguration_type": "OneTransaction",
            "ticking": true,
        },
    }))
}

fn config(node: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    Reply::json(&members_of_consensus(node, ctx)?)
}

fn ready_app(node: &NodeEndpoints, _: &mut ReadContext<'_>) -> Result<Reply> {
    Ok(ready(node.services.application_open()))
}

fn ready_gov(node: &NodeEndpoints, _: &mut ReadContext<'_>) -> Result<Reply> {
    Ok(ready(node.services.governance_open()))
}

const fn ready(open: bool) -> Reply {
    if open {
        Reply::no_content()
    } else {
        Reply::status(503)
    }
}

fn primary(_: &NodeEndpoints, _: &mut ReadContext<'_>) -> Result<Reply> {
    Ok(Reply::ok())
}

fn backup(_: &NodeEndpoints, _: &mut ReadContext<'_>) -> Result<Reply> {
    Err(not_found("Node is not backup"))
}

fn strategies(_: &NodeEndpoints, _: &mut ReadContext<'_>) -> Result<Reply> {
    Reply::json(&json!([]))
}

/// This node does not fetch token keys by itself: members set them.
fn refresh_metrics(_: &NodeEndpoints, _: &mut ReadContext<'_>) -> Result<Reply> {
    Reply::json(&json!({ "attempts": 0, "successes": 0, "failures": 0 }))
}

fn create(_: &NodeEndpoints, _: &mut ReadContext<'_>) -> Result<Reply> {
    Err(Error::refused(
        403,
        "InternalError",
        "Node is not in initial state.",
    ))
}

fn join(_: &NodeEndpoints, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let body: JsonValue = ctx.json()?;
    let known = [
        "node_info_network",
        "quote_info",
        "public_encryption_key",
        "node_status",
    ];
    if !known.iter().all(|name| body.get(name).is_some()) {
        return Err(Error::bad_request(
            "InvalidInput",
            "The request body is not a request to join.",
        ));
    }
    Err(Error::refused(
        501,
        "NotImplemented",
        "This node serves alone: a service of several nodes runs on CCF.",
    ))
}

/// For calls that only nodes may make; there are no others.
fn node_to_node(_: &NodeEndpoints, _: &mut ReadContext<'_>) -> Result<Reply> {
    let error = Error::refused(
        401,
        "InvalidAuthenticationInfo",
        "Invalid authentication credentials.",
    );
    Err(error.with_detail(json!({
        "auth_policy": "node_cert",
        "code": "InvalidAuthenticationInfo",
        "message": "Could not find matching node certificate",
    })))
}

pub(super) fn not_found(message: impl Into<String>) -> Error {
    Error::not_found("ResourceNotFound", message)
}
