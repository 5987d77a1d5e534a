//! `sign` and `verifySignature`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA256_ASN1, ECDSA_P521_SHA256_FIXED,
    ECDSA_P521_SHA256_FIXED_SIGNING, ECDSA_P521_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaPssSaltLength, RsaSignatureEncoding, UnparsedPublicKey,
    VerificationAlgorithm,
};
use p384::ecdsa::signature::hazmat::PrehashSigner;
use p384::ecdsa::signature::{self, SignatureEncoding};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::keys::{Curve, PrivateKey, PublicKey, scalar};
use super::{CryptoError, unsupported};

/// What an algorithm object says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Algorithm {
    pub(super) name: String,
    pub(super) hash: String,
    /// Bytes of an RSA-PSS salt, 0 when it is not given; below that what OpenSSL means by it.
    pub(super) salt_length: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn named(function: &'static str, name: &str) -> Result<Self, CryptoError> {
        match name {
            "SHA-256" => Ok(Self::Sha256),
            "SHA-384" => Ok(Self::Sha384),
            "SHA-512" => Ok(Self::Sha512),
            _ => Err(unsupported(function, name)),
        }
    }

    const fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    fn of(self, data: &[u8]) -> digest::Digest {
        digest(self.algorithm(), data)
    }
}

/// Signs `data`. The key is PEM, but for `HMAC`, where it is the text itself.
pub(super) fn sign(algorithm: &Algorithm, key: &str, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    const SIGN: &str = "sign";
    if algorithm.name == "EdDSA" {
        return match PrivateKey::from_pem(key)? {
            PrivateKey::Ed25519(pair) => Ok(pair.try_sign(data)?.as_ref().to_vec()),
            _ => Err(CryptoError::PrivateKey),
        };
    }
    let hash = Hash::named(SIGN, &algorithm.hash)?;
    match algorithm.name.as_str() {
        "ECDSA" => match PrivateKey::from_pem(key)? {
            PrivateKey::Ec(curve, pair) => ecdsa(curve, &pair, hash, data),
            _ => Err(CryptoError::PrivateKey),
        },
        "RSA-PSS" => {
            let PrivateKey::Rsa(pair) = PrivateKey::from_pem(key)? else {
                return Err(CryptoError::PrivateKey);
            };
            let mut signature = vec![0; pair.public_modulus_len()];
            let encoding = pss(hash, algorithm.salt_length, signature.len())?;
            pair.sign(encoding, &SystemRandom::new(), data, &mut signature)?;
            Ok(signature)
        }
        "HMAC" => {
            let kind = match hash {
                Hash::Sha256 => hmac::HMAC_SHA256,
                Hash::Sha384 => hmac::HMAC_SHA384,
                Hash::Sha512 => hmac::HMAC_SHA512,
            };
            let key = hmac::Key::new(kind, key.as_bytes());
            Ok(hmac::sign(&key, data).as_ref().to_vec())
        }
        other => Err(unsupported(SIGN, other)),
    }
}

/// `r || s`. Curve and hash need not be of equal strength.
fn ecdsa(
    curve: Curve,
    pair: &EcdsaKeyPair,
    hash: Hash,
    data: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let rng = SystemRandom::new();
    let with = |algorithm| {
        let (number, point) = (scalar(pair)?, pair.public_key().as_ref());
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, number.as_ref(), point)
            .map_err(|_| CryptoError::PrivateKey)?;
        Ok(pair.sign(&rng, data)?.as_ref().to_vec())
    };
    match (curve, hash) {
        (Curve::P256, Hash::Sha256) | (Curve::P384, Hash::Sha384) | (Curve::P521, Hash::Sha512) => {
            Ok(pair.sign(&rng, data)?.as_ref().to_vec())
        }
        (Curve::P521, Hash::Sha256) => with(&ECDSA_P521_SHA256_FIXED_SIGNING),
        (Curve::P521, Hash::Sha384) => with(&ECDSA_P521_SHA384_FIXED_SIGNING),
        // The library signs with these over their own hash only.
        (Curve::P384, Hash::Sha256 | Hash::Sha512) => prehashed::<p384::ecdsa::Signature>(
            p384::ecdsa::SigningKey::from_slice(scalar(pair)?.as_ref()),
            hash.of(data).as_ref(),
        ),
        (Curve::P256, Hash::Sha384 | Hash::Sha512) => prehashed::<p256::ecdsa::Signature>(
            p256::ecdsa::SigningKey::from_slice(scalar(pair)?.as_ref()),
            hash.of(data).as_ref(),
        ),
    }
}

fn prehashed<S: SignatureEncoding>(
    key: signature::Result<impl PrehashSigner<S>>,
    digest: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let key = key.map_err(|_| CryptoError::PrivateKey)?;
    let signature = key.sign_prehash(digest).map_err(|_| CryptoError::Failed)?;
    Ok(signature.to_bytes().as_ref().to_vec())
}

