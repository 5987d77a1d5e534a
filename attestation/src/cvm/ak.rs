//! The attestation key of a virtual TPM, and who vouches for it.
//!
//! The SNP report alone says that *some* software at VMPL 0 named the key. Whoever owns an SNP machine can run their own such
//! software, so the key must also be certified by the platform's authority, or the software be pinned by its ID key
//! (attestation specification, section 5.6).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

use super::policy::VtpmAuthority;
use crate::{
    anchors::TrustAnchors,
    certificate::{Certificate, Key, modulus_bits},
    der,
    error::{Check, EvidenceError},
    time::UnixTime,
};

/// An RSA-2048 key with exponent 65537.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AttestationKey {
    /// SubjectPublicKeyInfo in DER.
    pub(super) spki: Vec<u8>,
}

impl AttestationKey {
    /// From a JSON Web Key (RFC 7518, section 6.3.1). `key_ops` is not looked at: it was wrong in older firmware.
    pub(super) fn from_jwk(key: &Value) -> Option<Self> {
        if key["kty"] != "RSA" || key["e"] != "AQAB" {
            return None;
        }
        let modulus = BASE64_URL_SAFE_NO_PAD.decode(key["n"].as_str()?).ok()?;
        (modulus_bits(&modulus) == 2048).then(|| Self {
            spki: rsa_spki(&modulus),
        })
    }
}

/// SubjectPublicKeyInfo of an RSA key with exponent 65537 (RFC 8017, appendix A.1.1).
fn rsa_spki(modulus: &[u8]) -> Vec<u8> {
    let key = der::sequence(&[&der::integer(modulus), &der::integer(&[1, 0, 1])]);
    let algorithm = der::sequence(&[&der::oid("1.2.840.113549.1.1.1"), &der::tlv(5, &[])]);
    der::sequence(&[&algorithm, &der::bit_string(&key)])
}

/// Size of the NV index that holds the certificate.
const LONGEST: usize = 4096;

/// tcg-kp-AIKCertificate (TCG Credential Profile, section 3.2).
const AIK_USAGE: &str = "2.23.133.8.3";

/// The same authority also serves virtual machines that are not confidential.
const CONFIDENTIAL: &str = ".ConfidentialVM.Azure.windows.net";

/// CVM-07: one certificate, then zeros.
pub(super) fn parse(bytes: &[u8]) -> Result<Certificate, EvidenceError> {
    let refused = |got: &str| {
        EvidenceError::new(
            Check::Cvm07,
            got,
            "one certificate in DER, then zeros, at most 4096 bytes",
        )
    };
    if bytes.len() > LONGEST {
        return Err(refused("more than 4096 bytes"));
    }
    let length = der::length_of_sequence(bytes).ok_or_else(|| refused("no DER sequence"))?;
    let Some((certificate, padding)) = bytes.split_at_checked(length) else {
        return Err(refused("a certificate that is cut off"));
    };
    if padding.iter().any(|byte| *byte != 0) {
        return Err(refused("something after the certificate"));
    }
    Certificate::parse(certificate).map_err(refused)
}

/// CVM-08 to CVM-12: a governed authority under the pinned root certified this key as one of a confidential VM's TPM.
/// `is_signed` says whether the first certificate is signed by the second one.
pub(super) fn check(
    certificate: &Certificate,
    ak: &AttestationKey,
    authorities: &[VtpmAuthority],
    anchors: &TrustAnchors,
    now: UnixTime,
    is_signed: impl Fn(&Certificate, &Certificate) -> bool,
) -> Result<(), EvidenceError> {
    let root = anchors.vtpm_root();
    let mut issuers = authorities.iter().filter_map(VtpmAuthority::certificate);
    let issuer = issuers
        .find(|issuer| issuer.subject == certificate.issuer && is_signed(certificate, issuer))
        .filter(|issuer| {
            may_certify(root) && issuer.issuer == root.subject && is_signed(issuer, root)
        });
    let name = certificate.common_name.as_deref().unwrap_or_default();
    let Some(issuer) = issuer else {
        return Err(EvidenceError::new(
            Check::Cvm08,
            format_args!("{name}: no governed authority signed it"),
            "a governed authority under the pinned root",
        ));
    };
    for certificate in [certificate, issuer, root] {
        if now > certificate.not_after {
            return Err(EvidenceError::new(Check::Cvm09, now, certificate.not_after));
        }
        if now < certificate.not_before {
            return Err(EvidenceError::new(
                Check::Cvm10,
                now,
                certificate.not_before,
            ));
        }
    }
    if !certificate.usages.iter().any(|usage| usage == AIK_USAGE) || !name.ends_with(CONFIDENTIAL) {
        return Err(EvidenceError::new(
            Check::Cvm11,
            format_args!("{name} with usages {:?}", certificate.usages),
            format_args!("a name in {CONFIDENTIAL} with usage {AIK_USAGE}"),
        ));
    }
    if certificate.spki != ak.spki {
        return Err(EvidenceError::new(
            Check::Cvm12,
            format_args!("the key of {name}"),
            "the key HCLAkPub of the runtime claims",
        ));
    }
    Ok(())
}

/// A certificate authority with a plain RSA key that may sign certificates.
pub(super) fn may_certify(certificate: &Certificate) -> bool {
    let rsa = matches!(certificate.key, Key::Rsa { bits, exponent: 65537 } if (2048..=4096).contains(&bits));
    rsa && certificate.is_ca() && certificate.key_cert_sign
}
