//! The attested request envelope: evidence, the key bound in it, and a signed payload.
//!
//! ```cddl
//! envelope = {
//!   ? platform: tstr / null,               ; "snp-caci" if absent or empty, or "snp-cvm"
//!   attestation: { * tstr => any },
//!   ? encrypt: { publicKey: tstr },        ; base64 of the PEM text of an RSA key
//!   ? sign: { publicKey: tstr, signature: tstr },
//!   ? data: tstr,                          ; base64 of the signed bytes
//!   ? challenge: tstr,                     ; see `freshness`
//!   ? request: { issuedAt: tstr, signature: tstr },
//!   * tstr => any
//! }
//! ```
//!
//! Base64 is read as existing clients may send it: both alphabets, padding and other characters ignored.
//!
//! The report data (of a confidential VM: the user data) must be the SHA-256 of the PEM text behind `encrypt.publicKey`, and `sign.publicKey` must be the same text:
//! evidence and public key of a clean room are no secret, so a payload signed with any other key could come from anybody.

use std::sync::Arc;

use attestation::{
    AppraisalError, AppraisedClaims, Check, ClaimMismatch, ClaimPolicy, Family, Policies,
    QuoteNonce, Sha256Digest, SignatureError, UnixTime, VerifiedEvidence,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{Context, Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::App;
use crate::evidence::{Presented, decode};
use crate::freshness;
use crate::governed;
use crate::ids::ContractId;
use crate::json::given;
use crate::platform;
use crate::policies::{ContractPolicy, Source};

/// An envelope as it arrived.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Envelope {
    /// `snp-caci`, also when absent or empty; or `snp-cvm`.
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
    /// Of events only: milliseconds since 1970, up to 13 digits. Outside the signature of the payload.
    #[serde(default)]
    pub(crate) timestamp: Value,
    /// A challenge of this service, which the evidence answers.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    challenge: Value,
    /// A signature over the request itself.
    #[serde(default)]
    #[schemars(with = "Option<freshness::SignedRequest>")]
    request: Value,
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
pub(crate) const EVIDENCE_REFUSALS: [(u16, &str); 5] = [
    (400, "AttestationMissing"),
    (400, "UnsupportedPlatform"),
    (400, FAILED),
    (400, "ChallengeMissing"),
    (400, "ChallengeInvalid"),
];

/// How a signed request is refused.
pub(crate) const SIGNED_REFUSALS: [(u16, &str); 11] = [
    (400, "AttestationMissing"),
    (400, "UnsupportedPlatform"),
    (400, FAILED),
    (400, "ReportDataMismatch"),
    (400, "SignatureMismatch"),
    (400, "ChallengeMissing"),
    (400, "ChallengeInvalid"),
    (400, "RequestSignatureMissing"),
    (400, "RequestSignatureInvalid"),
    (400, "RequestExpired"),
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

    /// The same request whose payload came in a member of its own.
    pub(crate) fn with_payload(self, payload: &[u8]) -> Self {
        Self {
            data: STANDARD.encode(payload).into(),
            ..self
        }
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

    /// # Errors
    /// 400 `SignatureMissing`.
    pub(crate) fn require_signature(&self) -> Result<()> {
        require(
            &self.sign,
            "SignatureMissing",
            "The request has no signature.",
        )
    }

    /// Verifies the evidence under the governed platform policy. The quote of a confidential VM must have been made for the key that
    /// it binds, unless members of the contract in the path said otherwise.
    ///
    /// # Errors
    /// 400 `UnsupportedPlatform`, 400 `ChallengeMissing`, 400 `ChallengeInvalid`, 400 `VerifySnpAttestationFailed` with the check in
    /// `details`.
    pub(crate) fn verify<C: Context>(
        &self,
        app: &App,
        ctx: &mut C,
    ) -> Result<Arc<VerifiedEvidence>> {
        let family = self.family()?;
        let contract: ContractId = ctx.path("contractId")?;
        freshness::challenge(app, ctx, &contract, &self.challenge)?;
        let nonce = match self.challenge() {
            Some(challenge) => QuoteNonce::Challenge(challenge),
            None if governed::is_on(ctx, &contract, "constantQuoteNonce")? => QuoteNonce::Constant,
            None => QuoteNonce::Key,
        };
        let policy = platform::policy(app, ctx)?;
        let now =
            UnixTime::from_secs(i64::try_from(ctx.untrusted_time().as_secs()).unwrap_or(i64::MAX));
        Presented::read(family, &self.attestation)
            .and_then(|evidence| evidence.verify(&app.verifier, &policy, nonce, now))
            .map_err(|error| {
                Error::bad_request(FAILED, "The evidence was refused.").with_detail(json!({
                    "check": error.code(),
                    "class": error.class().as_str(),
                    "rule": error.check().rule(),
                    "got": error.got(),
                }))
            })
    }

    /// The kind of platform.
    fn family(&self) -> Result<Family> {
        if !given(&self.platform) {
            return Ok(Family::Caci);
        }
        let named = |family: &Family| self.platform.as_str() == Some(family.as_str());
        PLATFORMS.into_iter().find(named).ok_or_else(|| {
            Error::bad_request(
                "UnsupportedPlatform",
                "Evidence of this platform is not supported.",
            )
            .with_detail(json!({ "want": PLATFORMS, "got": self.platform }))
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

    /// SHA-256 of that text.
    pub(crate) fn key_digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.key())
    }

    fn challenge(&self) -> Option<&[u8]> {
        let challenge = Some(&self.challenge).filter(|challenge| given(challenge));
        challenge.and_then(Value::as_str).map(str::as_bytes)
    }

    /// Matches policies and binds the key, and the challenge if there is one.
    ///
    /// # Errors
    /// [`AppraisalError`], for [`refusal`].
    pub(crate) fn bind(
        &self,
        verified: &VerifiedEvidence,
        policies: &Policies<'_>,
    ) -> Result<AppraisedClaims, AppraisalError> {
        verified.appraise_answering(policies, &self.key(), self.challenge())
    }

    /// Matches the policies, binds the key, and holds the request to its own signature, if it has or needs one.
    ///
    /// # Errors
    /// See [`refusal`] and [`freshness::check_request`].
    pub(crate) fn appraise<C: Context>(
        &self,
        ctx: &mut C,
        verified: &VerifiedEvidence,
        policy: &ContractPolicy,
        delegate: Option<&ClaimPolicy>,
    ) -> Result<AppraisedClaims> {
        let policies = Policies {
            contract: &policy.claims,
            delegate,
        };
        let claims = self
            .bind(verified, &policies)
            .map_err(|error| refusal(&error, policy))?;
        let data = self.data.as_str().and_then(decode).unwrap_or_default();
        freshness::check_request(ctx, &self.request, &self.challenge, &data, &claims)?;
        Ok(claims)
    }

    /// The same for an event, where the attested key is the one that signs, nothing is encrypted, and a signature over the request covers
    /// the timestamp too: behind the payload and a line feed (H15). Whether there was such a signature.
    ///
    /// # Errors
    /// As [`Envelope::appraise`]; 400 `SignatureMismatch` for a key that cannot sign.
    pub(crate) fn appraise_event<C: Context>(
        &self,
        ctx: &mut C,
        verified: &VerifiedEvidence,
        policy: &ContractPolicy,
        delegate: Option<&ClaimPolicy>,
    ) -> Result<(AppraisedClaims, bool)> {
        let policies = Policies {
            contract: &policy.claims,
            delegate,
        };
        let claims = verified
            .appraise_answering(&policies, &self.signing_key(), self.challenge())
            .map_err(|error| match error.check() {
                Check::Key02 => signature_mismatch(Some(Check::Key02)),
                _ => refusal(&error, policy),
            })?;
        let mut data = self.data.as_str().and_then(decode).unwrap_or_default();
        data.push(b'\n');
        match &self.timestamp {
            Value::String(text) => data.extend_from_slice(text.as_bytes()),
            other => data.extend_from_slice(other.to_string().as_bytes()),
        }
        freshness::check_request(ctx, &self.request, &self.challenge, &data, &claims)?;
        Ok((claims, given(&self.request)))
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
        Check::Key01 | Check::Key07 | Check::Key08 => Error::bad_request(
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
        AppraisalError::ClaimsMismatch {
            contract, delegate, ..
        } => {
            detail["mismatches"] = mismatches(contract);
            if let Some(delegate) = delegate {
                detail["delegateMismatches"] = mismatches(delegate);
            }
        }
        AppraisalError::ReportDataMismatch { got, want } => {
            detail["got"] = json!(got);
            detail["want"] = json!(format!("{want}{}", "00".repeat(32)));
        }
        AppraisalError::UserDataMismatch { got, want } => {
            detail["got"] = json!(got);
            detail["want"] = json!(format!("{want}{}", "00".repeat(32)));
        }
        AppraisalError::UnusableKey(error) => detail["got"] = json!(error.got),
        AppraisalError::PolicyMissing
        | AppraisalError::NothingPinned
        | AppraisalError::ChallengeMismatch => {}
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

/// Platforms whose evidence is verified.
const PLATFORMS: [Family; 2] = [Family::Caci, Family::Cvm];
const FAILED: &str = "VerifySnpAttestationFailed";

/// More accepted values than this are not repeated to a caller.
const SHOWN_VALUES: usize = 8;

pub(crate) fn mismatches(list: &[ClaimMismatch]) -> Value {
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
