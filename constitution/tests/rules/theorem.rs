//! Law 4: no action available without a members' vote changes who can read secrets, who votes, which code may join, who may sign
//! tokens, or the constitution.
//!
//! Operators of every kind work together: they propose everything the constitution knows, with arguments of many kinds, all of them
//! vote for all of it, and nobody else votes. Searched are all sequences of up to [`LENGTH`] proposals of one action, and all
//! proposals of two actions, from a service that is new and from one that is open; states that are equal are visited once. What may
//! differ afterwards is listed in [`is_harmless`]; everything else in the tables is as it was.

use std::collections::{BTreeMap, BTreeSet};

use constitution::MemoryKv;
use serde_json::{Value, json};

use crate::batch::{Batch, Question};
use crate::consortium::{Consortium, certificate, id, rsa_public_key};

/// How many proposals follow each other.
const LENGTH: usize = 3;

const OURS: &str = "export function validate(a) {} export function resolve(a, b, c) {} export function apply(a, b) {}";

/// What proposals can be about.
struct World {
    new: String,
    other: String,
    key: String,
    digest: String,
}

impl World {
    fn new() -> Self {
        Self {
            new: certificate(),
            other: certificate(),
            key: rsa_public_key(),
            digest: "0a".repeat(32),
        }
    }

