//! RSA-OAEP with SHA-256 for hash and mask, no label: how secrets and shares reach nodes and members.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use zeroize::Zeroizing;

use crate::pem::{self, PemError};

/// A failure of RSA key handling or use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RsaError {
    /// The key is not an RSA key that the library accepts (2048 to 8192 bits).
    #[error("RSA key rejected")]
    Key,
    /// The text is not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The plain text is too long for the key, or the library failed.
    #[error("RSA-OAEP encryption failed")]
    Encrypt,
    /// The ciphertext was not made for this key.
    #[error("RSA-OAEP decryption failed")]
    Decrypt,
}

/// A public RSA key of a member or node.
pub struct RsaPublicKey(PublicEncryptingKey);

impl RsaPublicKey {
    /// From `PUBLIC KEY` PEM text.
    ///
    /// # Errors
    /// [`RsaError::Pem`], [`RsaError::Key`].
    pub fn from_pem(text: &str) -> Result<Self, RsaError> {
        let (_, der) = pem::decode(text, &["PUBLIC KEY"])?;
        Self::from_spki_der(&der)
    }

    /// From a DER `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`RsaError::Key`].
    pub fn from_spki_der(der: &[u8]) -> Result<Self, RsaError> {
        PublicEncryptingKey::from_der(der)
            .map(Self)
            .map_err(|_| RsaError::Key)
    }

    /// Encrypts a short secret.
    ///
    /// # Errors
    /// [`RsaError::Encrypt`].
    pub fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, RsaError> {
        let key = OaepPublicEncryptingKey::new(self.0.clone()).map_err(|_| RsaError::Encrypt)?;
        let mut out = vec![0; key.ciphertext_size()];
        let len = key
            .encrypt(&OAEP_SHA256_MGF1SHA256, plain, &mut out, None)
            .map_err(|_| RsaError::Encrypt)?
            .len();
        out.truncate(len);
        Ok(out)
    }
}

/// A private RSA key. Has no `Debug` and is wiped when dropped.
pub struct RsaPrivateKey(PrivateDecryptingKey);

impl RsaPrivateKey {
    /// A fresh RSA-2048 key, e = 65537.
    ///
    /// # Errors
    /// [`RsaError::Key`] when the library fails.
    pub fn generate() -> Result<Self, RsaError> {
        PrivateDecryptingKey::generate(KeySize::Rsa2048)
            .map(Self)
            .map_err(|_| RsaError::Key)
    }

    /// From `PRIVATE KEY` (PKCS#8) or `RSA PRIVATE KEY` (PKCS#1) PEM text.
    ///
    /// # Errors
    /// [`RsaError::Pem`], [`RsaError::Key`].
    pub fn from_pem(text: &str) -> Result<Self, RsaError> {
        let (label, der) = pem::decode(text, &["PRIVATE KEY", "RSA PRIVATE KEY"])?;
        let pkcs8 = if label == "PRIVATE KEY" {
            der
        } else {
            pkcs1_in_pkcs8(&der)
        };
        PrivateDecryptingKey::from_pkcs8(&pkcs8)
            .map(Self)
            .map_err(|_| RsaError::Key)
    }

    /// The key as `PRIVATE KEY` PEM text.
    ///
    /// # Errors
    /// [`RsaError::Key`] when the library fails.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, RsaError> {
        let der: Pkcs8V1Der<'_> = self.0.as_der().map_err(|_| RsaError::Key)?;
        Ok(pem::encode("PRIVATE KEY", der.as_ref()))
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> RsaPublicKey {
        RsaPublicKey(self.0.public_key())
    }

    /// The public half as `PUBLIC KEY` PEM text, as it stands in `nodes.info`.
    ///
    /// # Errors
    /// [`RsaError::Key`] when the library fails.
    pub fn public_key_pem(&self) -> Result<String, RsaError> {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().map_err(|_| RsaError::Key)?;
        Ok(pem::encode("PUBLIC KEY", der.as_ref()).as_str().to_owned())
    }

    /// Decrypts a short secret.
    ///
    /// # Errors
    /// [`RsaError::Decrypt`].
    pub fn decrypt(&self, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, RsaError> {
        let key = OaepPrivateDecryptingKey::new(self.0.clone()).map_err(|_| RsaError::Decrypt)?;
        let mut out = Zeroizing::new(vec![0; key.min_output_size()]);
        let len = key
            .decrypt(&OAEP_SHA256_MGF1SHA256, cipher, &mut out, None)
            .map_err(|_| RsaError::Decrypt)?
            .len();
        out.truncate(len);
        Ok(out)
    }
}

/// Wraps a PKCS#1 `RSAPrivateKey` in `PrivateKeyInfo` (RFC 5208): version 0, rsaEncryption with NULL, octet string.
fn pkcs1_in_pkcs8(pkcs1: &[u8]) -> Zeroizing<Vec<u8>> {
    const VERSION_AND_ALGORITHM: [u8; 18] = [
        2, 1, 0, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0,
    ];
    let octets = der_header(0x04, pkcs1.len());
    let outer = der_header(
        0x30,
        VERSION_AND_ALGORITHM.len() + octets.len() + pkcs1.len(),
    );
    Zeroizing::new([&outer, &VERSION_AND_ALGORITHM[..], &octets, pkcs1].concat())
}

fn der_header(tag: u8, len: usize) -> Vec<u8> {
    let bytes = len.to_be_bytes();
    let significant = bytes.iter().skip_while(|b| **b == 0).copied();
    let mut out = vec![tag];
    if len >= 0x80 {
        out.push(0x80 | significant.clone().count() as u8);
        out.extend(significant);
    } else {
        out.push(len as u8);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oaep_both_ways_through_pem() {
        let key = RsaPrivateKey::generate().unwrap();
        let again = RsaPrivateKey::from_pem(&key.to_pkcs8_pem().unwrap()).unwrap();
        let public = RsaPublicKey::from_pem(&key.public_key_pem().unwrap()).unwrap();
        let cipher = public.encrypt(b"secret").unwrap();
        assert_eq!(&again.decrypt(&cipher).unwrap()[..], b"secret");
        assert_eq!(
            RsaPrivateKey::generate()
                .unwrap()
                .decrypt(&cipher)
                .unwrap_err(),
            RsaError::Decrypt
        );
        assert_eq!(again.decrypt(&cipher[1..]).unwrap_err(), RsaError::Decrypt);
    }

    #[test]
    fn der_lengths() {
        assert_eq!(der_header(4, 5), [4, 5]);
        assert_eq!(der_header(4, 200), [4, 0x81, 200]);
        assert_eq!(der_header(4, 1191), [4, 0x82, 4, 0xa7]);
    }
}
