//! Contracts: drafting, reading, proposing, and each member's switch over their execution.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Client, ClientError, Request, contract_path};
use crate::ids::{IdentityId, ProposalId, TxId};
use crate::member::{Actions, Member};
use crate::service::{Listed, Proposal};

/// Where a contract stands (application interface, section 1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum ContractState {
    /// Agreed by all members; final.
    Accepted,
    /// Written down, not proposed.
    Draft,
    /// Voted on.
    Proposed,
}

/// A contract as the service shows it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contract {
    /// The id its author chose.
    pub id: String,
    /// Where it stands.
    pub state: ContractState,
    /// The transaction that wrote this version; for a proposed contract, the version the proposer copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<TxId>,
    /// The terms.
    pub data: Value,
    /// The proposal that is open or was accepted; empty for a draft.
    #[serde(default)]
    pub proposal_id: String,
    /// How the members voted, once accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_votes: Option<Vec<FinalVote>>,
}

/// One member's vote on an accepted contract.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FinalVote {
    /// The member.
    pub member_id: IdentityId,
    /// For or against.
    pub vote: bool,
}

/// Whether a contract may run, or one of its options is on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct OptionStatus {
    /// `enabled` or `disabled`.
    pub status: String,
    /// Why it is disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<OptionReason>,
}

/// Why an option is disabled.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct OptionReason {
    /// Stable: `ContractNotAccepted` or `ContractDisabled`.
    pub code: String,
    /// In words.
    pub message: String,
}

impl OptionStatus {
    /// Whether the option is on.
    pub fn is_enabled(&self) -> bool {
        self.status == "enabled"
    }
}

/// What members and registered users may do about contracts, by their client certificate or token.
///
/// # Errors
/// All return [`ClientError::Service`] with the codes of application interface section 2.2.
impl Client {
    /// Writes a draft, or with `version` replaces the draft of that version.
    pub fn put_contract(
        &self,
        id: &str,
        data: &Value,
        version: Option<TxId>,
    ) -> Result<(), ClientError> {
        let mut body = json!({ "data": data });
        if let Some(version) = version {
            body["version"] = version.to_string().into();
        }
        self.write(Request::put(contract_path(id, &[])?).json(&body)?)?;
        Ok(())
    }

    /// Reads a contract.
    pub fn contract(&self, id: &str) -> Result<Contract, ClientError> {
        self.send(Request::post(contract_path(id, &[])?))?.json()
    }

    /// The ids of the contracts, of those in one state if given.
    pub fn contracts(&self, state: Option<ContractState>) -> Result<Vec<String>, ClientError> {
        #[derive(Deserialize)]
        struct Entry {
            id: String,
        }
        let query = state.map_or(String::new(), |state| format!("?state={state:?}"));
        let list: Listed<Entry> = self
            .send(Request::get(format!("/app/contracts{query}")))?
            .json()?;
        Ok(list.value.into_iter().map(|entry| entry.id).collect())
    }

    /// Sets the calling member's own switch: a contract runs while no member has switched it off.
    pub fn set_contract_execution(&self, id: &str, enabled: bool) -> Result<(), ClientError> {
        let verb = if enabled { "enable" } else { "disable" };
        self.write(Request::post(contract_path(
            id,
            &["runtimeoptions", "execution", verb],
        )?))?;
        Ok(())
    }

    /// Whether a contract may run.
    pub fn contract_execution(&self, id: &str) -> Result<OptionStatus, ClientError> {
        self.send(Request::post(contract_path(
            id,
            &["runtimeoptions", "execution", "status"],
        )?))?
        .json()
    }
}

impl Member {
    /// Proposes a contract as read and reviewed: the proposal carries the copy given here, not what the service then has.
    ///
    /// # Errors
    /// As [`Member::propose`].
    pub fn propose_contract(&self, contract: &Contract) -> Result<Proposal, ClientError> {
        let copy = serde_json::to_value(contract).map_err(|error| ClientError::Request {
            reason: error.to_string(),
        })?;
        let args = json!({ "contractId": contract.id, "contract": copy });
        self.propose(&Actions::new().action("set_contract", args))
    }

    /// Votes for a contract, if the service still shows it under the proposal that was reviewed.
    ///
    /// # Errors
    /// [`ClientError::Answer`] when the contract is under another proposal or none; otherwise as [`Member::vote`].
    pub fn accept_contract(
        &self,
        id: &str,
        proposal: &ProposalId,
    ) -> Result<Proposal, ClientError> {
        let contract = self.client().contract(id)?;
        if contract.proposal_id != proposal.as_str() {
            let reason = format!(
                "contract {id} is under proposal {:?}, not {proposal}",
                contract.proposal_id
            );
            return Err(ClientError::Answer { reason });
        }
        self.accept(proposal)
    }
}
