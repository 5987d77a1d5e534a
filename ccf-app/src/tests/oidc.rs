//! The token issuer: keys, documents, issuer URLs. Its tokens are in [`super::tokens`].

use std::time::Duration;

use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ccf_rs::{Caller, UserId, Verb};
use serde_json::{Value, json};

use super::{AGREED, Scene, m, set, token};

pub(super) const NOW: u64 = 1_780_272_000;
pub(super) const GLOBAL: &str = "https://issuer.example.com";

impl Scene {
    /// The issuer enabled with a key and a URL for all; m1 is of tenant mt.
    pub(super) fn with_issuer(mut self) -> Self {
        for (key, value) in [
            ("enabled", "true"),
            ("generateSigningKeyRequestId", "1"),
            ("generateSigningKeyKid", "kid"),
            ("issuerUrl", GLOBAL),
        ] {
            self.govern_issuer(key, value);
        }
        let member = json!({ "status": "Active", "member_data": { "tenantId": "mt" } });
        set(&mut self.host, "public:ccf.gov.members.info", "m1", &member);
        let made = self.member(Verb::Post, "/oidc/generateSigningKey", &json!({}));
        assert_eq!(made, (200, json!({ "reqId": "1", "kid": "kid-1" })));
        self
    }

    fn govern_issuer(&mut self, key: &str, value: &str) {
        let table = "public:ccf.gov.oidc_issuer";
        self.host.store(table, key.as_bytes(), value.as_bytes());
    }

    pub(super) fn govern(&mut self, contract: &str, options: &Value) {
        let stored = json!({ "options": options, "origins": { "tokenLifetimeSeconds": "p7" } });
        let table = "public:ccf.gov.contract_options";
        set(&mut self.host, table, contract, &stored);
    }

    pub(super) fn ask(&mut self, query: &str, envelope: &Value) -> (u16, Value) {
        let path = format!("/contracts/c1/oauth/token?{query}");
        self.call(Verb::Post, &path, Caller::Unasked, envelope)
    }

    /// A token, verified by the published key: header and claims.
    pub(super) fn token(&mut self, query: &str) -> (Value, Value) {
        let envelope = self.envelope(AGREED);
        let (status, body) = self.ask(query, &envelope);
        assert_eq!(status, 200, "{body}");
        let keys = self.keys();
        read(&self.unwrapped(&body), &keys)
    }

    pub(super) fn refuses(&mut self, query: &str, status: u16, code: &str) -> Value {
        let envelope = self.envelope(AGREED);
        let (got, body) = self.ask(query, &envelope);
        let want = (status, &json!(code));
        assert_eq!((got, &body["error"]["code"]), want, "{query}: {body}");
        body["error"]["details"][0].clone()
    }

    fn keys(&mut self) -> Value {
        let (status, keys) = self.call(Verb::Get, "/oidc/keys", Caller::Unasked, &Value::Null);
        assert_eq!(status, 200);
        keys["keys"].clone()
    }

    pub(super) fn url(&mut self, caller: Caller, url: &str) -> (u16, Value) {
        let body = json!({ "url": url });
        let (status, answer) = self.call(Verb::Post, "/oidc/setIssuerUrl", caller, &body);
        (status, answer["error"]["code"].clone())
    }
}

/// The query of existing clients, for a token of five minutes.
pub(super) fn query(sub: &str) -> String {
    let exp = NOW + 300;
    format!("&sub={sub}&tid=none&aud=api://x&exp={exp}&iat={NOW}&nbf={NOW}&jti=j")
}

/// Header and claims of a token, after its signature by one of the keys is verified.
fn read(token: &str, keys: &Value) -> (Value, Value) {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        panic!("{token}")
    };
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let value = |text: &str| serde_json::from_slice::<Value>(&decode(text)).unwrap();
    let (header_value, claims_value) = (value(header), value(claims));
    let key = keys
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == header_value["kid"])
        .expect("the key is published");
    RsaPublicKeyComponents {
        n: decode(key["n"].as_str().unwrap()),
        e: decode(key["e"].as_str().unwrap()),
    }
    .verify(
        &RSA_PSS_2048_8192_SHA256,
        format!("{header}.{claims}").as_bytes(),
        &decode(signature),
    )
    .unwrap();
    (header_value, claims_value)
}

