//! Delegate policies: code that meets the contract's policy admits other code for one purpose (endpoints E13 to E15).
//!
//! A delegate policy is an alternative to the contract's for one operation only, and needs no vote; so who installed it, with which
//! evidence and under which contract policy, is stored with it. One without claims left is removed.
//!
//! It may name documents of the contract, and then admits only while each of them is accepted and consented to (H9). Where members set
//! `releaseNeedsConsent`, one that names none admits nobody.
//!
//! And it admits only while the contract's policy would still admit whoever installed it: code that members took out of the policy speaks
//! for nobody any more.

use std::collections::BTreeMap;

use attestation::{Alternative, AppraisedClaims, ClaimPolicy, Comparison, Family, Sha256Digest};
use ccf_rs::{Context, Endpoints, Error, ReadContext, Reply, Result, Table, WriteContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::App;
use crate::callers::{NOT_REGISTERED, PEOPLE, registered};
use crate::documents::ties;
use crate::envelope::{self, Envelope};
use crate::governed;
use crate::ids::{ContractId, DelegateId, DelegateType, behind, composite};
use crate::paging::Paging;
use crate::policies::{self, Change, ContractPolicy, Source};
use crate::replays::{self, Seen, Signer};

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .get("/contracts/{contractId}/cleanroompolicy/delegates", list)
        .auth(PEOPLE)
        .summary("List the delegate policies of a contract")
        .query::<Paging>()
        .reply::<List>()
        .refuses(NOT_REGISTERED)
        .post(
            "/contracts/{contractId}/cleanroompolicy/delegates/{delegateType}/{delegateId}",
            show,
        )
        .auth(PEOPLE)
        .summary("Read a delegate policy")
        .reply::<Shown>()
        .refuses(NOT_REGISTERED)
        .put(
            "/contracts/{contractId}/cleanroompolicy/delegates/{delegateType}/{delegateId}",
            put,
        )
        .summary("Change a delegate policy, as an attested clean room")
        .body::<Envelope>()
        .answers(
            200,
            "The policy is changed, or this request was made before.",
        )
        .refuses(envelope::SIGNED_REFUSALS)
        .refuses([(400, "InvalidPolicy")])
}

/// How a request is refused that only a delegate policy admits, while the policy does not count.
pub(crate) const NOT_COUNTING: [(u16, &str); 3] = [
    ties::NOT_IN_FORCE,
    (403, "DelegateNotTied"),
    (403, "DelegateMakerNotAdmitted"),
];

/// A delegate policy.
pub(crate) struct Installed {
    pub(crate) claims: ClaimPolicy,
    /// Who installed it: code, evidence, contract policy.
    pub(crate) installed_by: Value,
    documents: Vec<String>,
}

/// The delegate policy for one purpose, if there is one.
pub(crate) fn installed<C: Context>(
    ctx: &mut C,
    contract: &ContractId,
    kind: &str,
    id: &str,
) -> Result<Option<Installed>> {
    let key = composite(&[contract.as_str(), kind, id]);
    let stored = ctx.read(&DELEGATES).get(&key)?;
    Ok(stored.map(|delegate| Installed {
        claims: ClaimPolicy(delegate.claims),
        installed_by: delegate.installed_by,
        documents: delegate.documents,
    }))
}

impl Installed {
    /// Whether it may admit now what it admits: the contract's policy admits whoever installed it, its documents are in force, and it has
    /// some where it needs some.
    ///
    /// # Errors
    /// 403 `DelegateMakerNotAdmitted`, 403 `DocumentNotInForce`, 403 `DelegateNotTied`.
    pub(crate) fn check_counts<C: Context>(
        &self,
        app: &App,
        ctx: &mut C,
        contract: &ContractId,
        policy: &ContractPolicy,
    ) -> Result<()> {
        self.check_maker(policy)?;
        if self.documents.is_empty() && governed::is_on(ctx, contract, "releaseNeedsConsent")? {
            return Err(Error::refused(
                403,
                "DelegateNotTied",
                "The delegate policy names no document, and members want what was consented to only.",
            ));
        }
        ties::check(app, ctx, contract, &self.documents)
    }

