//! Documents of members and users: drafts, lists, what clean rooms are handed.

use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};

use super::user_proposals::approvers;
use super::{OTHER, Scene, m, refuses, set, user};

const ACCEPTED_MEMBER: &str = "public:ccf.gov.accepted_member_documents";

impl Scene {
    fn accept_member_document(&mut self, id: &str, contract: &str) {
        let document = json!({
            "data": "agreed", "contractId": contract, "proposalId": "p", "finalVotes": { "m1": true },
        });
        set(&mut self.host, ACCEPTED_MEMBER, id, &document);
    }

    fn ids(&mut self, path: &str) -> Vec<String> {
        let (status, body) = self.member(Verb::Get, path, &Value::Null);
        assert_eq!(status, 200, "{body}");
        let list = body.get("value").unwrap_or(&body).as_array().unwrap();
        let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
        list.iter().map(id).collect()
    }

    fn handed(&mut self, path: &str) -> (u16, Value) {
        let envelope = self.envelope(super::AGREED);
        self.call(Verb::Post, path, Caller::Unasked, &envelope)
    }

    fn document(&mut self, path: &str) -> Value {
        let (status, body) = self.handed(path);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&self.unwrapped(&body)).unwrap()
    }

    pub(super) fn draft(&mut self, path: &str, body: &Value) {
        let (status, answer) = self.member(Verb::Put, path, body);
        assert_eq!(status, 200, "{answer}");
    }
}

#[test]
fn member_documents_are_drafted_changed_by_version_and_frozen_when_accepted() {
    let mut scene = Scene::new();
    let path = "/memberdocuments/d";
    for (body, status, code) in [
        (json!({ "data": 1 }), 400, "ContractIdMissing"),
        (
            json!({ "contractId": "", "data": 1 }),
            400,
            "ContractIdMissing",
        ),
        (json!({ "contractId": "c1" }), 400, "DataMissing"),
        (
            json!({ "contractId": "none", "data": 1 }),
            404,
            "ContractNotFound",
        ),
        (
            json!({ "contractId": "a b", "data": 1 }),
            404,
            "ContractNotFound",
        ),
    ] {
        let answer = scene.member(Verb::Put, path, &body);
        refuses(answer, status, code);
    }
    refuses(
        scene.member(Verb::Get, path, &Value::Null),
        404,
        "DocumentNotFound",
    );
    // A contract accepted without a draft exists (W10).
    let body = json!({ "contractId": "c1", "data": { "a": 1 } });
    let (_, id) = scene.send(Verb::Put, path, m("m1"), &body);
    let version = id.unwrap().to_string();
    let (_, shown) = scene.member(Verb::Get, path, &Value::Null);
    let draft = json!({
        "id": "d", "state": "Draft", "version": version, "contractId": "c1", "data": { "a": 1 }, "proposalId": "",
    });
    assert_eq!(shown, draft);
    let change = |version: Value| json!({ "contractId": "c1", "data": 2, "version": version });
    refuses(
        scene.member(Verb::Put, path, &change(Value::Null)),
        409,
        "DocumentAlreadyExists",
    );
    refuses(
        scene.member(Verb::Put, path, &change(json!("2.1"))),
        412,
        "PreconditionFailed",
    );
    assert_eq!(
        scene.member(Verb::Put, path, &change(json!(version))).0,
        200
    );
    scene.accept_member_document("d", "c1");
    let answer = scene.member(Verb::Put, path, &change(json!(version)));
    refuses(answer, 405, "DocumentAlreadyAccepted");
    let (_, shown) = scene.member(Verb::Get, path, &Value::Null);
    assert_eq!(
        (&shown["state"], &shown["data"]),
        (&json!("Accepted"), &json!("agreed"))
    );
    assert_eq!(
        shown["finalVotes"],
        json!([{ "memberId": "m1", "vote": true }])
    );
    let joining = json!({ "status": "Accepted" });
    set(
        &mut scene.host,
        "public:ccf.gov.members.info",
        "m3",
        &joining,
    );
    let answer = scene.call(Verb::Put, "/memberdocuments/x", m("m3"), &body);
    refuses(answer, 403, "CallerNotAuthorized");
}

