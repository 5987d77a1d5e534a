//! What hangs on documents: delegate policies and secrets count while the documents are accepted and consented to.

use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};

use super::{AGREED, OTHER, SECRET, Scene, m, refuses, set, set_options, user};

const DELEGATE: &str = "/contracts/c1/cleanroompolicy/delegates/secrets/m1_key";

impl Scene {
    /// Has agreed code admit OTHER to the secret, on these terms.
    fn delegate(&mut self, change: &str, documents: Option<Value>) -> (u16, Value) {
        let host_data = hex::encode(OTHER);
        let mut change =
            json!({ "type": change, "claims": { "x-ms-sevsnpvm-hostdata": host_data } });
        if let Some(documents) = documents {
            change["documents"] = documents;
        }
        let envelope = self.signed(&change);
        self.call(Verb::Put, DELEGATE, Caller::Unasked, &envelope)
    }

    fn released_to_other(&mut self) -> (u16, Value) {
        let envelope = self.envelope(OTHER);
        self.release(&envelope)
    }

    fn consent(&mut self, caller: Caller, switch: &str) {
        let path = format!("/contracts/c1/userdocuments/doc/runtimeoptions/execution/{switch}");
        let (status, body) = self.call(Verb::Post, &path, caller, &json!({}));
        assert_eq!(status, 200, "{body}");
    }
}

#[track_caller]
fn lacks((status, body): (u16, Value), document: &str, reason: &str) {
    assert_eq!(
        (status, &body["error"]["code"], &body["error"]["details"][0]),
        (
            403,
            &json!("DocumentNotInForce"),
            &json!({ "documentId": document, "reason": reason })
        ),
        "{body}"
    );
}

#[test]
fn h9_a_delegate_policy_admits_while_its_documents_are_accepted_and_consented_to() {
    let mut scene = Scene::new().with_secret();
    assert_eq!(scene.delegate("add", Some(json!(["doc", "doc"]))).0, 200);
    let (_, shown) = scene.member(Verb::Post, DELEGATE, &Value::Null);
    assert_eq!(shown["documents"], json!(["doc"]));
    lacks(scene.released_to_other(), "doc", "DocumentNotAccepted");
    // A draft is not enough, and neither is a document of another contract.
    set(
        &mut scene.host,
        "public:ccf.gov.accepted_member_documents",
        "doc",
        &json!({ "data": 1, "contractId": "c2", "proposalId": "p", "finalVotes": {} }),
    );
    lacks(scene.released_to_other(), "doc", "ContractIdMismatch");
    scene
        .host
        .erase("public:ccf.gov.accepted_member_documents", b"doc");
    scene.accepted_user_document(&json!("query"));
    assert_eq!(scene.released_to_other().0, 200);
    let approver = user(&mut scene, "u");
    scene.consent(approver.clone(), "disable");
    lacks(
        scene.released_to_other(),
        "doc",
        "UserDocumentRuntimeOptionDisabled",
    );
    let records = scene.records();
    assert!(
        records
            .iter()
            .any(|one| one["record"]["reason"] == "DocumentNotInForce"),
        "{records:?}"
    );
    // The contract's own policy needs no delegate, and so no document.
    let agreed = scene.envelope(AGREED);
    assert_eq!(scene.release(&agreed).0, 200);
    scene.consent(approver, "enable");
    assert_eq!(scene.released_to_other().0, 200);

    // A change that names no documents keeps them; an empty list takes them away.
    assert_eq!(scene.delegate("add", None).0, 200);
    let (_, shown) = scene.member(Verb::Post, DELEGATE, &Value::Null);
    assert_eq!(shown["documents"], json!(["doc"]));
    assert_eq!(scene.delegate("add", Some(json!([]))).0, 200);
    let (_, shown) = scene.member(Verb::Post, DELEGATE, &Value::Null);
    assert_eq!(shown.get("documents"), None);
    for bad in [
        json!("doc"),
        json!(["a b"]),
        json!([""]),
        json!([1]),
        json!({}),
        json!(vec!["d"; 33]),
    ] {
        refuses(scene.delegate("add", Some(bad)), 400, "InvalidPolicy");
    }
}

