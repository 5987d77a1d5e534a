//! The node's own endpoints and the common ones, on a host in memory.

use std::sync::Arc;

use ccf_rs::testing::MemoryHost;
use ccf_rs::{
    Caller, Handler, Headers, Match, ReadContext, Reply, Request, Router, Verb, WriteContext,
};
use serde_json::{Value as JsonValue, json};

use super::negotiation::admits_json;
use super::snapshots::byte_range;
use super::{node_endpoints, with_common};
use crate::gov::testing::{Fake, ONE};
use crate::gov::{self, NodeServices};

struct Rig {
    host: MemoryHost,
    router: Router,
    services: Arc<Fake>,
}

const OTHER: &str = "abababababababababababababababababababababababababababababababab";

impl Rig {
    /// A service with this node, trusted, and another one, retired.
    fn new() -> Self {
        Self::of("/node")
    }

    fn of(prefix: &'static str) -> Self {
        let services = Arc::new(Fake::new());
        let shared = || Arc::clone(&services) as Arc<dyn NodeServices>;
        let own = match prefix {
            "/gov" => gov::endpoints(shared()),
            _ => node_endpoints(shared()),
        };
        let list = with_common(shared(), prefix, "Title", "1", own);
        let mut host = MemoryHost::new(list.clone()).with_framework_tables();
        let quote = base64::Engine::encode(
            &base64::prelude::BASE64_STANDARD,
            r#"{"measurement":"m","report_data":"r","host_data":"h"}"#,
        );
        let own = json!({
            "status": "Trusted", "node_data": { "a": 1 },
            "rpc_interfaces": { "main": { "bind_address": "0.0.0.0:1", "published_address": "host:443" } },
            "quote_info": { "format": "Insecure_Virtual", "quote": quote, "endorsements": "" },
        });
        let other = json!({
            "status": "Retired", "retired_committed": true, "quote_info": { "format": "Insecure_Virtual" },
            "rpc_interfaces": { "main": { "bind_address": "0.0.0.0:1", "published_address": "other:443" } },
        });
        for (id, info) in [(services.node_id(), own), (OTHER.to_owned(), other)] {
            let info = info.to_string();
            host.store("public:ccf.gov.nodes.info", id.as_bytes(), info.as_bytes());
        }
        let service = json!({
            "cert": "PEM", "current_service_create_txid": "2.1", "recovery_count": 0, "status": "Open",
        });
        let config = r#"{"recovery_threshold":2}"#;
        host.store(
            "public:ccf.gov.service.info",
            &ONE,
            service.to_string().as_bytes(),
        );
        host.store("public:ccf.gov.service.config", &ONE, config.as_bytes());
        Self {
            host,
            router: Router::new(list),
            services,
        }
    }

    fn call(&self, verb: Verb, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let Match::Found(endpoint, params) = self.router.find(verb, path) else {
            panic!("no endpoint {verb:?} {path}");
        };
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let request = Request {
            verb,
            path: path.to_owned(),
            params,
            query: query.to_owned(),
            headers: Headers::new(headers),
            body: body.to_owned().into(),
            caller: Caller::Unasked,
        };
        let reply = self.host.with_transaction(|tx| match &endpoint.handler {
            Handler::Read(run) => run(&mut ReadContext::new(&request, tx)),
            Handler::Write(run) => run(&mut WriteContext::new(&request, tx)),
        });
        reply.unwrap_or_else(|error| Reply::error(&error))
    }

    fn get(&self, target: &str) -> (u16, JsonValue) {
        let reply = self.call(Verb::Get, target, &[], "");
        let body = serde_json::from_slice(&reply.body).unwrap_or_default();
        (reply.status, body)
    }

    fn code(&self, target: &str) -> (u16, String) {
        let (status, body) = self.get(target);
        let code = body["error"]["code"].as_str().unwrap_or_default();
        (status, code.to_owned())
    }
}

