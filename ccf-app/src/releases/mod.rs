//! Releases: a clean room asks for a secret, a token, a certificate, a signature or a document, and is granted or denied it.
//!
//! All of them are decided here, in the same order: the evidence is verified, matched against the contract's policy or the delegate policy for this
//! purpose, bound to the caller's key; no member may have disabled the contract, and what a delegate policy hangs on must be consented to; then
//! the noun says what is handed out, or refuses. Each
//! grant, and each denial of evidence whose signatures hold, writes one [record] in the transaction of the decision itself. The claims
//! digest of that transaction is the SHA-256 of the record as stored, so its receipt proves the record.

mod denials;
mod list;
mod record;
mod strict;

use attestation::{AppraisedClaims, VerifiedEvidence};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{Endpoints, Error, Reply, Result, WriteContext};
use schemars::JsonSchema;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::App;
use crate::contracts;
use crate::delegates;
use crate::envelope::Envelope;
use crate::ids::ContractId;
use crate::options;
use crate::policies::{self, ContractPolicy, Source};
use crate::recoveries;

pub(crate) use denials::Counters;
pub(crate) use record::{Issued, IssuedCertificate, IssuedSignature, IssuedToken, Kind, Order};

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    list::endpoints(endpoints)
}

/// What a clean room asks for.
pub(crate) struct Asked<'a> {
    pub(crate) contract: &'a ContractId,
    pub(crate) kind: Kind,
    /// Which: id of a secret or document, subject of a token or certificate, digest of a payload.
    pub(crate) subject: &'a str,
    /// Type and id of the delegate policy that is an alternative to the contract's.
    pub(crate) delegate: Option<(&'a str, &'a str)>,
    /// Whether members made something of this subject. Denials of what nobody made count as one.
    pub(crate) made: fn(&mut WriteContext<'_>, &ContractId, &str) -> Result<bool>,
}

/// What is handed out.
pub(crate) struct Given {
    plaintext: Zeroizing<Vec<u8>>,
    issued: Issued,
    warnings: Vec<&'static str>,
}

impl Given {
    pub(crate) fn new(plaintext: Vec<u8>) -> Self {
        Self {
            plaintext: Zeroizing::new(plaintext),
            issued: Issued::default(),
            warnings: Vec::new(),
        }
    }

    /// What was made for this request, for the record.
    pub(crate) fn issued(mut self, issued: Issued) -> Self {
        self.issued = issued;
        self
    }

    /// What members should know of it.
    pub(crate) fn warning(mut self, warning: Option<&'static str>) -> Self {
        self.warnings.extend(warning);
        self
    }
}

/// The answer to a grant.
#[derive(Serialize, JsonSchema)]
struct Wrapped {
    /// Base64 of what was asked for, wrapped to the attested key: RSA-OAEP of an AES key, and AES key wrap with padding.
    value: String,
}

/// What all releases answer, for the OpenAPI document, beyond what is said of their own.
pub(crate) fn described(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .reply::<Wrapped>()
        .answers(202, strict::PENDING)
        .refuses(REFUSALS)
        .refuses(strict::REFUSALS)
}

/// How a request for a release is refused, whatever it asks for.
const REFUSALS: [(u16, &str); 15] = [
    (400, "AttestationMissing"),
    (400, "EncryptionMissing"),
    (400, "UnsupportedPlatform"),
    (400, "VerifySnpAttestationFailed"),
    (400, "ReportDataMismatch"),
    (400, "ChallengeMissing"),
    (400, "ChallengeInvalid"),
    (400, "RequestSignatureMissing"),
    (400, "RequestSignatureInvalid"),
    (400, "RequestExpired"),
    (403, "ContractDisabled"),
    recoveries::HELD,
    delegates::NOT_COUNTING[0],
    delegates::NOT_COUNTING[1],
    delegates::NOT_COUNTING[2],
];

/// Decides a request and answers it. To whoever proved to be agreed code, `give` hands out what `check` found; when either refuses, that is
/// a denial. What strict releases keep is handed out after `check` alone.
///
/// # Errors
/// Those of [`Envelope::verify`], and failures that are not the caller's. Denials are no errors: they are answered and recorded.
pub(crate) fn release<T>(
    app: &App,
    ctx: &mut WriteContext<'_>,
    envelope: &Envelope,
    asked: &Asked<'_>,
    check: impl FnOnce(&mut WriteContext<'_>, &AppraisedClaims) -> Result<T>,
    give: impl FnOnce(&mut WriteContext<'_>, &AppraisedClaims, T) -> Result<Given>,
) -> Result<Reply> {
    let verified = envelope.verify(app, ctx)?;
    let policy = policies::of_contract(ctx, asked.contract)?;
    let attempt = Attempt {
        asked,
        envelope,
        verified: &verified,
        policy: &policy.source,
    };
    let decided = appraise(app, ctx, &attempt, &policy).and_then(|claims| {
        let named = strict::named(ctx)?;
        // Consent may have been withdrawn since the grant.
        let found = check(ctx, &claims)?;
        if let Some(transaction) = named {
            return strict::hand_out(ctx, &attempt, transaction);
        }
        let given = give(ctx, &claims, found)?;
        let wrapped = claims
            .wrap(&given.plaintext)
            .map_err(|e| Error::Internal(e.to_string()))?;
        record::grant(app, ctx, &attempt, &claims, &given, &wrapped)?;
        if strict::applies(ctx, asked.contract)? {
            return strict::hold(ctx, &attempt, &wrapped);
        }
        Reply::json(&Wrapped {
            value: STANDARD.encode(&wrapped),
        })
    });
    match decided {
        Err(denial @ Error::Refused { .. }) => denials::deny(app, ctx, &attempt, &denial),
        decided => decided,
    }
}

/// A request that is backed by verified evidence.
struct Attempt<'a> {
    asked: &'a Asked<'a>,
    envelope: &'a Envelope,
    verified: &'a VerifiedEvidence,
    policy: &'a Source,
}

fn appraise(
    app: &App,
    ctx: &mut WriteContext<'_>,
    attempt: &Attempt<'_>,
    policy: &ContractPolicy,
) -> Result<AppraisedClaims> {
    let contract = attempt.asked.contract;
    let delegate = match attempt.asked.delegate {
        Some((kind, id)) => delegates::installed(ctx, contract, kind, id)?,
        None => None,
    };
    let delegate = delegate.as_ref();
    let claims = attempt.envelope.appraise(
        ctx,
        attempt.verified,
        policy,
        delegate.map(|delegate| &delegate.claims),
    )?;
    delegates::check_admitted(app, ctx, contract, policy, delegate, claims.alternative())?;
    if contracts::is_accepted(ctx, contract)? {
        let members = options::disabled_by(ctx, contract)?;
        if !members.is_empty() {
            return Err(options::disabled(&members));
        }
    }
    recoveries::check_not_held(ctx)?;
    Ok(claims)
}
