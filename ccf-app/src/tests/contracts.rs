//! Drafts and proposed contracts.

use ccf_rs::Verb;
use serde_json::{Value, json};

use super::{Scene, m, refuses, set};

#[test]
fn drafts_are_changed_by_naming_their_version() {
    let mut scene = Scene::new();
    let path = "/contracts/c2";
    let (reply, id) = scene.send(
        Verb::Put,
        path,
        m("m1"),
        &json!({ "data": { "b": 1, "a": 1.0 } }),
    );
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    let version = id.unwrap().to_string();
    let (_, shown) = scene.member(Verb::Post, path, &Value::Null);
    assert_eq!(
        shown,
        json!({ "id": "c2", "state": "Draft", "version": version, "data": { "b": 1, "a": 1.0 }, "proposalId": "" })
    );
    for (body, status, code) in [
        (json!({ "data": 2 }), 409, "ContractAlreadyExists"),
        (
            json!({ "data": 2, "version": "2.1" }),
            412,
            "PreconditionFailed",
        ),
        (json!({ "data": 0, "version": version }), 400, "DataMissing"),
    ] {
        let (got, answer) = scene.member(Verb::Put, path, &body);
        assert_eq!((got, &answer["error"]["code"]), (status, &json!(code)));
    }
    assert_eq!(
        scene
            .member(Verb::Put, path, &json!({ "data": 2, "version": version }))
            .0,
        200
    );
    let (status, answer) = scene.member(Verb::Put, "/contracts/c1", &json!({ "data": 1 }));
    assert_eq!(
        (status, &answer["error"]["code"]),
        (405, &json!("ContractAlreadyAccepted"))
    );
}

#[test]
fn a_proposed_contract_shows_the_copy_in_the_proposal_and_whether_it_is_the_draft() {
    let mut scene = Scene::new();
    scene.member(Verb::Put, "/contracts/c2", &json!({ "data": "draft" }));
    let mut propose = |id: &str, contract: Value| {
        let action =
            json!({ "name": "set_contract", "args": { "contractId": "c2", "contract": contract } });
        set(
            &mut scene.host,
            "public:ccf.gov.proposals",
            id,
            &json!({ "actions": [action] }),
        );
        set(
            &mut scene.host,
            "public:ccf.gov.proposals_info",
            id,
            &json!({ "state": "Open" }),
        );
    };
    propose("p2", json!({ "data": "other", "version": "2.9" }));
    let (_, shown) = scene.member(Verb::Post, "/contracts/c2", &Value::Null);
    assert_eq!(
        shown,
        json!({ "id": "c2", "state": "Proposed", "version": "2.9", "data": "other", "proposalId": "p2", "draftMatches": false })
    );
    for (state, ids) in [
        ("Proposed", json!(["c2"])),
        ("Draft", json!([])),
        ("Accepted", json!(["c1"])),
    ] {
        let (_, list) = scene.member(
            Verb::Get,
            &format!("/contracts?state={state}"),
            &Value::Null,
        );
        let got: Vec<_> = list["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["id"].clone())
            .collect();
        assert_eq!(json!(got), ids, "{state}");
    }
    assert_eq!(
        scene
            .member(Verb::Get, "/contracts?state=draft", &Value::Null)
            .0,
        400
    );
    // W22: a proposal without a contract breaks nothing.
    let mut propose = |contract: Value| {
        let action =
            json!({ "name": "set_contract", "args": { "contractId": "c2", "contract": contract } });
        set(
            &mut scene.host,
            "public:ccf.gov.proposals",
            "p2",
            &json!({ "actions": [action] }),
        );
    };
    propose(Value::Null);
    assert_eq!(
        scene.member(Verb::Post, "/contracts/c2", &Value::Null).0,
        200
    );
}

#[test]
fn a_contract_by_a_name_that_no_path_can_have_is_listed_with_the_others() {
    let mut scene = Scene::new();
    let accepted = json!({ "data": 1, "proposalId": "p", "finalVotes": {} });
    let table = "public:ccf.gov.accepted_contracts";
    for id in ["a b", "a/b", "c\u{e9}", &"x".repeat(300)] {
        set(&mut scene.host, table, id, &accepted);
    }
    let pages = scene.paged("/contracts?state=Accepted", 1);
    let listed: Vec<&str> = pages.iter().map(|c| c["id"].as_str().unwrap()).collect();
    assert_eq!(listed, ["a b", "a/b", "c1", "c\u{e9}", &"x".repeat(300)]);
    let (status, list) = scene.member(Verb::Get, "/contracts", &Value::Null);
    assert_eq!(
        (status, list["value"].as_array().map(Vec::len)),
        (200, Some(5))
    );
}

/// A node that joined lately may not know in which view an old row was written.
#[test]
fn a_node_that_does_not_know_the_view_of_a_version_says_so() {
    let mut scene = Scene::new();
    scene.member(Verb::Put, "/contracts/c2", &json!({ "data": 1 }));
    scene.host.forget_views();
    for (verb, path, body) in [
        (Verb::Post, "/contracts/c1", Value::Null),
        (Verb::Post, "/contracts/c2", Value::Null),
        (
            Verb::Put,
            "/contracts/c2",
            json!({ "data": 2, "version": "2.1" }),
        ),
    ] {
        refuses(scene.member(verb, path, &body), 503, "ViewNotKnown");
    }
}
