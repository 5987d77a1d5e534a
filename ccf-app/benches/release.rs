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
    let member = Caller::Member(MemberId("m1".to_owned()));
    let body = serde_json::to_vec(&json!({ "value": "the key of the data set" })).unwrap();
    let (reply, _) = host.call(Verb::Put, "/contracts/c1/secrets/key", member, body);
    assert_eq!(reply.status, 200);
    host
}

fn release(host: &mut MemoryHost, body: Vec<u8>) {
    let path = "/contracts/c1/secrets/m1_key";
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
            |body| release(&mut host, body),
            BatchSize::SmallInput,
        );
    });
    let mut fresh = (0..4096)
        .map(|_| envelope(&platform, &key))
        .collect::<Vec<_>>()
        .into_iter()
        .cycle();
    c.bench_function("release, fresh report", |b| {
        b.iter_batched(
            || fresh.next().unwrap(),
            |body| release(&mut host, body),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(releases, benches);
criterion_main!(releases);
