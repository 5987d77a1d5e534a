//! The plot: who does what at a service that has just started, and what must come of it.

use std::time::{Duration, Instant};

use attestation::{Family, Sha256Digest};
use governance::clean_room::CleanRoom;
use governance::client::Request;
use governance::contracts::{Contract, ContractState};
use governance::member::{Actions, Ballot};
use governance::policies::{Claims, PolicyEdit, host_data_policy};
use governance::receipt::UnverifiedReceipt;
use governance::secrets::SecretText;
use governance::service::{Proposal, ProposalState};
use governance::{ClientError, Member, TxId};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::steps::Steps;
use crate::error::CliError;

/// The contract the demonstration agrees on.
pub(crate) const CONTRACT: &str = "joint-study";

/// A second contract, for other code, when there is only one clean room to show.
const OTHER_CONTRACT: &str = "other-study";

/// The name under which the secret is stored.
const SECRET_NAME: &str = "dataset-key";

/// Everybody in the story.
pub(crate) struct Cast {
    /// A data owner; stores the secret.
    pub(crate) alba: Member,
    /// A data owner and consumer.
    pub(crate) bruno: Member,
    /// Runs the machines; is to have no say.
    pub(crate) operator: Member,
    /// The clean room that runs the agreed code.
    pub(crate) room: CleanRoom,
    /// Its hostData, lower-case hexadecimal.
    pub(crate) host_data: String,
    /// A clean room with genuine evidence for other code; its hostData. Without it, `room` itself is shown to be refused under a
    /// contract for other code.
    pub(crate) intruder: Option<(CleanRoom, String)>,
}

/// What the story leaves behind.
pub(crate) struct Ending {
    /// Id of the secret that was released.
    pub(crate) secret_id: String,
    /// The secret, to compare with.
    pub(crate) secret: SecretText,
    /// The transaction that recorded the release.
    pub(crate) release: TxId,
}

/// Plays the story up to the release and the refusal.
pub(crate) fn play(cast: &Cast, steps: &mut Steps<'_>) -> Result<Ending, CliError> {
    activate(cast, steps)?;
    open(cast, steps)?;
    agree(cast, CONTRACT, steps)?;
    vote_policy(cast, CONTRACT, &cast.host_data, steps)?;
    refuse_operator(cast, steps)?;
    let secret = SecretText::new(format!(
        "a key that only the agreed code may see: {}",
        cast.alba.id()
    ));
    let secret_id = store(cast, CONTRACT, &secret, steps)?;
    let release = release(cast, &secret_id, &secret, steps)?;
    refuse_other_code(cast, &secret_id, &secret, steps)?;
    prove(cast, release, steps)?;
    Ok(Ending {
        secret_id,
        secret,
        release,
    })
}

fn activate(cast: &Cast, steps: &mut Steps<'_>) -> Result<(), CliError> {
    steps.step("Each member acknowledges the state of the service and becomes active")?;
    for (name, member) in [
        ("Alba", &cast.alba),
        ("Bruno", &cast.bruno),
        ("the operator", &cast.operator),
    ] {
        let digest = member.activate()?;
        let status = member.client().member(&member.id())?.status;
        let root = digest.state_digest.get(..16).unwrap_or_default();
        let what = format!("{name} is active, having acknowledged Merkle root {root}…");
        steps.expect(&what, &status.as_str(), &"Active")?;
    }
    Ok(())
}

fn open(cast: &Cast, steps: &mut Steps<'_>) -> Result<(), CliError> {
    steps.step("Alba and Bruno vote to open the service")?;
    let certificate = cast.alba.client().service_info()?.certificate;
    let proposal = cast
        .alba
        .propose(&Actions::new().open_service(&certificate))?;
    decide(cast, &proposal, steps)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !cast.alba.client().is_app_ready()? && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = cast.alba.client().network()?.service_status;
    steps.expect("the service is open", &status.as_str(), &"Open")
}

