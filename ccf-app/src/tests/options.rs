//! Consent.

use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};

use super::{AGREED, Scene, m, refuses, set};

#[test]
fn one_member_withdraws_consent_until_that_member_returns_it_or_leaves() {
    let mut scene = Scene::new().with_secret();
    let envelope = scene.envelope(AGREED);
    let path = "/contracts/c1/runtimeoptions/execution";
    assert_eq!(
        scene
            .member(Verb::Post, &format!("{path}/disable"), &Value::Null)
            .0,
        200
    );
    let body = scene.refused(&envelope, 403, "ContractDisabled");
    assert_eq!(body["error"]["details"][0]["disabledBy"], json!(["m1"]));
    let (_, status) = scene.call(
        Verb::Post,
        &format!("{path}/status"),
        Caller::Anonymous,
        &envelope,
    );
    assert_eq!(status["reason"]["code"], "ContractDisabled");
    // Another member's consent does not replace it.
    assert_eq!(
        scene
            .call(Verb::Post, &format!("{path}/enable"), m("m2"), &Value::Null)
            .0,
        200
    );
    scene.refused(&envelope, 403, "ContractDisabled");
    scene.host.erase("public:ccf.gov.members.info", b"m1");
    assert_eq!(scene.release(&envelope).0, 200);
}

#[test]
fn a_member_who_is_not_active_decides_nothing() {
    let mut scene = Scene::new();
    set(
        &mut scene.host,
        "public:ccf.gov.members.info",
        "m3",
        &json!({ "status": "Accepted" }),
    );
    let path = "/contracts/c1/runtimeoptions/execution/disable";
    let (status, body) = scene.call(Verb::Post, path, m("m3"), &Value::Null);
    assert_eq!(
        (status, &body["error"]["code"]),
        (403, &json!("CallerNotAuthorized"))
    );
}

#[test]
fn options_that_do_not_exist_and_contracts_that_nobody_accepted_are_refused_by_name() {
    let mut scene = Scene::new();
    let post = |scene: &mut Scene, path: &str| scene.member(Verb::Post, path, &Value::Null);
    for verb in ["enable", "disable"] {
        for option in ["logging", "telemetry", "x"] {
            let path = format!("/contracts/c1/runtimeoptions/{option}/{verb}");
            refuses(post(&mut scene, &path), 400, "InvalidOption");
        }
        let path = format!("/contracts/none/runtimeoptions/execution/{verb}");
        refuses(post(&mut scene, &path), 400, "ContractNotAccepted");
    }
    for path in [
        "/contracts/c1/runtimeoptions/x/status",
        "/runtimeoptions/x/status",
    ] {
        refuses(post(&mut scene, path), 400, "InvalidOption");
    }
    // A status is an answer, also where there is nothing to run.
    let path = "/contracts/none/runtimeoptions/execution/status";
    let (status, body) = post(&mut scene, path);
    assert_eq!(
        (status, &body["reason"]["code"]),
        (200, &json!("ContractNotAccepted"))
    );
}
