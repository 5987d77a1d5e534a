//! Release records: who received which secret, who was refused, and by which decision of the members.
//!
//! Each grant, and each denial of evidence whose signatures hold, writes one record in the transaction of the decision itself. The claims digest of
//! that transaction is the SHA-256 of the record as stored, so its receipt proves the record. A record never contains a secret.
//!
//! # Record
//!
//! ```cddl
//! record = {
//!   contractId: tstr, secretId: tstr,
//!   outcome: "granted" / "denied",
//!   ? reason: tstr,                ; denied: class of the check that failed, or the code of the answer
//!   ? check: tstr,                 ; denied: number of the check, such as "POL-03"
//!   ? count: uint,                 ; denied: how often so far, this time included
//!   time: uint,                    ; host's clock, ms since 1970; the operator controls it
//!   code: {
//!     platform: "snp-caci", hostData: tstr, measurement: tstr,
//!     ? uvm: { did: tstr, feed: tstr, svn: uint },
//!     evidence: tstr,              ; SHA-256 of the evidence as presented
//!     ? simulated: true            ; the roots are those of the simulated platform: it proves nothing
//!   },
//!   key: tstr,                     ; SHA-256 of the PEM text of the presented key
//!   ? alternative: "contract" / "delegate",   ; granted: which policy matched
//!   policy: { ? version: tstr, ? proposalId: tstr },
//!   ? wrapped: tstr,               ; granted: SHA-256 of the wrapped secret as sent
//!   ? warnings: [+ tstr],
//!   ? wellKnownHostData: true
//! }
//! ```
//!
//! # Repeated denials
//!
//! Whoever has any genuine evidence can be denied as often as they like. Denials are alike when contract, secret, reason and host data
//! are the same, where a contract that is not accepted and a secret that does not exist count as one; so the kinds of denials are as many as
//! what members made, not as what a caller can spell. The 1st, 2nd, 4th, 8th ... of a kind is recorded, with the count. Counting is in memory
//! and bounded; the count at the last record is stored, so that neither a restart nor a transaction that has to be run again loses a
//! record or adds many.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use attestation::{
    Alternative, AppraisedClaims, HostData, Measurement, Sha256Digest, VerifiedEvidence,
};
use ccf_rs::{
    Context, Endpoints, Error, Raw, ReadContext, Reply, Result, Table, TxId, WriteContext,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::App;
use crate::callers::{PEOPLE, registered};
use crate::contracts;
use crate::envelope::PLATFORM;
use crate::ids::{ContractId, ReleaseId, SecretId, behind, composite};
use crate::platform;
use crate::policies::Source;
use crate::secrets;

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .get("/contracts/{contractId}/releases", list)
        .auth(PEOPLE)
        .summary("List the release records of a contract, newest first")
        .get("/contracts/{contractId}/releases/{releaseId}", show)
        .auth(PEOPLE)
        .summary("Read a release record")
}

/// A request for a secret, backed by verified evidence.
pub(crate) struct Attempt<'a> {
    pub(crate) contract: &'a ContractId,
    pub(crate) secret: &'a SecretId,
    pub(crate) verified: &'a VerifiedEvidence,
    /// PEM text of the presented key.
    pub(crate) key: &'a [u8],
    pub(crate) policy: &'a Source,
}

/// Why an attempt is denied.
pub(crate) struct Denial {
    reason: &'static str,
    error: Error,
}

impl Denial {
    pub(crate) fn new(reason: &'static str, error: Error) -> Self {
        Self { reason, error }
    }

    /// Number of the check that failed, which the answer's details name.
    fn check(&self) -> Option<&str> {
        match &self.error {
            Error::Refused { details, .. } => details
                .iter()
                .find_map(|detail| detail.get("check")?.as_str()),
            _ => None,
        }
    }
}

/// Writes the record of a grant.
pub(crate) fn record_grant(
    ctx: &mut WriteContext<'_>,
    attempt: &Attempt<'_>,
    claims: &AppraisedClaims,
    wrapped: &[u8],
) -> Result<()> {
    let wrapped = Sha256Digest::of(wrapped);
    let record = Record {
        alternative: Some(claims.alternative()),
        // Wrapping is randomised, so this also tells releases of one moment apart.
        wrapped: Some(wrapped),
        ..Record::new(ctx, attempt, Outcome::Granted)
    };
    write(ctx, attempt.contract, &record, wrapped)
}

