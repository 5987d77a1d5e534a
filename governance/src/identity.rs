//! Member and user identities.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, KeyPair as _,
    UnparsedPublicKey,
};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::encryption::EncryptionKey;
use crate::ids::IdentityId;
use crate::pem;

/// File names inside an identity's folder.
const CERTIFICATE_FILE: &str = "cert.pem";
const PRIVATE_KEY_FILE: &str = "privk.pem";
const ENCRYPTION_PRIVATE_KEY_FILE: &str = "enc_privk.pem";
const ENCRYPTION_PUBLIC_KEY_FILE: &str = "enc_pubk.pem";

/// A party: an EC key, the self-signed certificate that names it, and for recovery members an RSA key pair.
///
/// The id of a member or user is the SHA-256 of the certificate, so the certificate is fixed once the party is registered.
pub struct Identity {
    certificate: Certificate,
    key: EcdsaKeyPair,
    encryption: Option<EncryptionKey>,
}

impl Identity {
    /// Makes a P-384 identity whose certificate has subject `CN=<name>` and is valid from now for `validity`.
    ///
    /// # Errors
    /// [`IdentityError::Generate`] when the system cannot make the key or the certificate.
    pub fn generate(name: &str, validity: Duration) -> Result<Self, IdentityError> {
        Self::generate_on(Curve::P384, name, validity)
    }

    /// As [`Identity::generate`], on another curve.
    ///
    /// # Errors
    /// [`IdentityError::Generate`] when the system cannot make the key or the certificate.
    pub fn generate_on(
        curve: Curve,
        name: &str,
        validity: Duration,
    ) -> Result<Self, IdentityError> {
        let generate = |_| IdentityError::Generate;
        let key = KeyPair::generate_for(curve.certificate_algorithm()).map_err(generate)?;
        let der = Zeroizing::new(key.serialize_der());
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let now = SystemTime::now();
        params.not_before = now.into();
        params.not_after = (now + validity).into();
        let certificate = params.self_signed(&key).map_err(generate)?;
        Self::from_der(Certificate::from_der(certificate.der().to_vec())?, &der)
    }

    /// Adds a fresh RSA-2048 key pair, with which the member receives recovery shares.
    ///
    /// # Errors
    /// [`IdentityError::Generate`] when the system cannot make the key.
    pub fn with_encryption_key(mut self) -> Result<Self, IdentityError> {
        self.encryption = Some(EncryptionKey::generate().map_err(|_| IdentityError::Generate)?);
        Ok(self)
    }

    /// Adds the RSA key pair that the member receives recovery shares with.
    #[must_use]
    pub fn with_this_encryption_key(mut self, key: EncryptionKey) -> Self {
        self.encryption = Some(key);
        self
    }

    /// An identity from a certificate and its private key (PKCS #8 or SEC 1), both PEM.
    ///
    /// # Errors
    /// [`IdentityError`] when either is malformed, the key is not EC, or the two do not belong together.
    pub fn from_pem(certificate: &str, private_key: &str) -> Result<Self, IdentityError> {
        let certificate = Certificate::from_pem(certificate)?;
        let key = PrivateKeyDer::from_pem_slice(private_key.as_bytes())
            .map_err(|_| IdentityError::PrivateKey)?;
        Self::from_der(certificate, key.secret_der())
    }

    fn from_der(certificate: Certificate, private_key: &[u8]) -> Result<Self, IdentityError> {
        let key =
            EcdsaKeyPair::from_private_key_der(certificate.curve.signing_algorithm(), private_key)
                .map_err(|_| IdentityError::PrivateKey)?;
        if key.public_key().as_ref() != certificate.public_point.as_slice() {
            return Err(IdentityError::KeyMismatch {
                id: certificate.id(),
            });
        }
        Ok(Self {
            certificate,
            key,
            encryption: None,
        })
    }

    /// Reads an identity from a folder: `cert.pem`, `privk.pem` and, if there, `enc_privk.pem`.
    ///
    /// # Errors
    /// [`IdentityError::File`] when a file cannot be read, otherwise as [`Identity::from_pem`].
    pub fn load(folder: &Path) -> Result<Self, IdentityError> {
        let certificate = read(&folder.join(CERTIFICATE_FILE))?;
        let key = read(&folder.join(PRIVATE_KEY_FILE))?;
        let mut identity = Self::from_pem(&certificate, &key)?;
        let encryption = folder.join(ENCRYPTION_PRIVATE_KEY_FILE);
        if encryption.exists() {
            identity.encryption = Some(
                EncryptionKey::from_pem(&read(&encryption)?)
                    .map_err(|_| IdentityError::EncryptionKey)?,
            );
        }
        Ok(identity)
    }