fn members(value: &JsonValue) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn d37_the_state_of_the_node_and_the_service() {
    let rig = Rig::new();
    let id = rig.services.node_id();
    assert_eq!(
        rig.get("/state").1,
        json!({ "node_id": id, "state": "PartOfNetwork", "last_signed_seqno": 1, "startup_seqno": 0,
                "stop_notice": false })
    );
    assert_eq!(
        rig.get("/network").1,
        json!({ "service_status": "Open", "service_certificate": "PEM", "current_view": 2, "primary_id": id,
                "recovery_count": 0, "current_service_create_txid": "2.1", "service_data": null })
    );
    assert_eq!(
        rig.get("/service/configuration").1,
        json!({ "recovery_threshold": 2 })
    );
    assert_eq!(
        rig.code("/service/previous_identity"),
        (404, "ResourceNotFound".to_owned())
    );
    let pem = rig.services.self_signed_certificate();
    assert_eq!(
        rig.get("/self_signed_certificate").1,
        json!({ "self_signed_certificate": pem })
    );
}

#[test]
fn d37_nodes_are_listed_filtered_and_shown() {
    let rig = Rig::new();
    let id = rig.services.node_id();
    let own = json!({
        "node_id": id, "status": "Trusted", "primary": true, "node_data": { "a": 1 }, "last_written": 1,
        "rpc_interfaces": { "main": { "bind_address": "0.0.0.0:1", "published_address": "host:443" } },
    });
    for path in ["self", "primary", id.as_str()] {
        assert_eq!(rig.get(&format!("/network/nodes/{path}")).1, own);
    }
    for (query, count) in [
        ("", 2),
        ("?status=Trusted", 1),
        ("?status=Pending", 0),
        ("?host=other", 1),
        ("?host=other&port=443", 1),
        ("?port=443", 2),
        ("?host=host&port=1", 0),
        ("?host=other&status=Trusted", 0),
    ] {
        let (_, body) = rig.get(&format!("/network/nodes{query}"));
        assert_eq!(body["nodes"].as_array().unwrap().len(), count, "{query}");
    }
    assert_eq!(
        rig.code("/network/nodes?status=trusted"),
        (400, "InvalidQueryParameterValue".to_owned())
    );
    let (status, body) = rig.get("/network/nodes/unknown");
    assert_eq!(
        (status, &body["error"]["message"]),
        (404, &json!("Node not found"))
    );
    let removable = rig.get("/network/removable_nodes").1;
    assert_eq!(removable["nodes"][0]["node_id"], OTHER);
}

#[test]
fn d37_only_records_of_retired_nodes_are_removed() {
    let rig = Rig::new();
    let remove = |id: &str| {
        let reply = rig.call(Verb::Delete, &format!("/network/nodes/{id}"), &[], "");
        let body: JsonValue = serde_json::from_slice(&reply.body).unwrap();
        let code = body["error"]["code"].as_str().unwrap_or_default();
        (reply.status, code.to_owned())
    };
    assert_eq!(remove(OTHER), (200, String::new()));
    assert_eq!(
        remove(&rig.services.node_id()),
        (400, "NodeNotRetiredCommitted".to_owned())
    );
    assert_eq!(remove("unknown"), (404, "ResourceNotFound".to_owned()));
}

#[test]
fn d37_attestations_of_trusted_nodes() {
    let rig = Rig::new();
    let own = rig.get("/attestations/self").1;
    assert_eq!(
        members(&own),
        ["endorsements", "format", "measurement", "node_id", "raw"]
    );
    assert_eq!(own["measurement"], hex::encode("m"));
    assert_eq!(rig.get("/quotes/self").1, own);
    assert_eq!(rig.get("/attestations").1, json!({ "attestations": [own] }));
    assert_eq!(rig.get("/quotes").1, json!({ "quotes": [own] }));
}

