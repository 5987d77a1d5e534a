//! Evidence in, verified claims out: SEV-SNP reports, endorsement chains, UVM endorsements, quotes of virtual TPMs, key wrapping.
//!
//! Three types, each with one constructor, and each step leaves less to trust:
//!
//! | Type | Made by | Says |
//! |---|---|---|
//! | [`Evidence`], [`CvmEvidence`] | anyone | nothing; bytes a caller sent |
//! | [`VerifiedEvidence`] | [`Verifier::verify`], [`Verifier::verify_cvm`] | the signatures hold up to the [`TrustAnchors`], and the platform meets the [`PlatformPolicy`] |
//! | [`AppraisedClaims`] | [`VerifiedEvidence::appraise`] | the code is one the contract allows, and the caller's key was inside it |
//!
//! Whatever releases something takes [`AppraisedClaims`]; wrapping is a method of it. A test that must not compile says so.
//!
//! Every rule is a numbered [`Check`]; an error names the check, its [`Class`], what was presented and what was required. The
//! order of the checks is fixed, so evidence with several faults always gets the same answer.
//!
//! The crate reads no files, opens no sockets and asks no clock: bytes and [`UnixTime`] in, values out. Callers bring the
//! endorsements; roots are data.
//!
//! # What is checked, and why
//!
//! A release is safe only if all of these hold (attestation specification, section 0): the report is signed by a chip key that
//! leads to the root of the product named in the report; the key belongs to that chip and to a TCB that is not too old; the
//! guest cannot be debugged, migrated or impersonated by its host; the utility VM is one Microsoft endorsed, because without
//! that host data means nothing; the host data is governed; and the report data binds the key a secret is wrapped to.
//!
//! # Example
//!
//! ```
//! use attestation::{ClaimPolicy, PlatformPolicy, Policies, TrustAnchors, UnixTime, Verifier, simulated};
//!
//! // A clean room on the simulated platform.
//! let key = attestation::ClientKey::generate()?;
//! let guest = simulated::Guest::new([7; 32].into(), key.public_key_pem().as_bytes());
//! let evidence = simulated::Platform::default().evidence(&guest);
//!
//! // The service.
//! let verifier = Verifier::new(TrustAnchors::simulated());
//! let platform = PlatformPolicy::for_anchors(verifier.anchors());
//! let verified = verifier.verify(&evidence, &platform, UnixTime::from_secs(1_800_000_000))?;
//! let contract: ClaimPolicy = serde_json::from_value(serde_json::json!({
//!     "x-ms-sevsnpvm-hostdata": ["07".repeat(32)],
//!     "x-ms-sevsnpvm-is-debuggable": [false],
//! }))?;
//! let policies = Policies { contract: &contract, delegate: None };
//! let appraised = verified.appraise(&policies, key.public_key_pem().as_bytes())?;
//! let wrapped = appraised.wrap(b"secret")?;
//!
//! // The clean room again.
//! assert_eq!(*key.unwrap(&wrapped)?, b"secret");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod anchors;
mod appraisal;
mod bytes;
mod cache;
mod certificate;
#[cfg(test)]
mod checks;
mod claims;
mod client;
mod crypto;
mod cvm;
mod der;
mod error;
mod evidence;
mod json;
mod keys;
mod pem;
mod policy;
mod request;
pub mod simulated;
pub mod snp;
mod time;
mod uvm;
#[cfg(test)]
mod vectors;
mod verifier;
mod wrap;

pub use anchors::TrustAnchors;
pub use appraisal::{
    Alternative, AppraisalError, AppraisedClaims, ClaimMismatch, ClaimPolicy, Comparison, Policies,
    UnboundClaims,
};
pub use bytes::{
    BlockKeyDigest, ChipId, HexError, HostData, Measurement, ReportData, Sha256Digest,
};
pub use claims::{Claims, Family};
pub use client::{ClientKey, ClientKeyError};
pub use cvm::{
    CvmEvidence, CvmPolicy, FirmwareIdentity, QuoteNonce, Registers, VerifiedVm, VtpmAuthority,
};
pub use error::{Check, Class, EvidenceError};
pub use evidence::Evidence;
pub use keys::{KeyError, SignatureError, verify_payload};
pub use policy::{PlatformPolicy, UvmIssuer};
pub use time::UnixTime;
pub use uvm::{UvmForm, UvmStatement};
pub use verifier::{VerifiedEvidence, Verifier};
pub use wrap::{UnwrapError, WrapError, unwrap};
