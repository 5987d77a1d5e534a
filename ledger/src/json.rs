//! How framework tables encode their rows (ledger format, section 6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Canonical JSON: compact, object keys in byte order, non-ASCII kept as UTF-8, `/` not escaped.
///
/// # Errors
/// When the value has no JSON form (a map with keys that are not text): a bug of the caller.
pub fn canonical<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    // `serde_json::Value` keeps objects as ordered maps, which sorts the fields of structs too.
    serde_json::to_vec(&serde_json::to_value(value)?)
}

/// True when `bytes` are JSON in exactly the form [`canonical`] gives.
#[must_use]
pub fn is_canonical(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes)
        .and_then(|value| serde_json::to_vec(&value))
        .is_ok_and(|again| again == bytes)
}

/// Bytes that are standard base64 with padding in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode_base64(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode_base64(&text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    STANDARD.decode(text)
}

/// The key of a row indexed by an integer: 8 bytes, little-endian.
#[must_use]
pub const fn integer_key(value: u64) -> [u8; 8] {
    value.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_rules() {
        #[derive(Serialize)]
        struct Row {
            z: u8,
            a: &'static str,
            bytes: Base64,
        }
        let row = Row {
            z: 1,
            a: "/\u{e9}\u{1}\n\u{7f}",
            bytes: Base64(vec![0xff, 0xfe]),
        };
        let text = canonical(&row).unwrap();
        assert_eq!(
            text,
            "{\"a\":\"/\u{e9}\\u0001\\n\u{7f}\",\"bytes\":\"//4=\",\"z\":1}".as_bytes()
        );
        assert!(is_canonical(&text));
        assert!(!is_canonical(b"{\"z\":1,\"a\":2}"));
        assert!(!is_canonical(b"{ \"a\":2}"));
    }
}
