//! Users known by token: registration, invitations.

use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};

use super::{Scene, m, refuses, set, token, user};

const INVITATIONS: &str = "public:ccf.gov.user_invitations";
const IDENTITIES: &str = "public:ccf.gov.user_identities";

impl Scene {
    fn invite(&mut self, id: &str, claims: &Value) {
        let account = json!({ "accountType": "microsoft" });
        set(&mut self.host, INVITATIONS, id, &account);
        for (claim, values) in claims.as_object().unwrap() {
            let table = format!("{INVITATIONS}-{id}");
            set(&mut self.host, &table, claim, values);
        }
    }

    fn identify(&mut self, id: &str, invitation: &str, data: &Value) {
        let identity =
            json!({ "accountType": "microsoft", "invitationId": invitation, "data": data });
        set(&mut self.host, IDENTITIES, id, &identity);
        let finalized = "public:ccf.gov.accepted_user_invitations";
        set(&mut self.host, finalized, invitation, &json!({}));
    }

    fn accept(&mut self, id: &str, caller: Caller) -> (u16, Value) {
        let path = format!("/users/invitations/{id}/accept");
        self.call(Verb::Post, &path, caller, &Value::Null)
    }

    fn invitation(&mut self, id: &str, caller: Caller) -> (u16, Value) {
        let path = format!("/users/invitations/{id}");
        self.call(Verb::Post, &path, caller, &json!({}))
    }

    fn contracts(&mut self, caller: Caller) -> (u16, Value) {
        self.call(Verb::Get, "/contracts", caller, &Value::Null)
    }
}

fn carol() -> Caller {
    token(json!({ "oid": "carol", "tid": "t", "email": "carol@x" }))
}

#[test]
fn an_invitation_is_accepted_once_and_finalized_by_governance() {
    let mut scene = Scene::new();
    scene.invite("i", &json!({ "email": ["carol@x"], "tid": ["t", "u"] }));
    let (_, open) = scene.invitation("i", m("m1"));
    assert_eq!(open["status"], "Open");
    assert!(open.get("userInfo").is_none());
    for (claims, status, code) in [
        (
            json!({ "tid": "t", "email": "carol@x" }),
            404,
            "OidClaimMissing",
        ),
        (json!({ "oid": "o", "tid": "t" }), 403, "TokenClaimMissing"),
        (
            json!({ "oid": "o", "tid": "v", "email": "carol@x" }),
            403,
            "TokenClaimMismatch",
        ),
        (
            json!({ "oid": "o", "tid": "t", "email": "Carol@x" }),
            403,
            "TokenClaimMismatch",
        ),
        (
            json!({ "oid": "o", "tid": "t", "email": ["carol@x"] }),
            403,
            "TokenClaimMismatch",
        ),
        (
            json!({ "oid": "o", "tid": "t", "email": "carol@x", "iss": "https://evil" }),
            403,
            "CallerIssuerNotAuthorized",
        ),
    ] {
        let answer = scene.accept("i", token(claims));
        refuses(answer, status, code);
    }
    refuses(scene.accept("none", carol()), 404, "InvitationNotFound");
    let (reply, _) = scene.send(
        Verb::Post,
        "/users/invitations/i/accept",
        carol(),
        &json!({}),
    );
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    refuses(scene.accept("i", carol()), 409, "InvitationNotOpen");
    let (_, accepted) = scene.invitation("i", m("m1"));
    assert_eq!(accepted["status"], "Accepted");
    let data = json!({ "tenantId": "t", "issuer": "https://issuer" });
    assert_eq!(
        accepted["userInfo"],
        json!({ "userId": "carol", "data": data })
    );

    refuses(scene.contracts(carol()), 403, "CallerNotAuthorized");
    scene.identify("carol", "i", &json!({ "tenantId": "t" }));
    assert_eq!(scene.contracts(carol()).0, 200);
    let (_, done) = scene.invitation("i", m("m1"));
    assert_eq!(
        (&done["status"], &done["userInfo"]["userId"]),
        (&json!("Finalized"), &json!("carol"))
    );
}

#[test]
fn version_one_tokens_name_their_user_in_another_claim() {
    let mut scene = Scene::new();
    scene.invite("i", &json!({ "preferred_username": ["v@x"] }));
    let claims = json!({ "oid": "v", "tid": "t", "upn": "v@x", "ver": "1.0" });
    refuses(scene.accept("i", token(claims)), 403, "TokenClaimMissing");
    scene.invite("j", &json!({}));
    let answer = scene.accept("j", carol());
    refuses(answer, 409, "InvitationNotOpen");
}

