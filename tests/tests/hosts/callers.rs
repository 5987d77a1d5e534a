//! Who calls.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coset::{CoseSign1Builder, HeaderBuilder, TaggedCborSerializable as _, iana};
use governance::client::Request;
use governance::cose::{self, MessageType};
use governance::member::Actions;
use governance::{Client, Identity};
use serde_json::{Value, json};
use tests::service::Host;

use crate::{Probed, hosts, json as answer, refusal};

hosts!(callers_are_who_they_prove_to_be);

fn callers_are_who_they_prove_to_be(host: &Host) {
    let probed = Probed::on(host);
    let service = &probed.service;
    let user = Identity::generate("user0", Duration::from_secs(3600)).unwrap();
    let stranger = Identity::generate("stranger", Duration::from_secs(3600)).unwrap();
    let issuer = Issuer::new();
    let actions = Actions::new()
        .set_user(user.certificate(), &json!({}))
        .action("set_jwt_issuer", issuer.registration());
    service.accept(std::slice::from_ref(&probed.member), &actions);

    let client = |identity: &Identity| {
        Client::with_identity(service.url(), service.certificate(), identity).unwrap()
    };
    let member_client = probed.member.client();
    let member = json!({ "kind": "member", "id": probed.member.id().as_str() });
    let as_user = json!({ "kind": "user", "id": user.id().as_str() });
    let get = |client: &Client, path: &str| {
        let path = format!("/app/caller/{path}");
        client.exchange(Request::get(path)).unwrap()
    };
    let nobody = service.client();
    assert_eq!(answer(&get(member_client, "member")), member);
    assert_eq!(answer(&get(member_client, "anybody")), member);
    assert_eq!(answer(&get(&client(&user), "anybody")), as_user);
    for who in [&nobody, &client(&stranger)] {
        assert_eq!(answer(&get(who, "anybody"))["kind"], "anonymous");
    }
    for who in [&nobody, &client(&stranger), &client(&user)] {
        let refused = get(who, "member");
        assert_eq!(
            refusal(&refused),
            (401, "InvalidAuthenticationInfo".to_owned())
        );
    }
    let certificate = answer(&get(&client(&stranger), "certificate"));
    assert_eq!(certificate["kind"], "certificate");
    assert!(certificate["length"].as_u64().unwrap() > 100);

    let token = issuer.token("somebody");
    let token = nobody.with_bearer_token(&token).unwrap();
    let seen = answer(&get(&token, "token"));
    assert_eq!(
        (&seen["kind"], &seen["issuer"]),
        (&json!("token"), &json!(ISSUER))
    );
    assert_eq!(seen["payload"]["sub"], "somebody");
    assert_eq!(seen["header"]["alg"], "ES256");
    let forged = Issuer::new().token("somebody");
    let forged = service.client().with_bearer_token(&forged).unwrap();
    assert_eq!(refusal(&get(&forged, "token")).0, 401);

    messages(&probed, &user, &stranger);
}

/// Bodies that are signed, by members and users.
fn messages(probed: &Probed, user: &Identity, stranger: &Identity) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let post = |path: &str, message: Vec<u8>| {
        let request = Request::post(format!("/app/caller/{path}")).cose(message);
        probed.client().exchange(request).unwrap()
    };
    let signer = probed.member.identity();
    let message =
        |who: &Identity, kind: &MessageType| cose::sign(who, kind, now.as_secs(), b"{}").unwrap();
    let ack = message(signer, &MessageType::Ack);
    let want = json!({
        "kind": "member message",
        "id": signer.id().as_str(),
        "payload": "{}",
        "envelopeLength": ack.len(),
        "signatureLength": 96,
        "type": "ack",
        "proposal": null,
        "createdAt": now.as_secs(),
    });
    for path in ["member-message", "active-member-message"] {
        assert_eq!(answer(&post(path, ack.clone())), want, "{path}");
    }
    // Of another type, of nobody, and altered.
    let withdrawal = MessageType::Withdrawal("ab".repeat(32).parse().unwrap());
    let mut altered = ack.clone();
    *altered.last_mut().unwrap() ^= 1;
    for (path, message) in [
        ("active-member-message", message(signer, &withdrawal)),
        ("member-message", message(stranger, &MessageType::Ack)),
        ("member-message", altered),
    ] {
        assert_eq!(refusal(&post(path, message)).0, 401, "{path}");
    }
    let named = answer(&post("member-message", message(signer, &withdrawal)));
    assert_eq!(named["proposal"], "ab".repeat(32));

    let seen = answer(&post("user-message", user_message(user, "probe")));
    assert_eq!(
        (&seen["kind"], &seen["id"], &seen["type"]),
        (
            &json!("user message"),
            &json!(user.id().as_str()),
            &json!("probe")
        )
    );
    for message in [user_message(user, "other"), user_message(stranger, "probe")] {
        assert_eq!(refusal(&post("user-message", message)).0, 401);
    }
}

fn user_message(signer: &Identity, kind: &str) -> Vec<u8> {
    let header = HeaderBuilder::new()
        .algorithm(iana::Algorithm::ES384)
        .key_id(signer.id().as_str().as_bytes().to_vec())
        .text_value("ccf.msg.type".to_owned(), kind.into())
        .build();
    CoseSign1Builder::new()
        .protected(header)
        .payload(b"said".to_vec())
        .create_signature(&[], |bytes| signer.sign(bytes).unwrap())
        .build()
        .to_tagged_vec()
        .unwrap()
}

const ISSUER: &str = "https://issuer.example";

/// Somebody whose tokens are trusted once governance says so.
struct Issuer(EcdsaKeyPair);

impl Issuer {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn registration(&self) -> Value {
        let point = self.0.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        json!({
            "issuer": ISSUER,
            "jwks": { "keys": [{
                "kty": "EC", "kid": "key", "crv": "P-256", "issuer": ISSUER,
                "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
            }]},
        })
    }

    fn token(&self, subject: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({ "alg": "ES256", "kid": "key", "typ": "JWT" }));
        let payload = part(json!({
            "iss": ISSUER, "sub": subject,
            "nbf": now.as_secs() - 60, "exp": now.as_secs() + 600,
        }));
        let text = format!("{header}.{payload}");
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
