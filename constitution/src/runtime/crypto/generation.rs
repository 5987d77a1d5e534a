//! `generateAesKey` and the key pairs.

use aws_lc_rs::agreement::{self, X25519};
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair};

use super::keys::{Curve, PrivateKey};
use super::{CryptoError, unsupported};

/// The one public exponent that keys are made with here.
const EXPONENT: u32 = 65537;

/// 128, 192 or 256 random bits.
pub(super) fn aes(bits: i64) -> Result<Vec<u8>, CryptoError> {
    if ![128, 192, 256].contains(&bits) {
        return Err(unsupported("generateAesKey", &format!("key size {bits}")));
    }
    let mut key = vec![0; usize::try_from(bits / 8).map_err(|_| CryptoError::Failed)?];
    aws_lc_rs::rand::fill(&mut key)?;
    Ok(key)
}

pub(super) fn rsa(bits: i64, exponent: Option<i64>) -> Result<PrivateKey, CryptoError> {
    const FUNCTION: &str = "generateRsaKeyPair";
    if let Some(other) = exponent.filter(|exponent| *exponent != i64::from(EXPONENT)) {
        return Err(unsupported(FUNCTION, &format!("exponent {other}")));
    }
    let size = match bits {
        2048 => KeySize::Rsa2048,
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        8192 => KeySize::Rsa8192,
        other => return Err(unsupported(FUNCTION, &format!("key size {other}"))),
    };
    Ok(PrivateKey::Rsa(rsa::KeyPair::generate(size)?))
}

pub(super) fn ecdsa(curve: &str) -> Result<PrivateKey, CryptoError> {
    let curve = match curve {
        "secp256r1" => Curve::P256,
        "secp384r1" => Curve::P384,
        other => return Err(unsupported("generateEcdsaKeyPair", other)),
    };
    Ok(PrivateKey::Ec(
        curve,
        EcdsaKeyPair::generate(curve.signing())?,
    ))
}

pub(super) fn eddsa(curve: &str) -> Result<PrivateKey, CryptoError> {
    match curve {
        "curve25519" => Ok(PrivateKey::Ed25519(Ed25519KeyPair::generate()?)),
        "x25519" => Ok(PrivateKey::X25519(agreement::PrivateKey::generate(
            &X25519,
        )?)),
        other => Err(unsupported("generateEddsaKeyPair", other)),
    }
}
