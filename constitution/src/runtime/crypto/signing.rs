//! `sign` and `verifySignature`.

use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA256_ASN1, ECDSA_P521_SHA256_FIXED,
    ECDSA_P521_SHA256_FIXED_SIGNING, ECDSA_P521_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    KeyPair as _, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};
use p384::ecdsa::signature::hazmat::PrehashSigner;

use super::keys::{Curve, PrivateKey, PublicKey, scalar};
use super::{CryptoError, unsupported};

/// What an algorithm object says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Algorithm {
    pub(super) name: String,
    pub(super) hash: String,
    /// Bytes of an RSA-PSS salt, 0 when it is not given.
    pub(super) salt_length: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
            let (encoding, salt) = match hash {
                Hash::Sha256 => (&RSA_PSS_SHA256, 32),
                Hash::Sha384 => (&RSA_PSS_SHA384, 48),
                Hash::Sha512 => (&RSA_PSS_SHA512, 64),
            };
            salted(SIGN, algorithm.salt_length, salt)?;
            let PrivateKey::Rsa(pair) = PrivateKey::from_pem(key)? else {
                return Err(CryptoError::PrivateKey);
            };
            let mut signature = vec![0; pair.public_modulus_len()];
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
        // The library signs with P-384 over its own hash only.
        (Curve::P384, Hash::Sha256 | Hash::Sha512) => {
            let number = scalar(pair)?;
            let key = p384::ecdsa::SigningKey::from_slice(number.as_ref())
                .map_err(|_| CryptoError::PrivateKey)?;
            let signature: p384::ecdsa::Signature = key
                .sign_prehash(hash.of(data).as_ref())
                .map_err(|_| CryptoError::Failed)?;
            Ok(signature.to_bytes().to_vec())
        }
        (Curve::P256, Hash::Sha384 | Hash::Sha512) => Err(unsupported(
            "sign",
            "ECDSA with P-256 and another hash than SHA-256",
        )),
    }
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
            salted(VERIFY, algorithm.salt_length, 32)?;
            match PublicKey::from_pem(key)? {
                PublicKey::Rsa(der) => {
                    Ok(verified(&RSA_PSS_2048_8192_SHA256, &der, data, signature))
                }
                _ => Err(CryptoError::PublicKey),
            }
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

/// The library salts with as many bytes as the hash has, which is what everybody does who says so (RFC 7518, section 3.5).
fn salted(function: &'static str, got: i64, want: i64) -> Result<(), CryptoError> {
    if got == want {
        return Ok(());
    }
    Err(unsupported(
        function,
        &format!("RSA-PSS with saltLength {got}; here it is {want}"),
    ))
}