#[test]
fn a_proposed_document_shows_the_copy_and_a_broken_proposal_breaks_no_read() {
    let mut scene = Scene::new();
    scene.draft(
        "/memberdocuments/d",
        &json!({ "contractId": "c1", "data": "draft" }),
    );
    let mut propose = |id: &str, document: Value| {
        let args = json!({ "documentId": "d", "document": document });
        let actions = json!({ "actions": [{ "name": "set_member_document", "args": args }] });
        set(&mut scene.host, "public:ccf.gov.proposals", id, &actions);
        let info = "public:ccf.gov.proposals_info";
        set(&mut scene.host, info, "p1", &json!({ "state": "Rejected" }));
        set(&mut scene.host, info, id, &json!({ "state": "Open" }));
    };
    propose(
        "p1",
        json!({ "contractId": "c1", "data": "other", "version": "2.9" }),
    );
    let (_, shown) = scene.member(Verb::Get, "/memberdocuments/d", &Value::Null);
    let want = json!({
        "id": "d", "state": "Proposed", "version": "2.9", "contractId": "c1", "data": "other",
        "proposalId": "p1", "draftMatches": false,
    });
    assert_eq!(shown, want);
    let mut propose = |id: &str, document: Value| {
        let args = json!({ "documentId": "d", "document": document });
        let actions = json!({ "actions": [{ "name": "set_member_document", "args": args }] });
        set(&mut scene.host, "public:ccf.gov.proposals", id, &actions);
        let info = "public:ccf.gov.proposals_info";
        set(&mut scene.host, info, "p1", &json!({ "state": "Rejected" }));
        set(&mut scene.host, info, id, &json!({ "state": "Open" }));
    };
    propose("p2", Value::Null);
    let (status, shown) = scene.member(Verb::Get, "/memberdocuments/d", &Value::Null);
    assert_eq!((status, &shown["proposalId"]), (200, &json!("p2")));
}

#[test]
fn routes_below_a_contract_see_its_documents_only() {
    let mut scene = Scene::new();
    scene.draft("/contracts/c2", &json!({ "data": "other contract" }));
    for (kind, exists) in [
        ("memberdocuments", "DocumentAlreadyExists"),
        ("userdocuments", "UserDocumentAlreadyExists"),
    ] {
        let of = |contract: &str, id: &str| format!("/contracts/{contract}/{kind}/{id}");
        scene.draft(&of("c1", "a"), &json!({ "contractId": "c1", "data": 1 }));
        scene.draft(&of("c2", "b"), &json!({ "contractId": "c2", "data": 2 }));
        let elsewhere = json!({ "contractId": "c1", "data": 3 });
        let answer = scene.member(Verb::Put, &of("c2", "x"), &elsewhere);
        refuses(answer, 400, "ContractIdMismatch");
        let unversioned = json!({ "contractId": "c1", "data": 4 });
        let answer = scene.member(Verb::Put, &of("c1", "a"), &unversioned);
        refuses(answer, 409, exists);
        // Not even by its version does a draft move to another contract.
        let (_, shown) = scene.member(Verb::Post, &of("c1", "a"), &Value::Null);
        let moved = json!({ "contractId": "c2", "data": 3, "version": shown["version"] });
        let answer = scene.member(Verb::Put, &format!("/{kind}/a"), &moved);
        refuses(answer, 400, "ContractIdMismatch");
        assert_eq!(
            scene.member(Verb::Post, &of("c1", "b"), &Value::Null).0,
            404
        );
        assert_eq!(scene.ids(&format!("/contracts/c1/{kind}")), ["a"]);
        assert_eq!(scene.ids(&format!("/contracts/c2/{kind}")), ["b"]);
        assert_eq!(
            scene.ids(&format!("/contracts/none/{kind}")),
            Vec::<String>::new()
        );
        assert_eq!(scene.ids(&format!("/{kind}")), ["a", "b"]);
    }
}

