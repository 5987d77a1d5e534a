//! Challenges, and signatures over requests.

use std::time::Duration;

use attestation::{QuoteNonce, ReportData, Sha256Digest, simulated};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};

use super::{AGREED, Scene, refuses, set, set_options, token};

const RELEASE: &str = "/contracts/c1/secrets/m1_key";

impl Scene {
    fn challenge(&mut self) -> String {
        let path = "/contracts/c1/challenge";
        let (status, body) = self.call(Verb::Post, path, Caller::Unasked, &json!({}));
        assert_eq!(status, 200);
        body["challenge"].as_str().unwrap().to_owned()
    }

    fn answering(&self, challenge: &str) -> Value {
        let pem = self.key.public_key_pem().as_bytes();
        let guest = simulated::Guest {
            report_data: ReportData::answering(pem, challenge.as_bytes()),
            ..simulated::Guest::new(AGREED.into(), pem)
        };
        let mut envelope = self.envelope(AGREED);
        envelope["attestation"] = simulated::Platform::default().evidence(&guest).to_request();
        envelope["challenge"] = challenge.into();
        envelope
    }

    /// A signature over a request to release the secret.
    fn signed_request(&self, issued_at: u64, challenge: &str, path: &str) -> Value {
        let digest = Sha256Digest::of(b"");
        let text = format!("POST\n{path}\n\n{issued_at}\n{challenge}\n{digest}");
        let signature = self.key.sign(text.as_bytes()).unwrap();
        json!({ "issuedAt": issued_at.to_string(), "signature": STANDARD.encode(signature) })
    }
}

#[test]
fn w5_h8_evidence_answers_a_challenge_and_only_the_one_it_was_made_for() {
    let mut scene = Scene::new().with_secret().admitting_machines();
    let (first, second) = (scene.challenge(), {
        scene
            .host
            .set_time(Duration::from_millis(1_780_272_111_000));
        scene.challenge()
    });
    assert_ne!(first, second);
    let good = scene.answering(&first);
    assert_eq!(scene.release(&good).0, 200);
    let guest = scene.machine();
    let mut machine = scene.machine_envelope(&guest, QuoteNonce::Challenge(first.as_bytes()));
    machine["challenge"] = first.clone().into();
    assert_eq!(scene.release(&machine).0, 200);

    let mut other = good.clone();
    other["challenge"] = second.clone().into();
    let body = scene.refused(&other, 400, "ReportDataMismatch");
    assert_eq!(body["error"]["details"][0]["check"], "KEY-08");
    machine["challenge"] = second.into();
    scene.refused(&machine, 400, "VerifySnpAttestationFailed");
    let mut without = good.clone();
    without.as_object_mut().unwrap().remove("challenge");
    scene.refused(&without, 400, "ReportDataMismatch");
    for made_up in [json!("1.00"), json!(7), json!({})] {
        let mut envelope = good.clone();
        envelope["challenge"] = made_up;
        scene.refused(&envelope, 400, "ChallengeInvalid");
    }
    // A challenge of another contract, and one that has expired.
    let path = "/contracts/c2/challenge";
    let (_, body) = scene.call(Verb::Post, path, Caller::Unasked, &json!({}));
    let foreign = scene.answering(body["challenge"].as_str().unwrap());
    scene.refused(&foreign, 400, "ChallengeInvalid");
    scene
        .host
        .set_time(Duration::from_millis(1_780_272_111_000 + 10 * 60 * 1000));
    scene.refused(&good, 400, "ChallengeInvalid");
}

