//! Keys of clients: the attested RSA public key and what is done with it.

use x509_parser::{asn1_rs::FromDer, public_key::PublicKey, x509::SubjectPublicKeyInfo};

use crate::{
    certificate::modulus_bits,
    crypto::{self, Hash},
    pem,
};

/// The presented key is not one PEM block `PUBLIC KEY` with RSA of 2048 to 4096 bits and exponent 65537 (KEY-02).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("KEY-02 UnusableKey: {got}")]
pub struct KeyError {
    /// What was presented.
    pub got: &'static str,
}

/// An RSA public key of acceptable size.
#[derive(Clone, Debug)]
pub(crate) struct RsaKey {
    /// SubjectPublicKeyInfo in DER.
    spki: Vec<u8>,
}

impl RsaKey {
    /// KEY-02.
    pub(crate) fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let error = |got| KeyError { got };
        if text.len() > PEM_LIMIT {
            return Err(error("a text of more than 4096 bytes"));
        }
        let mut blocks =
            pem::read(text, "PUBLIC KEY", 1).map_err(|_| error("not one PEM block PUBLIC KEY"))?;
        let spki = blocks
            .pop()
            .ok_or_else(|| error("not one PEM block PUBLIC KEY"))?;
        let (rest, info) = SubjectPublicKeyInfo::from_der(&spki)
            .map_err(|_| error("not a SubjectPublicKeyInfo"))?;
        if !rest.is_empty() {
            return Err(error("bytes after the SubjectPublicKeyInfo"));
        }
        let Ok(PublicKey::RSA(rsa)) = info.parsed() else {
            return Err(error("not an RSA key"));
        };
        if !(2048..=4096).contains(&modulus_bits(rsa.modulus)) {
            return Err(error("an RSA modulus outside 2048 to 4096 bits"));
        }
        if rsa.try_exponent() != Ok(65537) {
            return Err(error("an RSA exponent other than 65537"));
        }
        // The library that uses the key has the last word on its encoding.
        aws_lc_rs::rsa::PublicKey::from_der(&spki).map_err(|_| error("not an RSA key"))?;
        Ok(Self { spki })
    }

    pub(crate) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// RSASSA-PSS, SHA-256, MGF1-SHA-256, salt 32.
    pub(crate) fn verifies(&self, data: &[u8], signature: &[u8]) -> bool {
        crypto::rsa_pss(Hash::Sha256, &self.spki, data, signature)
    }
}

/// Verifies a payload signature by a key that nothing attests: RSASSA-PSS, SHA-256, salt 32. It shows that whoever holds the key
/// signed, and says nothing of who that is.
///
/// # Errors
/// KEY-04, also for a key that cannot be used.
pub fn verify_payload(key_pem: &[u8], data: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    match RsaKey::from_pem(key_pem) {
        Ok(key) if key.verifies(data, signature) => Ok(()),
        _ => Err(SignatureError::Invalid),
    }
}

/// Longest accepted PEM text; an RSA-4096 key needs 800 bytes.
const PEM_LIMIT: usize = 4096;

/// The payload signature does not verify (KEY-04), or is by another key than the attested one (KEY-03).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// KEY-03: `sign.publicKey` must be byte for byte the attested key.
    #[error("KEY-03 AttestedKeyMismatch: the signing key is not the attested key")]
    AttestedKeyMismatch,
    /// KEY-04: not a RSASSA-PSS signature with SHA-256 and salt 32 by the attested key over the data.
    #[error("KEY-04 SignatureInvalid: the signature does not verify")]
    Invalid,
}

impl SignatureError {
    /// Stable number of the check.
    pub fn code(&self) -> &'static str {
        self.check().code()
    }

    /// The check that failed.
    pub fn check(&self) -> crate::Check {
        match self {
            Self::AttestedKeyMismatch => crate::Check::Key03,
            Self::Invalid => crate::Check::Key04,
        }
    }
}