    fn check_maker(&self, policy: &ContractPolicy) -> Result<()> {
        let maker = &self.installed_by;
        let family = Family::deserialize(&maker["platform"]).ok();
        let comparison = family.map(|family| {
            policy
                .claims
                .compare(family, |name| maker["claims"].get(name))
        });
        let mismatches = match comparison {
            Some(Comparison::Matches) => return Ok(()),
            Some(Comparison::Differs(mismatches)) => mismatches,
            _ => Vec::new(),
        };
        let refused = Error::refused(
            403,
            "DelegateMakerNotAdmitted",
            "The contract's policy does not admit the code that installed the delegate policy any more.",
        );
        Err(refused.with_detail(json!({
            "mismatches": envelope::mismatches(&mismatches),
            "installedUnder": maker["policy"],
            "policy": policy.source,
        })))
    }
}

/// Holds whoever only a delegate policy admitted to [`Installed::check_counts`].
///
/// # Errors
/// As there.
pub(crate) fn check_admitted<C: Context>(
    app: &App,
    ctx: &mut C,
    contract: &ContractId,
    policy: &ContractPolicy,
    delegate: Option<&Installed>,
    alternative: Alternative,
) -> Result<()> {
    match (alternative, delegate) {
        (Alternative::Delegate, Some(delegate)) => {
            delegate.check_counts(app, ctx, contract, policy)
        }
        _ => Ok(()),
    }
}

