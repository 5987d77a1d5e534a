//! One release through the application's handler, on a host in memory: verification, policy, replay check, record, wrapping.
//! The node adds TLS, authentication and the ledger; `tests/benches/load.rs` measures those.
#![allow(clippy::unwrap_used, missing_docs)]

use attestation::{ClientKey, TrustAnchors, simulated};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::testing::MemoryHost;
use ccf_rs::{Caller, MemberId, Verb};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};

fn envelope(platform: &simulated::Platform, key: &ClientKey) -> Vec<u8> {
    let guest = simulated::Guest::new([0xa1; 32].into(), key.public_key_pem().as_bytes());
    let body = json!({
        "attestation": platform.evidence(&guest).to_request(),
        "encrypt": { "publicKey": STANDARD.encode(key.public_key_pem()) },
    });
    serde_json::to_vec(&body).unwrap()
}

/// The envelope with something to sign, and a signed request for a certificate.
fn with_payloads(envelope: &[u8], key: &ClientKey) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(envelope).unwrap();
    let request = json!({
        "publicKey": key.public_key_pem(), "subjectName": "CN=room",
        "subjectAlternateNames": ["dNSName:localhost"], "validityPeriodDays": 1,
    });
    let data = serde_json::to_vec(&request).unwrap();
    body["payload"] = STANDARD.encode("payload").into();
    body["data"] = STANDARD.encode(&data).into();
    body["sign"] = json!({
        "publicKey": STANDARD.encode(key.public_key_pem()),
        "signature": STANDARD.encode(key.sign(&data).unwrap()),
    });
    serde_json::to_vec(&body).unwrap()
}

fn host() -> MemoryHost {
    let settings = ccf_app::Settings {
        anchors: TrustAnchors::simulated(),
    };
    let mut host = MemoryHost::new(ccf_app::application(settings).endpoints);
    let mut set = |table: &str, key: &str, value: Value| {
        host.store(table, key.as_bytes(), value.to_string().as_bytes());
    };
    set(
        "public:ccf.gov.members.info",
        "m1",
        json!({ "status": "Active" }),
    );
    set(
        "public:ccf.gov.accepted_contracts",
        "c1",
        json!({ "data": 1, "proposalId": "p0" }),
    );
    set(
        "public:ccf.gov.policies.cleanroom-c1",
        "x-ms-sevsnpvm-hostdata",
        json!(["a1".repeat(32)]),
    );
    set(
        "public:ccf.gov.ca",
        "c1",
        json!({ "enabled": "true", "requestId": "1" }),
    );
    for table in ["public:ccf.gov.oidc_issuer", "public:ccf.gov.signing"] {
        for (key, value) in [
            ("enabled", "true"),
            ("generateSigningKeyRequestId", "1"),
            ("generateSigningKeyKid", "k"),
            ("issuerUrl", "https://issuer.example.com"),
        ] {
            host.store(table, key.as_bytes(), value.as_bytes());
        }
    }
    for (verb, path, body) in [
        (
            Verb::Put,
            "/contracts/c1/secrets/key",
            json!({ "value": "the key of the data set" }),
        ),
        (Verb::Post, "/oidc/generateSigningKey", json!({})),
        (Verb::Post, "/signing/generateSigningKey", json!({})),
        (Verb::Post, "/contracts/c1/ca/generateSigningKey", json!({})),
    ] {
        let member = Caller::Member(MemberId("m1".to_owned()));
        let (reply, _) = host.call(verb, path, member, serde_json::to_vec(&body).unwrap());
        assert_eq!(reply.status, 200, "{path}");
    }
    host
}

const SECRET: &str = "/contracts/c1/secrets/m1_key";
const TOKEN: &str =
    "/contracts/c1/oauth/token?sub=s&tid=t&aud=a&jti=j&iat=1780272000&exp=1780272300";
const SIGNATURE: &str = "/contracts/c1/signing/sign";
const CERTIFICATE: &str = "/contracts/c1/ca/generateEndorsedCert";

fn release(host: &mut MemoryHost, path: &str, body: Vec<u8>) {
    let (reply, transaction) = host.call(Verb::Post, path, Caller::Unasked, body);
    assert_eq!(reply.status, 200);
    assert!(transaction.is_some(), "recorded");
}

fn benches(c: &mut Criterion) {
    let mut host = host();
    let key = ClientKey::generate().unwrap();
    let platform = simulated::Platform::default();
    let same = envelope(&platform, &key);
    c.bench_function("release, evidence seen before", |b| {
        b.iter_batched(
            || same.clone(),
            |body| release(&mut host, SECRET, body),
            BatchSize::SmallInput,
        );
    });
    for (name, path) in [
        ("token", TOKEN),
        ("signature", SIGNATURE),
        ("certificate", CERTIFICATE),
    ] {
        let body = with_payloads(&same, &key);
        c.bench_function(&format!("{name}, evidence seen before"), |b| {
            b.iter_batched(
                || body.clone(),
                |body| release(&mut host, path, body),
                BatchSize::SmallInput,
            );
        });
    }
    let mut fresh = (0..4096)
        .map(|_| envelope(&platform, &key))
        .collect::<Vec<_>>()
        .into_iter()
        .cycle();
    c.bench_function("release, fresh report", |b| {
        b.iter_batched(
            || fresh.next().unwrap(),
            |body| release(&mut host, SECRET, body),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(releases, benches);
criterion_main!(releases);
