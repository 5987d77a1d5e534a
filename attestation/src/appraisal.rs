//! Appraisal: verified evidence against the contract's policy and the caller's key.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::{
    bytes::{HostData, Measurement, ReportData, Sha256Digest},
    claims::{self, Claims, Family},
    error::{Check, Class},
    keys::{KeyError, RsaKey, SignatureError},
    verifier::VerifiedEvidence,
    wrap::{self, WrapError},
};

/// Claim names, each with the values that are accepted. Every name must match (AND), with one of its values (OR).
///
/// Values are compared with their type: `"1"` is not `1`. Text is compared exactly; digests are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimPolicy(pub BTreeMap<String, Vec<Value>>);

impl ClaimPolicy {
    /// True if no claim is named. Such a policy accepts nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if the policy says nothing about a family. Then it accepts nothing of that family.
    pub fn is_silent_on(&self, family: Family) -> bool {
        self.about(family).next().is_none()
    }

    /// Every claim of a family that does not match, in the order of their names. `claim` gives the presented value.
    ///
    /// Nothing differs from a policy that is [silent](Self::is_silent_on): ask that first.
    pub fn mismatches<'a>(
        &self,
        family: Family,
        claim: impl Fn(&str) -> Option<&'a Value>,
    ) -> Vec<ClaimMismatch> {
        self.about(family)
            .filter(|(name, want)| {
                !claim(name).is_some_and(|got| want.iter().any(|w| equal(got, w)))
            })
            .map(|(name, want)| ClaimMismatch {
                claim: name.clone(),
                got: claim(name).cloned(),
                want: want.clone(),
            })
            .collect()
    }

    /// What the policy says of claims of a family. `claim` gives the presented value.
    pub fn compare<'a>(
        &self,
        family: Family,
        claim: impl Fn(&str) -> Option<&'a Value>,
    ) -> Comparison {
        if self.is_silent_on(family) {
            return Comparison::Silent;
        }
        if family == Family::Cvm && !self.pins_boot() {
            return Comparison::NothingPinned;
        }
        match self.mismatches(family, claim) {
            none if none.is_empty() => Comparison::Matches,
            mismatches => Comparison::Differs(mismatches),
        }
    }

    fn about(&self, family: Family) -> impl Iterator<Item = (&String, &Vec<Value>)> {
        self.0.iter().filter(move |(name, _)| family.compares(name))
    }

    fn pins_boot(&self) -> bool {
        self.0.keys().any(|name| claims::pins_boot(name))
    }
}

/// Strict equality of JSON scalars. `2` and `2.0` are the same number: JSON does not tell them apart.
fn equal(got: &Value, want: &Value) -> bool {
    let same = |a: &Number, b: &Number| {
        a == b
            || a.as_f64()
                .zip(b.as_f64())
                .is_some_and(|(a, b)| a == b && small(a))
    };
    match (got, want) {
        (Value::Number(got), Value::Number(want)) => same(got, want),
        _ => got == want,
    }
}

/// Whole numbers up to here are exact in a double.
fn small(value: f64) -> bool {
    value.abs() <= 9_007_199_254_740_992.0
}

/// The policies of one contract that a caller may match.
#[derive(Clone, Copy, Debug)]
pub struct Policies<'a> {
    /// The contract's own policy. Without it nothing is released, even if a delegate has one.
    pub contract: &'a ClaimPolicy,
    /// The delegate's policy, tried after the contract's.
    pub delegate: Option<&'a ClaimPolicy>,
}

/// Which policy matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Alternative {
    /// The contract's.
    Contract,
    /// The delegate's.
    Delegate,
}

/// What one policy says of code, by its claims.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// Nothing about evidence of this family; so it is not accepted.
    Silent,
    /// It would hold for any software on such a machine (POL-05); so it is not accepted.
    NothingPinned,
    /// It differs in these claims.
    Differs(Vec<ClaimMismatch>),
    /// It is accepted.
    Matches,
}

/// One claim that did not match.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimMismatch {
    /// Name of the claim.
    pub claim: String,
    /// The computed value; `None` if the evidence has no such claim.
    pub got: Option<Value>,
    /// The accepted values. For the record; not for the caller.
    pub want: Vec<Value>,
}