    /// Arguments for an action, as many kinds as could matter.
    fn arguments(&self, name: &str) -> Vec<Value> {
        let contract = json!({"contractId": "k"});
        let people = ["a", "b", "j", "o", "p", "s", "x"].map(id);
        let valid_from = "20260101000000Z";
        match name {
            "set_constitution" => vec![json!({"constitution": OURS}), json!({"constitution": "in force"})],
            "approve_constitution" | "withdraw_constitution_approval" => {
                vec![json!({"digest": self.digest})]
            }
            "set_member" => self.members(),
            "remove_member" => {
                let mut list: Vec<Value> = people.iter().map(|id| json!({"member_id": id})).collect();
                list.push(json!({"member_id": id("a"), "cert": self.new}));
                list
            }
            "set_member_data" => people
                .iter()
                .flat_map(|id| [json!({}), json!({"isOperator": true})].map(|data| json!({"member_id": id, "member_data": data})))
                .collect(),
            "set_user" => vec![json!({"cert": self.new, "user_data": {}})],
            "remove_user" => vec![json!({"user_id": id("u")})],
            "set_user_data" => vec![json!({"user_id": id("u"), "user_data": {"x": 1}})],
            "set_recovery_threshold" => vec![json!({"recovery_threshold": 1}), json!({"recovery_threshold": 2})],
            "set_service_configuration" => {
                vec![json!({"recovery_threshold": 1}), json!({"recent_cose_proposals_window_size": 1})]
            }
            "transition_service_to_open" => vec![
                json!({"next_service_identity": self.new}),
                json!({"next_service_identity": self.new, "previous_service_identity": self.other, "recovery_kind": "break_glass", "reason": "r"}),
            ],
            "set_ca_cert_bundle" => vec![json!({"name": "bundle", "cert_bundle": self.new}), json!({"name": "more", "cert_bundle": self.new})],
            "remove_ca_cert_bundle" => vec![json!({"name": "bundle"})],
            "set_jwt_issuer" => vec![
                json!({"issuer": "https://i", "jwks": {"keys": [{"kid": "k", "kty": "RSA", "n": "AQ", "e": "AQAB"}]}}),
                json!({"issuer": "https://known", "auto_refresh": true, "ca_cert_bundle_name": "bundle"}),
            ],
            "set_jwt_public_signing_keys" => {
                vec![json!({"issuer": "https://known", "jwks": {"keys": [{"kid": "k", "kty": "RSA", "n": "AQ", "e": "AQAB"}]}})]
            }
            "remove_jwt_issuer" => vec![json!({"issuer": "https://known"})],
            "add_snp_measurement" | "remove_snp_measurement" => vec![json!({"measurement": "0a".repeat(48)})],
            "add_snp_host_data" => vec![json!({"host_data": "0b".repeat(32), "security_policy": ""})],
            "remove_snp_host_data" => vec![json!({"host_data": "0a".repeat(32)})],
            "add_snp_uvm_endorsement" => vec![json!({"did": "did:x509:evil", "feed": "f", "svn": "1"}), json!({"did": "did", "feed": "f", "svn": "0"})],
            "remove_snp_uvm_endorsement" => vec![json!({"did": "did", "feed": "f"})],
            "set_snp_minimum_tcb_version" => [("00a00f11", 3), ("00a00f11", 5), ("00a10f11", 5)]
                .map(|(cpuid, level)| json!({"cpuid": cpuid, "tcb_version": crate::model::tcb(level)}))
                .to_vec(),
            "set_snp_minimum_tcb_version_hex" => ["0303000000000303", "0606000000000606"]
                .map(|tcb| json!({"cpuid": "00a00f11", "tcb_version": tcb}))
                .to_vec(),
            "remove_snp_minimum_tcb_version" => vec![json!({"cpuid": "00a00f11"})],
            "transition_node_to_trusted" | "set_node_certificate_validity" => ["n", "m", "x"]
                .map(|node| json!({"node_id": id(node), "valid_from": valid_from}))
                .to_vec(),
            "remove_node" => ["n", "m", "x"].map(|node| json!({"node_id": id(node)})).to_vec(),
            "set_node_data" => ["n", "m"].map(|node| json!({"node_id": id(node), "node_data": {"status": "Trusted"}})).to_vec(),
            "set_all_nodes_certificate_validity" | "set_service_certificate_validity" => {
                vec![json!({"valid_from": valid_from})]
            }
            "assert_service_identity" => vec![json!({"service_identity": self.other})],
            "set_contract" => vec![json!({"contractId": "l", "contract": {"data": 1}}), json!({"contractId": "k", "contract": {"data": 1}})],
            "set_deployment_spec" => vec![json!({"contractId": "k", "spec": {"data": 1}})],
            "set_deployment_info" => vec![json!({"contractId": "k", "info": {"data": 1}})],
            "set_cgs_runtime_options" => ["constitution", "cleanroompolicy"]
                .map(|option| json!({"option": format!("autoapprove-{option}-proposal"), "status": "enabled"}))
                .to_vec(),
            "set_member_document" => vec![json!({"documentId": "d", "document": {"data": 1}})],
            "set_clean_room_policy" => ["add", "remove"]
                .map(|kind| json!({"contractId": "k", "type": kind, "claims": {"x-ms-sevsnpvm-hostdata": ["0a".repeat(32)]}}))
                .to_vec(),
            "set_platform_policy" => vec![json!({"policy": {}})],
            "set_contract_options" => vec![json!({"contractId": "k", "options": {"strictReleases": false}})],
            "set_application_options" => vec![json!({"options": {"strictReleases": false}})],
            "set_recovery_policy" => vec![json!({"policy": {"mode": "break_glass_only", "break_glass": [{"member_id": id("s"), "holder": "h"}]}})],
            "acknowledge_recovery" => vec![json!({"recovery_count": 0})],
            "set_oidc_issuer_url" => vec![json!({"issuer_url": "https://i"})],
            "enable_oidc_issuer" | "enable_signing" => vec![json!({"kid": "k"})],
            "set_user_identity" => vec![json!({"id": "u", "accountType": "microsoft", "data": {"tenantId": "t"}})],
            "remove_user_identity" => vec![json!({"id": "u"})],
            "set_user_invitation_by_jwt_claims" => {
                vec![json!({"invitationId": "i", "type": "add", "accountType": "microsoft", "claims": {"tid": "t"}})]
            }
            "remove_user_invitation_by_jwt_claims" => vec![json!({"invitationId": "i"})],
            "trigger_recovery_shares_refresh" | "trigger_ledger_rekey" | "trigger_ledger_chunk" | "trigger_snapshot"
            | "remove_platform_policy" | "remove_recovery_policy" | "oidc_issuer_enable_rotate_signing_key"
            | "signing_enable_rotate_signing_key" => vec![Value::Null],
            "enable_ca" | "ca_enable_rotate_signing_key" => vec![contract],
            _ if name.starts_with("set_contract_runtime_options") => vec![contract],
            // Refused whatever the arguments.
            _ => vec![json!({})],
        }
    }

