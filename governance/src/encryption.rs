//! RSA key pairs to which the service encrypts: recovery shares for members, wrapped secrets for clean rooms.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded as _};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeyPair, KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_SHA256};
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
    /// [`EncryptionError::Unwrap`], whatever the reason.
    pub fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, EncryptionError> {
        let key = PrivateDecryptingKey::from_pkcs8(&self.pkcs8()?)
            .map_err(|_| EncryptionError::Unwrap)?;
        let key = OaepPrivateDecryptingKey::new(key).map_err(|_| EncryptionError::Unwrap)?;
        let mut plaintext = Zeroizing::new(vec![0; key.min_output_size()]);
        let length = key
            .decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut plaintext, None)
            .map_err(|_| EncryptionError::Unwrap)?
            .len();
        plaintext.truncate(length);
        Ok(plaintext)
    }

    /// Undoes `RSA-OAEP-AES-KWP` (PKCS #11 `CKM_RSA_AES_KEY_WRAP`).
    ///
    /// Layout: an AES-256 key under RSA-OAEP, as long as the modulus; then the plaintext under AES key wrap with padding (RFC 5649).
    ///
    /// # Errors
    /// [`EncryptionError::Unwrap`], whatever the reason.
    pub fn unwrap_key_wrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, EncryptionError> {
        let (key, data) = wrapped
            .split_at_checked(self.key.public_modulus_len())
            .ok_or(EncryptionError::Unwrap)?;
        let key = self.decrypt(key)?;
        let kek = AesKek::new(&AES_256, &key).map_err(|_| EncryptionError::Unwrap)?;
        let mut plaintext = Zeroizing::new(vec![0; data.len().max(16)]);
        let length = kek
            .unwrap_with_padding(data, &mut plaintext)
            .map_err(|_| EncryptionError::Unwrap)?
            .len();
        plaintext.truncate(length);
        Ok(plaintext)
    }

    /// Signs with RSA-PSS, SHA-256, MGF1-SHA-256 and a salt of 32 bytes.
    ///
    /// # Errors
    /// [`EncryptionError::Sign`] when the random generator fails.
    pub fn sign_pss(&self, message: &[u8]) -> Result<Vec<u8>, EncryptionError> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PSS_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| EncryptionError::Sign)?;
        Ok(signature)
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
    /// The system could not make a signature.
    #[error("cannot sign")]
    Sign,
    /// The ciphertext is not for this key, or altered. One error for all reasons, so that it tells nothing about the key.
    #[error("cannot unwrap: not for this key, or altered")]
    Unwrap,
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey};
    use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use rustls_pki_types::SubjectPublicKeyInfoDer;

    use super::*;

    fn spki(key: &EncryptionKey) -> Vec<u8> {
        SubjectPublicKeyInfoDer::from_pem_slice(key.public_key_pem().unwrap().as_bytes())
            .unwrap()
            .to_vec()
    }

    fn wrap(key: &EncryptionKey, plaintext: &[u8]) -> Vec<u8> {
        let aes = [7; 32];
        let public =
            OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&spki(key)).unwrap())
                .unwrap();
        let mut first = vec![0; public.ciphertext_size()];
        public
            .encrypt(&OAEP_SHA256_MGF1SHA256, &aes, &mut first, None)
            .unwrap();
        let mut second = vec![0; plaintext.len() + 16];
        let kek = AesKek::new(&AES_256, &aes).unwrap();
        first.extend_from_slice(kek.wrap_with_padding(plaintext, &mut second).unwrap());
        first
    }

    #[test]
    fn what_was_wrapped_to_the_key_comes_out() {
        let key = EncryptionKey::generate().unwrap();
        for length in [1, 7, 8, 9, 16, 100, 25_600] {
            let plaintext = vec![b'x'; length];
            assert_eq!(
                key.unwrap_key_wrap(&wrap(&key, &plaintext))
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
        let good = wrap(&key, b"a secret");
        assert_eq!(
            EncryptionKey::generate()
                .unwrap()
                .unwrap_key_wrap(&good)
                .err(),
            Some(EncryptionError::Unwrap)
        );
        for length in [0, 1, 255, 256, 264, good.len() - 1] {
            assert_eq!(
                key.unwrap_key_wrap(&good[..length]).err(),
                Some(EncryptionError::Unwrap),
                "cut to {length}"
            );
        }
        for position in [0, 100, 255, 256, good.len() - 1] {
            let mut bad = good.clone();
            bad[position] ^= 1;
            assert_eq!(
                key.unwrap_key_wrap(&bad).err(),
                Some(EncryptionError::Unwrap),
                "byte {position} altered"
            );
        }
    }

    #[test]
    fn signatures_verify_and_pem_round_trips() {
        let key = EncryptionKey::generate().unwrap();
        let again = EncryptionKey::from_pem(&key.private_key_pem().unwrap()).unwrap();
        assert_eq!(again.public_key_pem(), key.public_key_pem());
        let signature = again.sign_pss(b"payload").unwrap();
        let public = spki(&key);
        let verifier = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &public);
        assert!(verifier.verify(b"payload", &signature).is_ok());
        assert!(verifier.verify(b"other", &signature).is_err());
        assert_eq!(
            EncryptionKey::from_pem("").err(),
            Some(EncryptionError::PrivateKey)
        );
    }
}
