//! Bytes of rows as people and programs read them.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads JSON of a form; `None` for anything else. Rows are what somebody wrote: a reader of a ledger goes on.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

/// Bytes as text where they are text, else in hexadecimal.
#[must_use]
pub fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) => text.to_owned(),
        _ => format!("0x{}", hex::encode(bytes)),
    }
}

/// A value as JSON: itself where it is JSON, else as text.
#[must_use]
pub fn shown(value: &[u8]) -> Value {
    read(value).unwrap_or_else(|| Value::String(readable(value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_are_shown_as_text_or_in_hexadecimal() {
        assert_eq!(readable(b"abc\n"), "abc\n");
        assert_eq!(readable(&[0; 8]), "0x0000000000000000");
        assert_eq!(readable(&[0xff]), "0xff");
    }

    #[test]
    fn values_are_shown_as_what_they_are() {
        assert_eq!(shown(b"{\"a\": 1}"), json!({ "a": 1 }));
        assert_eq!(shown(b"-----BEGIN"), json!("-----BEGIN"));
        assert_eq!(shown(&[0xff]), json!("0xff"));
    }
}
