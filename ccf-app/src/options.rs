//! Runtime options: consent to execution, logging, telemetry (endpoints E4 to E6), and options of the service (E59).
//!
//! *Execution* belongs to the members: each has a flag, and one member who disables it stops the contract. Only the flags of
//! those who are members now count, so nobody who left can block a contract for good. *Logging* and *telemetry* are governed.
//!
//! Asked without a credential, the status is a consent check by a clean room: it presents evidence that must match the
//! contract's policy. No key is bound there, because nothing is released.

use attestation::Policies;
use ccf_rs::{
    Auth, Caller, Context, Endpoints, Error, ReadContext, Reply, Result, Table, WriteContext,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::App;
use crate::callers::{
    NOT_ACTIVE, NOT_REGISTERED, PEOPLE, PEOPLE_OR_ANYONE, Token, active_member, admits, is_member,
    registered,
};
use crate::contracts;
use crate::envelope::{self, Envelope};
use crate::flags::{DISABLED, ENABLED, Flags};
use crate::freshness;
use crate::ids::ContractId;
use crate::policies;
use crate::proposals;

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .post(
            "/contracts/{contractId}/runtimeoptions/{option}/status",
            status,
        )
        .forwarding(freshness::WHERE_ISSUED)
        .auth(PEOPLE_OR_ANYONE)
        .summary("Status of a contract's runtime option; with evidence: consent check")
        .optional_body::<Envelope>()
        .reply::<Status>()
        .refuses(NOT_REGISTERED)
        .refuses(envelope::EVIDENCE_REFUSALS)
        .refuses([(400, "InvalidOption")])
        .post(
            "/contracts/{contractId}/runtimeoptions/{option}/enable",
            enable,
        )
        .auth([Auth::MemberCert])
        .summary("Enable execution, as far as the calling member is concerned")
        .answers(200, "The member's flag is set.")
        .refuses(NOT_ACTIVE)
        .refuses(NOT_CHANGED)
        .post(
            "/contracts/{contractId}/runtimeoptions/{option}/disable",
            disable,
        )
        .auth([Auth::MemberCert])
        .summary("Disable execution of a contract")
        .answers(200, "The member's flag is set.")
        .refuses(NOT_ACTIVE)
        .refuses(NOT_CHANGED)
        .post("/runtimeoptions/{option}/status", service_status)
        .auth(PEOPLE)
        .summary("Status of an option of the service")
        .reply::<Status>()
        .refuses(NOT_REGISTERED)
        .refuses([(400, "InvalidOption")])
}

const NOT_CHANGED: [(u16, &str); 2] = [(400, "InvalidOption"), (400, "ContractNotAccepted")];

/// Members who disabled the execution of a contract and still are members.
pub(crate) fn disabled_by<C: Context>(ctx: &mut C, contract: &ContractId) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for member in flags(ctx, contract)?.disabled() {
        if is_member(ctx, member)? {
            found.push(member.clone());
        }
    }
    Ok(found)
}

/// The answer while members have disabled the execution of a contract.
pub(crate) fn disabled(members: &[String]) -> Error {
    Error::refused(
        403,
        "ContractDisabled",
        "A member disabled the execution of the contract.",
    )
    .with_detail(json!({ "disabledBy": members }))
}

/// The answer to a question for a status.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OptionStatus")]
pub(crate) struct Status {
    status: &'static str,
    /// Why it is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// Of governed options: open proposals that would change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal_ids: Option<Vec<String>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DisabledReason")]
struct Reason {
    code: &'static str,
    message: String,
}

impl Status {
    /// Enabled or not, for no further reason.
    pub(crate) fn of(enabled: bool) -> Self {
        Self {
            status: if enabled { ENABLED } else { DISABLED },
            reason: None,
            proposal_ids: None,
        }
    }

    /// Disabled, and why.
    pub(crate) fn disabled(code: &'static str, message: impl Into<String>) -> Self {
        let reason = Reason {
            code,
            message: message.into(),
        };
        Self {
            reason: Some(reason),
            ..Self::of(false)
        }
    }
}

/// Who may ask for the status of an option: whoever is registered, a clean room with evidence that matches the contract's policy, or
/// the holder of a token that it admits (W32).
pub(crate) fn check_asking<C: Context>(
    app: &App,
    ctx: &mut C,
    contract: &ContractId,
) -> Result<()> {
    if matches!(ctx.caller(), Caller::Anonymous | Caller::Unasked) {
        return check_evidence(app, ctx, contract);
    }
    let Err(refusal) = registered(ctx) else {
        return Ok(());
    };
    if let Caller::Jwt(claims) = ctx.caller().clone() {
        let policy = policies::of_contract(ctx, contract)?;
        if Token::of(&claims).is_ok_and(|token| admits(&policy.claims, &token)) {
            return Ok(());
        }
    }
    Err(refusal)
}

/// Flags of one contract.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "serializedMemberToStatusMap")]
    pairs: String,
}

