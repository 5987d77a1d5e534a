//! Signing for clean rooms.

use attestation::Sha256Digest;
use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};
use x509_parser::pem::parse_x509_pem;

use super::{AGREED, OTHER, Scene, m, set, token};

impl Scene {
    fn with_signing(mut self) -> Self {
        for (key, value) in [
            ("enabled", "true"),
            ("generateSigningKeyRequestId", "1"),
            ("generateSigningKeyKid", "sk"),
        ] {
            let table = "public:ccf.gov.signing";
            self.host.store(table, key.as_bytes(), value.as_bytes());
        }
        let made = self.member(Verb::Post, "/signing/generateSigningKey", &json!({}));
        assert_eq!(made, (200, json!({ "reqId": "1", "kid": "sk-1" })));
        self
    }

    fn sign(&mut self, envelope: &Value, payload: Value) -> (u16, Value) {
        let mut body = envelope.clone();
        body["payload"] = payload;
        let path = "/contracts/c1/signing/sign";
        self.call(Verb::Post, path, Caller::Unasked, &body)
    }

    fn signing_info(&mut self) -> Value {
        self.member(Verb::Post, "/signing/info", &json!({})).1
    }
}

fn verify(pem: &Value, payload: &[u8], signature: &str) {
    let (_, pem) = parse_x509_pem(pem.as_str().unwrap().as_bytes()).unwrap();
    let signature = STANDARD.decode(signature).unwrap();
    UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &pem.contents)
        .verify(payload, &signature)
        .unwrap();
}

#[test]
fn a_signature_is_verified_by_the_published_key_and_recorded_by_the_payloads_digest() {
    let mut scene = Scene::new();
    assert_eq!(
        scene.signing_info(),
        json!({ "enabled": false, "publicKeyPem": "" })
    );
    let mut scene = scene.with_signing();
    let envelope = scene.envelope(AGREED);
    let info = scene.signing_info();
    assert_eq!(
        (&info["enabled"], &info["kid"]),
        (&json!(true), &json!("sk-1"))
    );
    for payload in [&b"hello"[..], b"\xff\x00", &[7; 20_000]] {
        let (status, body) = scene.sign(&envelope, STANDARD.encode(payload).into());
        assert_eq!(status, 200, "{body}");
        verify(&info["publicKeyPem"], payload, &scene.unwrapped(&body));
        let record = scene.records()[0]["record"].clone();
        assert_eq!(record["kind"], "signature");
        assert_eq!(record["signature"], json!({ "kid": "sk-1" }));
    }
    let digests: Vec<_> = scene
        .records()
        .iter()
        .map(|r| r["record"]["subject"].clone())
        .collect();
    assert!(digests.contains(&json!(Sha256Digest::of(b"hello"))));
}

#[test]
fn requests_for_signatures_are_refused_by_name() {
    let mut scene = Scene::new();
    let envelope = scene.envelope(AGREED);
    let refused = |scene: &mut Scene, envelope: &Value, payload: Value, status: u16, code: &str| {
        let (got, body) = scene.sign(envelope, payload);
        assert_eq!(
            (got, &body["error"]["code"]),
            (status, &json!(code)),
            "{body}"
        );
    };
    for payload in [json!(""), json!(null), json!(0), json!(false)] {
        refused(&mut scene, &envelope, payload, 400, "PayloadMissing");
    }
    for payload in [json!(5), json!({ "a": 1 }), json!("A"), json!([])] {
        refused(&mut scene, &envelope, payload, 400, "PayloadInvalid");
    }
    for (name, code) in [
        ("attestation", "AttestationMissing"),
        ("encrypt", "EncryptionMissing"),
    ] {
        let mut envelope = envelope.clone();
        envelope.as_object_mut().unwrap().remove(name);
        refused(&mut scene, &envelope, json!("aGk="), 400, code);
    }
    refused(
        &mut scene,
        &envelope,
        json!("aGk="),
        405,
        "SigningKeyNotAvailable",
    );
    let (status, body) = scene.member(Verb::Post, "/signing/generateSigningKey", &json!({}));
    assert_eq!(
        (status, &body["error"]["code"]),
        (405, &json!("SigningNotEnabled"))
    );
    let mut scene = scene.with_signing();
    let other = scene.envelope(OTHER);
    refused(
        &mut scene,
        &other,
        json!("aGk="),
        400,
        "VerifySnpAttestationFailed",
    );
    let record = scene.records()[0]["record"].clone();
    assert_eq!(
        (&record["kind"], &record["outcome"]),
        (&json!("signature"), &json!("denied"))
    );
}

