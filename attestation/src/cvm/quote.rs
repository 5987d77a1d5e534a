//! The TPM's quote: registers and a nonce, signed by the attestation key.
//!
//! ```text
//! TPM2B_ATTEST     u16 size, then TPMS_ATTEST:
//!   u32 magic ff544347 (TPM_GENERATED), u16 type 8018 (quote), u16+bytes qualifiedSigner, u16+bytes extraData,
//!   u64 clock, u32 resetCount, u32 restartCount, u8 safe, u64 firmwareVersion,
//!   u32 count of (u16 hash, u8 size, bitmap), u16+bytes pcrDigest
//! TPMT_SIGNATURE   u16 scheme 0014 (RSASSA), u16 hash 000b (SHA-256), u16 256, signature
//! ```
//!
//! All big-endian (TPM 2.0 Library, part 2, sections 10.12 and 11.3; attestation specification, section 5.3). The magic matters:
//! the key is restricted and refuses to sign foreign data that begins so; without it any signature by the key would do.

use aws_lc_rs::digest;

use super::evidence::{REGISTERS, Registers};
use crate::{
    bytes::Sha256Digest,
    error::{Check, EvidenceError},
};

/// A quote as it was read; its signature is not verified yet.
#[derive(Clone, Debug)]
pub(super) struct Quote<'a> {
    /// TPMS_ATTEST: what is signed.
    pub(super) signed: &'a [u8],
    pub(super) signature: &'a [u8],
    /// extraData: the nonce.
    pub(super) nonce: &'a [u8],
    /// Hash algorithm and bitmap of each bank.
    banks: Vec<(u16, &'a [u8])>,
    digest: &'a [u8],
}

const MAGIC: u32 = 0xff54_4347;
const QUOTE: u16 = 0x8018;
const RSASSA: u16 = 0x0014;
const SHA256: u16 = 0x000b;
/// TPM 2.0 allows as many banks as there are hash algorithms; no TPM has more than this.
const MOST_BANKS: u32 = 16;

impl<'a> Quote<'a> {
    /// CVM-14.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, EvidenceError> {
        Self::read(bytes).ok_or_else(|| {
            EvidenceError::new(
                Check::Cvm14,
                format_args!("{} bytes that are no such quote", bytes.len()),
                "TPM2B_ATTEST of a quote, and its RSASSA signature with SHA-256",
            )
        })
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut outer = Reader(bytes);
        let signed = outer.sized()?;
        let scheme = (outer.u16()?, outer.u16()?);
        let signature = outer.sized()?;
        if !outer.0.is_empty() || scheme != (RSASSA, SHA256) || signature.len() != 256 {
            return None;
        }
        let mut attest = Reader(signed);
        if (attest.u32()?, attest.u16()?) != (MAGIC, QUOTE) {
            return None;
        }
        attest.sized()?;
        let nonce = attest.sized()?;
        // Clock, counters, firmware version.
        attest.take(8 + 4 + 4 + 1 + 8)?;
        let count = attest.u32()?;
        if count > MOST_BANKS {
            return None;
        }
        let mut banks = Vec::new();
        for _ in 0..count {
            let hash = attest.u16()?;
            let [size] = *attest.take(1)? else {
                return None;
            };
            banks.push((hash, attest.take(usize::from(size))?));
        }
        let digest = attest.sized()?;
        (attest.0.is_empty() && digest.len() == 32).then_some(Self {
            signed,
            signature,
            nonce,
            banks,
            digest,
        })
    }

    /// CVM-18 and CVM-19: the quote is about exactly these values of exactly these registers.
    pub(super) fn check_registers(&self, registers: &Registers) -> Result<(), EvidenceError> {
        let presented: Vec<usize> = (0..REGISTERS)
            .filter(|index| registers.get(*index).is_some_and(Option::is_some))
            .collect();
        match self.banks.as_slice() {
            [(SHA256, bitmap)] if bitmap.len() == 3 && selected(bitmap) == presented => {}
            banks => {
                let quoted: Vec<_> = banks
                    .iter()
                    .map(|(hash, bitmap)| format!("{hash:04x}: {:?}", selected(bitmap)))
                    .collect();
                return Err(EvidenceError::new(
                    Check::Cvm18,
                    quoted.join(", "),
                    format_args!("000b: {presented:?}"),
                ));
            }
        }
        let mut context = digest::Context::new(&digest::SHA256);
        for value in registers.iter().flatten() {
            context.update(value);
        }
        if context.finish().as_ref() == self.digest {
            return Ok(());
        }
        Err(EvidenceError::new(
            Check::Cvm19,
            "values with another digest",
            hex::encode(self.digest),
        ))
    }
}

/// Bit i of byte j stands for register 8j + i.
fn selected(bitmap: &[u8]) -> Vec<usize> {
    let bits = bitmap.iter().enumerate();
    bits.flat_map(|(j, byte)| {
        (0..8)
            .filter(move |i| byte & (1 << i) != 0)
            .map(move |i| 8 * j + i)
    })
    .collect()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    fn u32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let size = self.u16()?;
        self.take(usize::from(size))
    }
}

/// What the nonce of a quote must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuoteNonce<'a> {
    /// SHA-256 of the attested key's PEM text: then the quote was made for that key, by software running in the quoted state.
    Key,
    /// SHA-256 of that digest and a challenge of the service: then it was made after the challenge, too.
    Challenge(&'a [u8]),
    /// SHA-256 of the text `azure-cleanroom`, as existing clients send it. Nothing then ties the registers to the key: a quote of
    /// one moment can be joined with a report of another (attestation specification, section 5.7). For development.
    Constant,
    /// Anything: for vectors that were recorded with some nonce.
    #[cfg(test)]
    Recorded,
}

impl QuoteNonce<'_> {
    /// The nonce for a key.
    pub fn for_key(self, key: Sha256Digest) -> Vec<u8> {
        match self {
            Self::Key => key.as_bytes().to_vec(),
            Self::Challenge(challenge) => {
                let text = [key.as_bytes().as_slice(), challenge].concat();
                Sha256Digest::of(&text).as_bytes().to_vec()
            }
            Self::Constant => Sha256Digest::of(b"azure-cleanroom").as_bytes().to_vec(),
            #[cfg(test)]
            Self::Recorded => Vec::new(),
        }
    }

    /// CVM-17. `key` is the attested key's digest as the runtime claims have it.
    pub(super) fn check(self, got: &[u8], key: Option<Sha256Digest>) -> Result<(), EvidenceError> {
        #[cfg(test)]
        if self == Self::Recorded {
            return Ok(());
        }
        let want = match (self, key) {
            (Self::Constant, _) => Some(self.for_key(Sha256Digest::new([0; 32]))),
            (_, key) => key.map(|key| self.for_key(key)),
        };
        if want.as_deref() == Some(got) {
            return Ok(());
        }
        let want = want.map_or_else(
            || "the digest of a key, which user-data does not name".to_owned(),
            hex::encode,
        );
        Err(EvidenceError::new(Check::Cvm17, hex::encode(got), want))
    }
}
