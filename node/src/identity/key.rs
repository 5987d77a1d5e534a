//! P-384 keys, usable both for certificates and for signing the ledger.

use aws_lc_rs::digest::{Digest, SHA256, SHA384, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
};
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PublicKeyData};
use zeroize::Zeroizing;

/// A P-384 key pair. Has no `Debug`, `Display` or `Serialize`.
pub struct IdentityKey {
    certificates: KeyPair,
    asn1: EcdsaKeyPair,
    fixed: EcdsaKeyPair,
    spki: Vec<u8>,
}

/// A key could not be made, read or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is not the PKCS#8 of a P-384 key.
    #[error("not a P-384 private key in PKCS#8 form")]
    Malformed,
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Library,
}

impl IdentityKey {
    /// A fresh key.
    pub fn generate() -> Result<Self, KeyError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).map_err(|_| KeyError::Library)?;
        Self::from_key_pair(key)
    }

    /// From PKCS#8 in PEM.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, KeyError> {
        let key = KeyPair::from_pem(pem).map_err(|_| KeyError::Malformed)?;
        Self::from_key_pair(key)
    }

    fn from_key_pair(certificates: KeyPair) -> Result<Self, KeyError> {
        let pkcs8 = Zeroizing::new(certificates.serialize_der());
        let signer = |algorithm| {
            EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8).map_err(|_| KeyError::Malformed)
        };
        let spki = certificates.subject_public_key_info();
        Ok(Self {
            asn1: signer(&ECDSA_P384_SHA384_ASN1_SIGNING)?,
            fixed: signer(&ECDSA_P384_SHA384_FIXED_SIGNING)?,
            certificates,
            spki,
        })
    }

    /// PKCS#8 in PEM.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.certificates.serialize_pem())
    }

    /// PKCS#8 in DER.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.certificates.serialize_der())
    }

    /// SubjectPublicKeyInfo in DER.
    pub fn public_key_der(&self) -> &[u8] {
        &self.spki
    }

    /// SubjectPublicKeyInfo in PEM.
    pub fn public_key_pem(&self) -> String {
        self.certificates.public_key_pem()
    }

    /// Hex SHA-256 of the SubjectPublicKeyInfo: the id of a node, and the `kid` of a service.
    pub fn id(&self) -> String {
        hex::encode(digest(&SHA256, &self.spki))
    }

    /// ECDSA with SHA-384, `r || s` of 48 bytes each, as COSE has it.
    pub fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let digest = digest(&SHA384, message);
        let signature = self
            .fixed
            .sign_digest(&digest)
            .map_err(|_| KeyError::Library)?;
        Ok(signature.as_ref().to_vec())
    }

    /// ECDSA in DER with SHA-384.
    pub fn sign_der(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self
            .asn1
            .sign(&SystemRandom::new(), message)
            .map_err(|_| KeyError::Library)?;
        Ok(signature.as_ref().to_vec())
    }

    /// ECDSA in DER over 32 bytes taken as the message digest, as signatures over Merkle
    /// roots are made (ledger format, section 10.1).
    pub fn sign_root(&self, root: &[u8; 32]) -> Result<Vec<u8>, KeyError> {
        // ECDSA takes a digest as a number, so 16 leading zero bytes change nothing and give
        // the 32 bytes the length that the algorithm's own digest has.
        let mut padded = [0; 48];
        padded[16..].copy_from_slice(root);
        let digest = Digest::import_less_safe(&padded, &SHA384).map_err(|_| KeyError::Library)?;
        let signature = self
            .asn1
            .sign_digest(&digest)
            .map_err(|_| KeyError::Library)?;
        Ok(signature.as_ref().to_vec())
    }

    pub(super) fn for_certificates(&self) -> &KeyPair {
        &self.certificates
    }
}

impl ledger::Signer for IdentityKey {
    fn public_key_der(&self) -> &[u8] {
        self.public_key_der()
    }

    fn sign_root(&self, root: &ledger::Digest) -> Result<Vec<u8>, ledger::SigningFailed> {
        self.sign_root(&root.0).map_err(|_| ledger::SigningFailed)
    }

    fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, ledger::SigningFailed> {
        self.sign_fixed(message).map_err(|_| ledger::SigningFailed)
    }
}