/// Why verified evidence was not accepted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AppraisalError {
    /// POL-01: the contract has no policy for this family.
    #[error("POL-01 PolicyMissing: the contract has no policy for such evidence")]
    PolicyMissing,
    /// POL-05: the contract's policy would hold for any software that runs on such a machine.
    #[error("POL-05 PcrPolicyMismatch: the policy pins no register of the boot")]
    NothingPinned,
    /// POL-02; POL-03 if the host data is among the claims that differ; POL-04 for a confidential VM.
    #[error("{} {}: {}", self.code(), self.class(), list(contract))]
    ClaimsMismatch {
        /// Whose claims they are.
        family: Family,
        /// What differs from the contract's policy. Never empty.
        contract: Vec<ClaimMismatch>,
        /// What differs from the delegate's policy; `None` if there is none.
        delegate: Option<Vec<ClaimMismatch>>,
    },
    /// KEY-01: the report data does not bind the presented key.
    #[error("KEY-01 ReportDataMismatch: report data {got}, the key hashes to {want}")]
    ReportDataMismatch {
        /// From the report.
        got: ReportData,
        /// SHA-256 of the presented key. The report data must be this and 32 zero bytes.
        want: Sha256Digest,
    },
    /// KEY-07: the runtime claims of a confidential VM do not bind the presented key.
    #[error("KEY-07 UserDataMismatch: the key hashes to {want}")]
    UserDataMismatch {
        /// From the runtime claims; `None` if they have none.
        got: Option<ReportData>,
        /// SHA-256 of the presented key.
        want: Sha256Digest,
    },
    /// KEY-08: the key is bound, but the evidence was not made for the challenge.
    #[error("KEY-08 ReportDataMismatch: the evidence does not answer the challenge")]
    ChallengeMismatch,
    /// KEY-02: the key is bound, but cannot be used.
    #[error(transparent)]
    UnusableKey(#[from] KeyError),
}

impl AppraisalError {
    /// The check that failed.
    pub fn check(&self) -> Check {
        match self {
            Self::PolicyMissing => Check::Pol01,
            Self::NothingPinned => Check::Pol05,
            Self::ClaimsMismatch {
                family: Family::Cvm,
                ..
            } => Check::Pol04,
            Self::ClaimsMismatch { contract, .. }
                if contract.iter().any(|m| m.claim == claims::HOST_DATA) =>
            {
                Check::Pol03
            }
            Self::ClaimsMismatch { .. } => Check::Pol02,
            Self::ReportDataMismatch { .. } => Check::Key01,
            Self::UserDataMismatch { .. } => Check::Key07,
            Self::ChallengeMismatch => Check::Key08,
            Self::UnusableKey(_) => Check::Key02,
        }
    }

    /// Stable number of the check.
    pub fn code(&self) -> &'static str {
        self.check().code()
    }

    /// The error class.
    pub fn class(&self) -> Class {
        self.check().class()
    }
}

fn list(mismatches: &[ClaimMismatch]) -> String {
    let names: Vec<_> = mismatches.iter().map(|m| m.claim.as_str()).collect();
    names.join(", ")
}

/// The identity of code that was verified and matched a policy.
#[derive(Clone, Debug)]
struct Appraised {
    family: Family,
    claims: Arc<Claims>,
    host_data: HostData,
    measurement: Measurement,
    evidence: Sha256Digest,
    alternative: Alternative,
    simulated: bool,
}

/// Proof that evidence was verified, matched a governed policy, and binds the caller's key: what every release requires.
///
/// It is made by [`VerifiedEvidence::appraise`] and by nothing else.
#[derive(Clone, Debug)]
pub struct AppraisedClaims {
    code: Appraised,
    key: RsaKey,
    key_pem: Vec<u8>,
    key_digest: Sha256Digest,
}

/// Proof that evidence was verified and matched a governed policy, for checks that release nothing: no key is bound, so
/// anyone who has seen the evidence can present it.
#[derive(Clone, Debug)]
pub struct UnboundClaims {
    code: Appraised,
}

impl VerifiedEvidence {
    /// Matches the policies (POL-01 to POL-05) and then binds the key (KEY-01 or KEY-07, KEY-02), in this order.
    ///
    /// `key_pem` is the PEM text exactly as the caller sent it: what binds it is the digest of these bytes, so line ends and
    /// a trailing newline matter.
    ///
    /// # Errors
    /// [`AppraisalError`], with every claim that differs.
    pub fn appraise(
        &self,
        policies: &Policies<'_>,
        key_pem: &[u8],
    ) -> Result<AppraisedClaims, AppraisalError> {
        self.appraise_answering(policies, key_pem, None)
    }

    /// The same for evidence that was asked for with a challenge, which it must answer (KEY-08): in the second half of the report
    /// data (see [`ReportData::answering`]), or in the quote of a confidential VM.
    ///
    /// # Errors
    /// [`AppraisalError`], with every claim that differs.
    pub fn appraise_answering(
        &self,
        policies: &Policies<'_>,
        key_pem: &[u8],
        challenge: Option<&[u8]>,
    ) -> Result<AppraisedClaims, AppraisalError> {
        let code = self.matched(policies)?;
        self.check_bound(key_pem, challenge)?;
        Ok(AppraisedClaims {
            code,
            key: RsaKey::from_pem(key_pem)?,
            key_pem: key_pem.to_vec(),
            key_digest: Sha256Digest::of(key_pem),
        })
    }

