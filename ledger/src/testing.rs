//! A key that signs, for tests.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use crate::hash::Digest;
use crate::key::{Signer, SigningFailed};

pub(crate) struct TestKey {
    pair: EcdsaKeyPair,
    spki: Vec<u8>,
}

impl TestKey {
    pub(crate) fn generate() -> Result<Self, SigningFailed> {
        let pair =
            EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).map_err(|_| SigningFailed)?;
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| SigningFailed)?;
        let spki = spki.as_ref().to_vec();
        Ok(Self { pair, spki })
    }
}

impl Signer for TestKey {
    fn public_key_der(&self) -> &[u8] {
        &self.spki
    }

    fn sign_root(&self, _root: &Digest) -> Result<Vec<u8>, SigningFailed> {
        Err(SigningFailed)
    }

    fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| SigningFailed)?;
        Ok(signature.as_ref().to_vec())
    }
}