/// Answers a denial, and writes its record unless it repeats earlier ones.
pub(crate) fn record_denial(
    app: &App,
    ctx: &mut WriteContext<'_>,
    attempt: &Attempt<'_>,
    denial: &Denial,
) -> Result<Reply> {
    let reply = Reply::error(&denial.error);
    let kind = kind(ctx, attempt, denial)?;
    let recorded = ctx
        .read(&DENIALS)
        .get(&kind)?
        .map_or(0, |denied| denied.count);
    let count = app.denials.next(&kind, recorded);
    if recorded > 0 && count < recorded.saturating_mul(2) {
        return Ok(reply);
    }
    let record = Record {
        reason: Some(denial.reason),
        check: denial.check(),
        count: Some(count),
        ..Record::new(ctx, attempt, Outcome::Denied)
    };
    let unique = Sha256Digest::of(format!("{kind}{count}").as_bytes());
    write(ctx, attempt.contract, &record, unique)?;
    ctx.table(&DENIALS).put(&kind, &Denied { count })?;
    Ok(reply.keeping_writes())
}

/// How often each kind of denial happened; bounded.
#[derive(Default)]
pub(crate) struct Counters(Mutex<HashMap<String, u64>>);

impl Counters {
    /// More kinds than this are forgotten, all at once; counting then goes on from the last record.
    const KINDS: usize = 4096;

    fn next(&self, kind: &str, recorded: u64) -> u64 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= Self::KINDS && !counts.contains_key(kind) {
            counts.clear();
        }
        let count = counts.entry(kind.to_owned()).or_insert(recorded);
        *count = (*count).max(recorded).saturating_add(1);
        *count
    }
}

static RELEASES: Table<String, Vec<u8>, Raw> = Table::raw("public:cleanroom.releases");
static DENIALS: Table<String, Denied> = Table::json("public:cleanroom.denials");

#[derive(Serialize, Deserialize)]
struct Denied {
    count: u64,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Granted,
    Denied,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    contract_id: &'a str,
    secret_id: &'a str,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    time: u64,
    code: Code<'a>,
    key: Sha256Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    alternative: Option<Alternative>,
    policy: &'a Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrapped: Option<Sha256Digest>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    well_known_host_data: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Code<'a> {
    platform: &'static str,
    host_data: HostData,
    measurement: Measurement,
    #[serde(skip_serializing_if = "Option::is_none")]
    uvm: Option<Uvm<'a>>,
    evidence: Sha256Digest,
    #[serde(skip_serializing_if = "is_false")]
    simulated: bool,
}

#[derive(Serialize)]
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
        let key = Sha256Digest::of(attempt.key);
        Self {
            contract_id: attempt.contract.as_str(),
            secret_id: attempt.secret.as_str(),
            outcome,
            reason: None,
            check: None,
            count: None,
            time: u64::try_from(ctx.untrusted_time().as_millis()).unwrap_or(u64::MAX),
            code: Code {
                platform: PLATFORM,
                host_data: verified.host_data(),
                measurement: verified.report().measurement,
                uvm: verified.uvm().map(|uvm| Uvm {
                    did: &uvm.did,
                    feed: &uvm.feed,
                    svn: uvm.svn,
                }),
                evidence: verified.digest(),
                simulated: verified.is_simulated(),
            },
            key,
            alternative: None,
            policy: attempt.policy,
            wrapped: None,
            warnings: platform::warnings(verified.host_data(), key),
            well_known_host_data: platform::is_well_known(verified.host_data()),
        }
    }
}

/// Stores a record and binds its bytes to the transaction. The id is the time, counted downwards so that ascending order is newest
/// first, and half of a digest that differs between records.
fn write(
    ctx: &mut WriteContext<'_>,
    contract: &ContractId,
    record: &Record<'_>,
    unique: Sha256Digest,
) -> Result<()> {
    let bytes = serde_json::to_vec(record).map_err(|e| Error::Internal(e.to_string()))?;
    let (half, _) = unique.as_bytes().split_at(16);
    let id = format!("{:016x}{}", u64::MAX - record.time, hex::encode(half));
    ctx.table(&RELEASES).put(&key(contract, &id), &bytes)?;
    ctx.set_claims_digest(*Sha256Digest::of(&bytes).as_bytes())
}

