//! Who takes part in a contract, and whose things are whose, where members say so.

use ccf_rs::{Caller, MemberId, UserId, Verb};
use serde_json::{Value, json};

use super::{AGREED, Scene, m, set, set_options, token};

fn u(id: &str) -> Caller {
    Caller::User(UserId(id.to_owned()))
}

impl Scene {
    /// A registered token user j1.
    fn with_token_user(mut self) -> (Self, Caller) {
        let identity = json!({ "accountType": "microsoft", "data": { "tenantId": "t" } });
        set(
            &mut self.host,
            "public:ccf.gov.user_identities",
            "j1",
            &identity,
        );
        let claims = json!({ "oid": "j1", "tid": "t", "iss": "https://issuer" });
        (self, token(claims))
    }
}

#[test]
fn h14_only_who_is_named_takes_part_in_a_contract_that_asks_for_it() {
    let (mut scene, j1) = Scene::new().with_secret().with_token_user();
    let requests: [(Verb, &str); 7] = [
        (Verb::Post, "/contracts/c1"),
        (Verb::Get, "/contracts/c1/secrets"),
        (Verb::Get, "/contracts/c1/releases"),
        (Verb::Post, "/contracts/c1/cleanroompolicy"),
        (Verb::Get, "/contracts/c1/cleanroompolicy/delegates"),
        (Verb::Post, "/contracts/c1/runtimeoptions/execution/status"),
        (Verb::Put, "/contracts/c1/secrets/mine"),
    ];
    let body = json!({ "value": "x" });
    let answers = |scene: &mut Scene, caller: &Caller| -> Vec<u16> {
        let mut codes = Vec::new();
        for (verb, path) in requests {
            let (status, answer) = scene.call(verb, path, caller.clone(), &body);
            assert!(
                status == 200 || answer["error"]["code"] == "NotInContract",
                "{path} {answer}"
            );
            codes.push(status);
        }
        codes
    };
    for caller in [m("m1"), m("m2"), u("u1"), j1.clone()] {
        assert_eq!(answers(&mut scene, &caller), [200; 7]);
    }
    set_options(&mut scene, &json!({ "members": ["m1"], "users": ["j1"] }));
    for (caller, status) in [
        (m("m1"), 200),
        (j1.clone(), 200),
        (m("m2"), 403),
        (u("u1"), 403),
    ] {
        assert_eq!(answers(&mut scene, &caller), [status; 7]);
    }
    let disable = "/contracts/c1/runtimeoptions/execution/disable";
    assert_eq!(
        scene.call(Verb::Post, disable, m("m2"), &Value::Null).0,
        403
    );
    // Other contracts, and clean rooms, are not concerned; lists leave out what somebody takes no part in.
    let draft = json!({ "data": "terms" });
    assert_eq!(
        scene.call(Verb::Put, "/contracts/c2", m("m2"), &draft).0,
        200
    );
    let good = scene.envelope(AGREED);
    assert_eq!(scene.release(&good).0, 200);
    let ids = |scene: &mut Scene, caller: Caller| {
        scene.call(Verb::Get, "/contracts", caller, &Value::Null).1["value"].clone()
    };
    assert_eq!(
        ids(&mut scene, m("m1")),
        json!([{ "id": "c1" }, { "id": "c2" }])
    );
    assert_eq!(ids(&mut scene, m("m2")), json!([{ "id": "c2" }]));
    // One list alone says nothing about the other kind.
    set_options(&mut scene, &json!({ "members": ["m1"] }));
    assert_eq!(answers(&mut scene, &u("u1")), [200; 7]);
    set_options(&mut scene, &json!({ "members": [] }));
    assert_eq!(answers(&mut scene, &m("m1")), [403; 7]);
    // A list that cannot be read admits nobody.
    set_options(&mut scene, &json!({ "members": "m1" }));
    assert_eq!(
        scene.member(Verb::Post, "/contracts/c1", &Value::Null).0,
        500
    );
}

#[test]
fn w16_only_active_members_draft_and_owners_where_members_say_so() {
    let mut scene = Scene::new();
    let joining = json!({ "status": "Accepted" });
    set(
        &mut scene.host,
        "public:ccf.gov.members.info",
        "m3",
        &joining,
    );
    let draft = |version: Option<&Value>| json!({ "data": "terms", "version": version });
    let path = "/contracts/c2";
    assert_eq!(scene.call(Verb::Put, path, m("m3"), &draft(None)).0, 403);
    assert_eq!(scene.call(Verb::Put, path, m("m1"), &draft(None)).0, 200);
    let version =
        |scene: &mut Scene| scene.member(Verb::Post, path, &Value::Null).1["version"].clone();
    let current = version(&mut scene);
    assert_eq!(
        scene
            .call(Verb::Put, path, m("m2"), &draft(Some(&current)))
            .0,
        200
    );
    let row = json!({ "options": { "ownerOnlyDrafts": true }, "origins": {} });
    scene.host.store(
        "public:ccf.gov.application_options",
        &[0; 8],
        row.to_string().as_bytes(),
    );
    let current = version(&mut scene);
    let (status, body) = scene.call(Verb::Put, path, m("m2"), &draft(Some(&current)));
    assert_eq!(
        (status, &body["error"]["code"]),
        (403, &json!("DraftOwnedByAnother"))
    );
    assert_eq!(
        scene
            .call(Verb::Put, path, m("m1"), &draft(Some(&current)))
            .0,
        200
    );
    let stored = scene.host.entries("public:contracts");
    let stored: Value = serde_json::from_slice(&stored[0].1).unwrap();
    assert_eq!(stored["createdBy"], json!(MemberId("m1".into())));
}

#[test]
fn w16_users_list_their_own_secrets_only_where_members_say_so() {
    let mut scene = Scene::new().with_secret();
    let body = json!({ "value": "x" });
    assert_eq!(
        scene
            .call(Verb::Put, "/contracts/c1/secrets/a", u("u1"), &body)
            .0,
        200
    );
    let list = |scene: &mut Scene, caller| {
        let (_, list) = scene.call(Verb::Get, "/contracts/c1/secrets", caller, &Value::Null);
        list["value"].as_array().unwrap().len()
    };
    assert_eq!(list(&mut scene, u("u1")), 2);
    set_options(&mut scene, &json!({ "listOwnSecretsOnly": true }));
    assert_eq!(list(&mut scene, u("u1")), 1);
    assert_eq!(list(&mut scene, m("m2")), 2);
}

#[test]
fn w21_secrets_need_a_contract_where_members_say_so() {
    let mut scene = Scene::new();
    let body = json!({ "value": "x" });
    let path = "/contracts/none/secrets/a";
    assert_eq!(scene.member(Verb::Put, path, &body).0, 200);
    let row = json!({ "options": { "secretsNeedContract": true } });
    scene.host.store(
        "public:ccf.gov.application_options",
        &[0; 8],
        row.to_string().as_bytes(),
    );
    let (status, body) = scene.member(Verb::Put, path, &body);
    assert_eq!(
        (status, &body["error"]["code"]),
        (404, &json!("ContractNotFound"))
    );
    assert_eq!(
        scene
            .member(
                Verb::Put,
                "/contracts/c1/secrets/a",
                &json!({ "value": "x" })
            )
            .0,
        200
    );
}