#[derive(Serialize, Deserialize)]
struct Governed {
    status: Option<String>,
}

static FLAGS: Table<String, Stored> = Table::json("public:contracts_execution_status");
static LOGGING: Table<String, Governed> = Table::json("public:ccf.gov.contracts_logging_status");
static TELEMETRY: Table<String, Governed> =
    Table::json("public:ccf.gov.contracts_telemetry_status");
static SERVICE: Table<String, Governed> = Table::json("public:ccf.gov.cgs_runtime_options");

const SERVICE_OPTIONS: [&str; 5] = [
    "autoapprove-constitution-proposal",
    "autoapprove-jsapp-proposal",
    "autoapprove-deploymentspec-proposal",
    "autoapprove-deploymentinfo-proposal",
    "autoapprove-cleanroompolicy-proposal",
];

fn status(app: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    let option: String = ctx.path("option")?;
    check_asking(app, ctx, &contract)?;
    let governed = match option.as_str() {
        "execution" => None,
        "logging" => Some((&LOGGING, LOGGING_ACTIONS)),
        "telemetry" => Some((&TELEMETRY, TELEMETRY_ACTIONS)),
        _ => return Err(invalid_option()),
    };
    if !contracts::is_accepted(ctx, &contract)? {
        let status = Status::disabled("ContractNotAccepted", "The contract has not been accepted.");
        return Reply::json(&status);
    }
    let Some((table, actions)) = governed else {
        return execution_status(ctx, &contract);
    };
    let enabled = is_enabled(ctx, table, contract.as_str())?;
    let proposals = proposals::concerning(app, ctx, &actions, contract.as_str())?;
    Reply::json(&Status {
        proposal_ids: Some(proposals),
        ..Status::of(enabled)
    })
}

const LOGGING_ACTIONS: [&str; 2] = [
    "set_contract_runtime_options_enable_logging",
    "set_contract_runtime_options_disable_logging",
];
const TELEMETRY_ACTIONS: [&str; 2] = [
    "set_contract_runtime_options_enable_telemetry",
    "set_contract_runtime_options_disable_telemetry",
];

fn execution_status<C: Context>(ctx: &mut C, contract: &ContractId) -> Result<Reply> {
    let members = disabled_by(ctx, contract)?;
    Reply::json(&if members.is_empty() {
        Status::of(true)
    } else {
        let message = format!("Execution was disabled by: {}.", members.join(", "));
        Status::disabled("ContractDisabled", message)
    })
}

fn check_evidence<C: Context>(app: &App, ctx: &mut C, contract: &ContractId) -> Result<()> {
    let envelope = Envelope::from_body(ctx)?;
    envelope.require_attestation()?;
    let verified = envelope.verify(app, ctx)?;
    let policy = policies::of_contract(ctx, contract)?;
    verified
        .appraise_without_key(&Policies {
            contract: &policy.claims,
            delegate: None,
        })
        .map_err(|error| envelope::refusal(&error, &policy))?;
    Ok(())
}

fn enable(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    set_execution(ctx, ENABLED)
}

fn disable(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    set_execution(ctx, DISABLED)
}

fn set_execution(ctx: &mut WriteContext<'_>, status: &str) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    let option: String = ctx.path("option")?;
    let member = active_member(ctx)?;
    if option != "execution" {
        return Err(invalid_option());
    }
    if !contracts::is_accepted(ctx, &contract)? {
        return Err(Error::bad_request(
            "ContractNotAccepted",
            "The contract has not been accepted.",
        ));
    }
    let mut flags = flags(ctx, &contract)?;
    flags.set(&member.0, status);
    let pairs = flags.to_text()?;
    ctx.table(&FLAGS)
        .put(&contract.as_str().to_owned(), &Stored { pairs })?;
    Ok(Reply::ok())
}

fn service_status(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let option: String = ctx.path("option")?;
    if !SERVICE_OPTIONS.contains(&option.as_str()) {
        return Err(invalid_option());
    }
    let enabled = is_enabled(ctx, &SERVICE, &option)?;
    Reply::json(&Status::of(enabled))
}

fn is_enabled<C: Context>(ctx: &mut C, table: &Table<String, Governed>, key: &str) -> Result<bool> {
    let stored = ctx.read(table).get(&key.to_owned())?;
    Ok(stored.is_some_and(|governed| governed.status.as_deref() == Some(ENABLED)))
}

fn flags<C: Context>(ctx: &mut C, contract: &ContractId) -> Result<Flags> {
    match ctx.read(&FLAGS).get(&contract.as_str().to_owned())? {
        Some(stored) => Flags::of_text(FLAGS.name(), &stored.pairs),
        None => Ok(Flags::default()),
    }
}

fn invalid_option() -> Error {
    Error::bad_request("InvalidOption", "There is no such option.")
}
