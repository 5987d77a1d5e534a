//! Certificate authorities: each contract may have one, whose certificates go to attested clean rooms (endpoints E28 to E30).
//!
//! Governance enables an authority, may limit what it certifies (options `caDnsSuffixes` and `caMaximumDays`), and says by a request number when a
//! new key is due; any active member then has it made. Certificates of replaced keys stay readable, so that what they signed can still be verified (W13).

mod certificates;
mod names;

use attestation::{AppraisedClaims, Sha256Digest};
use ccf_rs::{Auth, Context, Endpoints, Error, ReadContext, Reply, Result, Table, WriteContext};
use rcgen::{DistinguishedName, SanType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::callers::{NOT_ACTIVE, NOT_REGISTERED, PEOPLE, active_member, registered};
use crate::envelope::{self, Envelope};
use crate::ids::{ContractId, behind, composite};
use crate::private::{self, PrivateTable, SecretText};
use crate::proposals;
use crate::releases::{self, Asked, Given, Issued, IssuedCertificate, Kind};
use crate::replays;
use certificates::{Authority, Leaf};
use names::Limits;

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .post("/contracts/{contractId}/ca/generateSigningKey", generate)
        .auth([Auth::MemberCert])
        .summary("Make the key of a contract's authority that governance asks for")
        .reply::<Generated>()
        .refuses(NOT_ACTIVE)
        .refuses([(405, "CANotEnabled")])
        .post("/contracts/{contractId}/ca/generateEndorsedCert", certify)
        .summary("Certify a key for an attested clean room")
        .body::<Envelope>()
        .describe(releases::described)
        .refuses(envelope::SIGNED_REFUSALS)
        .refuses([
            (400, "InvalidSubjectAlternateName"),
            (403, "SubjectAlternateNameNotAllowed"),
            (404, "NoCASigningKey"),
            (405, "CANotEnabled"),
            (405, "CACertificateExpired"),
        ])
        .post("/contracts/{contractId}/ca/status", status)
        .auth(PEOPLE)
        .summary("Whether a contract has an authority, and its certificates")
        .reply::<Status>()
        .refuses(NOT_REGISTERED)
}

static GOVERNED: Table<String, Governed> = Table::json("public:ccf.gov.ca");
static KEYS: PrivateTable = Table::raw("ca.signing_keys");
/// Every certificate there was, by contract and request number.
static CERTIFICATES: Table<String, AuthorityCertificate> =
    Table::json("public:cleanroom.ca_certificates");

/// What governance decided.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Governed {
    enabled: String,
    request_id: String,
}

/// A certificate of an authority.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AuthorityCertificate {
    /// The request number of governance that it answers.
    request_id: String,
    /// PEM.
    ca_cert: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredKey {
    request_id: String,
    public_key: String,
    private_key: SecretText,
    ca_cert: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyRow<'a> {
    request_id: &'a str,
    public_key: &'a str,
    private_key: &'a str,
    ca_cert: &'a str,
}

/// The request number that the newest key answers.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "GeneratedAuthority")]
struct Generated {
    request_id: String,
}

fn generate(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    active_member(ctx)?;
    let request_id = enabled(ctx, &contract)?.ok_or_else(not_enabled)?.request_id;
    let stored = stored(ctx, &contract)?;
    if stored.is_none_or(|key| key.request_id != request_id) {
        let now = ctx.untrusted_time();
        let authority = certificates::authority(now)?;
        let row = KeyRow {
            request_id: &request_id,
            public_key: &authority.public_key,
            private_key: &authority.private_key,
            ca_cert: &authority.certificate,
        };
        private::write(ctx, &KEYS, contract.as_str(), &row)?;
        let certificate = AuthorityCertificate {
            request_id: request_id.clone(),
            ca_cert: authority.certificate,
        };
        let key = composite(&[contract.as_str(), &request_id]);
        ctx.table(&CERTIFICATES).put(&key, &certificate)?;
    }
    Reply::json(&Generated { request_id })
}

/// What governance decided, if the authority is enabled.
fn enabled<C: Context>(ctx: &mut C, contract: &ContractId) -> Result<Option<Governed>> {
    let governed = ctx.read(&GOVERNED).get(&contract.to_string())?;
    Ok(governed.filter(|governed| governed.enabled == "true"))
}

fn stored<C: Context>(ctx: &mut C, contract: &ContractId) -> Result<Option<StoredKey>> {
    private::read(ctx, &KEYS, contract.as_str())
}

fn not_enabled() -> Error {
    let message = "Members have not enabled an authority for the contract.";
    Error::refused(405, "CANotEnabled", message)
}

/// The signed payload of a clean room that asks for a certificate.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CertificateRequest {
    /// PEM.
    public_key: String,
    /// `CN=name`, more parts separated by commas.
    subject_name: String,
    /// `dNSName:name` or `iPAddress:address`.
    #[serde(default)]
    subject_alternate_names: Vec<String>,
    validity_period_days: u32,
}