    /// Writes the identity's files into a folder, which is made if needed. Private keys are readable by the owner only. Existing
    /// files are never overwritten: a key that is lost cannot be made again.
    ///
    /// # Errors
    /// [`IdentityError::File`] when a file exists or cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        fs::create_dir_all(folder).map_err(|source| IdentityError::File {
            path: folder.to_owned(),
            source,
        })?;
        write_new(
            &folder.join(CERTIFICATE_FILE),
            &self.certificate.to_pem(),
            0o644,
        )?;
        write_new(
            &folder.join(PRIVATE_KEY_FILE),
            &self.private_key_pem()?,
            0o600,
        )?;
        if let Some(encryption) = &self.encryption {
            let private = encryption
                .private_key_pem()
                .map_err(|_| IdentityError::EncryptionKey)?;
            write_new(&folder.join(ENCRYPTION_PRIVATE_KEY_FILE), &private, 0o600)?;
            let public = encryption
                .public_key_pem()
                .map_err(|_| IdentityError::EncryptionKey)?;
            write_new(&folder.join(ENCRYPTION_PUBLIC_KEY_FILE), &public, 0o644)?;
        }
        Ok(())
    }

    /// The member or user id.
    pub fn id(&self) -> IdentityId {
        self.certificate.id()
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The key pair for recovery shares, if the member has one.
    pub fn encryption_key(&self) -> Option<&EncryptionKey> {
        self.encryption.as_ref()
    }

    /// Signs with the hash that belongs to the curve; the signature is `r || s`, each as long as the curve's field.
    ///
    /// # Errors
    /// [`IdentityError::Sign`] when the random generator fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, IdentityError> {
        let signature = self
            .key
            .sign(&SystemRandom::new(), message)
            .map_err(|_| IdentityError::Sign)?;
        Ok(signature.as_ref().to_vec())
    }

    /// The private key as PKCS #8 PEM.
    ///
    /// # Errors
    /// [`IdentityError::PrivateKey`] when the key cannot be encoded.
    pub fn private_key_pem(&self) -> Result<Zeroizing<String>, IdentityError> {
        Ok(pem::encode("PRIVATE KEY", &self.private_key_der()?))
    }

    fn private_key_der(&self) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        let der = self
            .key
            .to_pkcs8v1()
            .map_err(|_| IdentityError::PrivateKey)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The private key in the form the TLS library takes.
    pub(crate) fn tls_private_key(&self) -> Result<PrivateKeyDer<'static>, IdentityError> {
        Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(
            self.private_key_der()?.to_vec(),
        )))
    }
}

/// An EC certificate: who signed, and the public key to check it with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    curve: Curve,
    public_point: Vec<u8>,
}

impl Certificate {
    /// Parses the first certificate of a PEM text.
    ///
    /// # Errors
    /// [`IdentityError::Certificate`] when it is malformed or its key is not on P-256, P-384 or P-521.
    pub fn from_pem(text: &str) -> Result<Self, IdentityError> {
        let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| {
            IdentityError::Certificate {
                reason: error.to_string(),
            }
        })?;
        Self::from_der(der.to_vec())
    }

    /// Parses a DER certificate.
    ///
    /// # Errors
    /// As [`Certificate::from_pem`].
    pub fn from_der(der: Vec<u8>) -> Result<Self, IdentityError> {
        let malformed = |reason: &str| IdentityError::Certificate {
            reason: reason.to_owned(),
        };
        let (rest, parsed) =
            X509Certificate::from_der(&der).map_err(|error| IdentityError::Certificate {
                reason: error.to_string(),
            })?;
        if !rest.is_empty() {
            return Err(malformed("bytes after the certificate"));
        }
        let spki = parsed.public_key();
        let curve = match spki
            .algorithm
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.as_oid().ok())
        {
            Some(oid) if oid == x509_parser::oid_registry::OID_EC_P256 => Curve::P256,
            Some(oid) if oid == x509_parser::oid_registry::OID_NIST_EC_P384 => Curve::P384,
            Some(oid) if oid == x509_parser::oid_registry::OID_NIST_EC_P521 => Curve::P521,
            _ => return Err(malformed("the key is not on P-256, P-384 or P-521")),
        };
        let public_point = spki.subject_public_key.data.to_vec();
        Ok(Self {
            der,
            curve,
            public_point,
        })
    }

    /// The id of the holder.
    pub fn id(&self) -> IdentityId {
        IdentityId::of_certificate(&self.der)
    }

    /// The DER encoding.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The PEM encoding, LF line ends, ending in a line end.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", &self.der).to_string()
    }

    /// The curve of the key.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// Whether `signature` (`r || s`) over `message` was made with this certificate's key and the hash of `curve`'s algorithm.
    /// Validity dates are not looked at, as CCF does not look at them for signed governance messages.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.curve.verification_algorithm(), &self.public_point)
            .verify(message, signature)
            .is_ok()
    }
}

/// The curves on which members and users may have their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256, signing with SHA-256 (ES256).
    P256,
    /// NIST P-384, signing with SHA-384 (ES384). The default.
    P384,
    /// NIST P-521, signing with SHA-512 (ES512).
    P521,
}

