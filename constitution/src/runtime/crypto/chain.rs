//! `isValidX509CertChain`: a certificate leads, over others, to one that is trusted (RFC 5280, section 6).
//!
//! Looked at: signatures, names, validity at this time, that issuers are authorities and may sign certificates, path
//! lengths, and that no critical extension is unknown. Any trusted certificate ends a path, be it a root or not, as in CCF.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::{
    OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA,
    OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512,
    OID_SIG_ED25519,
};
use x509_parser::prelude::X509Certificate;

use super::keys::{Curve, PublicKey};
use crate::runtime::pem;

/// Certificates between the target and a trusted one.
const MAX_DEPTH: usize = 8;
/// Certificates looked at.
const MAX_CERTIFICATES: usize = 32;
/// Signatures checked, as certificates that sign each other make many paths.
const MAX_SIGNATURES: u32 = 64;

/// Whether the first certificate of `chain` is valid now, by `trusted` and the rest of `chain`.
pub(super) fn is_valid(chain: &str, trusted: &str) -> bool {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    is_valid_at(chain, trusted, now)
}

fn is_valid_at(chain: &str, trusted: &str, now: i64) -> bool {
    let (Some(chain), Some(trusted)) = (pem::certificates(chain), pem::certificates(trusted))
    else {
        return false;
    };
    if chain.len() + trusted.len() > MAX_CERTIFICATES {
        return false;
    }
    let (Some(chain), Some(trusted)) = (parsed(&chain), parsed(&trusted)) else {
        return false;
    };
    let Some((target, others)) = chain.split_first() else {
        return false;
    };
    let mut search = Search {
        others,
        trusted: &trusted,
        now,
        signatures: MAX_SIGNATURES,
    };
    usable(target, now) && search.leads(target, 0)
}

/// The search for a path.
struct Search<'c> {
    others: &'c [X509Certificate<'c>],
    trusted: &'c [X509Certificate<'c>],
    now: i64,
    /// Signatures that may still be checked.
    signatures: u32,
}

fn parsed(ders: &[Vec<u8>]) -> Option<Vec<X509Certificate<'_>>> {
    ders.iter().map(|der| pem::parse(der)).collect()
}

impl Search<'_> {
    /// Whether `certificate` is trusted, or has an issuer that leads to one.
    fn leads(&mut self, certificate: &X509Certificate<'_>, below: usize) -> bool {
        let (others, trusted) = (self.others, self.trusted);
        trusted.iter().any(|one| same(one, certificate))
            || trusted
                .iter()
                .any(|one| self.issued(one, certificate, below))
            || (below < MAX_DEPTH
                && others.iter().any(|other| {
                    !same(other, certificate)
                        && self.issued(other, certificate, below)
                        && self.leads(other, below + 1)
                }))
    }

    /// Whether `issuer` may have issued `certificate`, below which `below` authorities stand, and did.
    fn issued(
        &mut self,
        issuer: &X509Certificate<'_>,
        certificate: &X509Certificate<'_>,
        below: usize,
    ) -> bool {
        if issuer.subject() != certificate.issuer()
            || !usable(issuer, self.now)
            || !is_authority(issuer, below)
            || self.signatures == 0
        {
            return false;
        }
        self.signatures -= 1;
        signed_by(certificate, issuer).unwrap_or(false)
    }
}

fn same(one: &X509Certificate<'_>, other: &X509Certificate<'_>) -> bool {
    one.tbs_certificate.as_ref() == other.tbs_certificate.as_ref()
        && one.signature_value.data == other.signature_value.data
}

/// Valid now, with no critical extension that nobody here understands.
fn usable(certificate: &X509Certificate<'_>, now: i64) -> bool {
    let validity = certificate.validity();
    let known = certificate.extensions().iter().all(|extension| {
        !extension.critical
            || matches!(
                extension.parsed_extension(),
                ParsedExtension::BasicConstraints(_)
                    | ParsedExtension::KeyUsage(_)
                    | ParsedExtension::ExtendedKeyUsage(_)
                    | ParsedExtension::SubjectAlternativeName(_)
            )
    });
    known && (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now)
}

fn is_authority(certificate: &X509Certificate<'_>, below: usize) -> bool {
    let Ok(Some(basic)) = certificate.basic_constraints() else {
        return false;
    };
    let short_enough = basic
        .value
        .path_len_constraint
        .is_none_or(|most| below <= usize::try_from(most).unwrap_or(usize::MAX));
    let may_sign = match certificate.key_usage() {
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Ok(None) => true,
        Err(_) => false,
    };
    basic.value.ca && short_enough && may_sign
}

/// `None` for algorithms that are not known here.
fn signed_by(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Option<bool> {
    let oid = &certificate.signature_algorithm.algorithm;
    if certificate.tbs_certificate.signature.algorithm != *oid {
        return None;
    }
    let key = PublicKey::from_spki(issuer.public_key().raw).ok()?;
    let (algorithm, key): (&'static dyn VerificationAlgorithm, Vec<u8>) = match key {
        PublicKey::Rsa(der) if *oid == OID_PKCS1_SHA256WITHRSA => {
            (&RSA_PKCS1_2048_8192_SHA256, der)
        }
        PublicKey::Rsa(der) if *oid == OID_PKCS1_SHA384WITHRSA => {
            (&RSA_PKCS1_2048_8192_SHA384, der)
        }
        PublicKey::Rsa(der) if *oid == OID_PKCS1_SHA512WITHRSA => {
            (&RSA_PKCS1_2048_8192_SHA512, der)
        }
        PublicKey::Ed25519(key) if *oid == OID_SIG_ED25519 => (&ED25519, key),
        PublicKey::Ec(curve, point) => {
            let algorithm: &'static dyn VerificationAlgorithm = match curve {
                Curve::P256 if *oid == OID_SIG_ECDSA_WITH_SHA256 => &ECDSA_P256_SHA256_ASN1,
                Curve::P256 if *oid == OID_SIG_ECDSA_WITH_SHA384 => &ECDSA_P256_SHA384_ASN1,
                Curve::P384 if *oid == OID_SIG_ECDSA_WITH_SHA256 => &ECDSA_P384_SHA256_ASN1,
                Curve::P384 if *oid == OID_SIG_ECDSA_WITH_SHA384 => &ECDSA_P384_SHA384_ASN1,
                Curve::P521 if *oid == OID_SIG_ECDSA_WITH_SHA256 => &ECDSA_P521_SHA256_ASN1,
                Curve::P521 if *oid == OID_SIG_ECDSA_WITH_SHA384 => &ECDSA_P521_SHA384_ASN1,
                Curve::P521 if *oid == OID_SIG_ECDSA_WITH_SHA512 => &ECDSA_P521_SHA512_ASN1,
                _ => return None,
            };
            (algorithm, point)
        }
        _ => return None,
    };
    let signed = certificate.tbs_certificate.as_ref();
    let signature = &certificate.signature_value.data;
    Some(
        UnparsedPublicKey::new(algorithm, key)
            .verify(signed, signature)
            .is_ok(),
    )
}
