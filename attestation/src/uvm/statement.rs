//! The two forms of the statement.
//!
//! ```cddl
//! legacy-header = { 3: "application/json", iss: tstr, feed: tstr, ? signingtime: #6.1(int), * label => any }
//! cwt-header = { 15: { 1: tstr, 2: tstr, ? 6: int / #6.1(int), "svn": uint, * label => any },
//!                258: -43, 259: "application/octet-stream", * label => any }
//! ```
//!
//! Legacy payload: JSON with `x-ms-sevsnpvm-launchmeasurement` (96 lower-case digits), `x-ms-sevsnpvm-guestsvn` (decimal text or
//! number) and optionally `x-ms-sevsnpvm-guestsvn-int`. CWT payload: the 48 bytes of the measurement.

use ciborium::Value;

use super::{
    UvmForm,
    cose::{Envelope, Map, get, integer, label},
};
use crate::{
    bytes::Measurement,
    error::{Check, EvidenceError},
    json,
    time::UnixTime,
};

/// What the protected header says, in either form.
pub(super) struct Header {
    pub(super) form: UvmForm,
    pub(super) did: String,
    pub(super) feed: String,
    pub(super) signing_time: Option<UnixTime>,
    /// The SVN of the CWT form, not yet looked at.
    svn: Option<Value>,
}

impl Header {
    /// UVM-09: one of the two forms, whole, and nothing of the other.
    pub(super) fn read(envelope: &Envelope) -> Result<Self, EvidenceError> {
        let header = &envelope.protected;
        let found = if get(header, label::CWT_CLAIMS).is_some() {
            cwt(header)
        } else {
            legacy(header)
        };
        found.ok_or_else(|| {
            EvidenceError::new(Check::Uvm09, "neither form", "the legacy or the CWT form")
        })
    }

    /// UVM-17: measurement and SVN. Call only after the signature holds.
    pub(super) fn statement(
        &self,
        envelope: &Envelope,
    ) -> Result<(Measurement, u64), EvidenceError> {
        let error =
            |got: &str| EvidenceError::new(Check::Uvm17, got, "one measurement and one SVN");
        match self.form {
            UvmForm::Legacy => legacy_statement(&envelope.payload).map_err(error),
            UvmForm::Cwt => {
                let measurement: [u8; 48] = envelope
                    .payload
                    .as_slice()
                    .try_into()
                    .map_err(|_| error("a payload that is not 48 bytes"))?;
                let svn = self
                    .svn
                    .as_ref()
                    .and_then(integer)
                    .and_then(|n| u64::try_from(n).ok());
                Ok((
                    measurement.into(),
                    svn.ok_or_else(|| error("an SVN that is not a non-negative integer"))?,
                ))
            }
        }
    }
}

fn legacy(header: &Map) -> Option<Header> {
    let foreign =
        get(header, label::PAYLOAD_HASH).is_some() || get(header, label::PREIMAGE_TYPE).is_some();
    if foreign || get(header, label::CONTENT_TYPE)?.as_text()? != "application/json" {
        return None;
    }
    let signing_time = match get(header, label::SIGNING_TIME) {
        None => None,
        Some(Value::Tag(1, time)) => Some(seconds(time)?),
        Some(_) => return None,
    };
    Some(Header {
        form: UvmForm::Legacy,
        did: get(header, label::ISSUER)?.as_text()?.to_owned(),
        feed: get(header, label::FEED)?.as_text()?.to_owned(),
        signing_time,
        svn: None,
    })
}

/// Labels inside of the CWT claims (RFC 8392).
const CWT_ISSUER: i64 = 1;
const CWT_SUBJECT: i64 = 2;
const CWT_ISSUED_AT: i64 = 6;

/// SHA-384, as the algorithm of a payload hash.
const SHA_384: i128 = -43;

