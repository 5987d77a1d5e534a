//! Secrets: storing and releasing.

use attestation::ClientKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{Caller, UserId, Verb};
use serde_json::{Value, json};

use super::{AGREED, SECRET, Scene, m, refuses, set, token, user};

#[test]
fn w44_requests_that_lack_something_are_refused_by_name_and_leave_no_record() {
    let mut scene = Scene::new().with_secret();
    let good = scene.envelope(AGREED);
    let without = |name: &str| {
        let mut envelope = good.clone();
        envelope.as_object_mut().unwrap().remove(name);
        envelope
    };
    scene.refused(&without("attestation"), 400, "AttestationMissing");
    scene.refused(&without("encrypt"), 400, "EncryptionMissing");
    scene.refused(&json!([]), 400, "InvalidInput");
    let mut other = good.clone();
    other["platform"] = "sgx".into();
    scene.refused(&other, 400, "UnsupportedPlatform");
    for part in ["evidence", "endorsements", "uvm_endorsements"] {
        for value in [json!(""), json!("!"), json!(7), json!(null), json!("AAAA")] {
            let mut bad = good.clone();
            bad["attestation"][part] = value.clone();
            scene.refused(&bad, 400, "VerifySnpAttestationFailed");
        }
    }
    let (reply, _) = scene.host.call(
        Verb::Post,
        "/contracts/c1/secrets/m1_key",
        Caller::Unasked,
        &b"{\"attestation\":"[..],
    );
    assert_eq!(reply.status, 400);
    assert!(scene.host.entries("public:cleanroom.releases").is_empty());
}

#[test]
fn a_report_altered_anywhere_releases_nothing() {
    let mut scene = Scene::new().with_secret();
    let good = scene.envelope(AGREED);
    let report = STANDARD
        .decode(good["attestation"]["evidence"].as_str().unwrap())
        .unwrap();
    for at in (0..report.len()).step_by(7) {
        let mut altered = report.clone();
        altered[at] ^= 0x40;
        let mut envelope = good.clone();
        envelope["attestation"]["evidence"] = STANDARD.encode(&altered).into();
        let (status, body) = scene.release(&envelope);
        assert_eq!(status, 400, "byte {at}: {body}");
    }
}

#[test]
fn a_key_that_the_evidence_does_not_bind_gets_nothing_and_the_denial_is_recorded() {
    let mut scene = Scene::new().with_secret();
    let mut envelope = scene.envelope(AGREED);
    let thief = ClientKey::generate().unwrap();
    envelope["encrypt"]["publicKey"] = STANDARD.encode(thief.public_key_pem()).into();
    scene.refused(&envelope, 400, "ReportDataMismatch");
    envelope["encrypt"]["publicKey"] = "?".into();
    scene.refused(&envelope, 400, "ReportDataMismatch");
    assert_eq!(scene.records()[0]["record"]["outcome"], "denied");
}

#[test]
fn without_a_policy_or_a_secret_nothing_is_released() {
    let mut scene = Scene::new();
    let envelope = scene.envelope(AGREED);
    scene.refused(&envelope, 404, "SecretNotFound");
    scene.host.erase(
        "public:ccf.gov.policies.cleanroom-c1",
        b"x-ms-sevsnpvm-hostdata",
    );
    let mut scene = scene.with_secret();
    scene.refused(&envelope, 400, "VerifySnpAttestationFailed");
}

#[test]
fn w1_h7_clean_rooms_store_secrets_signed_by_the_attested_key_only() {
    let mut scene = Scene::new();
    let path = "/contracts/c1/secrets/out";
    let envelope = scene.signed(&json!({ "value": "result" }));
    let (status, body) = scene.call(Verb::Put, path, Caller::Anonymous, &envelope);
    assert_eq!(
        (status, &body),
        (200, &json!({ "secretId": "cleanroom_out" }))
    );

    // W1: evidence is public, so a signature by any other key proves nothing.
    let thief = ClientKey::generate().unwrap();
    let data = br#"{"value":"forged"}"#;
    let mut forged = envelope.clone();
    forged["data"] = STANDARD.encode(data).into();
    forged["sign"] = json!({
        "publicKey": STANDARD.encode(thief.public_key_pem()),
        "signature": STANDARD.encode(thief.sign(data).unwrap()),
    });
    let (status, body) = scene.call(Verb::Put, path, Caller::Anonymous, &forged);
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &json!("ReportDataMismatch"))
    );
    let mut altered = envelope.clone();
    altered["data"] = STANDARD.encode(data).into();
    let (status, body) = scene.call(Verb::Put, path, Caller::Anonymous, &altered);
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &json!("SignatureMismatch"))
    );
}

