//! The clean room's side: a key, its binding into evidence, unwrapping and signing.

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeySize, PrivateDecryptingKey},
    signature::{self, RsaKeyPair},
};
use zeroize::Zeroizing;

use crate::{
    bytes::ReportData,
    pem,
    wrap::{self, UnwrapError},
};

/// The RSA key of a clean room. It has no `Debug`: the private part stays inside.
pub struct ClientKey {
    decrypting: PrivateDecryptingKey,
    signing: RsaKeyPair,
    public_key_pem: String,
}

/// A key could not be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RSA key of 2048 to 4096 bits in PKCS #8")]
pub struct ClientKeyError;

impl ClientKey {
    /// A fresh RSA-2048 key, as existing clients use.
    ///
    /// # Errors
    /// If the library has no randomness.
    pub fn generate() -> Result<Self, ClientKeyError> {
        Self::new(PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(|_| ClientKeyError)?)
    }

    /// From PEM text, one block `PRIVATE KEY` (PKCS #8).
    ///
    /// # Errors
    /// If it is not such a key.
    pub fn from_pem(text: &[u8]) -> Result<Self, ClientKeyError> {
        let blocks = pem::read(text, "PRIVATE KEY", 1).map_err(|_| ClientKeyError)?;
        let der = Zeroizing::new(blocks.into_iter().next().ok_or(ClientKeyError)?);
        Self::from_pkcs8(&der)
    }

    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, ClientKeyError> {
        Self::new(PrivateDecryptingKey::from_pkcs8(der).map_err(|_| ClientKeyError)?)
    }

    fn new(decrypting: PrivateDecryptingKey) -> Result<Self, ClientKeyError> {
        let public = decrypting
            .public_key()
            .as_der()
            .map_err(|_| ClientKeyError)?;
        let private = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&decrypting)
            .map_err(|_| ClientKeyError)?;
        Ok(Self {
            signing: RsaKeyPair::from_pkcs8(private.as_ref()).map_err(|_| ClientKeyError)?,
            public_key_pem: pem::write("PUBLIC KEY", public.as_ref()),
            decrypting,
        })
    }

    /// The public key as existing clients write it: lines of 64 characters, LF, no newline at the end.
    pub fn public_key_pem(&self) -> &str {
        &self.public_key_pem
    }

    /// The private key as PEM text, to be kept.
    ///
    /// # Errors
    /// If the library cannot encode it.
    pub fn private_key_pem(&self) -> Result<Zeroizing<String>, ClientKeyError> {
        let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&self.decrypting)
            .map_err(|_| ClientKeyError)?;
        Ok(Zeroizing::new(pem::write("PRIVATE KEY", der.as_ref())))
    }

    /// The report data to ask a report for.
    pub fn report_data(&self) -> ReportData {
        ReportData::binding(self.public_key_pem.as_bytes())
    }

    /// Unwraps a released secret.
    ///
    /// # Errors
    /// KEY-06, whatever the cause.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
        wrap::unwrap_with(&self.decrypting, wrapped)
    }

    /// Signs a payload: RSASSA-PSS, SHA-256, salt 32.
    ///
    /// # Errors
    /// If the library refuses.
    pub fn sign(&self, data: &[u8]) -> Result<Vec<u8>, ClientKeyError> {
        let mut out = vec![0; self.signing.public_modulus_len()];
        self.signing
            .sign(
                &signature::RSA_PSS_SHA256,
                &SystemRandom::new(),
                data,
                &mut out,
            )
            .map_err(|_| ClientKeyError)?;
        Ok(out)
    }
}