#[test]
fn w31_replaced_keys_stay_published_while_their_tokens_may_live() {
    let mut scene = Scene::new();
    let generate = "/oidc/generateSigningKey";
    let (status, body) = scene.member(Verb::Post, generate, &json!({}));
    assert_eq!(
        (status, &body["error"]["code"]),
        (405, &json!("OidcIssuerNotEnabled"))
    );
    let mut scene = scene.with_issuer();
    let envelope = scene.envelope(AGREED);
    let (_, body) = scene.ask(&query("s"), &envelope);
    let old = scene.unwrapped(&body);
    // Asked again, no new key; asked after a vote, one.
    assert_eq!(
        scene.member(Verb::Post, generate, &json!({})).1["kid"],
        "kid-1"
    );
    scene.govern_issuer("generateSigningKeyRequestId", "2");
    assert_eq!(scene.keys().as_array().unwrap().len(), 1);
    let made = scene.call(Verb::Post, generate, m("m2"), &json!({})).1;
    assert_eq!(made, json!({ "reqId": "2", "kid": "kid-2" }));
    let keys = scene.keys();
    let kids: Vec<_> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|k| k["kid"].clone())
        .collect();
    assert_eq!(kids, ["kid-2", "kid-1"]);
    read(&old, &keys);
    assert_eq!(scene.token(&query("s")).0["kid"], "kid-2");
    // An hour, the longest life of a token, and a day.
    scene.host.set_time(Duration::from_secs(NOW + 25 * 3600));
    assert_eq!(scene.keys().as_array().unwrap().len(), 1);
    // Only public parts are kept of old keys, and nothing of any in public tables.
    let stored = scene.host.entries("public:cleanroom.oidc_retired_keys");
    assert!(!format!("{stored:?}").contains("PRIVATE"));
    assert_eq!(stored.len(), 1);
    scene.govern_issuer("generateSigningKeyRequestId", "3");
    scene.member(Verb::Post, generate, &json!({}));
    assert_eq!(
        scene
            .host
            .entries("public:cleanroom.oidc_retired_keys")
            .len(),
        1
    );
}

#[test]
fn w31_a_contract_with_longer_tokens_keeps_old_keys_longer() {
    let mut scene = Scene::new().with_issuer();
    scene.govern("c9", &json!({ "tokenLifetimeSeconds": 30 * 24 * 3600 }));
    scene.govern_issuer("generateSigningKeyRequestId", "2");
    scene.member(Verb::Post, "/oidc/generateSigningKey", &json!({}));
    scene
        .host
        .set_time(Duration::from_secs(NOW + 30 * 24 * 3600));
    assert_eq!(scene.keys().as_array().unwrap().len(), 2);
}

#[test]
fn w31_members_choose_the_algorithm_that_the_documents_name() {
    let mut scene = Scene::new();
    let path = "/oidc/.well-known/openid-configuration";
    let (_, discovery) = scene.call(Verb::Get, path, Caller::Unasked, &Value::Null);
    let want = json!({
        "issuer": "{placeholder}", "jwks_uri": "{placeholder}/keys", "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
    });
    assert_eq!(discovery, want);
    let (status, body) = scene.call(Verb::Get, "/oidc/keys", Caller::Unasked, &Value::Null);
    assert_eq!(
        (status, &body["error"]["code"]),
        (405, &json!("SigningKeyNotAvailable"))
    );
    let mut scene = scene.with_issuer();
    assert_eq!(scene.keys()[0]["alg"], "RS256");
    for (chosen, key, document) in [
        ("PS256", json!("PS256"), "PS256"),
        ("none", Value::Null, "PS256"),
        ("RS256", json!("RS256"), "RS256"),
    ] {
        let options = json!({ "options": { "tokenPublishedAlgorithm": chosen } });
        let bytes = options.to_string().into_bytes();
        scene
            .host
            .store("public:ccf.gov.application_options", &[0; 8], &bytes);
        assert_eq!(scene.keys()[0]["alg"], key);
        let (_, discovery) = scene.call(Verb::Get, path, Caller::Unasked, &Value::Null);
        assert_eq!(
            discovery["id_token_signing_alg_values_supported"],
            json!([document])
        );
        assert_eq!(discovery["jwks_uri"], format!("{GLOBAL}/keys"));
    }
}

