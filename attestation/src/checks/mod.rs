//! One positive and one negative test for every numbered check, on the simulated platform.

mod appraisal;
mod cvm;
mod request;
mod snp;
mod uvm;
mod whole;

use std::sync::Arc;

use crate::{
    Check, Evidence, EvidenceError, PlatformPolicy, TrustAnchors, UnixTime, VerifiedEvidence,
    Verifier,
    simulated::{Guest, Platform},
};

/// 2027-01-15.
pub(super) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

/// Everything a test may spoil.
pub(super) struct Case {
    pub(super) platform: Platform,
    pub(super) guest: Guest,
    pub(super) evidence: Evidence,
    pub(super) policy: PlatformPolicy,
    pub(super) anchors: TrustAnchors,
    pub(super) now: UnixTime,
}

impl Case {
    pub(super) fn new() -> Self {
        Self::on(Platform::default())
    }

    pub(super) fn on(platform: Platform) -> Self {
        let key = crate::simulated::client_key();
        let guest = Guest::new([7; 32].into(), key.public_key_pem().as_bytes());
        Self {
            evidence: platform.evidence(&guest),
            platform,
            guest,
            policy: PlatformPolicy::simulated(),
            anchors: TrustAnchors::simulated(),
            now: NOW,
        }
    }

    /// Without caches, with cold ones and with warm ones: one result.
    pub(super) fn verify(&self) -> Result<Arc<VerifiedEvidence>, EvidenceError> {
        let plain = Verifier::without_caches(self.anchors.clone()).verify(
            &self.evidence,
            &self.policy,
            self.now,
        );
        let cached = Verifier::new(self.anchors.clone());
        for _ in 0..2 {
            let again = cached.verify(&self.evidence, &self.policy, self.now);
            assert_eq!(again.as_ref().err(), plain.as_ref().err());
        }
        plain
    }

    /// The same, after the caches were filled under a policy and at a time that accept the evidence.
    pub(super) fn verify_after_acceptance(&self) -> Result<Arc<VerifiedEvidence>, EvidenceError> {
        let verifier = Verifier::new(self.anchors.clone());
        assert!(
            verifier
                .verify(&self.evidence, &PlatformPolicy::simulated(), NOW)
                .is_ok()
        );
        verifier.verify(&self.evidence, &self.policy, self.now)
    }
}

/// The check that refuses.
pub(super) fn refused_by(case: &Case) -> Check {
    case.verify()
        .map(|_| "accepted")
        .expect_err("must be refused")
        .check()
}

/// For each check a module of its number with `accepts` (the unspoilt case, or the given one) and `refuses`.
macro_rules! check_tests {
    ($($number:ident $check:ident accepts $good:expr; refuses $bad:expr;)*) => {$(
        mod $number {
            #[allow(unused_imports)]
            use super::*;

            #[test]
            fn accepts() {
                let mut case = $crate::checks::Case::new();
                let spoil: fn(&mut $crate::checks::Case) = $good;
                spoil(&mut case);
                assert_eq!(case.verify().err(), None);
            }

            #[test]
            fn refuses() {
                let mut case = $crate::checks::Case::new();
                let spoil: fn(&mut $crate::checks::Case) = $bad;
                spoil(&mut case);
                assert_eq!($crate::checks::refused_by(&case), $crate::Check::$check);
            }
        }
    )*};
}
pub(super) use check_tests;
