//! User proposals: who may propose what, and how it is decided.

use ccf_rs::{Caller, UserId, Verb};
use serde_json::{Value, json};

use super::{Scene, m, refuses, set, token, user};

const OPEN: &str = "public:cleanroom.open_user_proposals";

pub(super) fn approvers(ids: &[&str]) -> Value {
    ids.iter()
        .map(|id| json!({ "approverId": id, "approverIdType": "user" }))
        .collect()
}

/// Users u and v; a draft d of c1 with approvers m1 and u.
fn scene() -> (Scene, Caller, Caller) {
    let mut scene = Scene::new();
    let (u, v) = (user(&mut scene, "u"), user(&mut scene, "v"));
    draft(&mut scene, "d", &approvers(&["m1", "u"]));
    (scene, u, v)
}

fn draft(scene: &mut Scene, id: &str, approvers: &Value) {
    let body =
        json!({ "contractId": "c1", "data": id, "labels": { "l": id }, "approvers": approvers });
    let (status, answer) = scene.member(Verb::Put, &format!("/userdocuments/{id}"), &body);
    assert_eq!(status, 200, "{answer}");
}

fn proposal(scene: &mut Scene, id: &str) -> Value {
    let (_, document) = scene.member(Verb::Get, &format!("/userdocuments/{id}"), &Value::Null);
    let approvers = document["approvers"].clone();
    json!({
        "name": "set_user_document", "args": { "documentId": id, "document": document }, "approvers": approvers,
    })
}

fn propose(scene: &mut Scene, caller: Caller, id: &str, body: &Value) -> (u16, Value) {
    scene.call(Verb::Put, &format!("/users/proposals/{id}"), caller, body)
}

fn vote(scene: &mut Scene, caller: Caller, id: &str, ballot: &str) -> (u16, Value) {
    let path = format!("/users/proposals/{id}/ballots/submit");
    scene.call(Verb::Post, &path, caller, &json!({ "ballot": ballot }))
}

fn state(scene: &mut Scene, id: &str) -> Value {
    let (_, document) = scene.member(Verb::Get, &format!("/userdocuments/{id}"), &Value::Null);
    document["state"].clone()
}

#[test]
fn every_approver_accepts_and_the_document_becomes_what_was_proposed() {
    let (mut scene, u, v) = scene();
    let body = proposal(&mut scene, "d");
    let (status, answer) = propose(&mut scene, v.clone(), "p", &body);
    assert_eq!((status, answer), (200, json!({ "proposalId": "p" })));
    assert_eq!(state(&mut scene, "d"), "Proposed");
    let (_, shown) = scene.member(Verb::Post, "/users/proposals/p", &json!({}));
    assert_eq!(
        (&shown["name"], &shown["args"], &shown["approvers"]),
        (&body["name"], &body["args"], &body["approvers"])
    );
    // What happens to the draft meanwhile does not matter.
    let change = json!({ "contractId": "c1", "data": "later", "version": body["args"]["document"]["version"] });
    assert_eq!(scene.member(Verb::Put, "/userdocuments/d", &change).0, 200);
    let (_, shown) = scene.member(Verb::Get, "/userdocuments/d", &Value::Null);
    assert_eq!(
        (&shown["data"], &shown["draftMatches"]),
        (&json!("d"), &json!(false))
    );

    refuses(
        vote(&mut scene, v, "p", "accepted"),
        403,
        "NotProposalApprover",
    );
    refuses(
        vote(&mut scene, m("m1"), "p", "yes"),
        400,
        "InvalidBallotValue",
    );
    let (_, one) = vote(&mut scene, m("m1"), "p", "accepted");
    let ballot = |id: &str| json!({ "approverId": id, "ballot": "accepted" });
    assert_eq!(
        one,
        json!({ "proposerId": "v", "state": "Open", "ballots": [ballot("m1")] })
    );
    refuses(
        vote(&mut scene, m("m1"), "p", "rejected"),
        409,
        "BallotAlreadySubmitted",
    );
    let (_, done) = vote(&mut scene, u.clone(), "p", "accepted");
    assert_eq!(done["state"], "Accepted");
    refuses(vote(&mut scene, u, "p", "accepted"), 409, "ProposalNotOpen");
    let (_, shown) = scene.member(Verb::Get, "/userdocuments/d", &Value::Null);
    assert_eq!(
        (&shown["state"], &shown["data"]),
        (&json!("Accepted"), &json!("d"))
    );
    assert_eq!(shown["finalVotes"], json!([ballot("m1"), ballot("u")]));
    let change = json!({ "contractId": "c1", "data": 1 });
    let answer = scene.member(Verb::Put, "/userdocuments/d", &change);
    refuses(answer, 405, "UserDocumentAlreadyAccepted");
    let answer = propose(&mut scene, m("m1"), "q", &body);
    refuses(answer, 405, "UserDocumentAlreadyAccepted");
}