#[test]
fn h9_all_documents_that_are_named_must_be_in_force() {
    let mut scene = Scene::new().with_secret();
    scene.accepted_user_document(&json!("query"));
    assert_eq!(scene.delegate("add", Some(json!(["doc", "terms"]))).0, 200);
    lacks(scene.released_to_other(), "terms", "DocumentNotAccepted");
    set(
        &mut scene.host,
        "public:ccf.gov.accepted_member_documents",
        "terms",
        &json!({ "data": 1, "contractId": "c1", "proposalId": "p", "finalVotes": {} }),
    );
    assert_eq!(scene.released_to_other().0, 200);
    // A member document of the same id does not stand in for the consent that is missing.
    set(
        &mut scene.host,
        "public:ccf.gov.accepted_member_documents",
        "doc",
        &json!({ "data": 1, "contractId": "c1", "proposalId": "p", "finalVotes": {} }),
    );
    scene.consent(m("m1"), "disable");
    lacks(
        scene.released_to_other(),
        "doc",
        "UserDocumentRuntimeOptionDisabled",
    );
}

#[test]
fn h9_a_secret_is_released_while_the_documents_its_owner_named_are_in_force() {
    let mut scene = Scene::new();
    let path = "/contracts/c1/secrets/key";
    let body = json!({ "value": SECRET, "documents": ["doc"] });
    assert_eq!(scene.member(Verb::Put, path, &body).0, 200);
    let envelope = scene.envelope(AGREED);
    lacks(scene.release(&envelope), "doc", "DocumentNotAccepted");
    scene.accepted_user_document(&json!("query"));
    let (status, released) = scene.release(&envelope);
    assert_eq!((status, scene.unwrapped(&released).as_str()), (200, SECRET));
    scene.consent(m("m1"), "disable");
    let body = scene.refused(&envelope, 403, "DocumentNotInForce");
    assert!(!body.to_string().contains(SECRET));
    // Whoever stores the secret again says anew what it hangs on.
    assert_eq!(
        scene.member(Verb::Put, path, &json!({ "value": SECRET })).0,
        200
    );
    assert_eq!(scene.release(&envelope).0, 200);
    for bad in [json!(["a/b"]), json!("doc"), json!(vec!["d"; 33])] {
        let body = json!({ "value": SECRET, "documents": bad });
        refuses(scene.member(Verb::Put, path, &body), 400, "InvalidInput");
    }
    // A clean room may do the same with what it stores.
    let signed = scene.signed(&json!({ "value": "result", "documents": ["doc"] }));
    let path = "/contracts/c1/secrets/out";
    assert_eq!(
        scene.call(Verb::Put, path, Caller::Anonymous, &signed).0,
        200
    );
    let path = "/contracts/c1/secrets/cleanroom_out";
    let answer = scene.call(Verb::Post, path, Caller::Unasked, &envelope);
    lacks(answer, "doc", "UserDocumentRuntimeOptionDisabled");
}

#[test]
fn h9_members_may_vote_that_delegate_policies_need_documents() {
    let mut scene = Scene::new().with_secret();
    scene.accepted_user_document(&json!("query"));
    assert_eq!(scene.delegate("add", None).0, 200);
    assert_eq!(
        scene.released_to_other().0,
        200,
        "as it always was, unless members say otherwise"
    );
    set_options(&mut scene, &json!({ "releaseNeedsConsent": true }));
    refuses(scene.released_to_other(), 403, "DelegateNotTied");
    let agreed = scene.envelope(AGREED);
    assert_eq!(scene.release(&agreed).0, 200);
    assert_eq!(scene.delegate("add", Some(json!(["doc"]))).0, 200);
    assert_eq!(scene.released_to_other().0, 200);
    scene.consent(m("m1"), "disable");
    lacks(
        scene.released_to_other(),
        "doc",
        "UserDocumentRuntimeOptionDisabled",
    );
}

