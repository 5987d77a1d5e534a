//! Evidence as it arrives: bytes nobody has looked at yet.

use serde_json::Value;

use crate::{
    error::{Check, EvidenceError},
    request::{self, Members},
};

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
        let members = Members::of("attestation", attestation)?;
        let decode = |name: &str, limit| request::decode(name, members.required(name)?, limit);
        let evidence = Self {
            report: decode("evidence", EVIDENCE_CHARS)?,
            endorsements: decode("endorsements", ENDORSEMENTS_CHARS)?,
            uvm_endorsements: members
                .text("uvm_endorsements")?
                .map(|text| request::decode("uvm_endorsements", text, UVM_CHARS))
                .transpose()?,
            endorsed_tcb: members.text("endorsed_tcb")?.map(str::to_owned),
        };
        evidence.endorsed_tcb_bytes()?;
        Ok(evidence)
    }

    /// The `attestation` member of a request, as [`from_request`](Self::from_request) reads it. For clients.
    pub fn to_request(&self) -> Value {
        let mut members = serde_json::json!({
            "evidence": request::encode(&self.report),
            "endorsements": request::encode(&self.endorsements),
        });
        if let Some(uvm) = &self.uvm_endorsements {
            members["uvm_endorsements"] = request::encode(uvm);
        }
        if let Some(tcb) = &self.endorsed_tcb {
            members["endorsed_tcb"] = tcb.as_str().into();
        }
        members
    }

    /// SHA-256 over all parts, each with its length. Identifies these bytes, not the platform: a signature has more than one
    /// valid spelling.
    pub fn digest(&self) -> [u8; 32] {
        request::digest([
            Some(self.report.as_slice()),
            Some(&self.endorsements),
            self.uvm_endorsements.as_deref(),
            self.endorsed_tcb.as_deref().map(str::as_bytes),
        ])
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