#[test]
fn w5_h8_members_may_ask_for_challenges_and_signed_requests() {
    let mut scene = Scene::new().with_secret();
    let now = 1_780_272_111_000;
    scene.host.set_time(Duration::from_millis(now));
    set_options(
        &mut scene,
        &json!({ "requireChallenge": true, "requireRequestSignature": true }),
    );
    let plain = scene.envelope(AGREED);
    scene.refused(&plain, 400, "ChallengeMissing");
    let challenge = scene.challenge();
    let mut envelope = scene.answering(&challenge);
    scene.refused(&envelope, 400, "RequestSignatureMissing");
    envelope["request"] = scene.signed_request(now, &challenge, RELEASE);
    assert_eq!(scene.release(&envelope).0, 200);

    let elsewhere = scene.signed_request(now, &challenge, "/contracts/c1/secrets/m1_other");
    let unsaid = scene.signed_request(now, "", RELEASE);
    let mut later = scene.signed_request(now, &challenge, RELEASE);
    later["issuedAt"] = json!((now + 1).to_string());
    for bad in [
        elsewhere,
        unsaid,
        later,
        json!("x"),
        json!({ "issuedAt": 1 }),
    ] {
        envelope["request"] = bad;
        scene.refused(&envelope, 400, "RequestSignatureInvalid");
    }
    for away in [now - 301_000, now + 301_000] {
        envelope["request"] = scene.signed_request(away, &challenge, RELEASE);
        scene.refused(&envelope, 400, "RequestExpired");
    }
    // Without being asked for, a signature that is there still counts.
    set_options(&mut scene, &json!({}));
    let mut plain = scene.envelope(AGREED);
    plain["request"] = scene.signed_request(now, &challenge, RELEASE);
    scene.refused(&plain, 400, "RequestSignatureInvalid");
}

/// A signature's slot in the memory of replays.
fn slot(envelope: &Value) -> u16 {
    let signature = STANDARD.decode(envelope["sign"]["signature"].as_str().unwrap());
    let digest = Sha256Digest::of(&signature.unwrap());
    u16::from_be_bytes([digest.as_bytes()[0], digest.as_bytes()[1]]) % 1024
}

/// Signatures are randomised, so whoever signs often enough has one for any slot.
#[test]
fn w5_h8_a_token_pushes_no_request_of_agreed_code_out_of_the_memory_of_replays() {
    let mut scene = Scene::new();
    let policy = "public:ccf.gov.policies.cleanroom-c1";
    set(&mut scene.host, policy, "oid", &json!(["o"]));
    let holder = token(json!({ "oid": "o" }));
    let put = |scene: &mut Scene, n: usize, envelope: &Value| {
        let path = format!("/contracts/c1/secrets/s{n}");
        scene.call(Verb::Put, &path, Caller::Anonymous, envelope).0
    };
    let mut captured = Vec::new();
    for n in 0..32 {
        for value in ["first", "second"] {
            let envelope = scene.signed(&json!({ "value": value }));
            assert_eq!(put(&mut scene, n, &envelope), 200);
            // What code pushes out itself is out.
            captured.retain(|(_, taken, _)| *taken != slot(&envelope));
            if value == "first" {
                captured.push((n, slot(&envelope), envelope));
            }
        }
    }

    let (n, envelope) = loop {
        let mut event = scene.signed(&json!({ "n": 1 }));
        let wanted = slot(&event);
        if let Some((n, _, envelope)) = captured.iter().find(|(_, slot, _)| *slot == wanted) {
            event["timestamp"] = "1700000000000".into();
            let path = "/contracts/c1/events?id=e";
            let (status, body) = scene.call(Verb::Put, path, holder.clone(), &event);
            assert_eq!(status, 204, "{body}");
            break (*n, envelope.clone());
        }
    };
    assert_eq!(put(&mut scene, n, &envelope), 200);
    let id = format!("cleanroom_s{n}");
    let stored = scene.host.stored("secrets-c1", id.as_bytes()).unwrap();
    let stored = String::from_utf8_lossy(stored);
    assert!(stored.contains("second"), "{stored}");
    // A holder of a token does not send again what code signed, either.
    let mut event = envelope;
    event["timestamp"] = "1700000000000".into();
    let path = "/contracts/c1/events?id=f";
    let answer = scene.call(Verb::Put, path, holder, &event);
    refuses(answer, 409, "RequestReplayed");
}
