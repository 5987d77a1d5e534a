//! Law 4: no action available without a members' vote changes who can read secrets, who votes, which code may join, who may sign
//! tokens, or the constitution.
//!
//! Operators of every kind work together: they propose everything the constitution knows, with arguments of many kinds, all of them
//! vote for all of it, and nobody else votes. Searched are all sequences of up to [`LENGTH`] proposals of one action, and all
//! proposals of two actions, from a service that is new and from one that is open; states that are equal are visited once. What may
//! differ afterwards is listed in [`harmless`]; everything else in the tables is as it was.

mod harmless;
mod world;

use std::collections::BTreeSet;

use constitution::MemoryKv;
use serde_json::{Value, json};

use self::harmless::{Rows, assert_harmless, is_harmless, rows};
use self::world::World;
use crate::batch::{Batch, Question};
use crate::consortium::Consortium;

/// How many proposals follow each other.
const LENGTH: usize = 3;

const OURS: &str = "export function validate(a) {} export function resolve(a, b, c) {} export function apply(a, b) {}";

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
    let moves = world.moves(&names);
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
    let moves = world.moves(&names);
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
    // Neither is one that members approved, and then voted for another.
    c.enact("approve_constitution", json!({"digest": digest}));
    c.apply(&install("// voted meanwhile")).unwrap();
    state(&mut c, OURS).is(constitution::ProposalState::Open, "CON-15");
    c.enact("approve_constitution", json!({"digest": digest}));
    c.apply(&install(OURS)).unwrap();
    c.set_only("constitution", &json!("in force"));
    state(&mut c, OURS).is(constitution::ProposalState::Open, "CON-15");
}