/// RSA-PSS with this hash and salt, for a key of so many bytes.
fn pss(
    hash: Hash,
    salt_length: i64,
    key_bytes: usize,
) -> Result<&'static RsaSignatureEncoding, CryptoError> {
    /// The library wants encodings that live for ever. There is at most one for each length that fits a key.
    static SALTED: Mutex<BTreeMap<(Hash, u16), &RsaSignatureEncoding>> =
        Mutex::new(BTreeMap::new());
    let encoding = match hash {
        Hash::Sha256 => RSA_PSS_SHA256,
        Hash::Sha384 => RSA_PSS_SHA384,
        Hash::Sha512 => RSA_PSS_SHA512,
    };
    let longest = key_bytes.saturating_sub(hash.algorithm().output_len() + 2);
    let length = match salt_length {
        -1 => hash.algorithm().output_len(),
        // What fits; of the lengths that a verifier finds out by itself, signers take the longest.
        -3 | -2 => longest,
        -4 => hash.algorithm().output_len().min(longest),
        length => usize::try_from(length).map_err(|_| CryptoError::Failed)?,
    };
    if length > longest {
        return Err(CryptoError::Failed);
    }
    let length = u16::try_from(length).map_err(|_| CryptoError::Failed)?;
    let mut salted = SALTED.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(salted.entry((hash, length)).or_insert_with(|| {
        let length = RsaPssSaltLength::Custom(length);
        Box::leak(Box::new(encoding.with_pss_salt_length(length)))
    }))
}

/// Whether `signature` is the key's over `data`. The key is that of a PEM public key or certificate.
pub(super) fn verify(
    algorithm: &Algorithm,
    key: &str,
    signature: &[u8],
    data: &[u8],
) -> Result<bool, CryptoError> {
    const VERIFY: &str = "verifySignature";
    if algorithm.name == "EdDSA" {
        return match PublicKey::from_pem(key)? {
            PublicKey::Ed25519(point) => Ok(verified(&ED25519, &point, data, signature)),
            _ => Err(CryptoError::PublicKey),
        };
    }
    if algorithm.hash != "SHA-256" {
        return Err(unsupported(VERIFY, &algorithm.hash));
    }
    match algorithm.name.as_str() {
        "ECDSA" => match PublicKey::from_pem(key)? {
            PublicKey::Ec(Curve::P256, point) => {
                Ok(verified(&ECDSA_P256_SHA256_FIXED, &point, data, signature))
            }
            PublicKey::Ec(Curve::P384, point) => {
                // A signature that is no pair of numbers below the order is none.
                let der = p384::ecdsa::Signature::from_slice(signature).map(|s| s.to_der());
                Ok(der.is_ok_and(|der| {
                    verified(&ECDSA_P384_SHA256_ASN1, &point, data, der.as_bytes())
                }))
            }
            PublicKey::Ec(Curve::P521, point) => {
                Ok(verified(&ECDSA_P521_SHA256_FIXED, &point, data, signature))
            }
            _ => Err(CryptoError::PublicKey),
        },
        "RSA-PSS" => {
            let PublicKey::Rsa(der) = PublicKey::from_pem(key)? else {
                return Err(CryptoError::PublicKey);
            };
            let parameters = if key.starts_with("-----BEGIN CERTIFICATE") {
                // CCF asks the certificate's verifier, which pads by PKCS #1 v1.5 whatever the algorithm is called.
                RSA_PKCS1_2048_8192_SHA256
            } else {
                let length = match algorithm.salt_length {
                    -1 => RsaPssSaltLength::Digest,
                    -3 => RsaPssSaltLength::Max,
                    length => RsaPssSaltLength::Custom(u16::try_from(length).map_err(|_| {
                        unsupported(VERIFY, &format!("RSA-PSS with saltLength {length}"))
                    })?),
                };
                RSA_PSS_2048_8192_SHA256.with_pss_salt_length(length)
            };
            let verified = components(&der)?.verify(&parameters, data, signature);
            Ok(verified.is_ok())
        }
        other => Err(unsupported(VERIFY, other)),
    }
}

fn verified(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    data: &[u8],
    signature: &[u8],
) -> bool {
    UnparsedPublicKey::new(algorithm, key)
        .verify(data, signature)
        .is_ok()
}

/// Modulus and exponent of a SubjectPublicKeyInfo in DER, without leading zeros.
fn components(spki: &[u8]) -> Result<PublicKeyComponents<Vec<u8>>, CryptoError> {
    let Ok(([], info)) = SubjectPublicKeyInfo::from_der(spki) else {
        return Err(CryptoError::PublicKey);
    };
    let Ok(ParsedKey::RSA(key)) = info.parsed() else {
        return Err(CryptoError::PublicKey);
    };
    let significant = |bytes: &[u8]| -> Vec<u8> {
        let digits = bytes.iter().skip_while(|byte| **byte == 0);
        digits.copied().collect()
    };
    Ok(PublicKeyComponents {
        n: significant(key.modulus),
        e: significant(key.exponent),
    })
}
