//! Open proposals of the consortium, and what happened to earlier ones.

use ccf_rs::Verb;
use serde_json::{Value, json};

use super::{Scene, m, refuses, set};

const PROPOSALS: &str = "public:ccf.gov.proposals";
const INFOS: &str = "public:ccf.gov.proposals_info";

fn propose(scene: &mut Scene, id: &str, action: &str, args: &Value) {
    let actions = json!({ "actions": [{ "name": action, "args": args }] });
    set(&mut scene.host, PROPOSALS, id, &actions);
    set(&mut scene.host, INFOS, id, &json!({ "state": "Open" }));
}

fn contract(scene: &mut Scene, id: &str) -> Value {
    let (_, shown) = scene.member(Verb::Post, &format!("/contracts/{id}"), &Value::Null);
    shown
}

#[test]
fn w40_open_proposals_are_parsed_once_and_found_by_what_they_concern() {
    let mut scene = Scene::new();
    for n in 0..50 {
        let args = json!({ "contractId": format!("x{n}"), "contract": { "data": n } });
        propose(&mut scene, &format!("p{n}"), "set_contract", &args);
    }
    assert_eq!(contract(&mut scene, "x7")["proposalId"], "p7");
    // What a proposal says does not change, so nobody reads it a second time.
    for n in 0..50 {
        scene.host.erase(PROPOSALS, format!("p{n}").as_bytes());
    }
    assert_eq!(contract(&mut scene, "x8")["data"], 8);
    // A ballot changes information, not the set of open proposals.
    let voted = json!({ "state": "Open", "ballots": { "m1": "x" } });
    set(&mut scene.host, INFOS, "p9", &voted);
    assert_eq!(contract(&mut scene, "x9")["data"], 9);
    set(
        &mut scene.host,
        INFOS,
        "p9",
        &json!({ "state": "Rejected" }),
    );
    refuses(
        scene.member(Verb::Post, "/contracts/x9", &Value::Null),
        404,
        "ContractNotFound",
    );
}

#[test]
fn w23_disabling_proposals_are_listed_too() {
    let mut scene = Scene::new();
    let args = json!({ "contractId": "c1" });
    for (id, change) in [("p1", "enable"), ("p2", "disable")] {
        let action = format!("set_contract_runtime_options_{change}_logging");
        propose(&mut scene, id, &action, &args);
    }
    let path = "/contracts/c1/runtimeoptions/logging/status";
    let (_, shown) = scene.member(Verb::Post, path, &json!({}));
    assert_eq!(shown["proposalIds"], json!(["p1", "p2"]));
}

#[test]
fn the_states_of_a_proposal_are_told_after_governance_forgot_it() {
    let mut scene = Scene::new();
    for state in ["Open", "Open", "Accepted"] {
        set(
            &mut scene.host,
            INFOS,
            "p",
            &json!({ "state": state, "ballots": {} }),
        );
        set(&mut scene.host, INFOS, "other", &json!({ "state": state }));
    }
    scene.host.erase(INFOS, b"p");
    let path = "/proposals/p/historical";
    let states = |scene: &mut Scene, path: &str| {
        let (status, body) = scene.member(Verb::Get, path, &Value::Null);
        assert_eq!(status, 200, "{body}");
        let steps = body["value"].as_array().unwrap().clone();
        (steps, body["nextLink"].clone())
    };
    let (steps, next) = states(&mut scene, path);
    let told: Vec<_> = steps.iter().map(|step| &step["proposalState"]).collect();
    assert_eq!(told, ["Open", "Open", "Accepted"]);
    assert!(next.is_null());
    let first = steps[0]["seqno"].as_u64().unwrap();
    let paged = format!("{path}?from_seqno={first}&max_seqno_per_page=0");
    let (one, next) = states(&mut scene, &paged);
    assert_eq!(one.len(), 1);
    let next = next.as_str().unwrap();
    let want = format!("/app/proposals/p/historical?from_seqno={}", first + 2);
    assert!(next.starts_with(&want), "{next}");
    assert!(
        states(&mut scene, "/proposals/none/historical")
            .0
            .is_empty()
    );
    let answer = scene.call(
        Verb::Get,
        &format!("{path}?to_seqno=x"),
        m("m1"),
        &Value::Null,
    );
    refuses(answer, 400, "InvalidRange");
}