    fn members(&self) -> Vec<Value> {
        let mut list = Vec::new();
        for cert in [&self.new, &self.other] {
            for data in [
                json!({"isOperator": true}),
                json!({"isOperator": true, "isRecoveryOperator": true}),
                json!({"isOperator": true, "cgsRoles": {"cgsOperator": "true"}}),
                json!({"cgsRoles": {"contractOperator": "true"}}),
                json!({"isOperator": false}),
                json!({}),
            ] {
                list.push(json!({"cert": cert, "member_data": data}));
            }
            list.push(json!({"cert": cert, "member_data": {"isOperator": true}, "encryption_pub_key": self.key}));
            list.push(json!({"cert": cert, "member_data": {"isOperator": true}, "encryption_pub_key": self.key, "recovery_role": "Owner"}));
        }
        list
    }

    /// Every action with each of its arguments.
    fn moves(&self, names: &[String]) -> Vec<Value> {
        names
            .iter()
            .flat_map(|name| {
                let arguments = self.arguments(name).into_iter();
                arguments.map(move |args| json!({"name": name, "args": args}))
            })
            .collect()
    }

    /// Two members who vote, one of them with a share; one who is joining; operators of every kind, one with a share; nodes; and
    /// something in every table that matters. The certificate `other` is that of a member who votes.
    fn service(&self, status: &str) -> Consortium {
        let mut c = Consortium::of(&["a", "b"]);
        c.member("j", "Accepted", Value::Null);
        c.operator("o");
        c.operator("p");
        c.operator("s");
        c.share("a");
        c.share("s");
        let all = json!({"isRecoveryOperator": true, "cgsRoles": {"cgsOperator": "true", "contractOperator": "true"}});
        c.member("x", "Active", all);
        c.enact("set_member", json!({"cert": self.other}));
        let voter = c.names_of("members.certs").pop().unwrap();
        c.set("members.info", &voter, &json!({"status": "Active"}));
        c.accept_contract("k");
        let host_data = "0a".repeat(32);
        c.set(
            "policies.cleanroom-k",
            "x-ms-sevsnpvm-hostdata",
            &json!([host_data]),
        );
        for (table, key, value) in [
            (
                "nodes.info",
                id("n"),
                json!({"status": "Trusted", "certificate_signing_request": "csr"}),
            ),
            (
                "nodes.info",
                id("m"),
                json!({"status": "Pending", "certificate_signing_request": "csr"}),
            ),
            (
                "nodes.snp.tcb_versions",
                "00a00f11".to_owned(),
                crate::model::tcb(4),
            ),
            ("nodes.snp.host_data", host_data, json!("")),
            (
                "nodes.snp.measurements",
                "0a".repeat(48),
                json!("AllowedToJoin"),
            ),
            (
                "nodes.snp.uvm_endorsements",
                "did".to_owned(),
                json!({"f": {"svn": "1"}}),
            ),
            (
                "jwt.issuers",
                "https://known".to_owned(),
                json!({"issuer": "https://known"}),
            ),
            ("tls.ca_cert_bundles", "bundle".to_owned(), json!("pem")),
            ("recoveries", "0".to_owned(), json!({"kind": "break_glass"})),
            (
                "ca",
                "k".to_owned(),
                json!({"enabled": "true", "requestId": "1"}),
            ),
        ] {
            c.set(table, &key, &value);
        }
        c.set_only("constitution", &json!("in force"));
        let info = json!({"status": status, "cert": self.other, "recovery_count": 0});
        c.set_only("service.info", &info);
        c.open(&json!([{"name": "trigger_ledger_rekey"}]));
        c.effects.names.clear();
        c
    }
}

type Rows = BTreeMap<(String, Vec<u8>), Vec<u8>>;

