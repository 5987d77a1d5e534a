//! Explanations.

use attestation::QuoteNonce;
use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};

use super::{AGREED, OTHER, SECRET, Scene, m, set, token};

const EXPLAIN: &str = "/contracts/c1/cleanroompolicy/explain";

impl Scene {
    fn explain(&mut self, question: &Value) -> Value {
        let (status, body) = self.call(Verb::Post, EXPLAIN, Caller::Anonymous, question);
        assert_eq!(status, 200, "{body}");
        assert!(!body.to_string().contains(SECRET));
        let as_member = self.call(Verb::Post, EXPLAIN, m("m1"), question);
        assert_eq!(as_member, (200, body.clone()));
        body
    }
}

#[test]
fn an_explanation_names_alternative_claim_and_proposal_and_releases_nothing() {
    let mut scene = Scene::new().with_secret();
    let origin = json!({ "proposalId": "p2", "claims": { "x-ms-sevsnpvm-hostdata": "p1", "x-ms-ver": "p2" } });
    set(
        &mut scene.host,
        "public:ccf.gov.policy_origins",
        "c1",
        &origin,
    );
    set(
        &mut scene.host,
        "public:ccf.gov.policies.cleanroom-c1",
        "x-ms-ver",
        &json!(["3"]),
    );
    let change =
        json!({ "type": "add", "claims": { "x-ms-sevsnpvm-hostdata": hex::encode(OTHER) } });
    let envelope = scene.signed(&change);
    let path = "/contracts/c1/cleanroompolicy/delegates/secrets/m1_key";
    assert_eq!(
        scene.call(Verb::Put, path, Caller::Unasked, &envelope).0,
        200
    );

    let good = scene.explain(&scene.envelope(AGREED));
    assert_eq!(good["admitted"], true);
    assert_eq!(good["alternatives"][0]["outcome"], "matches");
    assert_eq!(good["claims"]["x-ms-ver"], "3");

    let mut question = scene.envelope(OTHER);
    let refused = scene.explain(&question);
    assert_eq!(refused["admitted"], false);
    assert_eq!(refused["refusal"]["check"], "POL-03");
    assert_eq!(refused["alternatives"].as_array().unwrap().len(), 1);
    let differs = &refused["alternatives"][0];
    assert_eq!(differs["outcome"], "differs");
    assert_eq!(differs["mismatches"].as_array().unwrap().len(), 1);
    let mismatch = &differs["mismatches"][0];
    assert_eq!(mismatch["got"], hex::encode(OTHER));
    assert_eq!(mismatch["want"], json!([hex::encode(AGREED)]));
    assert_eq!(mismatch["set"]["proposalId"], "p1");
    assert_eq!(differs["source"]["proposalId"], "p2");

    question["purpose"] = json!({ "delegateType": "secrets", "delegateId": "m1_key" });
    let delegated = scene.explain(&question);
    assert_eq!(delegated["admitted"], true);
    assert_eq!(delegated["alternatives"][1]["outcome"], "matches");
    assert_eq!(
        delegated["alternatives"][1]["source"]["hostData"],
        hex::encode(AGREED)
    );
    assert!(scene.host.entries("public:cleanroom.releases").is_empty());
}

#[test]
fn an_explanation_shows_the_first_step_that_refuses() {
    let mut scene = Scene::new();
    let good = scene.envelope(AGREED);
    let mut altered = good.clone();
    altered["attestation"]
        .as_object_mut()
        .unwrap()
        .remove("uvm_endorsements");
    let explained = scene.explain(&altered);
    assert_eq!(explained["refusal"]["check"], "UVM-01");
    assert_eq!(explained.get("claims"), None);
    let mut other_key = good.clone();
    other_key["encrypt"]["publicKey"] = json!("AAAA");
    assert_eq!(scene.explain(&other_key)["refusal"]["check"], "KEY-01");
    // Without a key: as a consent check.
    let mut no_key = good.clone();
    no_key.as_object_mut().unwrap().remove("encrypt");
    assert_eq!(scene.explain(&no_key)["admitted"], true);
    let machine = scene.machine_envelope(&scene.machine(), QuoteNonce::Key);
    let silent = scene.explain(&machine);
    assert_eq!(silent["alternatives"][0]["outcome"], "silent");
    assert_eq!(silent["refusal"]["check"], "POL-01");
    let path = "/contracts/c1/runtimeoptions/execution/disable";
    assert_eq!(scene.member(Verb::Post, path, &Value::Null).0, 200);
    let disabled = scene.explain(&good);
    assert_eq!(
        (&disabled["admitted"], &disabled["disabledBy"]),
        (&json!(false), &json!(["m1"]))
    );
    assert_eq!(disabled["refusal"]["code"], "ContractDisabled");
}

#[test]
fn strangers_get_no_explanation() {
    let mut scene = Scene::new();
    let question = scene.envelope(AGREED);
    let stranger = token(json!({ "oid": "x", "tid": "t" }));
    assert_eq!(scene.call(Verb::Post, EXPLAIN, stranger, &question).0, 403);
    let (status, body) = scene.call(Verb::Post, EXPLAIN, Caller::Anonymous, &json!({}));
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &json!("AttestationMissing"))
    );
}