#[test]
fn d37_what_is_between_nodes_is_refused_as_ccf_refuses_it() {
    let rig = Rig::new();
    let post = |path: &str, body: &str| {
        let reply = rig.call(Verb::Post, path, &[], body);
        let body: JsonValue = serde_json::from_slice(&reply.body).unwrap();
        (reply.status, body["error"].clone())
    };
    let (status, error) = post("/create", "{}");
    assert_eq!((status, &error["code"]), (403, &json!("InternalError")));
    assert_eq!(error["message"], "Node is not in initial state.");
    let (status, error) = post("/join", "{}");
    assert_eq!((status, &error["code"]), (400, &json!("InvalidInput")));
    for path in ["/network/nodes/set_retired_committed", "/jwt_keys/refresh"] {
        let (status, error) = post(path, "{}");
        assert_eq!(status, 401);
        assert_eq!(error["details"][0]["auth_policy"], "node_cert");
    }
}

#[test]
fn d38_readiness_version_and_metrics() {
    let rig = Rig::new();
    // The service of this test has its application closed and governance open.
    for (path, want) in [("/ready/app", 503), ("/ready/gov", 204)] {
        let reply = rig.call(Verb::Get, path, &[], "");
        assert!(reply.status == want && reply.body.is_empty(), "{path}");
    }
    let version = rig.get("/version").1;
    assert_eq!(
        members(&version),
        ["ccf_version", "quickjs_version", "unsafe"]
    );
    let js = rig.get("/js_metrics").1;
    assert_eq!(
        members(&js),
        [
            "bytecode_size",
            "bytecode_used",
            "max_cached_interpreters",
            "max_execution_time",
            "max_heap_size",
            "max_stack_size"
        ]
    );
    assert_eq!(js["max_heap_size"], 100 << 20);
    let memory = rig.get("/memory").1;
    assert_eq!(
        members(&memory),
        [
            "current_allocated_heap_size",
            "max_total_heap_size",
            "peak_allocated_heap_size"
        ]
    );
    assert_eq!(rig.get("/metrics").0, 200);
    assert_eq!(rig.get("/index/strategies").1, json!([]));
    assert_eq!(
        rig.get("/jwt_keys/refresh/metrics").1,
        json!({ "attempts": 0, "successes": 0, "failures": 0 })
    );
    let consensus = rig.get("/consensus").1;
    assert_eq!(
        members(&consensus["details"]),
        [
            "acks",
            "configs",
            "current_view",
            "leadership_state",
            "membership_state",
            "primary_id",
            "reconfiguration_type",
            "ticking"
        ]
    );
    assert!(rig.get("/config").1[rig.services.node_id()]["address"].is_string());
}

#[test]
fn d38_one_node_is_always_the_primary() {
    let rig = Rig::new();
    for verb in [Verb::Get, Verb::Head] {
        let reply = rig.call(verb, "/primary", &[], "");
        assert!(reply.status == 200 && reply.body.is_empty());
    }
    let (status, body) = rig.get("/backup");
    assert_eq!(
        (status, &body["error"]["message"]),
        (404, &json!("Node is not backup"))
    );
    assert!(matches!(
        rig.router.find(Verb::Head, "/backup"),
        Match::OtherVerbs(_)
    ));
    for gone in ["/code", "/host_data", "/local_tx"] {
        assert!(matches!(rig.router.find(Verb::Get, gone), Match::Unknown));
    }
}

#[test]
fn d37_commit_and_the_history_of_views() {
    let rig = Rig::new();
    let id = "2.4";
    assert_eq!(rig.get("/commit").1, json!({ "transaction_id": id }));
    assert_eq!(
        rig.get("/commit?view_history=false").1,
        json!({ "transaction_id": id })
    );
    assert_eq!(
        rig.get("/commit?view_history=true").1,
        json!({ "transaction_id": id, "view_history": ["1.1", "2.1"] })
    );
    assert_eq!(
        rig.get("/commit?view_history_since=2").1["view_history"],
        json!(["2.1"])
    );
    let invalid = |status| (status, "InvalidQueryParameterValue".to_owned());
    for query in [
        "view_history=yes",
        "view_history_since=0",
        "view_history_since=x",
    ] {
        assert_eq!(
            rig.code(&format!("/commit?{query}")),
            invalid(400),
            "{query}"
        );
    }
    assert_eq!(rig.code("/commit?view_history_since=3"), invalid(404));
}

