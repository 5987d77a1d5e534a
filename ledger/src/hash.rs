//! SHA-256 digests.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A SHA-256 digest. Its text form is 64 lower-case hex characters.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// 32 zero bytes: leaf 0 of every tree, and the claims digest of a transaction without claims.
    pub const ZERO: Self = Self([0; 32]);

    /// `H(bytes)`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(out)
    }

    /// `H(left || right)`: an inner node of the Merkle tree, without any prefix (ledger format, section 9).
    #[must_use]
    pub fn of_pair(left: &Self, right: &Self) -> Self {
        Self::of(&left.joined(right))
    }

    /// `H(a || b || c)`.
    #[must_use]
    pub fn of_three(a: &Self, b: &Self, c: &Self) -> Self {
        let mut joined = [0; 96];
        joined[..32].copy_from_slice(&a.0);
        joined[32..64].copy_from_slice(&b.0);
        joined[64..].copy_from_slice(&c.0);
        Self::of(&joined)
    }

    /// What an inner node is the hash of, with `self` as its left child.
    pub(crate) fn joined(&self, right: &Self) -> [u8; 64] {
        let mut joined = [0; 64];
        joined[..32].copy_from_slice(&self.0);
        joined[32..].copy_from_slice(&right.0);
        joined
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest as lower-case hex.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest in hex: {got:?}")]
pub struct ParseDigestError {
    /// The text that was given.
    pub got: String,
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut out = [0; 32];
        hex::decode_to_slice(text, &mut out).map_err(|_| ParseDigestError {
            got: text.to_owned(),
        })?;
        Ok(Self(out))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_forms_equal_plain_hash() {
        let (a, b, c) = (Digest::of(b"a"), Digest::of(b"b"), Digest::of(b"c"));
        assert_eq!(Digest::of_pair(&a, &b), Digest::of(&[a.0, b.0].concat()));
        assert_eq!(
            Digest::of_three(&a, &b, &c),
            Digest::of(&[a.0, b.0, c.0].concat())
        );
        assert_eq!(a.to_hex().parse::<Digest>().unwrap(), a);
        assert!("00".parse::<Digest>().is_err());
    }
}
