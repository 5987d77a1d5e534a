//! Why evidence is admitted or not: the same steps as a release, each shown, and nothing released.
//!
//! Whoever is registered may ask about evidence they were given, and a clean room about its own. Denials say as much to whoever has genuine
//! evidence; an explanation adds the alternatives that were not asked for, and which proposal set each claim that fails.

use std::collections::BTreeMap;

use attestation::{
    Alternative, AppraisalError, ClaimMismatch, ClaimPolicy, Comparison, Policies, VerifiedEvidence,
};
use ccf_rs::{Caller, Context, Endpoints, Error, ReadContext, Reply, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::App;
use crate::callers::{NOT_REGISTERED, PEOPLE_OR_ANYONE, registered};
use crate::contracts;
use crate::delegates;
use crate::envelope::{self, Envelope};
use crate::freshness;
use crate::ids::ContractId;
use crate::options;
use crate::platform;
use crate::policies::{self, Source};

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .post("/contracts/{contractId}/cleanroompolicy/explain", explain)
        .forwarding(freshness::WHERE_ISSUED)
        .auth(PEOPLE_OR_ANYONE)
        .summary("Explain whether evidence is admitted under a contract, and why")
        .body::<Question>()
        .reply::<Explanation>()
        .refuses(NOT_REGISTERED)
        .refuses([(400, "AttestationMissing"), (400, "UnsupportedPlatform")])
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ExplainRequest")]
struct Question {
    #[serde(flatten)]
    envelope: Envelope,
    /// For what: with it, the delegate policy for this purpose is an alternative.
    purpose: Option<Purpose>,
}

/// What a delegate policy is for, such as `secrets` and the id of a secret.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DelegatePurpose")]
struct Purpose {
    delegate_type: String,
    delegate_id: String,
}

/// What becomes of the evidence, step by step. Steps behind one that refuses are left out, but for alternatives, which are all tried.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    /// Whether evidence like this, with this key, would be admitted now.
    admitted: bool,
    /// The step that refuses: check, class, rule, what was presented.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Value>,
    /// What the evidence proves; absent when it does not verify.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    claims: Option<BTreeMap<&'static str, Value>>,
    /// The policies that were compared.
    alternatives: Vec<AlternativeTried>,
    /// Members who disabled the execution of the contract.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    disabled_by: Vec<String>,
    /// What members should know of such evidence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    warnings: Vec<&'static str>,
}

/// One policy and what it says.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AlternativeTried {
    /// `contract` or `delegate`.
    policy: &'static str,
    #[serde(flatten)]
    purpose: Option<Purpose>,
    outcome: Outcome,
    /// Every claim that differs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mismatches: Vec<Mismatch>,
    /// The decision that the policy is the result of; of a delegate policy, who installed it.
    source: Value,
}

#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PolicyOutcome")]
enum Outcome {
    Matches,
    Differs,
    /// The policy says nothing about evidence of this platform.
    Silent,
    /// The policy pins nothing that says which software booted.
    NothingPinned,
}

/// One claim that differs.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ClaimDiffers")]
struct Mismatch {
    claim: String,
    /// What was presented; null when the evidence has no such claim.
    got: Option<Value>,
    /// What is accepted.
    want: Vec<Value>,
    /// Which decision set what is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<Source>,
}