#[test]
fn who_is_not_registered_sees_only_invitations_that_are_for_the_token() {
    let mut scene = Scene::new();
    scene.invite("mine", &json!({ "email": ["carol@x"] }));
    scene.invite("other", &json!({ "email": ["dave@x"] }));
    let list = |scene: &mut Scene, caller| {
        let (status, body) = scene.call(Verb::Get, "/users/invitations", caller, &Value::Null);
        assert_eq!(status, 200, "{body}");
        let ids = body["value"].as_array().unwrap().iter();
        ids.map(|i| i["invitationId"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(list(&mut scene, carol()), ["mine"]);
    assert_eq!(list(&mut scene, m("m1")), ["mine", "other"]);
    assert_eq!(scene.invitation("mine", carol()).0, 200);
    // Whether others are invited is not told.
    refuses(
        scene.invitation("other", carol()),
        403,
        "CallerNotAuthorized",
    );
    refuses(
        scene.invitation("none", carol()),
        403,
        "CallerNotAuthorized",
    );
    let registered = user(&mut scene, "u");
    assert_eq!(list(&mut scene, registered), ["mine", "other"]);
}

#[test]
fn an_invitation_made_anew_is_open_again() {
    let mut scene = Scene::new();
    let claims = json!({ "email": ["carol@x"] });
    scene.invite("i", &claims);
    assert_eq!(scene.accept("i", carol()).0, 200);
    scene.host.erase(INVITATIONS, b"i");
    scene.invite("i", &claims);
    let (_, shown) = scene.invitation("i", m("m1"));
    assert_eq!(shown["status"], "Open");
    assert!(shown.get("userInfo").is_none());
    assert_eq!(scene.accept("i", carol()).0, 200);
}

#[test]
fn an_identity_is_of_whoever_accepted_its_invitation_at_that_issuer() {
    let mut scene = Scene::new();
    scene.invite("i", &json!({ "email": ["carol@x"] }));
    // Governance finalizes somebody who never accepted.
    scene.identify("mallory", "i", &json!({ "tenantId": "t" }));
    let mallory = token(json!({ "oid": "mallory", "tid": "t" }));
    refuses(scene.contracts(mallory.clone()), 403, "CallerNotAuthorized");
    let accepted = |oid: &str, tenant: &str, issuer: &str| {
        let data = json!({ "tenantId": tenant, "issuer": issuer });
        json!({ "status": "Accepted", "userInfo": { "userId": oid, "data": data } })
    };
    for (info, status) in [
        (accepted("carol", "t", "https://issuer"), 403),
        (accepted("mallory", "u", "https://issuer"), 403),
        (accepted("mallory", "t", "https://other"), 403),
        (accepted("mallory", "t", "https://issuer"), 200),
    ] {
        set(&mut scene.host, "public:user_invitations_info", "i", &info);
        assert_eq!(scene.contracts(mallory.clone()).0, status, "{info}");
    }
}

#[test]
fn an_identity_is_keyed_by_issuer_tenant_and_object_id() {
    let mut scene = Scene::new();
    let data = json!({ "tenantId": "t", "issuer": "https://issuer", "audience": "here" });
    let identity = json!({ "accountType": "microsoft", "data": data });
    set(&mut scene.host, IDENTITIES, "u", &identity);
    let claims = |issuer: &str, tenant: &str, audience: &str| json!({ "oid": "u", "tid": tenant, "aud": audience, "iss": issuer });
    for (claims, code) in [
        (
            claims("https://issuer", "x", "here"),
            "CallerTenantNotAuthorized",
        ),
        (
            claims("https://issuer", "t", "there"),
            "CallerAudienceNotAuthorized",
        ),
        // The key is of https://issuer; the token says otherwise.
        (
            claims("https://other", "t", "here"),
            "CallerIssuerNotAuthorized",
        ),
    ] {
        refuses(scene.contracts(token(claims)), 403, code);
    }
    let mut another = token(claims("https://other", "t", "here"));
    if let Caller::Jwt(claims) = &mut another {
        claims.key_issuer = "https://other".into();
    }
    // A trusted issuer, but not the one this user is registered with.
    refuses(scene.contracts(another), 403, "CallerIssuerNotAuthorized");
    assert_eq!(
        scene
            .contracts(token(claims("https://issuer", "t", "here")))
            .0,
        200
    );
}

#[test]
fn a_token_cannot_speak_for_a_member() {
    let mut scene = Scene::new();
    let posing = user(&mut scene, "m1");
    refuses(scene.contracts(posing), 403, "CallerNotAuthorized");
}

#[test]
fn registered_users_are_listed_in_pages_and_know_that_they_are() {
    let mut scene = Scene::new();
    for oid in ["a", "b", "c"] {
        user(&mut scene, oid);
    }
    let who = user(&mut scene, "a");
    let (status, body) = scene.call(Verb::Post, "/users/identities/self/status", who, &json!({}));
    assert_eq!((status, body), (200, json!({ "active": true })));
    let pages = scene.paged("/users/identities", 2);
    let ids: Vec<&Value> = pages.iter().map(|identity| &identity["id"]).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    let (_, one) = scene.member(Verb::Post, "/users/identities/b", &json!({}));
    let want = json!({ "id": "b", "accountType": "microsoft", "data": { "tenantId": "t" } });
    assert_eq!(one, want);
    let absent = scene.member(Verb::Post, "/users/identities/z", &json!({}));
    refuses(absent, 404, "UserIdentityNotFound");
    for limit in ["0", "1001", "x"] {
        let path = format!("/users/identities?limit={limit}");
        let answer = scene.member(Verb::Get, &path, &Value::Null);
        refuses(answer, 400, "InvalidInput");
    }
}