#[test]
fn one_rejection_ends_a_proposal_and_the_document_is_a_draft_again() {
    let (mut scene, u, _) = scene();
    let body = proposal(&mut scene, "d");
    assert_eq!(propose(&mut scene, u.clone(), "p", &body).0, 200);
    assert_eq!(vote(&mut scene, m("m1"), "p", "accepted").0, 200);
    let (_, done) = vote(&mut scene, u.clone(), "p", "rejected");
    assert_eq!(done["state"], "Rejected");
    assert_eq!(state(&mut scene, "d"), "Draft");
    assert!(scene.host.entries(OPEN).is_empty());
    refuses(
        propose(&mut scene, u.clone(), "p", &body),
        409,
        "ProposalAlreadyExists",
    );
    assert_eq!(propose(&mut scene, u, "q", &body).0, 200);
}

#[test]
fn proposals_that_are_none_are_refused_by_name() {
    let (mut scene, u, _) = scene();
    let good = proposal(&mut scene, "d");
    let without = |name: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(name);
        body
    };
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, code) in [
        (without("approvers"), "ApproversMissing"),
        (with("approvers", Value::Null), "ApproversMissing"),
        (with("approvers", json!([])), "EmptyApprovers"),
        (
            with("approvers", json!([{ "approverId": 1 }])),
            "InvalidInput",
        ),
        (without("name"), "InvalidProposalType"),
        (with("name", json!("set_contract")), "InvalidProposalType"),
        (without("args"), "InvalidUserDocumentId"),
        (with("args", json!({})), "InvalidUserDocumentId"),
        (
            with("args", json!({ "documentId": "d" })),
            "UserDocumentMissing",
        ),
    ] {
        refuses(propose(&mut scene, u.clone(), "p", &body), 400, code);
    }
    for path in ["", "/status", "/withdraw", "/ballots/submit"] {
        let path = format!("/users/proposals/none{path}");
        let answer = scene.call(
            Verb::Post,
            &path,
            u.clone(),
            &json!({ "ballot": "accepted" }),
        );
        refuses(answer, 404, "ProposalNotFound");
    }
    let stranger = token(json!({ "oid": "nobody", "tid": "t" }));
    refuses(
        propose(&mut scene, stranger, "p", &good),
        403,
        "CallerNotAuthorized",
    );
    assert!(scene.host.entries(OPEN).is_empty());
}

#[test]
fn nobody_approves_what_is_not_the_draft_or_with_other_approvers() {
    let (mut scene, u, _) = scene();
    let good = proposal(&mut scene, "d");
    // A document nobody drafted, with oneself as the only approver.
    let undrafted = json!({
        "name": "set_user_document",
        "args": { "documentId": "new", "document": { "contractId": "c1", "data": "self" } },
        "approvers": approvers(&["u"]),
    });
    refuses(
        propose(&mut scene, u.clone(), "p", &undrafted),
        404,
        "UserDocumentNotFound",
    );
    for (part, value) in [
        ("data", json!("other")),
        ("contractId", json!("c2")),
        ("labels", json!({ "l": "other" })),
        ("labels", json!(null)),
    ] {
        let mut body = good.clone();
        body["args"]["document"][part] = value;
        let answer = propose(&mut scene, u.clone(), "p", &body);
        refuses(answer, 400, "UserDocumentMismatch");
    }
    let mut body = good.clone();
    body["args"]["document"]["version"] = "2.1".into();
    refuses(
        propose(&mut scene, u.clone(), "p", &body),
        412,
        "PreconditionFailed",
    );
    for ids in [&["u"][..], &["u", "v"], &["u", "m1", "v"]] {
        let mut body = good.clone();
        body["approvers"] = approvers(ids);
        let answer = propose(&mut scene, u.clone(), "p", &body);
        refuses(answer, 400, "ApproversMismatch");
    }
    assert_eq!(propose(&mut scene, u, "p", &good).0, 200);
}

