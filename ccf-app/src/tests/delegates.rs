//! Delegate policies.

use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};

use super::{OTHER, Scene};

#[test]
fn a_delegate_policy_admits_other_code_to_one_secret_only() {
    let mut scene = Scene::new().with_secret();
    scene.member(
        Verb::Put,
        "/contracts/c1/secrets/other",
        &json!({ "value": "x" }),
    );
    let change =
        json!({ "type": "add", "claims": { "x-ms-sevsnpvm-hostdata": hex::encode(OTHER) } });
    let envelope = scene.signed(&change);
    let path = "/contracts/c1/cleanroompolicy/delegates/secrets/m1_key";
    assert_eq!(
        scene.call(Verb::Put, path, Caller::Unasked, &envelope).0,
        200
    );
    let (_, shown) = scene.member(Verb::Post, path, &Value::Null);
    assert_eq!(
        shown["claims"]["x-ms-sevsnpvm-hostdata"],
        json!([hex::encode(OTHER)])
    );
    let other = scene.envelope(OTHER);
    assert_eq!(scene.release(&other).0, 200);
    assert_eq!(scene.records()[0]["record"]["alternative"], "delegate");
    let (status, _) = scene.call(
        Verb::Post,
        "/contracts/c1/secrets/m1_other",
        Caller::Unasked,
        &other,
    );
    assert_eq!(status, 400);
    // Code that only a delegate policy admits may not change delegate policies.
    let mut takeover = scene.signed(&change);
    takeover["attestation"] = other["attestation"].clone();
    assert_eq!(
        scene.call(Verb::Put, path, Caller::Unasked, &takeover).0,
        400
    );
}