impl Curve {
    fn signing_algorithm(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            Self::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }

    fn verification_algorithm(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
            Self::P521 => &ECDSA_P521_SHA512_FIXED,
        }
    }

    fn certificate_algorithm(self) -> &'static rcgen::SignatureAlgorithm {
        match self {
            Self::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::P521 => &rcgen::PKCS_ECDSA_P521_SHA512,
        }
    }
}

/// Why an identity could not be made, read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The certificate is malformed or of an unsupported kind.
    #[error("certificate: {reason}")]
    Certificate {
        /// What is wrong with it.
        reason: String,
    },
    /// The RSA key for recovery shares is malformed.
    #[error("the encryption key is not an RSA private key in PEM")]
    EncryptionKey,
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system could not make a key or certificate.
    #[error("cannot generate a key or certificate")]
    Generate,
    /// The private key is not the certificate's.
    #[error("the private key does not belong to certificate {id}")]
    KeyMismatch {
        /// The certificate's id.
        id: IdentityId,
    },
    /// The private key is malformed or not an EC key on the certificate's curve.
    #[error("the private key is not an EC key (PKCS #8 or SEC 1, PEM) on the certificate's curve")]
    PrivateKey,
    /// The system could not make a signature.
    #[error("cannot sign")]
    Sign,
}

fn read(path: &Path) -> Result<Zeroizing<String>, IdentityError> {
    fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| IdentityError::File {
            path: path.to_owned(),
            source,
        })
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), IdentityError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| IdentityError::File {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn each_curve_signs_what_its_certificate_verifies() {
        for (curve, length) in [(Curve::P256, 64), (Curve::P384, 96), (Curve::P521, 132)] {
            let identity = Identity::generate_on(curve, "party", DAY).unwrap();
            assert_eq!(identity.certificate().curve(), curve);
            let mut signature = identity.sign(b"terms").unwrap();
            assert_eq!(signature.len(), length);
            assert!(identity.certificate().verifies(b"terms", &signature));
            assert!(!identity.certificate().verifies(b"other terms", &signature));
            signature[10] ^= 1;
            assert!(!identity.certificate().verifies(b"terms", &signature));
        }
    }

    #[test]
    fn an_identity_survives_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::generate("party", DAY)
            .unwrap()
            .with_encryption_key()
            .unwrap();
        identity.save(folder.path()).unwrap();
        let loaded = Identity::load(folder.path()).unwrap();
        assert_eq!(loaded.id(), identity.id());
        assert_eq!(loaded.certificate(), identity.certificate());
        let public = identity.encryption_key().unwrap().public_key_pem().unwrap();
        assert_eq!(
            loaded.encryption_key().unwrap().public_key_pem().unwrap(),
            public
        );
        #[cfg(unix)]
        for (file, mode) in [
            ("privk.pem", 0o600),
            ("enc_privk.pem", 0o600),
            ("cert.pem", 0o644),
        ] {
            use std::os::unix::fs::PermissionsExt as _;
            let permissions = fs::metadata(folder.path().join(file))
                .unwrap()
                .permissions();
            assert_eq!(permissions.mode() & 0o777 & !mode, 0, "{file} is too open");
        }
    }

    #[test]
    fn saving_never_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        Identity::generate("party", DAY)
            .unwrap()
            .save(folder.path())
            .unwrap();
        let again = Identity::generate("party", DAY)
            .unwrap()
            .save(folder.path());
        assert!(matches!(again, Err(IdentityError::File { .. })));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let one = Identity::generate("one", DAY).unwrap();
        let two = Identity::generate("two", DAY).unwrap();
        let mixed =
            Identity::from_pem(&one.certificate().to_pem(), &two.private_key_pem().unwrap());
        assert!(matches!(mixed, Err(IdentityError::KeyMismatch { id }) if id == one.id()));
        let other_curve = Identity::generate_on(Curve::P256, "three", DAY).unwrap();
        let mixed = Identity::from_pem(
            &one.certificate().to_pem(),
            &other_curve.private_key_pem().unwrap(),
        );
        assert!(matches!(mixed, Err(IdentityError::PrivateKey)));
    }

    #[test]
    fn malformed_pem_is_an_error() {
        let one = Identity::generate("one", DAY).unwrap();
        let key = one.private_key_pem().unwrap();
        assert!(matches!(
            Identity::from_pem("", &key),
            Err(IdentityError::Certificate { .. })
        ));
        assert!(matches!(
            Identity::from_pem(&one.certificate().to_pem(), ""),
            Err(IdentityError::PrivateKey)
        ));
        let mut der = one.certificate().der().to_vec();
        der.push(0);
        assert!(matches!(
            Certificate::from_der(der),
            Err(IdentityError::Certificate { .. })
        ));
    }
}
