//! Properties of the whole verifier.

use proptest::prelude::*;

use super::{Case, NOW};
use crate::{Check, TrustAnchors, Verifier};

/// A cached verifier that has accepted the evidence must refuse every altered report: any byte, some bit of it.
#[test]
fn altered_reports_never_verify() {
    let case = Case::new();
    let verifier = Verifier::new(TrustAnchors::simulated());
    verifier.verify(&case.evidence, &case.policy, NOW).unwrap();
    for at in 0..case.evidence.report.len() {
        let mut evidence = case.evidence.clone();
        evidence.report[at] ^= 1 << (at % 8);
        assert!(
            verifier.verify(&evidence, &case.policy, NOW).is_err(),
            "byte {at}"
        );
    }
}

#[test]
fn truncated_evidence_never_verifies() {
    let case = Case::new();
    let verifier = Verifier::new(TrustAnchors::simulated());
    verifier.verify(&case.evidence, &case.policy, NOW).unwrap();
    for length in 0..case.evidence.report.len() {
        let mut evidence = case.evidence.clone();
        evidence.report.truncate(length);
        assert_eq!(
            verifier
                .verify(&evidence, &case.policy, NOW)
                .unwrap_err()
                .check(),
            Check::Snp01
        );
    }
    let uvm = case.evidence.uvm_endorsements.clone().unwrap();
    for length in (0..uvm.len()).step_by(7) {
        let mut evidence = case.evidence.clone();
        evidence.uvm_endorsements = Some(uvm[..length].to_vec());
        assert!(verifier.verify(&evidence, &case.policy, NOW).is_err());
    }
    let end = case.evidence.endorsements.trim_ascii_end().len();
    for length in (0..end).step_by(7) {
        let mut evidence = case.evidence.clone();
        evidence.endorsements.truncate(length);
        assert!(verifier.verify(&evidence, &case.policy, NOW).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// One altered byte anywhere in certificates or UVM endorsement: refused, or (a byte of white space, of an ignored
    /// header) the very same claims. Never a panic.
    #[test]
    fn altered_endorsements_never_verify_to_something_else(at in any::<prop::sample::Index>(), value in 1_u8.., uvm: bool) {
        let case = CASE.get_or_init(Case::new);
        let want = VERIFIER.verify(&case.evidence, &case.policy, NOW).unwrap();
        let mut evidence = case.evidence.clone();
        let target = if uvm { evidence.uvm_endorsements.as_mut().unwrap() } else { &mut evidence.endorsements };
        let at = at.index(target.len());
        target[at] ^= value;
        if let Ok(got) = VERIFIER.verify(&evidence, &case.policy, NOW) {
            prop_assert_eq!(got.claims(), want.claims());
            prop_assert_eq!(got.report(), want.report());
            prop_assert_eq!(got.uvm(), want.uvm());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(report: Vec<u8>, endorsements: Vec<u8>, uvm: Vec<u8>) {
        let mut evidence = CASE.get_or_init(Case::new).evidence.clone();
        let policy = &CASE.get_or_init(Case::new).policy;
        evidence.uvm_endorsements = Some(uvm.clone());
        prop_assert!(VERIFIER.verify(&evidence, policy, NOW).is_err());
        evidence.endorsements = endorsements;
        prop_assert!(VERIFIER.verify(&evidence, policy, NOW).is_err());
        evidence.report = report;
        prop_assert!(VERIFIER.verify(&evidence, policy, NOW).is_err());
    }
}

static CASE: std::sync::OnceLock<Case> = std::sync::OnceLock::new();
static VERIFIER: std::sync::LazyLock<Verifier> =
    std::sync::LazyLock::new(|| Verifier::new(TrustAnchors::simulated()));

/// Neither set of anchors accepts what the other accepts.
#[test]
fn production_refuses_simulated_evidence() {
    let case = Case::new();
    let error = Verifier::new(TrustAnchors::production())
        .verify(&case.evidence, &case.policy, NOW)
        .unwrap_err();
    assert_eq!(error.check(), Check::Snp07);
    assert_eq!(error.code(), "SNP-07");
    assert_eq!(error.class().as_str(), "UntrustedRoot");
}

#[test]
fn one_verifier_serves_many_threads() {
    let case = Case::new();
    let verifier = Verifier::new(TrustAnchors::simulated());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(verifier.verify(&case.evidence, &case.policy, NOW).is_ok()));
        }
    });
}

/// A handler that is executed again finds its evidence verified: nothing is verified twice, and what has changed meanwhile still counts.
#[test]
fn w43_evidence_is_verified_once_and_looked_at_each_time() {
    let case = Case::new();
    let machine = crate::simulated::CvmGuest::default().evidence();
    let verifier = Verifier::new(TrustAnchors::simulated());
    let both = |policy: &crate::PlatformPolicy, now| {
        let group = verifier.verify(&case.evidence, policy, now);
        let nonce = crate::QuoteNonce::Key;
        [group, verifier.verify_cvm(&machine, policy, nonce, now)]
    };
    let first = both(&case.policy, NOW).map(Result::unwrap);
    let again = both(&case.policy, NOW).map(Result::unwrap);
    for (first, again) in first.iter().zip(&again) {
        assert!(std::sync::Arc::ptr_eq(first, again));
    }
    let later = crate::UnixTime::from_secs(9_000_000_000);
    let mut raised = case.policy.clone();
    raised.products.clear();
    for (policy, now) in [(&case.policy, later), (&raised, NOW)] {
        assert!(both(policy, now).iter().all(Result::is_err));
    }
    assert!(both(&case.policy, NOW).iter().all(Result::is_ok));
}

/// Every numbered check has its pair of tests.
#[test]
fn every_check_has_tests() {
    let sources = [
        include_str!("appraisal.rs"),
        include_str!("cvm.rs"),
        include_str!("cvm/appraisal.rs"),
        include_str!("request.rs"),
        include_str!("snp.rs"),
        include_str!("uvm.rs"),
    ];
    for check in Check::ALL {
        let name = check.code().to_lowercase().replace('-', "_");
        let found = sources
            .iter()
            .any(|s| s.contains(&format!("    {name} ")) || s.contains(&format!("mod {name} {{")));
        assert!(found, "{name}");
    }
}
