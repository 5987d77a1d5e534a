//! Confidential VMs under attack: the wrong roots, altered, cut short, made up.

use proptest::prelude::*;

use super::{NOW, Vm};
use crate::{Check, CvmEvidence, QuoteNonce, TrustAnchors, Verifier};

/// The simulated platform proves nothing to production anchors, even if governance lists its authority.
#[test]
fn production_refuses_simulated_machines() {
    let mut vm = Vm::new();
    vm.anchors = TrustAnchors::production();
    assert_eq!(vm.verify().unwrap_err().check(), Check::Snp07);
}

#[test]
fn published_keys_prove_nothing() {
    let mut vm = Vm::new();
    let key = crate::Sha256Digest::of(&vm.guest.key_pem);
    vm.policy.denied_keys.insert(key);
    assert_eq!(vm.verify().unwrap_err().check(), Check::Ins02);
}

#[test]
fn w4_registers_cannot_be_relabelled_or_altered() {
    let vm = Vm::new();
    let verifier = Verifier::new(TrustAnchors::simulated());
    let verify =
        |evidence: &CvmEvidence| verifier.verify_cvm(evidence, &vm.policy, QuoteNonce::Key, NOW);
    assert!(verify(&vm.evidence).is_ok());
    for (a, b) in [(0, 1), (4, 16), (7, 23)] {
        let mut evidence = vm.evidence.clone();
        evidence.registers.swap(a, b);
        assert_eq!(verify(&evidence).unwrap_err().check(), Check::Cvm19);
        let value = evidence.registers[a].take();
        assert!(value.is_some());
        assert_eq!(verify(&evidence).unwrap_err().check(), Check::Cvm18);
    }
}

#[test]
fn w3_every_altered_byte_is_refused_or_means_nothing() {
    let vm = Vm::new();
    let verifier = Verifier::new(TrustAnchors::simulated());
    let verify =
        |evidence: &CvmEvidence| verifier.verify_cvm(evidence, &vm.policy, QuoteNonce::Key, NOW);
    let want = verify(&vm.evidence).unwrap();
    let parts: [fn(&mut CvmEvidence) -> &mut Vec<u8>; 3] = [
        |e| &mut e.quote,
        |e| &mut e.hcl_report,
        |e| e.ak_certificate.as_mut().unwrap(),
    ];
    for (part, step) in parts.into_iter().zip([1, 5, 3]) {
        for at in (0..part(&mut vm.evidence.clone()).len()).step_by(step) {
            let mut evidence = vm.evidence.clone();
            part(&mut evidence)[at] ^= 1 << (at % 8);
            if let Ok(got) = verify(&evidence) {
                // Status and reserved bytes of the blob.
                assert!((16..32).contains(&at), "byte {at}");
                assert_eq!(got.claims(), want.claims());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_of_machines_never_panic(quote: Vec<u8>, hcl: Vec<u8>, certificate: Vec<u8>, claims: String) {
        let vm = Vm::new();
        let verify = |evidence: &CvmEvidence| VERIFIER.verify_cvm(evidence, &vm.policy, QuoteNonce::Key, NOW);
        let with = |change: &dyn Fn(&mut CvmEvidence)| {
            let mut evidence = vm.evidence.clone();
            change(&mut evidence);
            evidence
        };
        prop_assert!(verify(&with(&|e| e.quote = quote.clone())).is_err());
        prop_assert!(verify(&with(&|e| e.hcl_report = hcl.clone())).is_err());
        prop_assert!(verify(&with(&|e| e.ak_certificate = Some(certificate.clone()))).is_err());
        let mut bound = Vm::new();
        bound.claims_text(&claims.chars().take(500).collect::<String>());
        prop_assert!(verify(&bound.evidence).is_err());
    }

    #[test]
    fn truncated_machines_never_verify(at in any::<prop::sample::Index>(), part in 0..3) {
        let vm = Vm::new();
        let mut evidence = vm.evidence.clone();
        let bytes = match part {
            0 => &mut evidence.quote,
            1 => &mut evidence.endorsements,
            _ => evidence.ak_certificate.as_mut().unwrap(),
        };
        let end = bytes.trim_ascii_end().len();
        bytes.truncate(at.index(end));
        prop_assert!(VERIFIER.verify_cvm(&evidence, &vm.policy, QuoteNonce::Key, NOW).is_err());
    }
}

static VERIFIER: std::sync::LazyLock<Verifier> =
    std::sync::LazyLock::new(|| Verifier::new(TrustAnchors::simulated()));
