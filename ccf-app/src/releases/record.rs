//! Release records: who received what, who was refused, and by which decision of the members. A record never contains a secret.
//!
//! ```cddl
//! record = {
//!   contractId: tstr,
//!   kind: "secret" / "token" / "certificate" / "signature" / "document",
//!   subject: tstr,                 ; id of the secret or document, subject of the token or certificate, SHA-256 of the payload
//!   outcome: "granted" / "denied",
//!   ? reason: tstr,                ; denied: class of the check that failed, or the code of the answer
//!   ? check: tstr,                 ; denied: number of the check, such as "POL-03"
//!   ? count: uint,                 ; denied: how often so far, this time included
//!   time: uint,                    ; host's clock, ms since 1970; the operator controls it
//!   code: {
//!     platform: "snp-caci" / "snp-cvm", measurement: tstr,
//!     ? hostData: tstr,            ; container groups
//!     ? uvm: { did: tstr, feed: tstr, svn: uint },
//!     ? idKey: tstr,               ; virtual machines: digest of the key that signed the paravisor
//!     ? registers: tstr,           ; virtual machines: SHA-256 of the quoted registers
//!     evidence: tstr,              ; SHA-256 of the evidence as presented
//!     ? simulated: true            ; the roots are those of the simulated platform: it proves nothing
//!   },
//!   key: tstr,                     ; SHA-256 of the PEM text of the presented key
//!   ? alternative: "contract" / "delegate",   ; granted: which policy matched
//!   policy: { ? version: tstr, ? proposalId: tstr },
//!   ? wrapped: tstr,               ; granted: SHA-256 of the wrapped plaintext as sent
//!   ? token: { kid: tstr, iss: tstr, aud: tstr, jti: tstr, exp: uint },
//!   ? certificate: {
//!     serial: tstr, subjectAlternateNames: [* tstr], notAfter: uint,
//!     publicKey: tstr,             ; SHA-256 of the SubjectPublicKeyInfo
//!     authority: tstr              ; request id of the authority's key
//!   },
//!   ? signature: { kid: tstr },
//!   ? warnings: [+ tstr],
//!   ? wellKnownHostData: true
//! }
//! ```

use std::sync::atomic::{AtomicU32, Ordering};

use attestation::{
    Alternative, AppraisedClaims, BlockKeyDigest, HostData, Measurement, Sha256Digest,
    VerifiedEvidence,
};
use ccf_rs::{Context, Error, Raw, Result, Table, WriteContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attempt, Given};
use crate::App;
use crate::ids::{ContractId, composite};
use crate::platform;
use crate::policies::Source;

/// What is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ReleaseKind")]
pub(crate) enum Kind {
    /// A secret.
    Secret,
    /// A token of the service's issuer.
    Token,
    /// A certificate of a contract's authority.
    Certificate,
    /// A signature by the service's signing key.
    Signature,
    /// An accepted document.
    Document,
}

impl Kind {
    /// As it is written.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::Signature => "signature",
            Self::Document => "document",
        }
    }
}

/// What was made for one request.
#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct Issued {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<IssuedToken>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<IssuedCertificate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signature: Option<IssuedSignature>,
}

/// A token, by its claims.
#[derive(Serialize, JsonSchema)]
pub(crate) struct IssuedToken {
    pub(crate) kid: String,
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) jti: String,
    /// Seconds since 1970.
    pub(crate) exp: u64,
}

/// A certificate.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IssuedCertificate {
    /// Hexadecimal digits.
    pub(crate) serial: String,
    pub(crate) subject_alternate_names: Vec<String>,
    /// Seconds since 1970.
    pub(crate) not_after: i64,
    /// SHA-256 of the certified key, a `SubjectPublicKeyInfo`.
    #[schemars(with = "String")]
    pub(crate) public_key: Sha256Digest,
    /// Request id of the authority's key.
    pub(crate) authority: String,
}

/// A signature.
#[derive(Serialize, JsonSchema)]
pub(crate) struct IssuedSignature {
    /// The signing key.
    pub(crate) kid: String,
}

/// Tells records of one millisecond apart by which was decided first.
#[derive(Default)]
pub(crate) struct Order(AtomicU32);

