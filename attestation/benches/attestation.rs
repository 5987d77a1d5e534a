//! Costs of a release: verification cold and warm, appraisal, wrapping, and the choice between two P-384 implementations.
//!
//! All on the simulated platform, whose certificates and keys have the sizes of the real ones.

use std::hint::black_box;

use attestation::{
    ClaimPolicy, Evidence, Family, PlatformPolicy, Policies, TrustAnchors, UnixTime, Verifier,
    simulated::{self, Guest, Platform},
};
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use p384::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

/// How many reports one run of the warm benchmark verifies.
const REPORTS: u8 = 64;

fn verification(c: &mut Criterion) {
    let (platform, key) = (Platform::default(), simulated::client_key());
    let policy = PlatformPolicy::simulated();
    let report =
        |n: u8| platform.evidence(&Guest::new([n; 32].into(), key.public_key_pem().as_bytes()));
    let evidence = report(u8::MAX);
    let mut group = c.benchmark_group("verify");

    let cold = Verifier::without_caches(TrustAnchors::simulated());
    group.bench_function("cold", |b| {
        b.iter(|| cold.verify(black_box(&evidence), &policy, NOW));
    });

    // Chain and UVM endorsement known, reports new: what a known machine costs that starts clean rooms.
    let reports: Vec<Evidence> = (0..REPORTS).map(report).collect();
    group.throughput(criterion::Throughput::Elements(REPORTS.into()));
    group.bench_function("new reports, chain and UVM known", |b| {
        b.iter_batched(
            || {
                let verifier = Verifier::new(TrustAnchors::simulated());
                verifier
                    .verify(&evidence, &policy, NOW)
                    .expect("good evidence");
                verifier
            },
            |verifier| {
                for report in &reports {
                    black_box(verifier.verify(report, &policy, NOW)).expect("good evidence");
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();

    let warm = Verifier::new(TrustAnchors::simulated());
    c.bench_function("verify/known evidence", |b| {
        b.iter(|| warm.verify(black_box(&evidence), &policy, NOW));
    });
}

fn release(c: &mut Criterion) {
    let (platform, key) = (Platform::default(), simulated::client_key());
    let pem = key.public_key_pem().as_bytes();
    let evidence = platform.evidence(&Guest::new([1; 32].into(), pem));
    let verified = Verifier::new(TrustAnchors::simulated())
        .verify(&evidence, &PlatformPolicy::simulated(), NOW)
        .expect("good evidence");
    let contract = ClaimPolicy(
        [
            (
                "x-ms-sevsnpvm-hostdata".to_owned(),
                vec!["01".repeat(32).into()],
            ),
            ("x-ms-sevsnpvm-is-debuggable".to_owned(), vec![false.into()]),
        ]
        .into(),
    );
    let policies = Policies {
        contract: &contract,
        delegate: None,
    };
    let mut group = c.benchmark_group("release");
    group.bench_function("match policy", |b| {
        b.iter(|| {
            black_box(&contract).mismatches(Family::Caci, |claim| verified.claims().get(claim))
        });
    });
    group.bench_function("appraise", |b| {
        b.iter(|| verified.appraise(black_box(&policies), pem));
    });
    let appraised = verified.appraise(&policies, pem).expect("good evidence");
    for size in [32_usize, 25_600] {
        let secret = vec![7; size];
        group.bench_function(format!("wrap {size} bytes"), |b| {
            b.iter(|| appraised.wrap(black_box(&secret)));
        });
    }
    let request = evidence.to_request();
    group.bench_function("read request", |b| {
        b.iter(|| Evidence::from_request(black_box(&request)));
    });
    group.finish();
}

fn p384(c: &mut Criterion) {
    let rng = aws_lc_rs::rand::SystemRandom::new();
    let pkcs8 =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &rng).expect("a key");
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8.as_ref()).expect("a key");
    let message = [0x5a; 672];
    let signature = pair.sign(&rng, &message).expect("a signature");
    let mut group = c.benchmark_group("p384 verify");
    let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, pair.public_key().as_ref());
    group.bench_function("aws-lc-rs", |b| {
        b.iter(|| key.verify(black_box(&message), signature.as_ref()));
    });
    let other = VerifyingKey::from_sec1_bytes(pair.public_key().as_ref()).expect("a key");
    let parsed = Signature::from_slice(signature.as_ref()).expect("a signature");
    group.bench_function("p384", |b| {
        b.iter(|| other.verify(black_box(&message), &parsed));
    });
    group.finish();
}

criterion_group!(benches, verification, release, p384);
criterion_main!(benches);
