//! `wrapKey` and `unwrapKey`.
//!
//! | algorithm | wrapping key | wrapped |
//! |---|---|---|
//! | `RSA-OAEP` | RSA, PEM | RSAES-OAEP with SHA-256 (RFC 8017, section 7.1) |
//! | `AES-KWP` | 16, 24 or 32 bytes | AES key wrap with padding (RFC 5649) |
//! | `RSA-OAEP-AES-KWP` | RSA, PEM | a fresh AES key by the first, then the key by the second (PKCS #11, `CKM_RSA_AES_KEY_WRAP`) |

use aes_kw::{IV_LEN, KeyInit as _, KwpAes192};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::key_wrap::{AES_128, AES_256, AesBlockCipher, AesKek, KeyWrapPadded as _};
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};

use super::keys::{PrivateKey, PublicKey};
use super::{CryptoError, generation, unsupported};

/// What an algorithm object says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Algorithm {
    pub(super) name: String,
    /// Not empty.
    pub(super) label: Option<Vec<u8>>,
    pub(super) aes_key_size: i64,
}

pub(super) fn wrap(key: &[u8], by: &[u8], algorithm: &Algorithm) -> Result<Vec<u8>, CryptoError> {
    let label = algorithm.label.as_deref();
    match algorithm.name.as_str() {
        "RSA-OAEP" => oaep_wrap(key, by, label),
        "AES-KWP" => kwp_wrap(key, by),
        "RSA-OAEP-AES-KWP" => {
            let aes = generation::aes(algorithm.aes_key_size)?;
            let mut wrapped = oaep_wrap(&aes, by, label)?;
            wrapped.extend(kwp_wrap(key, &aes)?);
            Ok(wrapped)
        }
        other => Err(unsupported("wrapKey", other)),
    }
}

pub(super) fn unwrap(
    wrapped: &[u8],
    by: &[u8],
    algorithm: &Algorithm,
) -> Result<Vec<u8>, CryptoError> {
    let label = algorithm.label.as_deref();
    match algorithm.name.as_str() {
        "RSA-OAEP" => oaep_unwrap(&decrypting(by)?, wrapped, label),
        "AES-KWP" => kwp_unwrap(wrapped, by),
        "RSA-OAEP-AES-KWP" => {
            let private = decrypting(by)?;
            let (first, second) = wrapped
                .split_at_checked(private.key_size_bytes())
                .ok_or(CryptoError::Failed)?;
            kwp_unwrap(second, &oaep_unwrap(&private, first, label)?)
        }
        other => Err(unsupported("unwrapKey", other)),
    }
}

fn text(pem: &[u8]) -> Result<&str, CryptoError> {
    std::str::from_utf8(pem).map_err(|_| CryptoError::PublicKey)
}

fn oaep_wrap(key: &[u8], by: &[u8], label: Option<&[u8]>) -> Result<Vec<u8>, CryptoError> {
    let PublicKey::Rsa(der) = PublicKey::from_pem(text(by)?)? else {
        return Err(CryptoError::PublicKey);
    };
    let public = PublicEncryptingKey::from_der(&der).map_err(|_| CryptoError::PublicKey)?;
    let public = OaepPublicEncryptingKey::new(public)?;
    let mut out = vec![0; public.ciphertext_size()];
    let wrapped = public.encrypt(&OAEP_SHA256_MGF1SHA256, key, &mut out, label)?;
    Ok(wrapped.to_vec())
}

fn decrypting(by: &[u8]) -> Result<OaepPrivateDecryptingKey, CryptoError> {
    let PrivateKey::Rsa(pair) = PrivateKey::from_pem(text(by)?)? else {
        return Err(CryptoError::PrivateKey);
    };
    let der: Pkcs8V1Der<'_> = pair.as_der()?;
    let private =
        PrivateDecryptingKey::from_pkcs8(der.as_ref()).map_err(|_| CryptoError::PrivateKey)?;
    Ok(OaepPrivateDecryptingKey::new(private)?)
}

fn oaep_unwrap(
    private: &OaepPrivateDecryptingKey,
    wrapped: &[u8],
    label: Option<&[u8]>,
) -> Result<Vec<u8>, CryptoError> {
    let mut out = vec![0; private.min_output_size()];
    let key = private.decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut out, label)?;
    Ok(key.to_vec())
}

/// The key that wraps. AES-192 is another library's.
enum Kek {
    Other(AesKek),
    Aes192(Box<KwpAes192>),
}

impl Kek {
    /// As CCF takes keys: so much of a longer one as there is an AES for.
    fn new(key: &[u8]) -> Result<Self, CryptoError> {
        let of = |cipher: &'static AesBlockCipher, key: &[u8]| {
            Ok(Self::Other(AesKek::new(cipher, key)?))
        };
        if let Some(key) = key.first_chunk::<32>() {
            of(&AES_256, key)
        } else if let Some(key) = key.first_chunk::<24>() {
            Ok(Self::Aes192(Box::new(KwpAes192::new(&(*key).into()))))
        } else if let Some(key) = key.first_chunk::<16>() {
            of(&AES_128, key)
        } else {
            Err(CryptoError::Failed)
        }
    }
}

/// At most one block more than the key, whose length is rounded up to a block of eight.
fn kwp_wrap(key: &[u8], by: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let mut out = vec![0; key.len() + 2 * IV_LEN - 1];
    let wrapped: &[u8] = match Kek::new(by)? {
        Kek::Other(kek) => kek.wrap_with_padding(key, &mut out)?,
        Kek::Aes192(_) if key.is_empty() => return Err(CryptoError::Failed),
        Kek::Aes192(kek) => kek
            .wrap_key(key, &mut out)
            .map_err(|_| CryptoError::Failed)?,
    };
    Ok(wrapped.to_vec())
}

fn kwp_unwrap(wrapped: &[u8], by: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let mut out = vec![0; wrapped.len()];
    let key: &[u8] = match Kek::new(by)? {
        Kek::Other(kek) => kek.unwrap_with_padding(wrapped, &mut out)?,
        Kek::Aes192(kek) => kek
            .unwrap_key(wrapped, &mut out)
            .map_err(|_| CryptoError::Failed)?,
    };
    Ok(key.to_vec())
}
