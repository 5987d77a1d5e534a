//! Fixed-size values that are written as lower-case hexadecimal digits.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A text that is not the lower-case hexadecimal form of a fixed-size value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {want} lower-case hexadecimal digits, got {got} characters")]
pub struct HexError {
    /// Length of the text.
    pub got: usize,
    /// Number of digits required.
    pub want: usize,
}

/// Reads lower-case digits only: policies compare text, so a second spelling of a value must not exist.
fn read_hex<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let error = HexError {
        got: text.len(),
        want: N * 2,
    };
    let mut out = [0; N];
    if text.bytes().any(|c| c.is_ascii_uppercase()) {
        return Err(error);
    }
    hex::decode_to_slice(text, &mut out).map_err(|_| error)?;
    Ok(out)
}

macro_rules! hex_value {
    ($($(#[$doc:meta])* $name:ident[$n:literal];)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $n]);

        impl $name {
            /// From bytes, also in constants.
            pub(crate) const fn new(bytes: [u8; $n]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub fn as_bytes(&self) -> &[u8; $n] {
                &self.0
            }

            /// True if all bytes are zero.
            pub fn is_zero(&self) -> bool {
                self.0.iter().all(|b| *b == 0)
            }
        }

        impl From<[u8; $n]> for $name {
            fn from(bytes: [u8; $n]) -> Self {
                Self::new(bytes)
            }
        }

        impl FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<Self, HexError> {
                read_hex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

hex_value! {
    /// HOST_DATA: SHA-256 of the policy the host gave the utility VM at launch.
    HostData[32];
    /// MEASUREMENT: launch digest of the guest.
    Measurement[48];
    /// REPORT_DATA: 64 bytes the guest chose when it asked for the report.
    ReportData[64];
    /// CHIP_ID: 64 bytes on Milan and Genoa; 8 bytes and 56 zero bytes on Turin.
    ChipId[64];
    /// ID_KEY_DIGEST or AUTHOR_KEY_DIGEST: SHA-384 of a key that signed the ID block.
    BlockKeyDigest[48];
    /// A SHA-256 digest.
    Sha256Digest[32];
}

impl Sha256Digest {
    /// SHA-256 of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
        Self(out)
    }
}

impl ReportData {
    /// The report data that binds a key: SHA-256 of the exact bytes of its PEM text, then 32 zero bytes
    /// (attestation specification, section 4.3). Clients ask for their report with this value.
    pub fn binding(key_pem: &[u8]) -> Self {
        let mut out = [0; 64];
        let (digest, _) = out.split_at_mut(32);
        digest.copy_from_slice(Sha256Digest::of(key_pem).as_bytes());
        Self(out)
    }

    /// The report data that binds a key and answers a challenge of the service: SHA-256 of the PEM text, then SHA-256 of the
    /// challenge (attestation specification, section 4.3).
    pub fn answering(key_pem: &[u8], challenge: &[u8]) -> Self {
        let Self(mut out) = Self::binding(key_pem);
        let (_, answer) = out.split_at_mut(32);
        answer.copy_from_slice(Sha256Digest::of(challenge).as_bytes());
        Self(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_of_the_right_length_is_read() {
        let text = "ab".repeat(32);
        assert_eq!(text.parse::<HostData>().unwrap().to_string(), text);
        assert!(text.to_uppercase().parse::<HostData>().is_err());
        assert!(text[1..].parse::<HostData>().is_err());
        assert!(format!("{text}00").parse::<HostData>().is_err());
    }
}
