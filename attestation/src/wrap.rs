//! Wrapping of released secrets: RSA-OAEP and AES key wrap with padding (PKCS #11 CKM_RSA_AES_KEY_WRAP).
//!
//! ```text
//! wrapped = RSAES-OAEP(SHA-256, MGF1-SHA-256, empty label; K)     length of the modulus
//!         ‖ AES-256-KWP(K, plaintext)                             RFC 5649; 8 + 8·⌈length/8⌉ bytes
//! ```
//!
//! `K` is 32 fresh random bytes. Wrapping needs [`AppraisedClaims`](crate::AppraisedClaims); unwrapping is for clients.

use aws_lc_rs::{
    key_wrap::{AES_256, AesKek, KeyWrapPadded},
    rand,
    rsa::{
        OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
        PrivateDecryptingKey, PublicEncryptingKey,
    },
};
use zeroize::Zeroizing;

use crate::{keys::RsaKey, pem};

/// A secret could not be wrapped (KEY-05).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// AES key wrap cannot carry nothing, or more than 2³¹−1 bytes here.
    #[error("KEY-05 WrapFailed: a plaintext of {got} bytes")]
    Length {
        /// Length of the plaintext.
        got: usize,
    },
    /// The library refused: no randomness, or a key it does not accept.
    #[error("KEY-05 WrapFailed: the library refused")]
    Library,
}

/// The wrapped secret was not made for this key, or has been changed (KEY-06). One error for all causes: telling them apart
/// would help whoever tries to decrypt by asking.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("KEY-06 UnwrapFailed")]
pub struct UnwrapError;

/// Wraps a secret to a key. Reachable only through an appraisal.
pub(crate) fn wrap(key: &RsaKey, plaintext: &[u8]) -> Result<Vec<u8>, WrapError> {
    if plaintext.is_empty() || i32::try_from(plaintext.len()).is_err() {
        return Err(WrapError::Length {
            got: plaintext.len(),
        });
    }
    let oaep = PublicEncryptingKey::from_der(key.spki())
        .map_err(|_| WrapError::Library)
        .and_then(|key| OaepPublicEncryptingKey::new(key).map_err(|_| WrapError::Library))?;
    let mut inner = Zeroizing::new([0_u8; 32]);
    rand::fill(&mut *inner).map_err(|_| WrapError::Library)?;
    let modulus = oaep.ciphertext_size();
    let mut out = vec![0; modulus + 8 + plaintext.len().div_ceil(8) * 8];
    let (first, second) = out.split_at_mut(modulus);
    oaep.encrypt(&OAEP_SHA256_MGF1SHA256, &*inner, first, None)
        .map_err(|_| WrapError::Library)?;
    AesKek::new(&AES_256, &*inner)
        .and_then(|kek| kek.wrap_with_padding(plaintext, second).map(|_| ()))
        .map_err(|_| WrapError::Library)?;
    Ok(out)
}

/// Unwraps a secret with the private key (one PEM block `PRIVATE KEY`, PKCS #8). For clients.
///
/// # Errors
/// [`UnwrapError`], whatever the cause.
pub fn unwrap(private_key_pem: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
    let der = pem::read(private_key_pem, "PRIVATE KEY", 1).map_err(|_| UnwrapError)?;
    let der = Zeroizing::new(der.into_iter().next().ok_or(UnwrapError)?);
    unwrap_with(
        &PrivateDecryptingKey::from_pkcs8(&der).map_err(|_| UnwrapError)?,
        wrapped,
    )
}

pub(crate) fn unwrap_with(
    key: &PrivateDecryptingKey,
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
    let oaep = OaepPrivateDecryptingKey::new(key.clone()).map_err(|_| UnwrapError)?;
    let (first, second) = wrapped
        .split_at_checked(oaep.key_size_bytes())
        .ok_or(UnwrapError)?;
    let mut inner = Zeroizing::new(vec![0; oaep.min_output_size()]);
    let inner = oaep
        .decrypt(&OAEP_SHA256_MGF1SHA256, first, &mut inner, None)
        .map_err(|_| UnwrapError)?;
    if inner.len() != 32 || second.len() < 16 || second.len() % 8 != 0 {
        return Err(UnwrapError);
    }
    let mut out = Zeroizing::new(vec![0; second.len()]);
    let length = AesKek::new(&AES_256, inner)
        .and_then(|kek| {
            kek.unwrap_with_padding(second, &mut out)
                .map(|plain| plain.len())
        })
        .map_err(|_| UnwrapError)?;
    out.truncate(length);
    Ok(out)
}