#[test]
fn where_the_draft_names_no_approvers_no_counted_member_is_left_out() {
    let (mut scene, u, _) = scene();
    draft(&mut scene, "open", &Value::Null);
    let operator = json!({ "status": "Active", "member_data": { "isOperator": true } });
    set(
        &mut scene.host,
        "public:ccf.gov.members.info",
        "op",
        &operator,
    );
    let mut body = proposal(&mut scene, "open");
    for ids in [&["u"][..], &["m1", "u"], &["m1", "op"]] {
        body["approvers"] = approvers(ids);
        let answer = propose(&mut scene, u.clone(), "p", &body);
        refuses(answer, 400, "ApproversMismatch");
    }
    body["approvers"] = approvers(&["m1", "m2", "u"]);
    assert_eq!(propose(&mut scene, u, "p", &body).0, 200);
}

#[test]
fn a_document_is_in_one_open_proposal_and_nobody_who_left_blocks_it() {
    let (mut scene, u, v) = scene();
    let body = proposal(&mut scene, "d");
    assert_eq!(propose(&mut scene, v.clone(), "p", &body).0, 200);
    let answer = propose(&mut scene, u.clone(), "q", &body);
    refuses(answer, 409, "UserDocumentAlreadyProposed");
    let path = "/users/proposals/p/withdraw";
    for caller in [m("m1"), u.clone(), Caller::User(UserId("x".into()))] {
        let answer = scene.call(Verb::Post, path, caller, &json!({}));
        refuses(answer, 403, "NotProposalOwner");
    }
    scene.host.erase("public:ccf.gov.user_identities", b"v");
    let answer = scene.call(Verb::Post, path, u.clone(), &json!({}));
    refuses(answer, 403, "NotProposalOwner");
    let (status, done) = scene.member(Verb::Post, path, &json!({}));
    assert_eq!((status, &done["state"]), (200, &json!("Withdrawn")));
    refuses(
        scene.member(Verb::Post, path, &json!({})),
        409,
        "ProposalNotOpen",
    );
    assert_eq!(propose(&mut scene, u, "q", &body).0, 200);
}

#[test]
fn an_approver_listed_twice_votes_once() {
    let (mut scene, u, _) = scene();
    draft(&mut scene, "twice", &approvers(&["u", "u"]));
    let body = proposal(&mut scene, "twice");
    assert_eq!(propose(&mut scene, m("m1"), "p", &body).0, 200);
    let (_, done) = vote(&mut scene, u, "p", "accepted");
    assert_eq!(done["state"], "Accepted");
}

#[test]
fn members_may_vote_how_many_approvers_a_document_needs() {
    let (mut scene, u, _) = scene();
    draft(&mut scene, "alone", &approvers(&["u"]));
    let body = proposal(&mut scene, "alone");
    let least = |n: u32| json!({ "options": { "minimumApprovers": n } }).to_string();
    let everywhere = "public:ccf.gov.application_options";
    scene.host.store(everywhere, &[0; 8], least(2).as_bytes());
    refuses(
        propose(&mut scene, u.clone(), "p", &body),
        400,
        "TooFewApprovers",
    );
    // What members say of one contract stands before what they say of all.
    let one: Value = serde_json::from_str(&least(1)).unwrap();
    set(
        &mut scene.host,
        "public:ccf.gov.contract_options",
        "c1",
        &one,
    );
    assert_eq!(propose(&mut scene, u, "p", &body).0, 200);
}