#[test]
fn lists_of_documents_come_in_pages_when_asked() {
    let mut scene = Scene::new();
    for n in 0..5 {
        let body = json!({ "contractId": "c1", "data": { "n": n }, "labels": { "odd": (n % 2).to_string() } });
        scene.draft(&format!("/userdocuments/d{n}"), &body);
        scene.draft(&format!("/memberdocuments/d{n}"), &body);
    }
    let found = scene.paged("/contracts/c1/userdocuments?labelSelector=odd:0", 2);
    let found: Vec<&Value> = found.iter().map(|d| &d["id"]).collect();
    assert_eq!(found, ["d0", "d2", "d4"]);
    // The list of member documents is a bare array, so its link is a header.
    let path = "/memberdocuments?limit=2&after=d1";
    let (reply, _) = scene.send(Verb::Get, path, m("m1"), &Value::Null);
    assert_eq!(reply.body, br#"[{"id":"d2"},{"id":"d3"}]"#);
    let link = reply.headers.iter().find(|(name, _)| *name == "link");
    assert_eq!(
        link.unwrap().1,
        "</app/memberdocuments?limit=2&after=d3>; rel=\"next\""
    );
    for selector in ["", "a", "a:", ":b", "a:b:c", ",", "a:b,"] {
        let path = format!("/userdocuments?labelSelector={selector}");
        refuses(
            scene.member(Verb::Get, &path, &Value::Null),
            400,
            "InvalidParameter",
        );
    }
}

#[test]
fn labels_and_approvers_of_a_draft_are_checked() {
    let mut scene = Scene::new();
    for (part, value) in [
        ("labels", json!({ "n": 5 })),
        ("labels", json!({ "": "x" })),
        ("labels", json!({ "a,b": "x" })),
        ("labels", json!([1])),
        ("approvers", json!("m1")),
        ("approvers", json!([{ "approverId": 1 }])),
        ("approvers", json!([{ "approverId": "" }])),
        ("approvers", json!([{}])),
    ] {
        let mut body = json!({ "contractId": "c1", "data": 1 });
        body[part] = value.clone();
        let answer = scene.member(Verb::Put, "/userdocuments/d", &body);
        refuses(answer, 400, "InvalidInput");
    }
}

#[test]
fn what_user_documents_say_is_in_no_public_table() {
    let mut scene = Scene::new();
    let marked = json!({ "q": "what nobody else may read" });
    let id = scene.accepted_user_document(&marked);
    for table in scene.host.tables() {
        let public = table.starts_with("public:");
        for (_, value) in scene.host.entries(&table) {
            let text = String::from_utf8_lossy(&value);
            assert!(!public || !text.contains("nobody else"), "{table}: {text}");
        }
    }
    let (_, shown) = scene.member(Verb::Get, &format!("/userdocuments/{id}"), &Value::Null);
    assert_eq!(shown["data"], marked);
}

#[test]
fn accepted_documents_are_handed_to_agreed_code_of_their_contract() {
    let mut scene = Scene::new();
    scene.accept_member_document("d", "c1");
    let path = "/contracts/c1/memberdocuments/accepted";
    let document = scene.document(&format!("{path}/d"));
    assert_eq!(
        (&document["state"], &document["data"]),
        (&json!("Accepted"), &json!("agreed"))
    );
    refuses(
        scene.handed(&format!("{path}/none")),
        404,
        "DocumentNotFound",
    );
    scene.accept_member_document("e", "c2");
    refuses(
        scene.handed(&format!("{path}/e")),
        400,
        "ContractIdMismatch",
    );
    let other = scene.envelope(OTHER);
    let answer = scene.call(Verb::Post, &format!("{path}/d"), Caller::Unasked, &other);
    refuses(answer, 400, "VerifySnpAttestationFailed");
    for (missing, code) in [
        ("attestation", "AttestationMissing"),
        ("encrypt", "EncryptionMissing"),
    ] {
        let mut envelope = scene.envelope(super::AGREED);
        envelope.as_object_mut().unwrap().remove(missing);
        let answer = scene.call(Verb::Post, &format!("{path}/d"), Caller::Unasked, &envelope);
        refuses(answer, 400, code);
    }
    let path = "/contracts/c1/runtimeoptions/execution/disable";
    assert_eq!(scene.member(Verb::Post, path, &Value::Null).0, 200);
    let answer = scene.handed("/contracts/c1/memberdocuments/accepted/d");
    refuses(answer, 403, "ContractDisabled");
}

#[test]
fn an_approver_stops_a_document_until_that_approver_returns_or_leaves() {
    let mut scene = Scene::new();
    let id = scene.accepted_user_document(&json!("query"));
    let base = format!("/contracts/c1/userdocuments/{id}/runtimeoptions");
    let accepted = format!("/contracts/c1/userdocuments/accepted/{id}");
    assert_eq!(scene.document(&accepted)["data"], "query");
    let approver = user(&mut scene, "u");
    let disable = format!("{base}/execution/disable");
    assert_eq!(
        scene
            .call(Verb::Post, &disable, approver.clone(), &json!({}))
            .0,
        200
    );
    refuses(
        scene.handed(&accepted),
        403,
        "UserDocumentRuntimeOptionDisabled",
    );
    let status = format!("{base}/execution/status");
    let (_, shown) = scene.handed(&status);
    assert_eq!(shown["reason"]["code"], "UserDocumentRuntimeOptionDisabled");
    // Another approver's consent does not replace it.
    let enable = format!("{base}/execution/enable");
    assert_eq!(scene.member(Verb::Post, &enable, &json!({})).0, 200);
    refuses(
        scene.handed(&accepted),
        403,
        "UserDocumentRuntimeOptionDisabled",
    );
    assert_eq!(
        scene
            .call(Verb::Post, &enable, approver.clone(), &json!({}))
            .0,
        200
    );
    assert_eq!(scene.handed(&accepted).0, 200);
    assert_eq!(
        scene.call(Verb::Post, &disable, approver, &json!({})).0,
        200
    );
    // Whoever is not registered any more blocks nothing (W29).
    scene.host.erase("public:ccf.gov.user_identities", b"u");
    assert_eq!(scene.handed(&accepted).0, 200);
    assert_eq!(scene.handed(&status).1["status"], "enabled");
}

#[test]
fn consent_to_a_document_is_given_by_its_approvers_for_options_that_exist() {
    let mut scene = Scene::new();
    let id = scene.accepted_user_document(&json!("query"));
    let path = |contract: &str, id: &str, option: &str| {
        format!("/contracts/{contract}/userdocuments/{id}/runtimeoptions/{option}")
    };
    let stranger = user(&mut scene, "stranger");
    let nobodys = json!({
        "contractId": "c1", "proposalId": "p", "proposerId": "m1", "approvers": [], "finalVotes": [],
        "dataDigest": "00".repeat(32),
    });
    let table = "public:accepted_user_documents";
    set(&mut scene.host, table, "nobodys", &nobodys);
    let answer = scene.member(
        Verb::Post,
        "/contracts/c1/userdocuments/nobodys/runtimeoptions/execution/disable",
        &json!({}),
    );
    refuses(answer, 400, "ApproversNotFound");
    let post = |scene: &mut Scene, caller: Caller, path: &str| {
        scene.call(Verb::Post, path, caller, &json!({}))
    };
    let absent = path("c1", "none", "execution/disable");
    refuses(
        post(&mut scene, m("m1"), &absent),
        400,
        "UserDocumentNotAccepted",
    );
    let one = path("c1", &id, "logging/disable");
    refuses(
        post(&mut scene, stranger, &one),
        403,
        "NotUserDocumentApprover",
    );
    refuses(
        post(&mut scene, m("m1"), &one),
        400,
        "InvalidUserDocumentRuntimeOption",
    );
    let elsewhere = path("c2", &id, "execution/disable");
    refuses(
        post(&mut scene, m("m1"), &elsewhere),
        400,
        "ContractIdMismatch",
    );
    let (status, shown) = post(&mut scene, m("m1"), &path("c1", "none", "execution/status"));
    assert_eq!(
        (status, &shown["reason"]["code"]),
        (200, &json!("UserDocumentNotAccepted"))
    );
    let answer = post(&mut scene, m("m1"), &path("c1", &id, "logging/status"));
    refuses(answer, 400, "InvalidUserDocumentRuntimeOption");
    let answer = post(&mut scene, m("m1"), &path("c2", &id, "execution/status"));
    refuses(answer, 400, "ContractIdMismatch");
    let answer = post(
        &mut scene,
        Caller::Anonymous,
        &path("c1", &id, "execution/status"),
    );
    refuses(answer, 400, "AttestationMissing");
    let other = scene.envelope(OTHER);
    let answer = scene.call(
        Verb::Post,
        &path("c1", &id, "execution/status"),
        Caller::Anonymous,
        &other,
    );
    refuses(answer, 400, "VerifySnpAttestationFailed");
}

#[test]
fn a_token_that_the_policy_admits_may_ask_for_consent() {
    let mut scene = Scene::new();
    let path = "/contracts/c1/runtimeoptions/execution/status";
    let room = super::token(json!({ "oid": "room" }));
    let answer = scene.call(Verb::Post, path, room.clone(), &json!({}));
    refuses(answer, 403, "CallerNotAuthorized");
    set(
        &mut scene.host,
        "public:ccf.gov.policies.cleanroom-c1",
        "oid",
        &json!(["room"]),
    );
    let (status, body) = scene.call(Verb::Post, path, room, &json!({}));
    assert_eq!((status, body), (200, json!({ "status": "enabled" })));
}

impl Scene {
    /// A user document of c1 that m1 and user u accepted.
    pub(super) fn accepted_user_document(&mut self, data: &Value) -> String {
        let user = user(self, "u");
        let list = approvers(&["m1", "u"]);
        let draft =
            json!({ "contractId": "c1", "data": data, "labels": { "l": "1" }, "approvers": list });
        self.draft("/userdocuments/doc", &draft);
        let (_, shown) = self.member(Verb::Get, "/userdocuments/doc", &Value::Null);
        let proposal = json!({
            "name": "set_user_document", "args": { "documentId": "doc", "document": shown }, "approvers": list,
        });
        self.draft("/users/proposals/p", &proposal);
        for approver in [m("m1"), user] {
            let path = "/users/proposals/p/ballots/submit";
            let (status, body) =
                self.call(Verb::Post, path, approver, &json!({ "ballot": "accepted" }));
            assert_eq!(status, 200, "{body}");
        }
        "doc".to_owned()
    }
}

#[test]
fn w16_members_may_vote_that_only_its_owner_changes_a_document() {
    let mut scene = Scene::new();
    let user = user(&mut scene, "u");
    for kind in ["memberdocuments", "userdocuments"] {
        let path = format!("/{kind}/d");
        scene.draft(&path, &json!({ "contractId": "c1", "data": 1 }));
        let other = if kind == "userdocuments" {
            user.clone()
        } else {
            m("m2")
        };
        let change = |scene: &mut Scene, caller: Caller| {
            let (_, shown) = scene.member(Verb::Get, &path, &Value::Null);
            let body = json!({ "contractId": "c1", "data": 2, "version": shown["version"] });
            scene.call(Verb::Put, &path, caller, &body)
        };
        let options = "public:ccf.gov.contract_options";
        let on = json!({ "options": { "ownerOnlyDrafts": true } });
        set(&mut scene.host, options, "c1", &on);
        refuses(
            change(&mut scene, other.clone()),
            403,
            "DraftOwnedByAnother",
        );
        assert_eq!(change(&mut scene, m("m1")).0, 200);
        set(&mut scene.host, options, "c1", &json!({ "options": {} }));
        assert_eq!(
            change(&mut scene, other).0,
            200,
            "as it always was, unless members say otherwise"
        );
    }
}

#[test]
fn h14_documents_and_proposals_of_a_contract_are_for_who_takes_part_whatever_the_route() {
    let mut scene = Scene::new();
    let id = scene.accepted_user_document(&json!("query"));
    scene.draft(
        "/memberdocuments/m",
        &json!({ "contractId": "c1", "data": 1 }),
    );
    let options = json!({ "options": { "members": ["m2"], "users": [] } });
    set(
        &mut scene.host,
        "public:ccf.gov.contract_options",
        "c1",
        &options,
    );
    let user = user(&mut scene, "u");
    for caller in [m("m1"), user] {
        for path in ["/memberdocuments/m", &format!("/userdocuments/{id}")] {
            let answer = scene.call(Verb::Get, path, caller.clone(), &Value::Null);
            refuses(answer, 403, "NotInContract");
        }
        for path in ["", "/status", "/withdraw", "/ballots/submit"] {
            let path = format!("/users/proposals/p{path}");
            let answer = scene.call(
                Verb::Post,
                &path,
                caller.clone(),
                &json!({ "ballot": "accepted" }),
            );
            refuses(answer, 403, "NotInContract");
        }
        for kind in ["memberdocuments", "userdocuments"] {
            let (_, list) =
                scene.call(Verb::Get, &format!("/{kind}"), caller.clone(), &Value::Null);
            let list = list.get("value").unwrap_or(&list).as_array().unwrap().len();
            assert_eq!(list, 0, "{kind}");
        }
    }
    let draft = json!({ "contractId": "c1", "data": 1 });
    let answer = scene.member(Verb::Put, "/memberdocuments/new", &draft);
    refuses(answer, 403, "NotInContract");
    let answer = scene.call(Verb::Get, "/memberdocuments/m", m("m2"), &Value::Null);
    assert_eq!(answer.0, 200);
}
