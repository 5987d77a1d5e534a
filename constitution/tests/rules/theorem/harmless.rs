//! What operators may change without a vote.

use std::collections::{BTreeMap, BTreeSet};

use constitution::MemoryKv;
use serde_json::{Value, json};

use crate::consortium::Consortium;

pub(super) type Rows = BTreeMap<(String, Vec<u8>), Vec<u8>>;

pub(super) fn rows(kv: &MemoryKv) -> Rows {
    let rows = kv.tables.iter().flat_map(|(table, rows)| {
        rows.iter()
            .map(move |(key, value)| ((table.clone(), key.clone()), value.clone()))
    });
    rows.collect()
}

fn parse(bytes: Option<&Vec<u8>>) -> Value {
    bytes.map_or(Value::Null, |bytes| serde_json::from_slice(bytes).unwrap())
}

/// Whether operators may make this difference without a vote.
pub(super) fn is_harmless(start: &Rows, end: &Rows, table: &str, key: &[u8]) -> bool {
    let at = (table.to_owned(), key.to_vec());
    let (before, after) = (start.get(&at), end.get(&at));
    let is_bare_operator = |rows: &Rows| {
        let info = rows.get(&("public:ccf.gov.members.info".to_owned(), key.to_vec()));
        let keys = &(
            "public:ccf.gov.members.encryption_public_keys".to_owned(),
            key.to_vec(),
        );
        let info = info.map(|info| serde_json::from_slice::<Value>(info).unwrap());
        info.is_none_or(|info| {
            info["member_data"] == json!({"isOperator": true}) && info["recovery_role"].is_null()
        }) && !rows.contains_key(keys)
    };
    match table.strip_prefix("public:ccf.gov.").unwrap() {
        // Operators come and go.
        "members.info" | "members.certs" | "members.acks" => {
            is_bare_operator(start) && is_bare_operator(end)
        }
        // Machines go, are labelled, and have their certificates renewed.
        "nodes.info" => {
            let (before, mut after) = (parse(before), parse(after));
            let mut same = before.clone();
            same["node_data"] = after["node_data"].clone();
            if after["status"] == "Retired" {
                after["status"] = before["status"].clone();
            }
            after == Value::Null && before["status"] == "Pending"
                || strip(after, "node_data") == strip(same, "node_data")
        }
        "nodes.endorsed_certificates" => {
            let info = start.get(&("public:ccf.gov.nodes.info".to_owned(), key.to_vec()));
            parse(info)["status"] == "Trusted"
        }
        // Minimum versions rise.
        "nodes.snp.tcb_versions" => {
            let (before, after) = (parse(before), parse(after));
            ["boot_loader", "tee", "snp", "microcode"]
                .iter()
                .all(|part| before[part].is_u64() && after[part].as_u64() >= before[part].as_u64())
        }
        // The certificate is renewed.
        "service.info" => {
            let (mut before, mut after) = (parse(before), parse(after));
            before["cert"] = Value::Null;
            after["cert"] = Value::Null;
            before == after
        }
        // Bookkeeping about the operators' own proposals.
        "open_claims_index" => true,
        "proposals_info" => before.is_none() && key.starts_with(b"applied"),
        _ => false,
    }
}

fn strip(mut value: Value, name: &str) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.remove(name);
    }
    value
}

/// What CCF does itself when a proposal of operators passed; nothing of it gives anybody a secret.
const HARMLESS_EFFECTS: [&str; 3] = [
    "triggerLedgerChunk",
    "triggerSnapshot",
    "transitionServiceToOpen",
];

pub(super) fn assert_harmless(start: &Rows, c: &Consortium, path: &[Value]) {
    let end = rows(&c.kv);
    let keys: BTreeSet<_> = start.keys().chain(end.keys()).collect();
    for at @ (table, key) in keys {
        assert!(
            start.get(at) == end.get(at) || is_harmless(start, &end, table, key),
            "{table}[{}] changed by {path:#?}",
            String::from_utf8_lossy(key)
        );
    }
    for effect in &c.effects.names {
        assert!(HARMLESS_EFFECTS.contains(effect), "{effect} by {path:#?}");
    }
}