fn agree(cast: &Cast, contract: &str, steps: &mut Steps<'_>) -> Result<(), CliError> {
    steps.step(&format!("They agree on contract {contract:?}"))?;
    let terms = json!({
        "parties": { "alba": cast.alba.id(), "bruno": cast.bruno.id() },
        "purpose": "count patients by region; no row leaves the clean room",
        "until": "2030-12-31",
    });
    cast.alba.client().put_contract(contract, &terms, None)?;
    let draft = cast.bruno.client().contract(contract)?;
    steps.expect("Bruno reads the draft Alba wrote", &draft.data, &terms)?;
    let proposal = cast.bruno.propose_contract(&draft)?;
    decide(cast, &proposal, steps)?;
    let Contract { state, data, .. } = cast.alba.client().contract(contract)?;
    steps.expect(
        "the contract is accepted, with these terms, for good",
        &(state, data),
        &(ContractState::Accepted, terms),
    )
}

fn vote_policy(
    cast: &Cast,
    contract: &str,
    host_data: &str,
    steps: &mut Steps<'_>,
) -> Result<(), CliError> {
    steps.step("They vote which code may act under it: the clean room policy")?;
    let policy = host_data_policy(host_data);
    for (claim, values) in &policy {
        steps.fact(&format!(
            "{claim} = {}",
            values
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" or ")
        ))?;
    }
    let proposal =
        cast.alba
            .propose_clean_room_policy(contract, Family::Caci, PolicyEdit::Add, &policy)?;
    decide(cast, &proposal, steps)?;
    let got: Claims = cast.bruno.client().clean_room_policy(contract)?.policy;
    steps.expect("the policy is in force", &got, &policy)
}

/// The operator proposes code of its own, votes for it, and gets nowhere.
fn refuse_operator(cast: &Cast, steps: &mut Steps<'_>) -> Result<(), CliError> {
    steps.step("The operator tries to let in code of its own")?;
    let policy = host_data_policy(&"0d".repeat(32));
    let mut proposal = cast.operator.propose_clean_room_policy(
        CONTRACT,
        Family::Caci,
        PolicyEdit::Add,
        &policy,
    )?;
    if proposal.proposal_state == ProposalState::Open {
        proposal = cast.operator.accept(&proposal.proposal_id)?;
    }
    steps.fact(&format!(
        "proposed and voted for by the operator: {:?}",
        proposal.proposal_state
    ))?;
    if proposal.proposal_state == ProposalState::Open {
        proposal = cast.alba.vote(&proposal.proposal_id, &Ballot::Against)?;
    }
    steps.expect(
        "Alba votes against it: rejected",
        &proposal.proposal_state,
        &ProposalState::Rejected,
    )?;
    let got = cast.alba.client().clean_room_policy(CONTRACT)?.policy;
    steps.expect(
        "the policy is what was voted",
        &got,
        &host_data_policy(&cast.host_data),
    )
}

fn store(
    cast: &Cast,
    contract: &str,
    secret: &SecretText,
    steps: &mut Steps<'_>,
) -> Result<String, CliError> {
    steps.step(&format!(
        "Alba stores a secret for clean rooms of {contract:?}"
    ))?;
    let id = cast
        .alba
        .client()
        .put_secret(contract, SECRET_NAME, secret)?;
    let listed = cast.bruno.client().secrets(contract)?;
    steps.expect(
        &format!("Bruno sees that it exists, as {id}"),
        &listed,
        &vec![id.clone()],
    )?;
    steps.fact("no member can read it: only attested code can ask")?;
    Ok(id)
}

fn release(
    cast: &Cast,
    secret_id: &str,
    secret: &SecretText,
    steps: &mut Steps<'_>,
) -> Result<TxId, CliError> {
    steps.step("A clean room shows evidence of the agreed code and receives the secret")?;
    let enabled = cast.room.contract_execution(CONTRACT)?.is_enabled();
    steps.expect("nobody has withdrawn consent", &enabled, &true)?;
    let released = cast.room.secret(CONTRACT, secret_id)?;
    steps.fact(&format!(
        "{} bytes came back, wrapped to the key in the evidence",
        released.wrapped_len
    ))?;
    // The texts are compared, not shown: a failed comparison must not print a secret.
    steps.expect(
        "unwrapped with the clean room's private key, it is Alba's secret",
        &(released.secret == *secret),
        &true,
    )?;
    let transaction = released.transaction.ok_or_else(|| CliError::Expectation {
        what: "the release is recorded".to_owned(),
        got: "no transaction".to_owned(),
        want: "a transaction id".to_owned(),
    })?;
    steps.held(&format!(
        "the release is transaction {transaction} of the ledger"
    ))?;
    Ok(transaction)
}