#[test]
fn h9_events_and_explanations_hold_delegates_to_their_documents() {
    let mut scene = Scene::new().with_secret();
    assert_eq!(scene.delegate("add", Some(json!(["doc"]))).0, 200);
    let mut question = scene.envelope(OTHER);
    question["purpose"] = json!({ "delegateType": "secrets", "delegateId": "m1_key" });
    let path = "/contracts/c1/cleanroompolicy/explain";
    let (status, body) = scene.call(Verb::Post, path, Caller::Anonymous, &question);
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["alternatives"][1]["outcome"], "matches");
    assert_eq!(
        (&body["admitted"], &body["refusal"]),
        (
            &json!(false),
            &json!({ "code": "DocumentNotInForce", "documentId": "doc", "reason": "DocumentNotAccepted" })
        )
    );

    let change = json!({
        "type": "add", "claims": { "x-ms-sevsnpvm-hostdata": hex::encode(OTHER) }, "documents": ["doc"],
    });
    let envelope = scene.signed(&change);
    let path = "/contracts/c1/cleanroompolicy/delegates/events/writer";
    assert_eq!(
        scene.call(Verb::Put, path, Caller::Unasked, &envelope).0,
        200
    );
    let mut event = scene.signed(&json!({ "rows": 3 }));
    event["timestamp"] = "1700000000000".into();
    event["attestation"] = scene.envelope(OTHER)["attestation"].clone();
    let path = "/contracts/c1/events?id=e";
    let write = |scene: &mut Scene| scene.call(Verb::Put, path, Caller::Anonymous, &event);
    lacks(write(&mut scene), "doc", "DocumentNotAccepted");
    scene.accepted_user_document(&json!("query"));
    assert_eq!(write(&mut scene).0, 204);
}

#[test]
fn h9_a_user_document_does_not_stand_in_for_a_member_document_of_its_id() {
    let mut scene = Scene::new().with_secret();
    let path = "/contracts/c1/secrets/key";
    let tied = |scene: &mut Scene, name: &str| {
        let body = json!({ "value": SECRET, "documents": [name] });
        assert_eq!(scene.member(Verb::Put, path, &body).0, 200);
        let envelope = scene.envelope(AGREED);
        scene.release(&envelope)
    };
    // Nobody decided on the member document; somebody accepts a user document of its id alone.
    scene.draft(
        "/memberdocuments/doc",
        &json!({ "contractId": "c1", "data": 1 }),
    );
    scene.accepted_user_document(&json!("query"));
    lacks(tied(&mut scene, "doc"), "doc", "DocumentNotAccepted");
    lacks(
        tied(&mut scene, "member/doc"),
        "member/doc",
        "DocumentNotAccepted",
    );
    assert_eq!(tied(&mut scene, "user/doc").0, 200);
    assert_eq!(scene.delegate("add", Some(json!(["doc"]))).0, 200);
    lacks(scene.released_to_other(), "doc", "DocumentNotAccepted");

    // So it is while it is proposed without a draft, for this contract.
    scene.host.erase("public:documents", b"doc");
    lacks(
        tied(&mut scene, "member/doc"),
        "member/doc",
        "DocumentNotAccepted",
    );
    assert_eq!(tied(&mut scene, "doc").0, 200);
    let mut propose = |id: &str, contract: &str| {
        let document = json!({ "contractId": contract, "data": 1 });
        let action = json!({ "name": "set_member_document", "args": { "documentId": "doc", "document": document } });
        let proposal = json!({ "actions": [action] });
        set(&mut scene.host, "public:ccf.gov.proposals", id, &proposal);
        set(
            &mut scene.host,
            "public:ccf.gov.proposals_info",
            id,
            &json!({ "state": "Open" }),
        );
        tied(&mut scene, "doc")
    };
    assert_eq!(propose("p1", "c2").0, 200, "another contract's");
    lacks(propose("p2", "c1"), "doc", "DocumentNotAccepted");

    // Accepted, it is what the member document's name asks for, whatever becomes of the other one.
    set(
        &mut scene.host,
        "public:ccf.gov.accepted_member_documents",
        "doc",
        &json!({ "data": 1, "contractId": "c1", "proposalId": "p", "finalVotes": {} }),
    );
    for name in ["doc", "member/doc", "user/doc"] {
        assert_eq!(tied(&mut scene, name).0, 200, "{name}");
    }
    scene.consent(m("m1"), "disable");
    for name in ["doc", "user/doc"] {
        let reason = "UserDocumentRuntimeOptionDisabled";
        lacks(tied(&mut scene, name), name, reason);
    }
    assert_eq!(tied(&mut scene, "member/doc").0, 200);
    for bad in ["member/", "member/a/b", "other/doc", "/doc"] {
        let body = json!({ "value": SECRET, "documents": [bad] });
        refuses(scene.member(Verb::Put, path, &body), 400, "InvalidInput");
    }
}
