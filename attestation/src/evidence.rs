//! Evidence as it arrives: bytes nobody has looked at yet.

use base64::{
    Engine, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::Value;

use crate::error::{Check, EvidenceError};

/// Untrusted evidence of a confidential container group (platform `snp-caci`).
///
/// It becomes [`VerifiedEvidence`](crate::VerifiedEvidence) by [`Verifier::verify`](crate::Verifier::verify) and in no other way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The attestation report, 1184 bytes.
    pub report: Vec<u8>,
    /// PEM text of the VCEK, ASK and ARK certificates, in this order.
    pub endorsements: Vec<u8>,
    /// COSE_Sign1 statement about the utility VM.
    pub uvm_endorsements: Option<Vec<u8>>,
    /// The TCB for which the endorsements were fetched, 16 hexadecimal digits in either case.
    pub endorsed_tcb: Option<String>,
}

impl Evidence {
    /// Reads the `attestation` member of a request.
    ///
    /// ```cddl
    /// attestation = {
    ///   evidence: tstr,              ; base64 of the report
    ///   endorsements: tstr,          ; base64 of the PEM text
    ///   ? uvm_endorsements: tstr,    ; base64 of the COSE_Sign1
    ///   ? endorsed_tcb: tstr,        ; 16 hexadecimal digits
    ///   * tstr => any
    /// }
    /// ```
    ///
    /// Base64 is the standard alphabet, padded, without white space, unused bits zero (attestation specification, section 2.8).
    ///
    /// # Errors
    /// Checks REQ-01 to REQ-04, class `MalformedRequest`.
    pub fn from_request(attestation: &Value) -> Result<Self, EvidenceError> {
        let members = attestation.as_object().ok_or_else(|| {
            EvidenceError::new(Check::Req01, kind(attestation), "attestation: an object")
        })?;
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(other) => Err(EvidenceError::new(
                Check::Req01,
                kind(other),
                format_args!("{name}: a string"),
            )),
        };
        let required = |name: &str| {
            text(name)?.ok_or_else(|| {
                EvidenceError::new(Check::Req01, "nothing", format_args!("{name}: a string"))
            })
        };
        let evidence = Self {
            report: decode("evidence", required("evidence")?, EVIDENCE_CHARS)?,
            endorsements: decode(
                "endorsements",
                required("endorsements")?,
                ENDORSEMENTS_CHARS,
            )?,
            uvm_endorsements: text("uvm_endorsements")?
                .map(|t| decode("uvm_endorsements", t, UVM_CHARS))
                .transpose()?,
            endorsed_tcb: text("endorsed_tcb")?.map(str::to_owned),
        };
        evidence.endorsed_tcb_bytes()?;
        Ok(evidence)
    }

    /// The `attestation` member of a request, as [`from_request`](Self::from_request) reads it. For clients.
    pub fn to_request(&self) -> Value {
        let mut members = serde_json::Map::new();
        let mut put =
            |name: &str, text: String| members.insert(name.to_owned(), Value::String(text));
        put("evidence", BASE64.encode(&self.report));
        put("endorsements", BASE64.encode(&self.endorsements));
        if let Some(uvm) = &self.uvm_endorsements {
            put("uvm_endorsements", BASE64.encode(uvm));
        }
        if let Some(tcb) = &self.endorsed_tcb {
            put("endorsed_tcb", tcb.clone());
        }
        Value::Object(members)
    }

    /// SHA-256 over all parts, each with its length. Identifies these bytes, not the platform: a signature has more than one
    /// valid spelling.
    pub fn digest(&self) -> [u8; 32] {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        let mut part = |bytes: Option<&[u8]>| {
            context.update(&[u8::from(bytes.is_some())]);
            let bytes = bytes.unwrap_or_default();
            context.update(&(bytes.len() as u64).to_le_bytes());
            context.update(bytes);
        };
        part(Some(&self.report));
        part(Some(&self.endorsements));
        part(self.uvm_endorsements.as_deref());
        part(self.endorsed_tcb.as_deref().map(str::as_bytes));
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        out
    }

    /// The endorsed TCB as a big-endian number.
    pub(crate) fn endorsed_tcb_bytes(&self) -> Result<Option<[u8; 8]>, EvidenceError> {
        let Some(text) = &self.endorsed_tcb else {
            return Ok(None);
        };
        let mut out = [0; 8];
        hex::decode_to_slice(text, &mut out)
            .map_err(|_| EvidenceError::new(Check::Req04, text, "16 hexadecimal digits"))?;
        Ok(Some(out))
    }
}

/// Exactly the base64 length of a report.
const EVIDENCE_CHARS: usize = 1580;
const ENDORSEMENTS_CHARS: usize = 22 * 1024;
const UVM_CHARS: usize = 44 * 1024;

/// Standard alphabet; padding required; unused bits must be zero. The defaults of the engine say so, this states it.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new());

fn decode(name: &str, text: &str, limit: usize) -> Result<Vec<u8>, EvidenceError> {
    if text.len() > limit {
        return Err(EvidenceError::new(
            Check::Req03,
            format_args!("{name}: {} characters", text.len()),
            format_args!("at most {limit}"),
        ));
    }
    BASE64.decode(text).map_err(|error| {
        EvidenceError::new(
            Check::Req02,
            format_args!("{name}: {error}"),
            "canonical standard base64",
        )
    })
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
