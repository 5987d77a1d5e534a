//! What anyone may ask of a service: its state, its members, its proposals, receipts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Client, ClientError, Request};
use crate::ids::{IdentityId, ProposalId, TxId};

/// The query every governance request carries.
pub(crate) const API_VERSION: &str = "api-version=2024-07-01";

/// `GET /node/network`: the service as a node sees it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Network {
    /// `Opening`, `Open`, `Recovering` or `WaitingForRecoveryShares`.
    pub service_status: String,
    /// The service certificate, PEM.
    pub service_certificate: String,
    /// The transaction that created this service.
    pub current_service_create_txid: Option<TxId>,
    /// How often the service was recovered.
    #[serde(default)]
    pub recovery_count: u64,
    /// What the operator wrote about the service at its creation.
    #[serde(default)]
    pub service_data: Value,
}

/// `GET /gov/service/info`: the service as its governance tables have it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceInfo {
    /// As [`Network::service_status`].
    pub status: String,
    /// The service certificate, PEM, byte for byte as proposals must name it.
    pub certificate: String,
    /// How often the service was recovered.
    pub recovery_count: u64,
    /// The transaction that created this service.
    pub creation_transaction_id: Option<TxId>,
    /// What the operator wrote about the service at its creation.
    #[serde(default)]
    pub service_data: Value,
}

/// A member, as `GET /gov/service/members` lists it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberInfo {
    /// The member's id.
    pub member_id: IdentityId,
    /// `Accepted` before the first acknowledgement, then `Active`.
    pub status: String,
    /// Name, tenant and roles, as voted.
    #[serde(default)]
    pub member_data: Value,
    /// The certificate, PEM.
    pub certificate: String,
    /// The key to which recovery shares are encrypted, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_encryption_key: Option<String>,
    /// `Participant`, `Owner` or `NonParticipant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_role: Option<String>,
}

/// Where a proposal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum ProposalState {
    /// Voted and carried out.
    Accepted,
    /// Overtaken by a change of the service.
    Dropped,
    /// Could not be carried out.
    Failed,
    /// Waiting for ballots.
    Open,
    /// Voted down, or against a rule.
    Rejected,
    /// Taken back by its proposer.
    Withdrawn,
}

/// A proposal (CCF interface, section 1.2).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// The proposal's id.
    pub proposal_id: ProposalId,
    /// Who proposed.
    pub proposer_id: IdentityId,
    /// Where it stands.
    pub proposal_state: ProposalState,
    /// How many ballots it has.
    pub ballot_count: u64,
    /// How each ballot turned out, once decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_votes: Option<BTreeMap<IdentityId, bool>>,
    /// Ballots that threw, with reason and trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vote_failures: Option<BTreeMap<IdentityId, Value>>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Value>,
    /// Why it is open or rejected, as the embedded node answers when a proposal or a ballot is submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

/// How the constitution stands to a proposal, and why. Only our constitution tells more than the state.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Explanation {
    /// `Open`, `Accepted` or `Rejected`.
    pub state: String,
    /// The number of the rule that decided (`docs/constitution.md`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Its reason, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Members who count and have not voted for it.
    #[serde(default)]
    pub missing: Vec<IdentityId>,
    /// Those of them who voted against it.
    #[serde(default)]
    pub against: Vec<IdentityId>,
    /// Members for whom a contract waits: they must become active, and vote.
    #[serde(default)]
    pub joining: Vec<IdentityId>,
}

/// The service's usual list form.
#[derive(Deserialize)]
pub(crate) struct Listed<T> {
    pub(crate) value: Vec<T>,
}

/// Reads that need no credentials.
///
/// # Errors
/// All return [`ClientError::Service`] when the service refuses, and [`ClientError::Answer`] for answers of another form.
impl Client {
    /// The state and certificate of the service.
    pub fn network(&self) -> Result<Network, ClientError> {
        self.send(Request::get("/node/network"))?.json()
    }

    /// The service as governance sees it.
    pub fn service_info(&self) -> Result<ServiceInfo, ClientError> {
        self.send(gov("/gov/service/info"))?.json()
    }

    /// Whether the application answers: the service is open and the opening committed.
    pub fn is_app_ready(&self) -> Result<bool, ClientError> {
        Ok(self
            .exchange(Request::get("/node/ready/app"))?
            .status()
            .is_success())
    }

    /// The constitution in force.
    pub fn constitution(&self) -> Result<String, ClientError> {
        Ok(self
            .send(gov("/gov/service/constitution"))?
            .text()?
            .to_owned())
    }

    /// All members.
    pub fn members(&self) -> Result<Vec<MemberInfo>, ClientError> {
        Ok(self
            .send(gov("/gov/service/members"))?
            .json::<Listed<_>>()?
            .value)
    }

    /// One member.
    pub fn member(&self, id: &IdentityId) -> Result<MemberInfo, ClientError> {
        self.send(gov(&format!("/gov/service/members/{id}")))?
            .json()
    }

    /// The proposals that the service still holds: decided ones disappear when another is decided, and remain in the ledger.
    pub fn proposals(&self) -> Result<Vec<Proposal>, ClientError> {
        Ok(self
            .send(gov("/gov/members/proposals"))?
            .json::<Listed<_>>()?
            .value)
    }

    /// One proposal.
    pub fn proposal(&self, id: &ProposalId) -> Result<Proposal, ClientError> {
        self.send(gov(&format!("/gov/members/proposals/{id}")))?
            .json()
    }

    /// The text a proposal was made of.
    pub fn proposal_actions(&self, id: &ProposalId) -> Result<Value, ClientError> {
        self.send(gov(&format!("/gov/members/proposals/{id}/actions")))?
            .json()
    }

    /// The ballot a member cast: the script's source.
    pub fn ballot(&self, id: &ProposalId, member: &IdentityId) -> Result<String, ClientError> {
        Ok(self
            .send(gov(&format!(
                "/gov/members/proposals/{id}/ballots/{member}"
            )))?
            .text()?
            .to_owned())
    }

    /// The receipt of a committed transaction, as the service gives it; waits while it is fetched from the ledger.
    pub fn receipt(&self, transaction: TxId) -> Result<Value, ClientError> {
        self.fetch(&format!("/app/receipt?transaction_id={transaction}"))?
            .json()
    }
}

/// A read of governance's.
pub(crate) fn gov(path: &str) -> Request {
    Request::get(format!("{path}?{API_VERSION}"))
}