fn refuse_other_code(
    cast: &Cast,
    secret_id: &str,
    secret: &SecretText,
    steps: &mut Steps<'_>,
) -> Result<(), CliError> {
    if let Some((intruder, host_data)) = &cast.intruder {
        steps.step("A clean room with other code asks for the same secret")?;
        steps.fact(&format!(
            "its evidence is genuine; its hostData is {host_data}"
        ))?;
        return refused(intruder.secret(CONTRACT, secret_id).err().as_ref(), steps);
    }
    agree(cast, OTHER_CONTRACT, steps)?;
    vote_policy(cast, OTHER_CONTRACT, &"5a".repeat(32), steps)?;
    let other_id = store(cast, OTHER_CONTRACT, secret, steps)?;
    steps.step("The clean room asks for the secret of the contract that is for other code")?;
    refused(
        cast.room.secret(OTHER_CONTRACT, &other_id).err().as_ref(),
        steps,
    )
}

/// Expects a refusal for what the evidence shows, and prints the service's reason.
fn refused(error: Option<&ClientError>, steps: &mut Steps<'_>) -> Result<(), CliError> {
    let got = match error {
        None => "released",
        Some(error) => error.code().unwrap_or("no answer"),
    };
    steps.expect("it is refused", &got, &"VerifySnpAttestationFailed")?;
    if let Some(service) = error.and_then(ClientError::service) {
        steps.fact(&format!("{} {}", service.status.as_u16(), service.message))?;
        for detail in &service.details {
            steps.fact(&detail.to_string())?;
        }
    }
    Ok(())
}

/// Alba asks who received her secret, and checks the answer without believing the service.
fn prove(cast: &Cast, release: TxId, steps: &mut Steps<'_>) -> Result<(), CliError> {
    steps.step("Alba asks who received her secret, and has it proven")?;
    let client = cast.alba.client();
    let page: Releases = client
        .send(Request::get(format!("/app/contracts/{CONTRACT}/releases")))?
        .json()?;
    let wanted = release.to_string();
    let Some(found) = page.value.iter().find(|r| r.transaction_id == wanted) else {
        return Err(CliError::Expectation {
            what: "the release is among the records".to_owned(),
            got: format!("{} others", page.value.len()),
            want: wanted,
        });
    };
    steps.fact(found.record.get())?;
    let certificate = client.service_info()?.certificate;
    let receipt = UnverifiedReceipt::from_json(&client.receipt(release)?)?;
    let proven = receipt.verify_for(release, &certificate)?;
    steps.held("the transaction's receipt is signed under the service's identity")?;
    let digest = Sha256Digest::of(found.record.get().as_bytes()).to_string();
    let claimed = proven.claims_digest.map(|digest| digest.to_string());
    steps.expect(
        "and binds exactly this record",
        &claimed.as_deref(),
        &Some(digest.as_str()),
    )
}

/// The list of release records, each as it was stored.
#[derive(Deserialize)]
struct Releases {
    value: Vec<Release>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Release {
    transaction_id: String,
    record: Box<RawValue>,
}

/// Alba and Bruno vote for a proposal, which must then be accepted.
fn decide(cast: &Cast, proposal: &Proposal, steps: &mut Steps<'_>) -> Result<(), CliError> {
    let mut state = proposal.proposal_state;
    for member in [&cast.alba, &cast.bruno] {
        if state == ProposalState::Open {
            state = member.accept(&proposal.proposal_id)?.proposal_state;
        }
    }
    let id = proposal.proposal_id.as_str().get(..16).unwrap_or_default();
    steps.expect(
        &format!("proposal {id}… is accepted by both"),
        &state,
        &ProposalState::Accepted,
    )
}