/// What members allow of it.
struct Allowed {
    key: StoredKey,
    request: CertificateRequest,
    subject: DistinguishedName,
    alternative_names: Vec<SanType>,
    days: u32,
    /// A warning when members limited nothing.
    not_governed: Option<&'static str>,
}

/// What is wrapped.
#[derive(Serialize)]
struct Certified<'a> {
    cert: &'a str,
}

fn certify(app: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    let envelope = Envelope::from_body(ctx)?;
    envelope.require_attestation()?;
    envelope.require_encryption()?;
    let subject = unverified_subject(&envelope);
    let asked = Asked {
        contract: &contract,
        kind: Kind::Certificate,
        subject: &subject,
        delegate: Some(("ca", "endorsed-cert")),
        made: |_, _, _| Ok(false),
    };
    let check = |ctx: &mut WriteContext<'_>, claims: &AppraisedClaims| {
        let payload = envelope.signed_payload(claims)?;
        let key = stored(ctx, &contract)?.ok_or_else(|| {
            Error::not_found("NoCASigningKey", "The contract's authority has no key.")
        })?;
        enabled(ctx, &contract)?.ok_or_else(not_enabled)?;
        let limits = Limits::of_contract(ctx, &contract)?;
        let request: CertificateRequest = payload.json("InvalidInput")?;
        // Sent again it is answered again, by a certificate for the same key; sent elsewhere it is refused.
        let signer = claims.alternative().into();
        replays::check(ctx, &contract, signer, "certificate", &payload.signature)?;
        let subject = names::subject(&request.subject_name)?;
        let alternative_names = names::alternative(&request.subject_alternate_names)?;
        let days = limits.days(request.validity_period_days)?;
        let not_governed = limits.check(&request.subject_alternate_names, &alternative_names)?;
        Ok(Allowed {
            key,
            request,
            subject,
            alternative_names,
            days,
            not_governed,
        })
    };
    let give = |ctx: &mut WriteContext<'_>, claims: &AppraisedClaims, allowed: Allowed| {
        let Allowed { key, request, .. } = allowed;
        let leaf = Leaf {
            public_key: &request.public_key,
            subject: allowed.subject,
            alternative_names: allowed.alternative_names,
            days: allowed.days,
        };
        let authority = Authority {
            certificate: &key.ca_cert,
            private_key: key.private_key.as_str(),
        };
        let made = certificates::certify(claims, &authority, leaf, ctx.untrusted_time())?;
        let issued = Issued {
            certificate: Some(IssuedCertificate {
                serial: hex::encode(made.serial),
                subject_alternate_names: request.subject_alternate_names,
                not_after: made.not_after,
                public_key: Sha256Digest::of(&made.public_key),
                authority: key.request_id,
            }),
            ..Issued::default()
        };
        let certified = serde_json::to_vec(&Certified {
            cert: &made.certificate,
        });
        let certified = certified.map_err(|e| Error::Internal(e.to_string()))?;
        Ok(Given::new(certified)
            .issued(issued)
            .warning(allowed.not_governed))
    };
    releases::release(app, ctx, &envelope, &asked, check, give)
}

/// The subject name in a payload whose signature has not been looked at, for the record; empty when there is none.
fn unverified_subject(envelope: &Envelope) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Subject {
        subject_name: String,
    }
    envelope
        .unverified_payload()
        .ok()
        .and_then(|payload| serde_json::from_slice::<Subject>(&payload.data).ok())
        .map(|subject| subject.subject_name)
        .filter(|name| name.len() <= names::LONGEST_SUBJECT)
        .unwrap_or_default()
}

/// The authority of a contract.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AuthorityStatus")]
struct Status {
    enabled: bool,
    /// Open proposals to enable it.
    proposal_ids: Vec<String>,
    /// The newest certificate, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_cert: Option<String>,
    /// Its key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// Every certificate there was, to be trusted until the certificates under it have expired.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ca_certs: Vec<AuthorityCertificate>,
}

fn status(app: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let contract: ContractId = ctx.path("contractId")?;
    let enabled = enabled(ctx, &contract)?.is_some();
    let proposal_ids = proposals::concerning(app, ctx, &["enable_ca"], contract.as_str())?;
    let key = if enabled {
        stored(ctx, &contract)?
    } else {
        None
    };
    let prefix = composite(&[contract.as_str()]);
    let certificates = match &key {
        Some(_) => ctx.read(&CERTIFICATES).range(
            Some(prefix.as_bytes()),
            Some(&behind(&prefix)),
            usize::MAX,
        )?,
        None => Vec::new(),
    };
    Reply::json(&Status {
        enabled,
        proposal_ids,
        ca_certs: certificates.into_iter().map(|(_, one)| one).collect(),
        public_key: key.as_ref().map(|key| key.public_key.clone()),
        ca_cert: key.map(|key| key.ca_cert),
    })
}
