//! Delegate policies.

use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};

use super::{AGREED, OTHER, Scene, refuses, set};

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

/// Has members say which host data the contract's policy admits, and what else of the same code.
fn vote(scene: &mut Scene, claim: &str, values: &Value) {
    set(
        &mut scene.host,
        "public:ccf.gov.policies.cleanroom-c1",
        claim,
        values,
    );
}

#[test]
fn a_delegate_policy_admits_while_the_contracts_policy_admits_who_installed_it() {
    const HOST_DATA: &str = "x-ms-sevsnpvm-hostdata";
    let mut scene = Scene::new().with_secret();
    let path = "/contracts/c1/cleanroompolicy/delegates/secrets/m1_key";
    let change = json!({ "type": "add", "claims": { HOST_DATA: hex::encode(OTHER) } });
    let envelope = scene.signed(&change);
    assert_eq!(
        scene.call(Verb::Put, path, Caller::Unasked, &envelope).0,
        200
    );
    let other = scene.envelope(OTHER);
    assert_eq!(scene.release(&other).0, 200);

    // More code of the contract's own changes nothing for the delegate.
    let third = hex::encode([0xc3; 32]);
    vote(&mut scene, HOST_DATA, &json!([hex::encode(AGREED), third]));
    assert_eq!(scene.release(&other).0, 200);

    // Members take out the code that installed it: it speaks for nobody any more.
    vote(&mut scene, HOST_DATA, &json!([third]));
    let answer = scene.release(&other);
    let detail = answer.1["error"]["details"][0].clone();
    refuses(answer, 403, "DelegateMakerNotAdmitted");
    assert_eq!(
        detail["mismatches"],
        json!([{ "claim": HOST_DATA, "got": hex::encode(AGREED), "want": [third] }])
    );
    assert_eq!(
        scene.records()[0]["record"]["reason"],
        "DelegateMakerNotAdmitted"
    );
    let mut question = other.clone();
    question["purpose"] = json!({ "delegateType": "secrets", "delegateId": "m1_key" });
    let explain = "/contracts/c1/cleanroompolicy/explain";
    let (_, explained) = scene.call(Verb::Post, explain, Caller::Anonymous, &question);
    assert_eq!(explained["admitted"], false);
    assert_eq!(explained["refusal"]["code"], "DelegateMakerNotAdmitted");

    // Back in, it does again; and so it is with claims that the policy named only later.
    vote(&mut scene, HOST_DATA, &json!([hex::encode(AGREED), third]));
    assert_eq!(scene.release(&other).0, 200);
    vote(&mut scene, "x-ms-sevsnpvm-vmpl", &json!([3]));
    scene.refused(&other, 403, "DelegateMakerNotAdmitted");
    vote(&mut scene, "x-ms-sevsnpvm-vmpl", &json!([0]));
    assert_eq!(scene.release(&other).0, 200);
}

#[test]
fn what_voted_out_code_left_behind_is_not_taken_over_by_who_changes_the_delegate_policy() {
    const HOST_DATA: &str = "x-ms-sevsnpvm-hostdata";
    const GOOD: [u8; 32] = [0x60; 32];
    const NEXT: [u8; 32] = [0xc3; 32];
    let path = "/contracts/c1/cleanroompolicy/delegates/secrets/m1_key";
    let mut scene = Scene::new().with_secret();
    let change = |scene: &mut Scene, by: [u8; 32], change: &Value| {
        let mut envelope = scene.signed(change);
        envelope["attestation"] = scene.envelope(by)["attestation"].clone();
        scene.call(Verb::Put, path, Caller::Unasked, &envelope).0
    };
    let shown = |scene: &mut Scene| scene.member(Verb::Post, path, &Value::Null).1;
    let add = |code: [u8; 32]| json!({ "type": "add", "claims": { HOST_DATA: hex::encode(code) } });
    let admit = |scene: &mut Scene, code: [u8; 32]| {
        vote(scene, HOST_DATA, &json!([hex::encode(code)]));
    };
    let mut tied = add(OTHER);
    tied["documents"] = json!(["terms"]);
    assert_eq!(change(&mut scene, AGREED, &tied), 200);

    // The code that comes after it adds its own, which ends what the other one admitted.
    admit(&mut scene, NEXT);
    assert_eq!(change(&mut scene, NEXT, &add(GOOD)), 200);
    assert_eq!(
        shown(&mut scene),
        json!({ "claims": { HOST_DATA: [hex::encode(GOOD)] } })
    );
    let (other, good) = (scene.envelope(OTHER), scene.envelope(GOOD));
    assert_eq!(scene.release(&other).0, 400);
    assert_eq!(scene.release(&good).0, 200);
    assert_eq!(change(&mut scene, NEXT, &add(OTHER)), 200);
    assert_eq!(scene.release(&good).0, 200, "its own it keeps");

    // A removal leaves nothing of it either, and names what is there.
    admit(&mut scene, AGREED);
    let mut remove = add(OTHER);
    remove["type"] = json!("remove");
    assert_eq!(change(&mut scene, AGREED, &remove), 200);
    assert_eq!(shown(&mut scene), json!({ "claims": {} }));
    assert_eq!(change(&mut scene, AGREED, &remove), 400);
    admit(&mut scene, NEXT);
    assert_eq!(scene.release(&good).0, 400);
}