impl Order {
    /// Smaller for what comes later, until it begins anew after 2^32 records.
    fn next(&self) -> u32 {
        u32::MAX - self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Writes the record of a grant.
pub(super) fn grant(
    app: &App,
    ctx: &mut WriteContext<'_>,
    attempt: &Attempt<'_>,
    claims: &AppraisedClaims,
    given: &Given,
    wrapped: &[u8],
) -> Result<()> {
    let wrapped = Sha256Digest::of(wrapped);
    let mut record = Record {
        alternative: Some(claims.alternative()),
        // Wrapping is randomised, so this also tells releases of one moment apart.
        wrapped: Some(wrapped),
        issued: &given.issued,
        ..Record::new(ctx, attempt, Outcome::Granted)
    };
    record.warnings.extend(&given.warnings);
    write(app, ctx, attempt.asked.contract, &record, wrapped)
}

/// Writes the record of a denial, the `count`th of its sort.
pub(super) fn denial(
    app: &App,
    ctx: &mut WriteContext<'_>,
    attempt: &Attempt<'_>,
    reason: &str,
    check: Option<&str>,
    count: u64,
    unique: Sha256Digest,
) -> Result<()> {
    let record = Record {
        reason: Some(reason),
        check,
        count: Some(count),
        ..Record::new(ctx, attempt, Outcome::Denied)
    };
    write(app, ctx, attempt.asked.contract, &record, unique)
}

/// Records, by contract and then newest first.
pub(super) static RELEASES: Table<String, Vec<u8>, Raw> = Table::raw("public:cleanroom.releases");

/// Ids of records by contract, kind and subject, and then newest first. The rows are empty.
pub(super) static BY_SUBJECT: Table<String, Vec<u8>, Raw> =
    Table::raw("public:cleanroom.releases_by_subject");

/// Key of a record.
pub(super) fn key(contract: &ContractId, id: &str) -> String {
    composite(&[contract.as_str()]) + id
}

static NOTHING_ISSUED: Issued = Issued {
    token: None,
    certificate: None,
    signature: None,
};

#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ReleaseOutcome")]
enum Outcome {
    Granted,
    Denied,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ReleaseRecord")]
pub(super) struct Record<'a> {
    contract_id: &'a str,
    kind: Kind,
    /// Id of the secret or document, subject of the token or certificate, SHA-256 of the payload.
    subject: &'a str,
    outcome: Outcome,
    /// Class of the check that failed, or the code of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// Number of the check that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<&'a str>,
    /// How often so far, this time included; the 1st, 2nd, 4th, 8th ... are recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// The host's clock, milliseconds since 1970; the operator controls it.
    time: u64,
    code: Code<'a>,
    /// SHA-256 of the PEM text of the presented key.
    #[schemars(with = "String")]
    key: Sha256Digest,
    /// Which policy matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Matched>")]
    alternative: Option<Alternative>,
    policy: &'a Source,
    /// SHA-256 of the wrapped plaintext as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    wrapped: Option<Sha256Digest>,
    #[serde(flatten)]
    issued: &'a Issued,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    well_known_host_data: bool,
}

/// How [`Alternative`] is written.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", rename = "PolicyAlternative")]
#[allow(dead_code, reason = "its schema is used")]
enum Matched {
    Contract,
    Delegate,
}

/// Which code asked.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CodeIdentity")]
struct Code<'a> {
    /// `snp-caci` or `snp-cvm`.
    platform: &'static str,
    /// Of a container group: digest of the policy that the utility VM enforces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    host_data: Option<HostData>,
    #[schemars(with = "String")]
    measurement: Measurement,
    /// Of a virtual machine: digest of the key that signed the paravisor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    id_key: Option<BlockKeyDigest>,
    /// Of a virtual machine: SHA-256 of the quoted registers, one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    registers: Option<Sha256Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uvm: Option<Uvm<'a>>,
    /// SHA-256 of the evidence as presented.
    #[schemars(with = "String")]
    evidence: Sha256Digest,
    /// The roots are those of the simulated platform: it proves nothing.
    #[serde(skip_serializing_if = "is_false")]
    simulated: bool,
}

/// Who endorsed the utility VM.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UtilityVm")]
struct Uvm<'a> {
    did: &'a str,
    feed: &'a str,
    svn: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl<'a> Record<'a> {
    fn new(ctx: &mut WriteContext<'_>, attempt: &Attempt<'a>, outcome: Outcome) -> Self {
        let verified = attempt.verified;
        let key = attempt.envelope.key_digest();
        Self {
            contract_id: attempt.asked.contract.as_str(),
            kind: attempt.asked.kind,
            subject: attempt.asked.subject,
            outcome,
            reason: None,
            check: None,
            count: None,
            time: u64::try_from(ctx.untrusted_time().as_millis()).unwrap_or(u64::MAX),
            code: Code::of(verified),
            key,
            alternative: None,
            policy: attempt.policy,
            wrapped: None,
            issued: &NOTHING_ISSUED,
            warnings: platform::warnings(verified, key),
            well_known_host_data: platform::has_well_known_host_data(verified),
        }
    }
}

impl<'a> Code<'a> {
    fn of(verified: &'a VerifiedEvidence) -> Self {
        Self {
            platform: verified.family().as_str(),
            host_data: verified.vm().is_none().then(|| verified.host_data()),
            measurement: verified.report().measurement,
            id_key: verified.vm().map(|_| verified.report().id_key_digest),
            registers: verified.vm().map(|vm| vm.registers_digest()),
            uvm: verified.uvm().map(|uvm| Uvm {
                did: &uvm.did,
                feed: &uvm.feed,
                svn: uvm.svn,
            }),
            evidence: verified.digest(),
            simulated: verified.is_simulated(),
        }
    }
}

/// Stores a record and binds its bytes to the transaction. The id is the time and the order within it, both counted downwards so that
/// ascending order is newest first, and half of a digest that differs between records.
fn write(
    app: &App,
    ctx: &mut WriteContext<'_>,
    contract: &ContractId,
    record: &Record<'_>,
    unique: Sha256Digest,
) -> Result<()> {
    let bytes = serde_json::to_vec(record).map_err(|e| Error::Internal(e.to_string()))?;
    let (half, _) = unique.as_bytes().split_at(16);
    let (time, order) = (u64::MAX - record.time, app.order.next());
    let id = format!("{time:016x}{order:08x}{}", hex::encode(half));
    ctx.table(&RELEASES).put(&key(contract, &id), &bytes)?;
    let about = composite(&[contract.as_str(), record.kind.as_str(), record.subject]);
    ctx.table(&BY_SUBJECT).put(&(about + &id), &Vec::new())?;
    ctx.set_claims_digest(*Sha256Digest::of(&bytes).as_bytes())
}