fn cwt(header: &Map) -> Option<Header> {
    let foreign = get(header, label::ISSUER).is_some() || get(header, label::FEED).is_some();
    let Some(Value::Map(claims)) = get(header, label::CWT_CLAIMS) else {
        return None;
    };
    if foreign
        || get(header, label::PAYLOAD_HASH).and_then(integer)? != SHA_384
        || get(header, label::PREIMAGE_TYPE)?.as_text()? != "application/octet-stream"
    {
        return None;
    }
    let signing_time = match get(claims, CWT_ISSUED_AT) {
        None => None,
        // RFC 8392 has no tag here; the issuer in use writes one.
        Some(Value::Tag(1, time)) => Some(seconds(time)?),
        Some(time) => Some(seconds(time)?),
    };
    Some(Header {
        form: UvmForm::Cwt,
        did: get(claims, CWT_ISSUER)?.as_text()?.to_owned(),
        feed: get(claims, CWT_SUBJECT)?.as_text()?.to_owned(),
        signing_time,
        svn: get(claims, "svn").cloned(),
    })
}

fn seconds(value: &Value) -> Option<UnixTime> {
    integer(value)
        .and_then(|n| i64::try_from(n).ok())
        .map(UnixTime::from_secs)
}

fn legacy_statement(payload: &[u8]) -> Result<(Measurement, u64), &'static str> {
    let payload =
        json::decode(payload).map_err(|_| "a payload that is not JSON, or repeats a member")?;
    let member = |name: &str| payload.as_object().and_then(|members| members.get(name));
    let measurement = member("x-ms-sevsnpvm-launchmeasurement")
        .and_then(|v| v.as_str())
        .and_then(|text| text.parse().ok())
        .ok_or("a measurement that is not 96 lower-case digits")?;
    let svn = match member("x-ms-sevsnpvm-guestsvn") {
        Some(serde_json::Value::String(text)) => decimal(text),
        Some(serde_json::Value::Number(number)) => number.as_u64(),
        _ => None,
    }
    .ok_or("an SVN that is not a non-negative decimal number")?;
    match member("x-ms-sevsnpvm-guestsvn-int") {
        None => {}
        Some(again) if again.as_u64() == Some(svn) => {}
        Some(_) => return Err("two different SVNs"),
    }
    Ok((measurement, svn))
}

/// Digits only, no leading zeros.
fn decimal(text: &str) -> Option<u64> {
    let canonical = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(rest: &str) -> Result<(Measurement, u64), &'static str> {
        let measurement = "0a".repeat(48);
        legacy_statement(
            format!(r#"{{"x-ms-sevsnpvm-launchmeasurement":"{measurement}"{rest}}}"#).as_bytes(),
        )
    }

    #[test]
    fn svn_is_a_canonical_number() {
        for (rest, svn) in [
            (r#","x-ms-sevsnpvm-guestsvn":"103""#, 103),
            (r#","x-ms-sevsnpvm-guestsvn":103"#, 103),
            (r#","x-ms-sevsnpvm-guestsvn":"0","other":[1]"#, 0),
            (
                r#","x-ms-sevsnpvm-guestsvn":"103","x-ms-sevsnpvm-guestsvn-int":103"#,
                103,
            ),
        ] {
            assert_eq!(payload(rest).map(|(_, svn)| svn), Ok(svn), "{rest}");
        }
        for rest in [
            "",
            r#","x-ms-sevsnpvm-guestsvn":"""#,
            r#","x-ms-sevsnpvm-guestsvn":"0103""#,
            r#","x-ms-sevsnpvm-guestsvn":"103abc""#,
            r#","x-ms-sevsnpvm-guestsvn":" 103""#,
            r#","x-ms-sevsnpvm-guestsvn":"+103""#,
            r#","x-ms-sevsnpvm-guestsvn":"-1""#,
            r#","x-ms-sevsnpvm-guestsvn":"1.0""#,
            r#","x-ms-sevsnpvm-guestsvn":"99999999999999999999""#,
            r#","x-ms-sevsnpvm-guestsvn":103.0"#,
            r#","x-ms-sevsnpvm-guestsvn":-103"#,
            r#","x-ms-sevsnpvm-guestsvn":true"#,
            r#","x-ms-sevsnpvm-guestsvn":null"#,
            r#","x-ms-sevsnpvm-guestsvn":"103","x-ms-sevsnpvm-guestsvn":"103""#,
            r#","x-ms-sevsnpvm-guestsvn":"103","x-ms-sevsnpvm-guestsvn-int":104"#,
            r#","x-ms-sevsnpvm-guestsvn":"103","x-ms-sevsnpvm-guestsvn-int":"103""#,
        ] {
            assert!(payload(rest).is_err(), "{rest}");
        }
    }
}
