//! The attested request envelope: evidence, the key bound in it, and a signed payload.
//!
//! ```cddl
//! envelope = {
//!   ? platform: tstr / null,               ; "snp-caci" if absent or empty
//!   attestation: { * tstr => any },
//!   ? encrypt: { publicKey: tstr },        ; base64 of the PEM text of an RSA key
//!   ? sign: { publicKey: tstr, signature: tstr },
//!   ? data: tstr,                          ; base64 of the signed bytes
//!   * tstr => any
//! }
//! ```
//!
//! Base64 is read as existing clients may send it: both alphabets, padding and other characters ignored.
//!
//! The report data must be the SHA-256 of the PEM text behind `encrypt.publicKey`, and `sign.publicKey` must be the same text:
//! evidence and public key of a clean room are no secret, so a payload signed with any other key could come from anybody.

use std::sync::Arc;

use attestation::{
    AppraisalError, AppraisedClaims, Check, ClaimMismatch, Evidence, EvidenceError, Policies,
    SignatureError, UnixTime, VerifiedEvidence,
};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ccf_rs::{Context, Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::App;
use crate::json::given;
use crate::platform;
use crate::policies::{ContractPolicy, Source};

/// An envelope as it arrived.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Envelope {
    /// `snp-caci`, also when absent or empty.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    platform: Value,
    /// The evidence; its form depends on the platform.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    attestation: Value,
    /// The attested key: what is released is wrapped to it.
    #[serde(default)]
    #[schemars(with = "Option<PublicKey>")]
    encrypt: Value,
    /// For signed requests: the attested key again, and its signature over the bytes of `data`.
    #[serde(default)]
    #[schemars(with = "Option<Signed>")]
    sign: Value,
    /// For signed requests: base64 of the JSON payload.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    data: Value,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[allow(dead_code, reason = "its schema is used")]
struct PublicKey {
    /// Base64 of the PEM text of an RSA key of 2048 to 4096 bits.
    public_key: String,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[allow(dead_code, reason = "its schema is used")]
struct Signed {
    /// Base64 of the PEM text, the same as in `encrypt`.
    public_key: String,
    /// Base64 of the signature: RSASSA-PSS, SHA-256, salt 32.
    signature: String,
}

/// How evidence is refused that releases nothing.
pub(crate) const EVIDENCE_REFUSALS: [(u16, &str); 3] = [
    (400, "AttestationMissing"),
    (400, "UnsupportedPlatform"),
    (400, FAILED),
];

/// How a signed request is refused.
pub(crate) const SIGNED_REFUSALS: [(u16, &str); 6] = [
    (400, "AttestationMissing"),
    (400, "UnsupportedPlatform"),
    (400, FAILED),
    (400, "ReportDataMismatch"),
    (400, "SignatureMismatch"),
    (409, "RequestReplayed"),
];

/// A payload and its signature.
pub(crate) struct SignedPayload {
    pub(crate) data: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl Envelope {
    /// Reads the request's body.
    ///
    /// # Errors
    /// 400 `InvalidInput` when it is no JSON object.
    pub(crate) fn from_body<C: Context>(ctx: &C) -> Result<Self> {
        ctx.json()
    }

    /// # Errors
    /// 400 `AttestationMissing`.
    pub(crate) fn require_attestation(&self) -> Result<()> {
        require(
            &self.attestation,
            "AttestationMissing",
            "The request has no attestation.",
        )
    }

    /// # Errors
    /// 400 `EncryptionMissing`.
    pub(crate) fn require_encryption(&self) -> Result<()> {
        require(
            &self.encrypt,
            "EncryptionMissing",
            "The request has no encryption key.",
        )
    }

    /// Verifies the evidence under the governed platform policy.
    ///
    /// # Errors
    /// 400 `UnsupportedPlatform`, 400 `VerifySnpAttestationFailed` with the check in `details`.
    pub(crate) fn verify<C: Context>(
        &self,
        app: &App,
        ctx: &mut C,
    ) -> Result<Arc<VerifiedEvidence>> {
        if given(&self.platform) && self.platform.as_str() != Some(PLATFORM) {
            return Err(Error::bad_request(
                "UnsupportedPlatform",
                "Evidence of this platform is not supported.",
            )
            .with_detail(json!({ "want": [PLATFORM], "got": self.platform })));
        }
        let policy = platform::policy(app, ctx)?;
        let now =
            UnixTime::from_secs(i64::try_from(ctx.untrusted_time().as_secs()).unwrap_or(i64::MAX));
        read_evidence(&self.attestation)
            .and_then(|evidence| app.verifier.verify(&evidence, &policy, now))
            .map_err(|error| {
                Error::bad_request(FAILED, "The evidence was refused.").with_detail(json!({
                    "check": error.code(),
                    "class": error.class().as_str(),
                    "rule": error.check().rule(),
                    "got": error.got(),
                }))
            })
    }

    /// PEM text of the key to bind; empty, and so bound by no evidence, when it is absent or unreadable.
    pub(crate) fn key(&self) -> Vec<u8> {
        member(&self.encrypt, "publicKey").unwrap_or_default()
    }

    /// PEM text of the signing key, where that is the one to bind; empty as for [`Envelope::key`].
    pub(crate) fn signing_key(&self) -> Vec<u8> {
        member(&self.sign, "publicKey").unwrap_or_default()
    }

    /// Matches the policies and binds the key.
    ///
    /// # Errors
    /// See [`refusal`].
    pub(crate) fn appraise(
        &self,
        verified: &VerifiedEvidence,
        policy: &ContractPolicy,
    ) -> Result<AppraisedClaims> {
        let policies = Policies {
            contract: &policy.claims,
            delegate: None,
        };
        verified
            .appraise(&policies, &self.key())
            .map_err(|error| refusal(&error, policy))
    }

    /// The payload, signed by the attested key.
    ///
    /// # Errors
    /// 400 `SignatureMismatch`; 400 `ReportDataMismatch` when the signing key is not the attested one.
    pub(crate) fn signed_payload(&self, claims: &AppraisedClaims) -> Result<SignedPayload> {
        let payload = self.unverified_payload()?;
        let SignedPayload { data, signature } = &payload;
        match claims.verify_signature(&self.signing_key(), data, signature) {
            Ok(()) => Ok(payload),
            Err(error @ SignatureError::AttestedKeyMismatch) => Err(Error::bad_request(
                "ReportDataMismatch",
                "The signing key is not the attested key.",
            )
            .with_detail(detail(error.check()))),
            Err(error) => Err(signature_mismatch(Some(error.check()))),
        }
    }

    /// The payload and its signature as they were sent: nothing is verified.
    ///
    /// # Errors
    /// 400 `SignatureMismatch` when a part is absent or unreadable.
    pub(crate) fn unverified_payload(&self) -> Result<SignedPayload> {
        let mismatch = || signature_mismatch(None);
        member(&self.sign, "publicKey").ok_or_else(mismatch)?;
        Ok(SignedPayload {
            signature: member(&self.sign, "signature").ok_or_else(mismatch)?,
            data: self.data.as_str().and_then(decode).ok_or_else(mismatch)?,
        })
    }
}

/// The answer to a payload without a signature by the key that is to sign it.
pub(crate) fn signature_mismatch(check: Option<Check>) -> Error {
    let error = Error::bad_request(
        "SignatureMismatch",
        "The payload is not signed by the key that is to sign it.",
    );
    match check {
        Some(check) => error.with_detail(detail(check)),
        None => error,
    }
}

impl SignedPayload {
    /// The payload as JSON.
    ///
    /// # Errors
    /// 400 with `code`.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, code: &'static str) -> Result<T> {
        serde_json::from_slice(&self.data).map_err(|e| {
            Error::bad_request(
                code,
                format!(
                    "The payload does not have the expected form: {:?} error at line {} column {}",
                    e.classify(),
                    e.line(),
                    e.column()
                ),
            )
        })
    }
}

/// The answer to evidence that does not meet the policy, or does not bind the key: what was expected, what was presented, and
/// which proposal set it.
pub(crate) fn refusal(error: &AppraisalError, policy: &ContractPolicy) -> Error {
    let check = error.check();
    let base = match check {
        Check::Key01 => Error::bad_request(
            "ReportDataMismatch",
            "The evidence does not bind the key in the request.",
        ),
        Check::Key02 => Error::bad_request(
            "InvalidInput",
            "The bound key is not an RSA key of 2048 to 4096 bits.",
        ),
        _ => Error::bad_request(FAILED, "The evidence does not meet the policy."),
    };
    let mut detail = detail(check);
    match error {
        AppraisalError::ClaimsMismatch { contract, delegate } => {
            detail["mismatches"] = mismatches(contract);
            if let Some(delegate) = delegate {
                detail["delegateMismatches"] = mismatches(delegate);
            }
        }
        AppraisalError::ReportDataMismatch { got, want } => {
            detail["got"] = json!(got);
            detail["want"] = json!(format!("{want}{}", "00".repeat(32)));
        }
        AppraisalError::UnusableKey(error) => detail["got"] = json!(error.got),
        AppraisalError::PolicyMissing => {}
    }
    let Source {
        version,
        proposal_id,
    } = &policy.source;
    if let Some(version) = version {
        detail["policyVersion"] = json!(version);
    }
    if let Some(proposal) = proposal_id {
        detail["proposalId"] = json!(proposal);
    }
    base.with_detail(detail)
}

/// The only platform whose evidence is verified.
pub(crate) const PLATFORM: &str = "snp-caci";
const FAILED: &str = "VerifySnpAttestationFailed";

/// More accepted values than this are not repeated to a caller.
const SHOWN_VALUES: usize = 8;

fn mismatches(list: &[ClaimMismatch]) -> Value {
    list.iter()
        .map(|m| {
            json!({
                "claim": m.claim,
                "got": m.got,
                "want": m.want.iter().take(SHOWN_VALUES).collect::<Vec<_>>(),
            })
        })
        .collect()
}

fn detail(check: Check) -> Value {
    json!({ "check": check.code(), "class": check.class().as_str(), "rule": check.rule() })
}

fn require(value: &Value, code: &'static str, message: &str) -> Result<()> {
    if given(value) {
        Ok(())
    } else {
        Err(Error::bad_request(code, message))
    }
}

fn member(object: &Value, name: &str) -> Option<Vec<u8>> {
    decode(object.get(name)?.as_str()?)
}

/// The strict reader first; what it refuses for its base64 alone is spelled canonically and read again.
fn read_evidence(attestation: &Value) -> Result<Evidence, EvidenceError> {
    let strict = Evidence::from_request(attestation);
    match &strict {
        Err(error) if matches!(error.check(), Check::Req02 | Check::Req03) => {}
        _ => return strict,
    }
    let mut canonical = attestation.clone();
    for name in ["evidence", "endorsements", "uvm_endorsements"] {
        let Some(Value::String(text)) = canonical.get_mut(name) else {
            continue;
        };
        if text.len() > LONGEST {
            return strict;
        }
        match decode(text) {
            Some(bytes) => *text = base64::engine::general_purpose::STANDARD.encode(bytes),
            None => return strict,
        }
    }
    Evidence::from_request(&canonical)
}

/// Longest text that is worth spelling anew; twice what the strict reader accepts at most.
const LONGEST: usize = 96 * 1024;

/// Base64 in either alphabet; other characters, padding included, are dropped. `None` when one character is left over.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .bytes()
        .filter_map(|byte| match byte {
            b'-' => Some(b'+'),
            b'_' => Some(b'/'),
            b'+' | b'/' => Some(byte),
            _ => byte.is_ascii_alphanumeric().then_some(byte),
        })
        .collect();
    LENIENT.decode(digits).ok()
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_clients_send_it() {
        for text in ["+/+/YQ==", "-_-_YQ", "+/ +/\nYQ=", "=+/+/YR"] {
            assert_eq!(
                decode(text).as_deref(),
                Some(&b"\xfb\xff\xbfa"[..]),
                "{text}"
            );
        }
        assert_eq!(decode("%%%").as_deref(), Some(&b""[..]));
        assert_eq!(decode("AAAAA"), None);
    }
}
