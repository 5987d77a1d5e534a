//! Keys that sign the ledger, and checking what they signed.

use aws_lc_rs::digest::{Digest as RawDigest, SHA256};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA512_FIXED,
    EcdsaVerificationAlgorithm, ParsedPublicKey, UnparsedPublicKey,
};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::hash::Digest;
use crate::pem;

/// A key could not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing key failed")]
pub struct SigningFailed;

/// A P-384 private key of a service or of a node.
pub trait Signer: Send + Sync {
    /// SubjectPublicKeyInfo, DER.
    fn public_key_der(&self) -> &[u8];

    /// ECDSA in DER over a Merkle root used as the message digest (ledger format, 10.1).
    fn sign_root(&self, root: &Digest) -> Result<Vec<u8>, SigningFailed>;

    /// ECDSA with SHA-384 over a message, `r || s` (ledger format, 10.2).
    fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed>;

    /// Hex SHA-256 of the public key: the id of a node, the `kid` of a service.
    fn key_id(&self) -> String {
        Digest::of(self.public_key_der()).to_hex()
    }
}

/// Elliptic curves of keys that sign ledgers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// secp256r1
    P256,
    /// secp384r1, CCF's default.
    P384,
    /// secp521r1
    P521,
}

/// A public key that checks signatures of the ledger. It is read once, for however many signatures.
#[derive(Clone, Debug)]
pub struct PublicKey {
    spki: Vec<u8>,
    point: Vec<u8>,
    curve: Curve,
    /// For roots, used as digests.
    root: ParsedPublicKey,
    /// For messages, hashed with the hash of the curve.
    message: ParsedPublicKey,
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicKey {}

/// A certificate or key could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM.
    #[error(transparent)]
    Pem(#[from] pem::PemError),
    /// Not X.509.
    #[error("certificate does not parse")]
    Certificate,
    /// Not a key on a curve that CCF uses.
    #[error("not an elliptic curve key on P-256, P-384 or P-521")]
    Curve,
    /// Not a point on the curve that the key names.
    #[error("the key is not a point on its curve")]
    Point,
    /// A signature that does not verify.
    #[error("signature does not verify")]
    Signature,
}

impl PublicKey {
    /// The key of a certificate in PEM.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn of_certificate(text: &str) -> Result<Self, KeyError> {
        let (_, der) = pem::decode(text, &["CERTIFICATE"])?;
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|_| KeyError::Certificate)?;
        Self::from_spki(certificate.public_key())
    }

    /// The key of a certificate request in PEM. That its owner signed it is not looked at.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn of_certificate_request(text: &str) -> Result<Self, KeyError> {
        let (_, der) = pem::decode(text, &["CERTIFICATE REQUEST"])?;
        let (_, request) =
            X509CertificationRequest::from_der(&der).map_err(|_| KeyError::Certificate)?;
        Self::from_spki(&request.certification_request_info.subject_pki)
    }

    /// From a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// [`KeyError::Certificate`] or [`KeyError::Curve`].
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let parsed = x509_parser::x509::SubjectPublicKeyInfo::from_der(der);
        let (_, spki) = parsed.map_err(|_| KeyError::Certificate)?;
        Self::from_spki(&spki)
    }

    fn from_spki(spki: &x509_parser::x509::SubjectPublicKeyInfo<'_>) -> Result<Self, KeyError> {
        let oid = spki
            .algorithm
            .parameters
            .as_ref()
            .and_then(|p| p.as_oid().ok())
            .ok_or(KeyError::Curve)?;
        let (curve, root, message): (_, &'static EcdsaVerificationAlgorithm, _) =
            match oid.to_id_string().as_str() {
                "1.2.840.10045.3.1.7" => {
                    let message = &ECDSA_P256_SHA256_FIXED;
                    (Curve::P256, &ECDSA_P256_SHA256_ASN1, message)
                }
                "1.3.132.0.34" => {
                    let message = &ECDSA_P384_SHA384_FIXED;
                    (Curve::P384, &ECDSA_P384_SHA256_ASN1, message)
                }
                "1.3.132.0.35" => {
                    let message = &ECDSA_P521_SHA512_FIXED;
                    (Curve::P521, &ECDSA_P521_SHA256_ASN1, message)
                }
                _ => return Err(KeyError::Curve),
            };
        let point = spki.subject_public_key.data.to_vec();
        let parsed =
            |algorithm| ParsedPublicKey::new(algorithm, &point).map_err(|_| KeyError::Point);
        Ok(Self {
            spki: spki.raw.to_vec(),
            curve,
            root: parsed(root)?,
            message: parsed(message)?,
            point,
        })
    }

    /// Hex SHA-256 of the key.
    #[must_use]
    pub fn id(&self) -> String {
        Digest::of(&self.spki).to_hex()
    }

    /// Whether a node with this key and certificate (PEM) has this id: the digest of its key, or as in 1.x that of its
    /// certificate.
    pub(crate) fn names_node(&self, certificate: &str, id: &str) -> bool {
        let of_certificate = || {
            let (_, der) = pem::decode(certificate, &["CERTIFICATE"]).ok()?;
            Some(Digest::of(&der).to_hex())
        };
        self.id() == id || of_certificate().as_deref() == Some(id)
    }

    /// SubjectPublicKeyInfo, DER.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Its curve.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        self.curve
    }

    /// Checks an ECDSA signature in DER over a root used as the message digest.
    ///
    /// # Errors
    /// [`KeyError::Signature`].
    pub fn verify_root(&self, root: &Digest, signature: &[u8]) -> Result<(), KeyError> {
        let digest =
            RawDigest::import_less_safe(root.as_ref(), &SHA256).map_err(|_| KeyError::Signature)?;
        self.root
            .verify_digest_sig(&digest, signature)
            .map_err(|_| KeyError::Signature)
    }

    /// Checks `r || s` over a message with the hash that belongs to the curve: ES256 on P-256, ES384 on
    /// P-384, ES512 on P-521.
    ///
    /// # Errors
    /// [`KeyError::Signature`].
    pub fn verify_fixed(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        self.message
            .verify_sig(message, signature)
            .map_err(|_| KeyError::Signature)
    }

    /// Checks that a certificate in PEM was signed by this key. Dates are not looked at: an
    /// expired certificate is normal in a ledger.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn verify_certificate(&self, text: &str) -> Result<(), KeyError> {
        use aws_lc_rs::signature::{ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA384_ASN1};
        let (_, der) = pem::decode(text, &["CERTIFICATE"])?;
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|_| KeyError::Certificate)?;
        let signed_with = certificate.signature_algorithm.algorithm.to_id_string();
        let algorithm: &'static EcdsaVerificationAlgorithm =
            match (self.curve, signed_with.as_str()) {
                (Curve::P256, "1.2.840.10045.4.3.2") => &ECDSA_P256_SHA256_ASN1,
                (Curve::P256, "1.2.840.10045.4.3.3") => &ECDSA_P256_SHA384_ASN1,
                (Curve::P384, "1.2.840.10045.4.3.2") => &ECDSA_P384_SHA256_ASN1,
                (Curve::P384, "1.2.840.10045.4.3.3") => &ECDSA_P384_SHA384_ASN1,
                _ => return Err(KeyError::Curve),
            };
        let signature = &certificate.signature_value.data;
        UnparsedPublicKey::new(algorithm, &self.point)
            .verify(certificate.tbs_certificate.as_ref(), signature)
            .map_err(|_| KeyError::Signature)
    }
}
