//! RSA key pairs of recovery members, to which the service encrypts their shares.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeyPair, KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::KeyPair as _;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::pem;

/// An RSA private key, 2048 to 4096 bits.
pub struct EncryptionKey {
    key: KeyPair,
}

impl EncryptionKey {
    /// Makes an RSA-2048 key.
    ///
    /// # Errors
    /// [`EncryptionError::Generate`] when the system cannot make one.
    pub fn generate() -> Result<Self, EncryptionError> {
        Ok(Self {
            key: KeyPair::generate(KeySize::Rsa2048).map_err(|_| EncryptionError::Generate)?,
        })
    }

    /// Reads a private key in PEM, PKCS #8 or PKCS #1.
    ///
    /// # Errors
    /// [`EncryptionError::PrivateKey`] when it is not one, or of an unsupported size.
    pub fn from_pem(text: &str) -> Result<Self, EncryptionError> {
        let malformed = |_| EncryptionError::PrivateKey;
        let key = match PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| EncryptionError::PrivateKey)?
        {
            PrivateKeyDer::Pkcs8(der) => {
                KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(malformed)?
            }
            PrivateKeyDer::Pkcs1(der) => {
                KeyPair::from_der(der.secret_pkcs1_der()).map_err(malformed)?
            }
            _ => return Err(EncryptionError::PrivateKey),
        };
        Ok(Self { key })
    }

    /// The public key as PEM (`PUBLIC KEY`), LF line ends, ending in a line end.
    ///
    /// # Errors
    /// [`EncryptionError::Encode`] when the key cannot be encoded.
    pub fn public_key_pem(&self) -> Result<String, EncryptionError> {
        let der: PublicKeyX509Der<'_> = self
            .key
            .public_key()
            .as_der()
            .map_err(|_| EncryptionError::Encode)?;
        Ok(pem::encode("PUBLIC KEY", der.as_ref()).to_string())
    }

    /// The private key as PKCS #8 PEM.
    ///
    /// # Errors
    /// [`EncryptionError::Encode`] when the key cannot be encoded.
    pub fn private_key_pem(&self) -> Result<Zeroizing<String>, EncryptionError> {
        Ok(pem::encode("PRIVATE KEY", &self.pkcs8()?))
    }

    fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, EncryptionError> {
        let der: Pkcs8V1Der<'_> = self.key.as_der().map_err(|_| EncryptionError::Encode)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// Decrypts RSA-OAEP with SHA-256, MGF1-SHA-256 and an empty label.
    ///
    /// # Errors
    /// [`EncryptionError::Decrypt`], whatever the reason.
    pub fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, EncryptionError> {
        let key = PrivateDecryptingKey::from_pkcs8(&self.pkcs8()?)
            .map_err(|_| EncryptionError::Decrypt)?;
        let key = OaepPrivateDecryptingKey::new(key).map_err(|_| EncryptionError::Decrypt)?;
        let mut plaintext = Zeroizing::new(vec![0; key.min_output_size()]);
        let length = key
            .decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut plaintext, None)
            .map_err(|_| EncryptionError::Decrypt)?
            .len();
        plaintext.truncate(length);
        Ok(plaintext)
    }
}

/// Why a key could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptionError {
    /// The key cannot be encoded.
    #[error("cannot encode the key")]
    Encode,
    /// The system could not make a key.
    #[error("cannot generate an RSA key")]
    Generate,
    /// Not an RSA private key of a supported size.
    #[error("not an RSA private key in PEM of 2048 to 4096 bits")]
    PrivateKey,
    /// The ciphertext is not for this key, or altered. One error for all reasons, so that it tells nothing about the key.
    #[error("cannot decrypt: not for this key, or altered")]
    Decrypt,
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey};
    use rustls_pki_types::SubjectPublicKeyInfoDer;

    use super::*;

    fn encrypt(key: &EncryptionKey, plaintext: &[u8]) -> Vec<u8> {
        let spki =
            SubjectPublicKeyInfoDer::from_pem_slice(key.public_key_pem().unwrap().as_bytes())
                .unwrap();
        let public =
            OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&spki).unwrap()).unwrap();
        let mut ciphertext = vec![0; public.ciphertext_size()];
        public
            .encrypt(&OAEP_SHA256_MGF1SHA256, plaintext, &mut ciphertext, None)
            .unwrap();
        ciphertext
    }

    #[test]
    fn what_was_encrypted_to_the_key_comes_out() {
        let key = EncryptionKey::generate().unwrap();
        let again = EncryptionKey::from_pem(&key.private_key_pem().unwrap()).unwrap();
        assert_eq!(again.public_key_pem(), key.public_key_pem());
        for length in [0, 1, 44, 190] {
            let plaintext = vec![b'x'; length];
            assert_eq!(
                again
                    .decrypt(&encrypt(&key, &plaintext))
                    .unwrap()
                    .as_slice(),
                plaintext,
                "length {length}"
            );
        }
    }

    #[test]
    fn altered_or_foreign_ciphertexts_give_one_error() {
        let key = EncryptionKey::generate().unwrap();
        let good = encrypt(&key, b"a share");
        let other = EncryptionKey::generate().unwrap();
        assert_eq!(other.decrypt(&good).err(), Some(EncryptionError::Decrypt));
        for length in [0, 1, 255] {
            assert_eq!(
                key.decrypt(&good[..length]).err(),
                Some(EncryptionError::Decrypt),
                "cut to {length}"
            );
        }
        let mut bad = good;
        bad[100] ^= 1;
        assert_eq!(key.decrypt(&bad).err(), Some(EncryptionError::Decrypt));
        assert_eq!(
            EncryptionKey::from_pem("").err(),
            Some(EncryptionError::PrivateKey)
        );
    }
}