fn key(contract: &ContractId, id: &str) -> String {
    composite(&[contract.as_str()]) + id
}

/// What makes denials alike.
fn kind<C: Context>(ctx: &mut C, attempt: &Attempt<'_>, denial: &Denial) -> Result<String> {
    let contract = if contracts::is_accepted(ctx, attempt.contract)? {
        attempt.contract.as_str()
    } else {
        ""
    };
    let secret = if secrets::exists(ctx, attempt.contract, attempt.secret)? && !contract.is_empty()
    {
        attempt.secret.as_str()
    } else {
        ""
    };
    let host_data = attempt.verified.host_data().to_string();
    Ok(composite(&[contract, secret, denial.reason, &host_data]))
}

/// Records on one page unless the caller says otherwise, and at most.
const PAGE: usize = 50;
const LONGEST_PAGE: usize = 200;
/// Records looked at for one page when only some are wanted.
const SCANNED: usize = 2000;

#[derive(Serialize)]
struct Page {
    value: Vec<Shown>,
    #[serde(rename = "nextLink", skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: String,
    transaction_id: Option<TxId>,
    /// Exactly as stored: its SHA-256 is the claims digest of the transaction.
    record: Box<RawValue>,
}

#[derive(Deserialize)]
struct OfSecret<'a> {
    #[serde(rename = "secretId", borrow)]
    secret_id: std::borrow::Cow<'a, str>,
}

/// Query, all optional: `secretId`, `limit` (1 to 200), `after` (the id of the last record seen).
fn list(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let contract: ContractId = ctx.path("contractId")?;
    let secret = ctx.query("secretId")?.filter(|text| !text.is_empty());
    let limit = match ctx.query("limit")?.as_deref() {
        None | Some("") => PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LONGEST_PAGE).contains(limit))
            .ok_or_else(|| Error::bad_request("InvalidInput", "The limit is 1 to 200."))?,
    };
    let prefix = composite(&[contract.as_str()]);
    let from = match ctx.query("after")?.filter(|text| !text.is_empty()) {
        // The next possible key.
        Some(after) => format!("{prefix}{after}\0"),
        None => prefix.clone(),
    };
    let scan = if secret.is_some() { SCANNED } else { limit };
    let entries = ctx
        .read(&RELEASES)
        .range(Some(from.as_bytes()), Some(&behind(&prefix)), scan)?;
    let mut more = entries.len() == scan;
    let mut value = Vec::new();
    let mut last = None;
    for (key, bytes) in entries {
        if value.len() == limit {
            more = true;
            break;
        }
        let id = key.strip_prefix(&prefix).unwrap_or_default().to_owned();
        last = Some(id.clone());
        let wanted = secret.as_deref().is_none_or(|want| {
            serde_json::from_slice::<OfSecret<'_>>(&bytes).is_ok_and(|r| r.secret_id == want)
        });
        if wanted {
            value.push(shown(ctx, &key, id, &bytes)?);
        }
    }
    let next_link = last.filter(|_| more).map(|last| {
        let secret = secret.map_or_else(String::new, |id| format!("&secretId={}", escape(&id)));
        format!("/app/contracts/{contract}/releases?limit={limit}{secret}&after={last}")
    });
    Reply::json(&Page { value, next_link })
}

fn show(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let contract: ContractId = ctx.path("contractId")?;
    let id: ReleaseId = ctx.path("releaseId")?;
    let key = key(&contract, id.as_str());
    match ctx.read(&RELEASES).get(&key)? {
        Some(bytes) => Reply::json(&shown(ctx, &key, id.to_string(), &bytes)?),
        None => Err(Error::not_found(
            "ReleaseNotFound",
            "There is no such release record.",
        )),
    }
}

fn shown<C: Context>(ctx: &mut C, key: &String, id: String, bytes: &[u8]) -> Result<Shown> {
    let record = serde_json::from_slice(bytes).map_err(|e| Error::Stored {
        table: RELEASES.name().to_owned(),
        reason: e.to_string(),
    })?;
    let transaction_id = match ctx.read(&RELEASES).previous_write(key)? {
        Some(seqno) => ctx.view_of(seqno)?.map(|view| TxId { view, seqno }),
        None => None,
    };
    Ok(Shown {
        id,
        transaction_id,
        record,
    })
}

/// Percent-escapes what would mean something in a query.
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