#[test]
fn w16_only_active_members_have_keys_made() {
    let mut scene = Scene::new().with_issuer();
    set(
        &mut scene.host,
        "public:ccf.gov.members.info",
        "m3",
        &json!({ "status": "Accepted" }),
    );
    for path in [
        "/oidc/generateSigningKey",
        "/signing/generateSigningKey",
        "/contracts/c1/ca/generateSigningKey",
    ] {
        let (status, body) = scene.call(Verb::Post, path, m("m3"), &json!({}));
        assert_eq!(
            (status, &body["error"]["code"]),
            (403, &json!("CallerNotAuthorized")),
            "{path}"
        );
    }
}

#[test]
fn w14_issuer_urls_are_https_and_belong_to_who_set_them() {
    let mut scene = Scene::new().with_issuer();
    for url in [
        "",
        "mt.example.com",
        "http://mt.example.com",
        "https:",
        "HTTPS://mt.example.com",
    ] {
        assert_eq!(scene.url(m("m1"), url), (400, json!("InvalidUrl")), "{url}");
    }
    assert_eq!(
        scene.url(m("m2"), "https://x.example.com"),
        (400, json!("NoTenantId"))
    );
    for user in ["u1", "u2"] {
        let data = json!({ "user_data": { "tenantId": "mt" } });
        set(&mut scene.host, "public:ccf.gov.users.info", user, &data);
    }
    let user = |id: &str| Caller::User(UserId(id.into()));
    assert_eq!(scene.url(user("u1"), "https://u1.example.com").0, 200);
    assert_eq!(scene.url(user("u1"), "https://u1.example.com/2").0, 200);
    let refused = (403, json!("IssuerUrlSetByAnother"));
    assert_eq!(scene.url(user("u2"), "https://u2.example.com"), refused);
    let remove = "/oidc/removeIssuerUrl";
    assert_eq!(
        scene.call(Verb::Post, remove, user("u2"), &json!({})).0,
        403
    );
    let info = |scene: &mut Scene, caller: Caller| {
        let (status, info) = scene.call(Verb::Post, "/oidc/issuerInfo", caller, &json!({}));
        assert_eq!(
            (status, &info["enabled"], &info["issuerUrl"]),
            (200, &json!(true), &json!(GLOBAL))
        );
        info["tenantData"].clone()
    };
    let of_u1 = json!({ "tenantId": "mt", "issuerUrl": "https://u1.example.com/2" });
    assert_eq!(info(&mut scene, user("u2")), of_u1);
    assert_eq!(info(&mut scene, m("m1")), Value::Null);
    // A member of the tenant removes what a user set.
    assert_eq!(scene.url(m("m1"), "https://mt.example.com").0, 200);
    assert_eq!(scene.call(Verb::Post, remove, m("m1"), &json!({})).0, 200);
    assert_eq!(info(&mut scene, user("u1")), Value::Null);
    assert_eq!(info(&mut scene, m("m1")), Value::Null);
    assert_eq!(scene.url(user("u2"), "https://u2.example.com").0, 200);
    let setters = scene.host.entries("public:cleanroom.issuer_url_setters");
    assert_eq!(setters.len(), 1);
}

#[test]
fn a_member_who_is_not_active_sets_no_issuer_url() {
    let mut scene = Scene::new().with_issuer();
    let accepted = json!({ "status": "Accepted", "member_data": { "tenantId": "mt" } });
    set(
        &mut scene.host,
        "public:ccf.gov.members.info",
        "m3",
        &accepted,
    );
    let refused = (403, json!("CallerNotAuthorized"));
    assert_eq!(scene.url(m("m3"), "https://x.example.com"), refused);
    let remove = "/oidc/removeIssuerUrl";
    assert_eq!(scene.call(Verb::Post, remove, m("m3"), &json!({})).0, 403);
}

#[test]
fn a_token_user_sets_the_url_of_the_tokens_tenant() {
    let mut scene = Scene::new().with_issuer();
    let identity = json!({ "accountType": "microsoft", "data": { "tenantId": "jt" } });
    set(
        &mut scene.host,
        "public:ccf.gov.user_identities",
        "oid",
        &identity,
    );
    let caller = || token(json!({ "oid": "oid", "tid": "jt", "iss": "https://issuer" }));
    assert_eq!(scene.url(caller(), "https://jt.example.com").0, 200);
    let of_tenant = query("s").replace("tid=none", "tid=jt");
    assert_eq!(scene.token(&of_tenant).1["iss"], "https://jt.example.com");
    let stranger = token(json!({ "oid": "other", "tid": "jt", "iss": "https://issuer" }));
    assert_eq!(
        scene.url(stranger, "https://jt.example.com"),
        (403, json!("CallerNotAuthorized"))
    );
}