#[test]
fn w5_h8_a_replayed_request_changes_nothing_and_fits_no_other_target() {
    let mut scene = Scene::new();
    let path = "/contracts/c1/secrets/out";
    let first = scene.signed(&json!({ "value": "first" }));
    let second = scene.signed(&json!({ "value": "second" }));
    for envelope in [&first, &second, &first] {
        assert_eq!(
            scene.call(Verb::Put, path, Caller::Anonymous, envelope).0,
            200
        );
    }
    let stored = scene.host.stored("secrets-c1", b"cleanroom_out").unwrap();
    assert!(String::from_utf8_lossy(stored).contains("second"));
    let (status, body) = scene.call(
        Verb::Put,
        "/contracts/c1/secrets/elsewhere",
        Caller::Anonymous,
        &first,
    );
    assert_eq!(
        (status, &body["error"]["code"]),
        (409, &json!("RequestReplayed"))
    );
}

#[test]
fn secrets_are_listed_by_id_and_belong_to_who_stored_them() {
    let mut scene = Scene::new().with_secret();
    for (body, code) in [
        (json!({}), "ValueMissing"),
        (json!({ "value": "" }), "ValueMissing"),
        (json!({ "value": 7 }), "InvalidInput"),
        (json!({ "value": "x".repeat(25_601) }), "ValueTooLarge"),
    ] {
        let (status, answer) = scene.member(Verb::Put, "/contracts/c1/secrets/key", &body);
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(code)));
    }
    let (_, list) = scene.call(Verb::Get, "/contracts/c1/secrets", m("m2"), &Value::Null);
    assert_eq!(list, json!({ "value": [{ "secretId": "m1_key" }] }));
    // W12: a token user cannot write under the name of clean rooms, or of anybody else.
    for oid in ["cleanroom", "m1_key"] {
        let identity = json!({ "accountType": "microsoft", "data": { "tenantId": "t" } });
        set(
            &mut scene.host,
            "public:ccf.gov.user_identities",
            oid,
            &identity,
        );
        let caller = token(json!({ "oid": oid, "tid": "t" }));
        let (status, _) = scene.call(
            Verb::Put,
            "/contracts/c1/secrets/x",
            caller,
            &json!({ "value": "v" }),
        );
        assert_eq!(status, 400, "{oid}");
    }
}

#[test]
fn nobody_overwrites_the_secret_of_another_who_has_the_same_id() {
    let mut scene = Scene::new();
    let path = "/contracts/c1/secrets/k";
    let by_token = user(&mut scene, "u");
    let by_certificate = Caller::User(UserId("u".to_owned()));
    let first = json!({ "value": "first" });
    assert_eq!(scene.call(Verb::Put, path, by_token.clone(), &first).0, 200);
    let answer = scene.call(Verb::Put, path, by_certificate, &json!({ "value": "x" }));
    refuses(answer, 409, "SecretOwnedByAnother");
    let again = json!({ "value": "again" });
    assert_eq!(scene.call(Verb::Put, path, by_token, &again).0, 200);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    /// Whatever contracts, secrets and purposes are called: what happens under one contract is not seen under another.
    #[test]
    fn w12_nothing_under_one_contract_reaches_another(a in "[ab_,:1-]{1,6}", b in "[ab_,:1-]{1,6}", name in "[ab_,:1-]{1,6}", purpose in "[ab_,:1-]{1,6}") {
        proptest::prop_assume!(a != b);
        let mut scene = Scene::new();
        for contract in [&a, &b] {
            let accepted = json!({ "data": 1, "proposalId": "p", "finalVotes": {} });
            set(&mut scene.host, "public:ccf.gov.accepted_contracts", contract, &accepted);
            let policy = format!("public:ccf.gov.policies.cleanroom-{contract}");
            set(&mut scene.host, &policy, "x-ms-sevsnpvm-hostdata", &json!([hex::encode(AGREED)]));
        }
        let seen = |scene: &mut Scene, contract: &str| {
            ["secrets", "releases", "cleanroompolicy/delegates"].map(|what| {
                let path = format!("/contracts/{contract}/{what}");
                scene.member(Verb::Get, &path, &Value::Null).1["value"].clone()
            })
        };
        let before = seen(&mut scene, &b);
        let path = format!("/contracts/{a}/secrets/{name}");
        let (_, stored) = scene.member(Verb::Put, &path, &json!({ "value": SECRET }));
        let id = stored["secretId"].as_str().unwrap().to_owned();
        let change = json!({ "type": "add", "claims": { "x-ms-sevsnpvm-hostdata": "00" } });
        let path = format!("/contracts/{a}/cleanroompolicy/delegates/{purpose}/{name}");
        let envelope = scene.signed(&change);
        proptest::prop_assert_eq!(scene.call(Verb::Put, &path, Caller::Unasked, &envelope).0, 200);
        let envelope = scene.envelope(AGREED);
        let release = |scene: &mut Scene, contract: &str| {
            let path = format!("/contracts/{contract}/secrets/{id}");
            scene.call(Verb::Post, &path, Caller::Unasked, &envelope).0
        };
        proptest::prop_assert_eq!(release(&mut scene, &a), 200);
        proptest::prop_assert_eq!(seen(&mut scene, &b), before);
        proptest::prop_assert_eq!(release(&mut scene, &b), 404);
        proptest::prop_assert!(seen(&mut scene, &a).iter().all(|list| list.as_array().is_some_and(|list| list.len() == 1)));
    }
}
