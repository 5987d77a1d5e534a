//! Signature verification: the few algorithms in use, by name, over AWS-LC.
//!
//! AWS-LC verifies P-384 several times faster than the pure Rust crate (see `benches/attestation.rs`); the tests compare both.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

/// Elliptic curves of certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(crate) fn from_oid(oid: &str) -> Option<Self> {
        match oid {
            "1.2.840.10045.3.1.7" => Some(Self::P256),
            "1.3.132.0.34" => Some(Self::P384),
            "1.3.132.0.35" => Some(Self::P521),
            _ => None,
        }
    }
}

/// Hash functions of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// RSASSA-PSS with MGF1 of the same hash and a salt of the hash's length. `key` is SubjectPublicKeyInfo in DER.
pub(crate) fn rsa_pss(hash: Hash, key: &[u8], message: &[u8], sig: &[u8]) -> bool {
    let algorithm = match hash {
        Hash::Sha256 => &signature::RSA_PSS_2048_8192_SHA256,
        Hash::Sha384 => &signature::RSA_PSS_2048_8192_SHA384,
        Hash::Sha512 => &signature::RSA_PSS_2048_8192_SHA512,
    };
    verify(algorithm, key, message, sig)
}

/// RSASSA-PKCS1-v1_5. `key` is SubjectPublicKeyInfo in DER.
pub(crate) fn rsa_pkcs1(hash: Hash, key: &[u8], message: &[u8], sig: &[u8]) -> bool {
    let algorithm = match hash {
        Hash::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
    };
    verify(algorithm, key, message, sig)
}

/// ECDSA with `r ‖ s`, each of the curve's length. The hash is the curve's (RFC 9053, section 2.1). `point` is uncompressed.
/// High `s` is accepted.
pub(crate) fn ecdsa_fixed(curve: Curve, point: &[u8], message: &[u8], sig: &[u8]) -> bool {
    let algorithm = match curve {
        Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED,
        Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED,
        Curve::P521 => &signature::ECDSA_P521_SHA512_FIXED,
    };
    verify(algorithm, point, message, sig)
}

/// ECDSA with a DER signature, as in certificates.
pub(crate) fn ecdsa_der(
    curve: Curve,
    hash: Hash,
    point: &[u8],
    message: &[u8],
    sig: &[u8],
) -> bool {
    let algorithm = match (curve, hash) {
        (Curve::P256, Hash::Sha256) => &signature::ECDSA_P256_SHA256_ASN1,
        (Curve::P256, Hash::Sha384) => &signature::ECDSA_P256_SHA384_ASN1,
        (Curve::P256, Hash::Sha512) => &signature::ECDSA_P256_SHA512_ASN1,
        (Curve::P384, Hash::Sha256) => &signature::ECDSA_P384_SHA256_ASN1,
        (Curve::P384, Hash::Sha384) => &signature::ECDSA_P384_SHA384_ASN1,
        (Curve::P384, Hash::Sha512) => &signature::ECDSA_P384_SHA512_ASN1,
        (Curve::P521, Hash::Sha256) => &signature::ECDSA_P521_SHA256_ASN1,
        (Curve::P521, Hash::Sha384) => &signature::ECDSA_P521_SHA384_ASN1,
        (Curve::P521, Hash::Sha512) => &signature::ECDSA_P521_SHA512_ASN1,
    };
    verify(algorithm, point, message, sig)
}

fn verify(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    sig: &[u8],
) -> bool {
    UnparsedPublicKey::new(algorithm, key)
        .verify(message, sig)
        .is_ok()
}
