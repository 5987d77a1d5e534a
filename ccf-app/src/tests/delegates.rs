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

#[test]
fn w27_an_emptied_delegate_policy_leaves_the_list() {
    let mut scene = Scene::new();
    let path = "/contracts/c1/cleanroompolicy/delegates/secrets/m1_key";
    let claims = json!({ "x-ms-sevsnpvm-hostdata": hex::encode(OTHER) });
    for (change, left) in [("add", 1), ("remove", 0)] {
        let envelope = scene.signed(&json!({ "type": change, "claims": claims }));
        assert_eq!(
            scene.call(Verb::Put, path, Caller::Unasked, &envelope).0,
            200
        );
        let list = "/contracts/c1/cleanroompolicy/delegates";
        let (_, list) = scene.member(Verb::Get, list, &Value::Null);
        assert_eq!(list["value"].as_array().unwrap().len(), left);
    }
    // For machines, too; families are not mixed up.
    for (family, claim, status) in [
        ("snp-cvm", "pcr4", 200),
        ("snp-cvm", "x-ms-ver", 400),
        ("snp-caci", "pcr4", 400),
        ("jwt", "oid", 400),
    ] {
        let change = json!({ "type": "add", "policyType": family, "claims": { claim: "x" } });
        let envelope = scene.signed(&change);
        let (got, _) = scene.call(Verb::Put, path, Caller::Unasked, &envelope);
        assert_eq!(got, status, "{family} {claim}");
    }
}