fn explain(app: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    if !matches!(ctx.caller(), Caller::Anonymous | Caller::Unasked) {
        registered(ctx)?;
    }
    let Question { envelope, purpose } = ctx.json()?;
    envelope.require_attestation()?;
    let verified = match envelope.verify(app, ctx) {
        Ok(verified) => verified,
        Err(error) => {
            return Reply::json(&Explanation {
                admitted: false,
                refusal: Some(refusal(error)?),
                claims: None,
                alternatives: Vec::new(),
                disabled_by: Vec::new(),
                warnings: Vec::new(),
            });
        }
    };
    let policy = policies::of_contract(ctx, &contract)?;
    let mut alternatives = vec![of_contract(
        ctx,
        &contract,
        &verified,
        &policy.claims,
        &policy.source,
    )?];
    let delegate = match &purpose {
        Some(purpose) => {
            delegates::installed(ctx, &contract, &purpose.delegate_type, &purpose.delegate_id)?
        }
        None => None,
    };
    if let (Some(delegate), Some(purpose)) = (&delegate, &purpose) {
        alternatives.push(tried(
            "delegate",
            Some(purpose.clone()),
            verified.compare(&delegate.claims),
            delegate.installed_by.clone(),
        ));
    }
    let policies = Policies {
        contract: &policy.claims,
        delegate: delegate.as_ref().map(|delegate| &delegate.claims),
    };
    let appraised = appraise(&envelope, &verified, &policies)
        .map_err(|error| envelope::refusal(&error, &policy))
        .and_then(|alternative| {
            delegates::check_admitted(app, ctx, &contract, &policy, delegate.as_ref(), alternative)
        });
    let disabled_by = if contracts::is_accepted(ctx, &contract)? {
        options::disabled_by(ctx, &contract)?
    } else {
        Vec::new()
    };
    let refusal = match appraised {
        Err(error) => Some(refusal(error)?),
        Ok(()) if !disabled_by.is_empty() => Some(json!({ "code": "ContractDisabled" })),
        Ok(()) => None,
    };
    Reply::json(&Explanation {
        admitted: refusal.is_none(),
        refusal,
        claims: Some(
            verified
                .claims()
                .iter()
                .map(|(name, value)| (name, value.clone()))
                .collect(),
        ),
        alternatives,
        disabled_by,
        warnings: platform::warnings(&verified, envelope.key_digest()),
    })
}

/// The appraisal of a release; without a key, that of a consent check.
fn appraise(
    envelope: &Envelope,
    verified: &VerifiedEvidence,
    policies: &Policies<'_>,
) -> Result<Alternative, AppraisalError> {
    if envelope.key().is_empty() {
        let claims = verified.appraise_without_key(policies)?;
        return Ok(claims.alternative());
    }
    Ok(envelope.bind(verified, policies)?.alternative())
}

/// What a refusal says; other failures stay failures.
fn refusal(error: Error) -> Result<Value> {
    let Error::Refused { code, details, .. } = &error else {
        return Err(error);
    };
    let detail = details
        .first()
        .filter(|detail| detail.get("check").is_some());
    match (detail, code.as_ref()) {
        (Some(detail), code) => {
            let mut shown = detail.clone();
            shown["code"] = code.into();
            Ok(shown)
        }
        (None, "ChallengeInvalid" | "ChallengeMissing") => Ok(json!({ "code": code })),
        (None, code)
            if delegates::NOT_COUNTING
                .iter()
                .any(|(_, known)| *known == code) =>
        {
            let mut shown = details.first().cloned().unwrap_or_else(|| json!({}));
            shown["code"] = code.into();
            Ok(shown)
        }
        _ => Err(error),
    }
}

fn of_contract<C: Context>(
    ctx: &mut C,
    contract: &ContractId,
    verified: &VerifiedEvidence,
    policy: &ClaimPolicy,
    source: &Source,
) -> Result<AlternativeTried> {
    let mut tried = tried("contract", None, verified.compare(policy), json!(source));
    for mismatch in &mut tried.mismatches {
        mismatch.set = Some(policies::source_of_claim(ctx, contract, &mismatch.claim)?);
    }
    Ok(tried)
}

fn tried(
    policy: &'static str,
    purpose: Option<Purpose>,
    comparison: Comparison,
    source: Value,
) -> AlternativeTried {
    let (outcome, mismatches) = match comparison {
        Comparison::Matches => (Outcome::Matches, Vec::new()),
        Comparison::Silent => (Outcome::Silent, Vec::new()),
        Comparison::NothingPinned => (Outcome::NothingPinned, Vec::new()),
        Comparison::Differs(mismatches) => (Outcome::Differs, mismatches),
    };
    let shown = |mismatch: ClaimMismatch| Mismatch {
        claim: mismatch.claim,
        got: mismatch.got,
        want: mismatch.want,
        set: None,
    };
    AlternativeTried {
        policy,
        purpose,
        outcome,
        mismatches: mismatches.into_iter().map(shown).collect(),
        source,
    }
}
