//! Reading members of a request: types, sizes, strict base64.

use base64::{
    Engine, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Map, Value};

use crate::error::{Check, EvidenceError};

/// The members of an object.
pub(crate) struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    /// REQ-01: `value` is an object.
    pub(crate) fn of(name: &str, value: &'a Value) -> Result<Self, EvidenceError> {
        value.as_object().map(Self).ok_or_else(|| {
            EvidenceError::new(Check::Req01, kind(value), format_args!("{name}: an object"))
        })
    }

    /// Any member; null if it is absent.
    pub(crate) fn get(&self, name: &str) -> &'a Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    /// REQ-01: a member that is a string if it is there.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, EvidenceError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(EvidenceError::new(
                Check::Req01,
                kind(other),
                format_args!("{name}: a string"),
            )),
        }
    }

    /// REQ-01: a string that is there.
    pub(crate) fn required(&self, name: &str) -> Result<&'a str, EvidenceError> {
        self.text(name)?.ok_or_else(|| {
            EvidenceError::new(Check::Req01, "nothing", format_args!("{name}: a string"))
        })
    }
}

/// Standard alphabet; padding required; unused bits must be zero. The defaults of the engine say so, this states it.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new());

/// REQ-02 and REQ-03: `limit` is in characters.
pub(crate) fn decode(name: &str, text: &str, limit: usize) -> Result<Vec<u8>, EvidenceError> {
    if text.len() > limit {
        return Err(too_long(name, text, limit));
    }
    BASE64.decode(text).map_err(|error| {
        EvidenceError::new(
            Check::Req02,
            format_args!("{name}: {error}"),
            "canonical standard base64",
        )
    })
}

/// REQ-03.
pub(crate) fn too_long(name: &str, text: &str, limit: usize) -> EvidenceError {
    EvidenceError::new(
        Check::Req03,
        format_args!("{name}: {} characters", text.len()),
        format_args!("at most {limit}"),
    )
}

/// As [`decode`] reads it.
pub(crate) fn encode(bytes: &[u8]) -> Value {
    Value::String(BASE64.encode(bytes))
}

/// SHA-256 over parts, each with its length; an absent part differs from an empty one.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = Option<&'a [u8]>>) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for bytes in parts {
        context.update(&[u8::from(bytes.is_some())]);
        let bytes = bytes.unwrap_or_default();
        context.update(&(bytes.len() as u64).to_le_bytes());
        context.update(bytes);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// The JSON type of a value, for error messages.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
