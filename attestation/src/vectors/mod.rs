//! The shared vectors: real, mutated and synthetic evidence, key wrapping, primitives.
//!
//! The tests walk the index files and name no vector. They are inside of the crate because the synthetic vectors have their
//! own roots, and no way to choose roots may exist outside.

mod crypto;
mod cvm;
mod keywrap;
mod mutations;
mod real;
mod synthetic;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use crate::{
    anchors::TrustAnchors,
    certificate::Certificate,
    error::EvidenceError,
    evidence::Evidence,
    pem,
    policy::{PlatformPolicy, UvmIssuer},
    snp::Product,
    time::UnixTime,
    uvm,
    verifier::{Presented, Verifier},
};

/// The folder `attestation` of the vectors, or `None` with a notice.
fn folder(test: &str) -> Option<PathBuf> {
    ::tests::vectors("attestation", test)
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&read(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {value}"))
}

fn base64(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap()
}

fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name]
        .as_array()
        .unwrap_or_else(|| panic!("{name} in {value}"))
}

/// All vectors state the same time of verification.
fn verify_at(index: &Value) -> UnixTime {
    assert_eq!(text(index, "verify_at"), "2026-06-01T00:00:00Z");
    UnixTime::from_secs(1_780_272_000)
}

/// The platform policy of the vectors' strict profile: all products, UVM releases from 100, nothing denied.
fn strict(issuers: &[Value]) -> PlatformPolicy {
    let zero = "0000000000000000".parse().unwrap();
    let mut policy = PlatformPolicy {
        products: Product::ALL.into(),
        uvm: issuers
            .iter()
            .map(|issuer| UvmIssuer {
                did: text(issuer, "did").to_owned(),
                feed: text(issuer, "feed").to_owned(),
                min_svn: issuer["min_svn"].as_u64().unwrap(),
            })
            .collect(),
        denied_host_data: Default::default(),
        denied_keys: Default::default(),
        intermediates: None,
        ..PlatformPolicy::production()
    };
    policy.minimum_tcb.insert(Product::Turin, zero);
    policy
}

/// The synthetic vectors and what they are verified under: roots, policy and key that were made up for them.
struct Synthetic {
    folder: PathBuf,
    index: Value,
    now: UnixTime,
    anchors: TrustAnchors,
    policy: PlatformPolicy,
    /// The key that the evidence binds, as it was hashed.
    key: Vec<u8>,
}

impl Synthetic {
    fn load(test: &str) -> Option<Self> {
        let folder = folder(test)?.join("synthetic");
        let index = read_json(&folder.join("index.json"));
        let listed = &index["policy"];
        let roots: Vec<_> = listed["trusted_ark"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, file)| (product(name), folder.join(file.as_str().unwrap())))
            .collect();
        let mut policy = strict(array(listed, "uvm_roots"));
        for (name, tcb) in listed["min_tcb"].as_object().unwrap() {
            let tcb = tcb.as_str().unwrap().parse().unwrap();
            policy.minimum_tcb.insert(product(name), tcb);
        }
        Some(Self {
            now: verify_at(&index),
            anchors: anchors_from(&roots),
            policy,
            key: read(&folder.join("report_data_preimage_pub_key.pem")),
            index,
            folder,
        })
    }
}

/// "ok" or the class, as the indexes write it.
fn outcome<T>(result: Result<T, EvidenceError>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.class().to_string(),
    }
}

/// The report and its chain alone.
fn core(
    verifier: &Verifier,
    evidence: &Evidence,
    policy: &PlatformPolicy,
    now: UnixTime,
) -> Result<(), EvidenceError> {
    let presented = Presented {
        report: &evidence.report,
        endorsements: &evidence.endorsements,
        endorsed_tcb: None,
    };
    verifier.core(&presented, policy, now, None).map(|_| ())
}

/// The UVM endorsement alone.
fn uvm_only(
    verifier: &Verifier,
    bytes: &[u8],
    policy: &PlatformPolicy,
) -> Result<(), EvidenceError> {
    let statement = verifier.uvm_statement(bytes, policy)?;
    uvm::check_governed(&statement, policy, verifier.anchors())
}

/// Runs a check with cold and with warm caches and without any, and expects one outcome.
fn same_outcome(anchors: &TrustAnchors, run: impl Fn(&Verifier) -> String) -> String {
    let uncached = run(&Verifier::without_caches(anchors.clone()));
    let cached = Verifier::new(anchors.clone());
    assert_eq!(run(&cached), uncached, "cold cache");
    assert_eq!(run(&cached), uncached, "warm cache");
    uncached
}

fn anchors_from(roots: &[(Product, PathBuf)]) -> TrustAnchors {
    let pins = roots
        .iter()
        .map(|(product, path)| {
            let der = pem::read(&read(path), "CERTIFICATE", 1).unwrap().remove(0);
            (*product, Certificate::parse(&der).unwrap().spki_digest())
        })
        .collect::<BTreeMap<_, _>>();
    TrustAnchors::vectors(pins)
}

fn product(name: &str) -> Product {
    Product::ALL
        .into_iter()
        .find(|p| p.as_str() == name)
        .unwrap_or_else(|| panic!("{name}"))
}

/// Collects differences so that one run shows all of them.
#[derive(Default)]
struct Tally {
    checked: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn expect(&mut self, what: &str, got: &str, want: &str) {
        self.checked += 1;
        if got != want {
            self.wrong.push(format!("{what}: got {got}, want {want}"));
        }
    }

    fn finish(self, test: &str, at_least: usize) {
        assert!(
            self.wrong.is_empty(),
            "{} wrong:\n{}",
            self.wrong.len(),
            self.wrong.join("\n")
        );
        assert!(
            self.checked >= at_least,
            "{test}: only {} checked",
            self.checked
        );
        println!("{test}: {} checked", self.checked);
    }
}