#[test]
fn d37_status_of_transactions() {
    let rig = Rig::new();
    for (id, status, shown) in [
        ("2.1", "Committed", "2.1"),
        ("02.0001", "Committed", "2.1"),
        ("1.1", "Invalid", "1.1"),
        ("3.1", "Invalid", "3.1"),
        ("2.500", "Unknown", "2.500"),
    ] {
        assert_eq!(
            rig.get(&format!("/tx?transaction_id={id}")).1,
            json!({ "status": status, "transaction_id": shown })
        );
    }
    for query in [
        "",
        "?transaction_id=",
        "?transaction_id=0.1",
        "?transaction_id=2.1x",
        "?transaction_id=2",
    ] {
        assert_eq!(
            rig.code(&format!("/tx{query}")),
            (400, "InvalidQueryParameterValue".to_owned()),
            "{query}"
        );
    }
}

#[test]
fn d40_receipts_of_what_is_not_there() {
    let rig = Rig::new();
    for (query, code) in [
        ("", "TransactionInvalid"),
        ("?transaction_id=x", "TransactionInvalid"),
        ("?transaction_id=1.1", "TransactionInvalid"),
        ("?transaction_id=2.500", "TransactionPendingOrUnknown"),
    ] {
        assert_eq!(
            rig.code(&format!("/receipt{query}")),
            (404, code.to_owned()),
            "{query}"
        );
    }
    let reply = rig.call(Verb::Get, "/receipt?transaction_id=2.500", &[], "");
    assert!(
        reply
            .headers
            .contains(&("cache-control", "no-cache".to_owned()))
    );
}

#[test]
fn d37_answers_in_json_are_for_those_who_take_json() {
    let rig = Rig::new();
    let status =
        |path: &str, accept: &str| rig.call(Verb::Get, path, &[("accept", accept)], "").status;
    for path in ["/state", "/commit", "/tx?transaction_id=2.1", "/api"] {
        for accept in ["*/*", "text/html, application/*;q=0.5", "Application/JSON"] {
            assert_eq!(status(path, accept), 200, "{path} {accept}");
        }
        for accept in ["text/html", "application/cbor", "", "json"] {
            assert_eq!(status(path, accept), 406, "{path} {accept}");
        }
    }
    let reply = rig.call(Verb::Get, "/state", &[("accept", "text/html")], "");
    let body: JsonValue = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["error"]["code"], "UnsupportedContentType");
    // What has no body has no type.
    assert_eq!(status("/primary", "text/html"), 200);
    assert!(admits_json("*/*") && !admits_json("text/*"));
}

#[test]
fn d37_every_frontend_describes_itself() {
    let node = Rig::new();
    let document = node.get("/api").1;
    assert_eq!(document["servers"], json!([{ "url": "/node" }]));
    assert!(document["paths"]["/network/nodes/{node_id}"]["delete"].is_object());
    // Only governance has versions.
    assert_eq!(node.get("/api?api-version=x").0, 200);
    let gov = Rig::of("/gov");
    assert_eq!(gov.get("/api?api-version=2024-07-01").0, 200);
    assert_eq!(gov.get("/api").0, 200);
    assert_eq!(
        gov.code("/api?api-version=x"),
        (400, "UnsupportedApiVersionValue".to_owned())
    );
}

#[test]
fn d37_byte_ranges_stay_within_the_file() {
    for (header, want) in [
        ("bytes=0-9", Some((0, 10))),
        ("bytes=90-", Some((90, 100))),
        ("bytes=-10", Some((90, 100))),
        ("bytes=-1000", Some((0, 100))),
        ("bytes=50-1000", Some((50, 100))),
        ("bytes=100-", None),
        ("bytes=9-8", None),
        ("bytes=0-1,3-4", None),
        ("bytes=+1-2", None),
        ("bytes=-", None),
        ("lines=0-1", None),
        ("bytes=0-18446744073709551615", None),
    ] {
        assert_eq!(byte_range(header, 100), want, "{header}");
    }
}