    fn check_bound(&self, key_pem: &[u8], challenge: Option<&[u8]>) -> Result<(), AppraisalError> {
        let want = Sha256Digest::of(key_pem);
        let Some(vm) = self.vm() else {
            let got = self.report().report_data;
            let answer = challenge.map(|challenge| ReportData::answering(key_pem, challenge));
            return match answer {
                None if got == ReportData::binding(key_pem) => Ok(()),
                Some(answer) if got == answer => Ok(()),
                Some(answer)
                    if got.as_bytes().first_chunk::<32>() == answer.as_bytes().first_chunk() =>
                {
                    Err(AppraisalError::ChallengeMismatch)
                }
                _ => Err(AppraisalError::ReportDataMismatch { got, want }),
            };
        };
        if self.bound != Some(ReportData::binding(key_pem)) {
            return Err(AppraisalError::UserDataMismatch {
                got: self.bound,
                want,
            });
        }
        if vm.challenge != challenge.map(Sha256Digest::of) {
            return Err(AppraisalError::ChallengeMismatch);
        }
        Ok(())
    }

    /// Matches the policies only. The result cannot release anything.
    ///
    /// # Errors
    /// [`AppraisalError::PolicyMissing`] and [`AppraisalError::ClaimsMismatch`].
    pub fn appraise_without_key(
        &self,
        policies: &Policies<'_>,
    ) -> Result<UnboundClaims, AppraisalError> {
        self.matched(policies).map(|code| UnboundClaims { code })
    }

    /// What one policy says of this evidence.
    pub fn compare(&self, policy: &ClaimPolicy) -> Comparison {
        policy.compare(self.family(), |name| self.claims().get(name))
    }

    fn matched(&self, policies: &Policies<'_>) -> Result<Appraised, AppraisalError> {
        let contract = match self.compare(policies.contract) {
            Comparison::Silent => return Err(AppraisalError::PolicyMissing),
            Comparison::NothingPinned => return Err(AppraisalError::NothingPinned),
            Comparison::Differs(mismatches) => mismatches,
            Comparison::Matches => Vec::new(),
        };
        let alternative = if contract.is_empty() {
            Alternative::Contract
        } else {
            let delegate = policies.delegate.map(|policy| self.compare(policy));
            let delegate = match delegate {
                Some(Comparison::Matches) => None,
                Some(Comparison::Differs(mismatches)) => Some(Some(mismatches)),
                _ => Some(None),
            };
            if let Some(delegate) = delegate {
                return Err(AppraisalError::ClaimsMismatch {
                    family: self.family(),
                    contract,
                    delegate,
                });
            }
            Alternative::Delegate
        };
        Ok(Appraised {
            family: self.family(),
            claims: self.shared_claims(),
            host_data: self.host_data(),
            measurement: self.report().measurement,
            evidence: self.digest(),
            alternative,
            simulated: self.is_simulated(),
        })
    }
}

macro_rules! code_identity {
    ($($name:ty)*) => {$(
        impl $name {
            /// All claims of the evidence.
            pub fn claims(&self) -> &Claims {
                &self.code.claims
            }

            /// The kind of platform.
            pub fn family(&self) -> Family {
                self.code.family
            }

            /// Digest of the policy the utility VM enforces: which code may run. Zero for a confidential VM.
            pub fn host_data(&self) -> HostData {
                self.code.host_data
            }

            /// Launch measurement of the utility VM.
            pub fn measurement(&self) -> Measurement {
                self.code.measurement
            }

            /// SHA-256 of the evidence as presented, for the record.
            pub fn evidence_digest(&self) -> Sha256Digest {
                self.code.evidence
            }

            /// Which policy matched.
            pub fn alternative(&self) -> Alternative {
                self.code.alternative
            }

            /// True if the evidence is simulated and so proves nothing.
            pub fn is_simulated(&self) -> bool {
                self.code.simulated
            }
        }
    )*};
}

code_identity! { AppraisedClaims UnboundClaims }

impl AppraisedClaims {
    /// SHA-256 of the PEM text of the attested key.
    pub fn key_digest(&self) -> Sha256Digest {
        self.key_digest
    }

    /// The attested key, as presented.
    pub fn key_pem(&self) -> &[u8] {
        &self.key_pem
    }

    /// Wraps a secret to the attested key (see [`unwrap`](crate::unwrap) for the format).
    ///
    /// # Errors
    /// [`WrapError`] if the plaintext is empty or too long, or the library refuses.
    pub fn wrap(&self, plaintext: &[u8]) -> Result<Vec<u8>, WrapError> {
        wrap::wrap(&self.key, plaintext)
    }

    /// Verifies a payload signature: RSASSA-PSS, SHA-256, salt 32. `sign_key_pem` must be the attested key, byte for byte;
    /// otherwise anyone who has seen this evidence could sign in its name.
    ///
    /// # Errors
    /// KEY-03 and KEY-04.
    pub fn verify_signature(
        &self,
        sign_key_pem: &[u8],
        data: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        if sign_key_pem != self.key_pem {
            return Err(SignatureError::AttestedKeyMismatch);
        }
        if !self.key.verifies(data, signature) {
            return Err(SignatureError::Invalid);
        }
        Ok(())
    }
}
