//! Keys in PEM, private and public, and the curves scripts may use.

use aws_lc_rs::agreement::{self, X25519};
use aws_lc_rs::encoding::{AsBigEndian, AsDer, Curve25519SeedBin, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, Ed25519KeyPair, KeyPair,
};
use aws_lc_rs::{encoding, rsa};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519, Oid,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::CryptoError;
use crate::runtime::pem;

/// 1.3.101.110 (RFC 8410, section 3).
const OID_X25519: &[u64] = &[1, 3, 101, 110];
/// PKCS #8 of an X25519 key up to its 32 bytes (RFC 8410, section 7), which the library neither reads nor writes.
const X25519_HEAD: [u8; 16] = [
    0x30, 46, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 34, 4, 32,
];

/// Curves of ECDSA keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

/// A private key.
pub(super) enum PrivateKey {
    Ec(Curve, EcdsaKeyPair),
    Rsa(rsa::KeyPair),
    Ed25519(Ed25519KeyPair),
    X25519(agreement::PrivateKey),
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// The uncompressed point (SEC 1, section 2.3.3).
    Ec(Curve, Vec<u8>),
    /// SubjectPublicKeyInfo, DER.
    Rsa(Vec<u8>),
    Ed25519(Vec<u8>),
    X25519(Vec<u8>),
}

impl Curve {
    pub(super) const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The name in a JWK (RFC 7518, section 6.2.1.1).
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Bytes of a coordinate.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The algorithm that pairs the curve with the hash of its own strength.
    pub(super) const fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            Self::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }

    /// An algorithm that takes keys of this curve.
    pub(super) const fn verification(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
            Self::P521 => &ECDSA_P521_SHA512_FIXED,
        }
    }

    fn of_parameters(oid: &Oid<'_>) -> Option<Self> {
        if *oid == OID_EC_P256 {
            Some(Self::P256)
        } else if *oid == OID_NIST_EC_P384 {
            Some(Self::P384)
        } else if *oid == OID_NIST_EC_P521 {
            Some(Self::P521)
        } else {
            None
        }
    }
}

impl PrivateKey {
    /// PKCS #8 (`PRIVATE KEY`), SEC 1 (`EC PRIVATE KEY`) or PKCS #1 (`RSA PRIVATE KEY`).
    pub(super) fn from_pem(text: &str) -> Result<Self, CryptoError> {
        let block = pem::block(text)?;
        let der = block.der.as_slice();
        let ec = |read: fn(&'static EcdsaSigningAlgorithm, &[u8]) -> Option<EcdsaKeyPair>| {
            Curve::ALL
                .into_iter()
                .find_map(|curve| Some(Self::Ec(curve, read(curve.signing(), der)?)))
        };
        let key = match block.label.as_str() {
            "EC PRIVATE KEY" => {
                ec(|algorithm, der| EcdsaKeyPair::from_private_key_der(algorithm, der).ok())
            }
            "RSA PRIVATE KEY" => rsa::KeyPair::from_der(der).ok().map(Self::Rsa),
            "PRIVATE KEY" => ec(|algorithm, der| EcdsaKeyPair::from_pkcs8(algorithm, der).ok())
                .or_else(|| rsa::KeyPair::from_pkcs8(der).ok().map(Self::Rsa))
                .or_else(|| {
                    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
                    pair.ok().map(Self::Ed25519)
                })
                .or_else(|| {
                    let seed = der.strip_prefix(&X25519_HEAD)?;
                    let key = agreement::PrivateKey::from_private_key(&X25519, seed);
                    key.ok().map(Self::X25519)
                }),
            _ => None,
        };
        key.ok_or(CryptoError::PrivateKey)
    }

    /// PKCS #8.
    pub(super) fn to_pem(&self) -> Result<String, CryptoError> {
        let (document, x25519);
        let der: Pkcs8V1Der<'_>;
        let bytes = match self {
            Self::Ec(_, pair) => {
                document = pair.to_pkcs8v1()?;
                document.as_ref()
            }
            Self::Ed25519(pair) => {
                document = pair.to_pkcs8v1()?;
                document.as_ref()
            }
            Self::Rsa(pair) => {
                der = pair.as_der()?;
                der.as_ref()
            }
            Self::X25519(key) => {
                let seed: Curve25519SeedBin<'_> = key.as_be_bytes()?;
                x25519 = [&X25519_HEAD, seed.as_ref()].concat();
                &x25519
            }
        };
        Ok(encode_pem("PRIVATE KEY", bytes))
    }

