//! Who may call.

use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};

use super::{Scene, refuses, set, token};

#[test]
fn token_users_are_registered_and_of_their_tenant() {
    let mut scene = Scene::new();
    let identity = json!({ "accountType": "microsoft", "data": { "tenantId": "t" } });
    set(
        &mut scene.host,
        "public:ccf.gov.user_identities",
        "u",
        &identity,
    );
    for (claims, status, code) in [
        (json!({ "oid": "u", "tid": "t" }), 200, Value::Null),
        (
            json!({ "oid": "u", "tid": "x" }),
            403,
            json!("CallerTenantNotAuthorized"),
        ),
        (
            json!({ "oid": "u" }),
            403,
            json!("CallerTenantNotAuthorized"),
        ),
        (
            json!({ "oid": "v", "tid": "t" }),
            403,
            json!("CallerNotAuthorized"),
        ),
        (json!({ "tid": "t" }), 403, json!("CallerNotAuthorized")),
    ] {
        let (got, body) = scene.call(Verb::Get, "/contracts", token(claims.clone()), &Value::Null);
        assert_eq!((got, &body["error"]["code"]), (status, &code), "{claims}");
    }
}

/// Policies of the endpoints let nobody else in; should one ever, it is not taken for somebody.
#[test]
fn callers_of_no_known_kind_are_nobody() {
    let mut scene = Scene::new();
    for caller in [Caller::Unasked, Caller::Anonymous] {
        let answer = scene.host.call(Verb::Get, "/contracts", caller, Vec::new());
        let body = serde_json::from_slice(&answer.0.body).unwrap();
        refuses((answer.0.status, body), 400, "UnknownAuthenticationPolicy");
    }
}