static DELEGATES: Table<String, Delegate> = Table::json("public:cleanroom.delegates");

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delegate {
    contract_id: String,
    delegate_type: String,
    delegate_id: String,
    claims: BTreeMap<String, Vec<Value>>,
    /// Names of documents that must be in force; earlier software stored none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    documents: Vec<String>,
    /// Who changed it last.
    installed_by: Value,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Delegates")]
struct List {
    value: Vec<Listed>,
    #[serde(rename = "nextLink", skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DelegateReference")]
struct Listed {
    delegate_type: String,
    delegate_id: String,
}

/// Claim names, each with the values that are accepted.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DelegatePolicy")]
struct Shown {
    #[schemars(with = "BTreeMap<String, Vec<Value>>")]
    claims: ClaimPolicy,
    /// Documents that must be accepted and consented to, for the policy to count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    documents: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PutDelegate {
    #[serde(rename = "type")]
    change: Change,
    #[serde(default)]
    policy_type: Option<PolicyType>,
    claims: BTreeMap<String, Value>,
    /// Replaces those named before; they stay when it is absent.
    documents: Option<Vec<String>>,
}

#[derive(Clone, Copy, Deserialize)]
enum PolicyType {
    #[serde(rename = "snp-caci")]
    Caci,
    #[serde(rename = "snp-cvm")]
    Cvm,
}

/// All values of one delegate policy, in JSON.
const LONGEST: usize = 64 * 1024;

/// Query: see [`Paging`]. `after` is what a link says; it is no id.
fn list(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let contract: ContractId = ctx.path("contractId")?;
    let prefix = composite(&[contract.as_str()]);
    let paging = Paging::of(ctx)?;
    let mut rows = ctx.read(&DELEGATES).range(
        paging.start_below(&prefix).as_deref(),
        Some(&behind(&prefix)),
        paging.wanted(),
    )?;
    let next = paging.cut(&mut rows, |(key, _)| {
        key.strip_prefix(&prefix).unwrap_or_default()
    });
    let value = rows
        .into_iter()
        .map(|(_, d)| Listed {
            delegate_type: d.delegate_type,
            delegate_id: d.delegate_id,
        })
        .collect();
    let path = format!("/app/contracts/{contract}/cleanroompolicy/delegates");
    Reply::json(&List {
        value,
        next_link: next.map(|next| format!("{path}?{next}")),
    })
}

fn show(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let (contract, kind, id) = target(ctx)?;
    let installed = installed(ctx, &contract, kind.as_str(), id.as_str())?;
    let (claims, documents) = installed
        .map(|delegate| (delegate.claims, delegate.documents))
        .unwrap_or_default();
    Reply::json(&Shown { claims, documents })
}

fn put(app: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let (contract, kind, id) = target(ctx)?;
    let envelope = Envelope::from_body(ctx)?;
    envelope.require_attestation()?;
    let verified = envelope.verify(app, ctx)?;
    let policy = policies::of_contract(ctx, &contract)?;
    let claims = envelope.appraise(ctx, &verified, &policy, None)?;
    let payload = envelope.signed_payload(&claims)?;
    let change: PutDelegate = payload.json("InvalidPolicy")?;
    check_names(&change)?;

    let key = composite(&[contract.as_str(), kind.as_str(), id.as_str()]);
    let target = format!("delegate {key}");
    if replays::check(
        ctx,
        &contract,
        Signer::Contract,
        &target,
        &payload.signature,
    )? == Seen::Again
    {
        return Ok(Reply::ok());
    }
    let earlier = installed(ctx, &contract, kind.as_str(), id.as_str())?;
    // What code left behind that members voted out since is not taken over: an addition begins anew, a removal takes all of it away.
    let is_left_behind = match &earlier {
        Some(earlier) => earlier.check_maker(&policy).is_err(),
        None => false,
    };
    let removes = matches!(change.change, Change::Remove);
    let (mut stored, mut documents) = earlier
        .filter(|_| removes || !is_left_behind)
        .map(|earlier| (earlier.claims.0, earlier.documents))
        .unwrap_or_default();
    if let Some(named) = change.documents {
        documents = ties::named(named, "InvalidPolicy")?;
    }
    policies::edit(&mut stored, change.change, change.claims)?;
    if stored.is_empty() || (removes && is_left_behind) {
        ctx.table(&DELEGATES).remove(&key)?;
        return Ok(Reply::ok());
    }
    let delegate = Delegate {
        contract_id: contract.to_string(),
        delegate_type: kind.to_string(),
        delegate_id: id.to_string(),
        claims: stored,
        documents,
        installed_by: provenance(&claims, &policy.source),
    };
    let text = serde_json::to_vec(&delegate).map_err(|e| Error::Internal(e.to_string()))?;
    if text.len() > LONGEST {
        return Err(invalid("The delegate policy is too long."));
    }
    ctx.table(&DELEGATES).put(&key, &delegate)?;
    ctx.set_claims_digest(*Sha256Digest::of(&text).as_bytes())?;
    Ok(Reply::ok())
}

fn target<C: Context>(ctx: &C) -> Result<(ContractId, DelegateType, DelegateId)> {
    Ok((
        ctx.path("contractId")?,
        ctx.path("delegateType")?,
        ctx.path("delegateId")?,
    ))
}

fn check_names(change: &PutDelegate) -> Result<()> {
    let family = match change.policy_type.unwrap_or(PolicyType::Caci) {
        PolicyType::Caci => Family::Caci,
        PolicyType::Cvm => Family::Cvm,
    };
    let known = |name: &str| family.claims().contains(&name);
    match change.claims.keys().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) => Err(
            invalid("The policy names a claim that its family does not have.")
                .with_detail(json!({ "claim": name })),
        ),
    }
}

fn invalid(message: &str) -> Error {
    Error::bad_request("InvalidPolicy", message)
}

/// Who installs a policy, with every claim that the contract's policy may come to name.
fn provenance(claims: &AppraisedClaims, source: &Source) -> Value {
    let named = claims.family().claims().iter();
    let named: BTreeMap<_, _> = named
        .filter_map(|name| Some((name, claims.claims().get(name)?)))
        .collect();
    json!({
        "platform": claims.family(),
        "hostData": claims.host_data(),
        "measurement": claims.measurement(),
        "claims": named,
        "evidence": claims.evidence_digest(),
        "policy": source,
    })
}