#[test]
fn the_admin_of_pod_policies_signs_by_delegation() {
    let mut scene = Scene::new().with_signing();
    let change =
        json!({ "type": "add", "claims": { "x-ms-sevsnpvm-hostdata": hex::encode(OTHER) } });
    let envelope = scene.signed(&change);
    let path = "/contracts/c1/cleanroompolicy/delegates/podpolicies/admin";
    assert_eq!(
        scene.call(Verb::Put, path, Caller::Unasked, &envelope).0,
        200
    );
    let other = scene.envelope(OTHER);
    assert_eq!(scene.sign(&other, json!("aGk=")).0, 200);
    assert_eq!(scene.records()[0]["record"]["alternative"], "delegate");
}

#[test]
fn w31_signatures_by_replaced_keys_can_be_verified_for_good() {
    let mut scene = Scene::new().with_signing();
    let envelope = scene.envelope(AGREED);
    let (_, body) = scene.sign(&envelope, STANDARD.encode("x").into());
    let old = scene.unwrapped(&body);
    scene.host.store(
        "public:ccf.gov.signing",
        b"generateSigningKeyRequestId",
        b"2",
    );
    let made = scene
        .call(
            Verb::Post,
            "/signing/generateSigningKey",
            m("m2"),
            &json!({}),
        )
        .1;
    assert_eq!(made, json!({ "reqId": "2", "kid": "sk-2" }));
    scene
        .host
        .set_time(std::time::Duration::from_secs(3_000_000_000));
    let info = scene.signing_info();
    assert_eq!(info["kid"], "sk-2");
    assert_eq!(info["previous"][0]["kid"], "sk-1");
    verify(&info["previous"][0]["publicKeyPem"], b"x", &old);
    let stored = scene.host.entries("public:cleanroom.signing_retired_keys");
    assert!(!format!("{stored:?}").contains("PRIVATE"));
}

#[test]
fn who_is_not_registered_learns_nothing_about_signing() {
    let mut scene = Scene::new().with_signing();
    let stranger = token(json!({ "oid": "n", "tid": "t", "iss": "https://issuer" }));
    assert_eq!(
        scene
            .call(Verb::Post, "/signing/info", stranger, &json!({}))
            .0,
        403
    );
    let identity = json!({ "accountType": "microsoft", "data": { "tenantId": "t" } });
    set(
        &mut scene.host,
        "public:ccf.gov.user_identities",
        "n",
        &identity,
    );
    let known = token(json!({ "oid": "n", "tid": "t", "iss": "https://issuer" }));
    assert_eq!(
        scene.call(Verb::Post, "/signing/info", known, &json!({})).0,
        200
    );
}

/// Whoever captures a signed request cannot have something else signed with it.
#[test]
fn a_signature_over_the_request_covers_what_is_to_be_signed() {
    let mut scene = Scene::new().with_signing();
    let now = 1_780_272_111_000_u64;
    scene.host.set_time(std::time::Duration::from_millis(now));
    let mut envelope = scene.envelope(AGREED);
    let digest = Sha256Digest::of(b"pay 5");
    let text = format!("POST\n/contracts/c1/signing/sign\n\n{now}\n\n{digest}");
    let signature = STANDARD.encode(scene.key.sign(text.as_bytes()).unwrap());
    envelope["request"] = json!({ "issuedAt": now.to_string(), "signature": signature });
    let (status, body) = scene.sign(&envelope, STANDARD.encode("pay 5").into());
    assert_eq!(status, 200, "{body}");
    let answer = scene.sign(&envelope, STANDARD.encode("pay 500").into());
    super::refuses(answer, 400, "RequestSignatureInvalid");
}