    pub(super) fn public(&self) -> Result<PublicKey, CryptoError> {
        Ok(match self {
            Self::Ec(curve, pair) => PublicKey::Ec(*curve, pair.public_key().as_ref().to_vec()),
            Self::Rsa(pair) => {
                let der: encoding::PublicKeyX509Der<'_> = pair.public_key().as_der()?;
                PublicKey::Rsa(der.as_ref().to_vec())
            }
            Self::Ed25519(pair) => PublicKey::Ed25519(pair.public_key().as_ref().to_vec()),
            Self::X25519(key) => PublicKey::X25519(key.compute_public_key()?.as_ref().to_vec()),
        })
    }
}

/// The number of an elliptic curve key, as long as a coordinate.
pub(super) fn scalar(pair: &EcdsaKeyPair) -> Result<EcPrivateKeyBin<'static>, CryptoError> {
    Ok(pair.private_key().as_be_bytes()?)
}

/// The 32 bytes that an Edwards or Montgomery key is made of.
pub(super) fn seed(key: &PrivateKey) -> Result<Option<Curve25519SeedBin<'static>>, CryptoError> {
    Ok(match key {
        PrivateKey::Ed25519(pair) => Some(pair.seed()?.as_be_bytes()?),
        PrivateKey::X25519(key) => Some(key.as_be_bytes()?),
        _ => None,
    })
}

impl PublicKey {
    /// Of a PEM public key or certificate.
    pub(super) fn from_pem(text: &str) -> Result<Self, CryptoError> {
        Self::from_spki(&pem::public_key(text)?)
    }

    /// Of a DER SubjectPublicKeyInfo.
    pub(super) fn from_spki(der: &[u8]) -> Result<Self, CryptoError> {
        let Ok(([], info)) = SubjectPublicKeyInfo::from_der(der) else {
            return Err(CryptoError::PublicKey);
        };
        let bytes = info.subject_public_key.data.to_vec();
        let kind = &info.algorithm.algorithm;
        if *kind == OID_PKCS1_RSAENCRYPTION {
            return Ok(Self::Rsa(der.to_vec()));
        }
        if *kind == OID_SIG_ED25519 && bytes.len() == 32 {
            return Ok(Self::Ed25519(bytes));
        }
        if Oid::from(OID_X25519).is_ok_and(|x25519| *kind == x25519) && bytes.len() == 32 {
            return Ok(Self::X25519(bytes));
        }
        let curve = info
            .algorithm
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.as_oid().ok())
            .and_then(|oid| Curve::of_parameters(&oid))
            .ok_or(CryptoError::PublicKey)?;
        if bytes.len() != 1 + 2 * curve.size() || bytes.first() != Some(&4) {
            return Err(CryptoError::PublicKey);
        }
        Ok(Self::Ec(curve, bytes))
    }

    /// DER SubjectPublicKeyInfo (RFC 5480, RFC 8410).
    pub(super) fn to_spki(&self) -> Vec<u8> {
        // What stands before the key, to the end of the bit string's head.
        let head: &[u8] = match self {
            Self::Rsa(der) => return der.clone(),
            Self::Ed25519(_) => &[0x30, 42, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 33, 0],
            Self::X25519(_) => &[0x30, 42, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 3, 33, 0],
            Self::Ec(Curve::P256, _) => &[
                0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86,
                0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0,
            ],
            Self::Ec(Curve::P384, _) => &[
                0x30, 0x76, 0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81,
                4, 0, 0x22, 3, 0x62, 0,
            ],
            Self::Ec(Curve::P521, _) => &[
                0x30, 0x81, 0x9b, 0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b,
                0x81, 4, 0, 0x23, 3, 0x81, 0x86, 0,
            ],
        };
        let (Self::Ec(_, key) | Self::Ed25519(key) | Self::X25519(key) | Self::Rsa(key)) = self;
        [head, key].concat()
    }

    pub(super) fn to_pem(&self) -> String {
        encode_pem("PUBLIC KEY", &self.to_spki())
    }
}

/// RFC 7468, with lines of 64.
fn encode_pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (index, c) in text.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(c);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}