fn rows(kv: &MemoryKv) -> Rows {
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
fn is_harmless(start: &Rows, end: &Rows, table: &str, key: &[u8]) -> bool {
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

fn assert_harmless(start: &Rows, c: &Consortium, path: &[Value]) {
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

/// Everybody with a role proposes each of `proposals`; those that somebody passes.
fn passed(
    batch: &mut Batch,
    kv: &mut MemoryKv,
    proposals: &[Value],
) -> (Vec<Value>, BTreeSet<String>) {
    let votes: Vec<(String, bool)> = ["o", "p", "s", "x", "stranger"]
        .map(|name| (name.to_owned(), true))
        .to_vec();
    let mut questions = Vec::new();
    for actions in proposals {
        for proposer in ["o", "x"] {
            questions.push(Question {
                actions: actions.clone(),
                proposer: proposer.to_owned(),
                votes: votes.clone(),
            });
        }
    }
    let answers = batch.ask(&questions, kv);
    let mut passed = Vec::new();
    let mut valid = BTreeSet::new();
    for (question, answer) in questions.iter().zip(answers) {
        if answer.valid {
            valid.insert(question.actions[0]["name"].as_str().unwrap().to_owned());
            if answer.state == "Accepted" && passed.last() != Some(&question.actions) {
                passed.push(question.actions.clone());
            }
        }
    }
    (passed, valid)
}

/// The state a proposal leads to; `None` where applying it fails.
fn after(from: &Consortium, actions: &Value) -> Option<Consortium> {
    let mut next = from.fork();
    next.apply(actions).ok()?;
    Some(next)
}

/// Searches from a service with this status, and gives how many states there are and which actions passed.
fn search(status: &str) -> (usize, BTreeSet<String>) {
    let world = World::new();
    let mut batch = Batch::new();
    let names = batch.actions();
    let moves: Vec<Value> = world
        .moves(&names)
        .into_iter()
        .map(|action| json!([action]))
        .collect();
    let start = world.service(status);
    let start_rows = rows(&start.kv);
    let mut seen = BTreeSet::new();
    let mut used = BTreeSet::new();
    let mut reached = vec![(start, Vec::<Value>::new())];
    for length in 0..LENGTH {
        let mut next = Vec::new();
        for (c, path) in &mut reached {
            let (passable, valid) = passed(&mut batch, &mut c.kv, &moves);
            if length == 0 {
                assert_every_action_is_tried(&names, &valid);
                assert_pairs_are_harmless(&start_rows, c, &passable);
            }
            for actions in passable {
                let Some(successor) = after(c, &actions) else {
                    continue;
                };
                let mut path = path.clone();
                used.insert(actions[0]["name"].as_str().unwrap().to_owned());
                path.push(actions);
                assert_harmless(&start_rows, &successor, &path);
                if seen.insert(without_bookkeeping(&successor.kv)) {
                    next.push((successor, path));
                }
            }
        }
        reached = next;
    }
    (seen.len(), used)
}

/// What a state is: all tables but the records of how it came about.
fn without_bookkeeping(kv: &MemoryKv) -> Rows {
    let mut rows = rows(kv);
    rows.retain(|(table, key), _| !table.contains("open_claims") && !key.starts_with(b"applied"));
    rows
}

/// Nothing is proven about an action that no arguments make valid.
fn assert_every_action_is_tried(names: &[String], valid: &BTreeSet<String>) {
    let refused = [
        "set_js_app",
        "remove_js_app",
        "set_js_runtime_options",
        "refresh_js_app_bytecode_cache",
        "add_node_code",
        "remove_node_code",
        "add_executor_node_code",
        "remove_executor_node_code",
        "trigger_acme_refresh",
    ];
    for name in names {
        assert!(
            valid.contains(name) != refused.contains(&name.as_str()),
            "{name} needs arguments that make it valid"
        );
    }
}

/// Proposals of two actions are judged by the state before the first.
fn assert_pairs_are_harmless(start_rows: &Rows, c: &Consortium, passable: &[Value]) {
    for first in passable {
        for second in passable {
            let pair = json!([first[0], second[0]]);
            if let Some(successor) = after(c, &pair) {
                assert_harmless(start_rows, &successor, &[pair]);
            }
        }
    }
}

const ALWAYS: [&str; 10] = [
    "remove_member",
    "remove_node",
    "set_all_nodes_certificate_validity",
    "set_member",
    "set_node_certificate_validity",
    "set_node_data",
    "set_service_certificate_validity",
    "set_snp_minimum_tcb_version",
    "set_snp_minimum_tcb_version_hex",
    "trigger_snapshot",
];

#[test]
pub fn operators_change_nothing_that_matters_in_an_open_service() {
    let (states, used) = search("Open");
    assert!(states > 100, "{states} states");
    for name in ALWAYS {
        assert!(
            used.contains(name),
            "{name} never passed: nothing was proven"
        );
    }
    assert!(!used.contains("transition_service_to_open"));
}

#[test]
pub fn operators_change_nothing_that_matters_in_a_new_service() {
    let (states, used) = search("Opening");
    assert!(states > 100, "{states} states");
    assert!(used.contains("transition_service_to_open"));
}

/// What each delegation gives away, to its role, is exactly this (CON-17, CON-18).
#[test]
pub fn a_delegation_gives_away_what_it_names() {
    let world = World::new();
    let mut batch = Batch::new();
    let names = batch.actions();
    let moves: Vec<Value> = world
        .moves(&names)
        .into_iter()
        .map(|action| json!([action]))
        .collect();
    for (option, gives) in [
        ("constitution", &[][..]),
        ("jsapp", &[][..]),
        ("deploymentspec", &["deployment_specs"][..]),
        ("deploymentinfo", &["deployment_info"][..]),
        (
            "cleanroompolicy",
            &["policies.cleanroom-k", "policy_origins"][..],
        ),
    ] {
        let mut c = world.service("Open");
        let option_name = format!("autoapprove-{option}-proposal");
        c.set(
            "cgs_runtime_options",
            &option_name,
            &json!({"status": "enabled"}),
        );
        let start = rows(&c.kv);
        let (passable, _) = passed(&mut batch, &mut c.kv, &moves);
        let mut changed = BTreeSet::new();
        for actions in passable {
            let Some(successor) = after(&c, &actions) else {
                continue;
            };
            let end = rows(&successor.kv);
            let keys: BTreeSet<_> = start.keys().chain(end.keys()).collect();
            for at @ (table, key) in keys {
                if start.get(at) != end.get(at) && !is_harmless(&start, &end, table, key) {
                    changed.insert(table["public:ccf.gov.".len()..].to_owned());
                }
            }
        }
        let gives: BTreeSet<String> = gives.iter().map(|&table| table.to_owned()).collect();
        assert_eq!(changed, gives, "{option}");
    }
}

/// Law 4 holds with `autoapprove-constitution-proposal` too: what a role may install alone, members have approved; and it cannot be
/// used to drop what members propose.
#[test]
pub fn a_delegate_installs_only_the_constitution_members_approved_and_only_once() {
    let world = World::new();
    let mut c = world.service("Open");
    c.set(
        "cgs_runtime_options",
        "autoapprove-constitution-proposal",
        &json!({"status": "enabled"}),
    );
    let other = c.open(&json!([]));
    let install =
        |text: &str| json!([{"name": "set_constitution", "args": {"constitution": text}}]);
    let state = |c: &mut Consortium, text: &str| c.decide("x", &install(text), &[]);
    let digest = hex::encode(aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        OURS.as_bytes(),
    ));
    state(&mut c, OURS).is(constitution::ProposalState::Open, "CON-15");
    // The text in force: accepted, and nothing happens.
    state(&mut c, "in force").is(constitution::ProposalState::Accepted, "CON-17");
    c.apply(&install("in force")).unwrap();
    assert_eq!(c.get("proposals_info", &other).unwrap()["state"], "Open");
    // An approved text, once.
    c.enact("approve_constitution", json!({"digest": digest}));
    state(&mut c, OURS).is(constitution::ProposalState::Accepted, "CON-17");
    c.enact("withdraw_constitution_approval", json!({"digest": digest}));
    state(&mut c, OURS).is(constitution::ProposalState::Open, "CON-15");
    c.enact("approve_constitution", json!({"digest": digest}));
    c.apply(&install(OURS)).unwrap();
    c.set_only("constitution", &json!("in force"));
    state(&mut c, OURS).is(constitution::ProposalState::Open, "CON-15");
}
