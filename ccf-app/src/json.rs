//! What counts as given.

use serde_json::Value;
use serde_json::value::RawValue;

/// Whether a member is there. Existing clients are used to absent, `null`, `false`, `0` and `""` all meaning absent.
pub(crate) fn given(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}

/// The same for a value that is kept as it was sent.
pub(crate) fn given_raw(value: &RawValue) -> bool {
    match value.get().as_bytes().first() {
        Some(b'{' | b'[') => true,
        _ => serde_json::from_str(value.get()).is_ok_and(|value| given(&value)),
    }
}

/// Whether two JSON texts say the same.
pub(crate) fn same(a: Option<&RawValue>, b: Option<&RawValue>) -> bool {
    let read = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
    match (a.and_then(read), b.and_then(read)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_values_count_as_absent() {
        for text in ["null", "false", "0", "-0.0", "0e5", "\"\""] {
            let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
            assert!(!given_raw(&raw), "{text}");
        }
        for text in ["true", "1", "\" \"", "[]", "{}"] {
            let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
            assert!(given_raw(&raw), "{text}");
        }
    }
}
