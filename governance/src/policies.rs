//! Clean room policies: which claims a clean room's evidence must show.

use std::collections::BTreeMap;

use attestation::Family;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Client, ClientError, Request, contract_path};
use crate::ids::ProposalId;
use crate::member::{Actions, Member};
use crate::service::Proposal;

/// Claim name to permitted values: every claim must have one of its values (application interface, section 1.3).
pub type Claims = BTreeMap<String, Vec<Value>>;

/// The claim that names the digest of the container group's security policy.
pub const HOST_DATA: &str = "x-ms-sevsnpvm-hostdata";

/// The claim that says whether the hardware lets the host debug the guest.
pub const IS_DEBUGGABLE: &str = "x-ms-sevsnpvm-is-debuggable";

/// Whether a proposal adds claims and values to a policy or removes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyEdit {
    /// Adds.
    Add,
    /// Removes.
    Remove,
}

impl PolicyEdit {
    /// As it is written in proposals and requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
        }
    }
}

/// The policy in force, and the open proposals to change it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Open proposals that edit this policy.
    #[serde(default)]
    pub proposal_ids: Vec<ProposalId>,
    /// The claims; empty when no policy was voted, and then nothing is released.
    #[serde(default)]
    pub policy: Claims,
}

/// The usual policy: exactly this hostData (lower-case hexadecimal), and no debugging.
pub fn host_data_policy(host_data: &str) -> Claims {
    Claims::from([
        (HOST_DATA.to_owned(), vec![host_data.into()]),
        (IS_DEBUGGABLE.to_owned(), vec![false.into()]),
    ])
}

impl Client {
    /// The clean room policy of a contract.
    ///
    /// # Errors
    /// [`ClientError::Service`] when the caller may not read it.
    pub fn clean_room_policy(&self, contract: &str) -> Result<Policy, ClientError> {
        self.send(Request::post(contract_path(
            contract,
            &["cleanroompolicy"],
        )?))?
        .json()
    }
}

impl Member {
    /// Proposes to edit what the clean room policy of an accepted contract says of platforms of this family.
    ///
    /// # Errors
    /// As [`Member::propose`].
    pub fn propose_clean_room_policy(
        &self,
        contract: &str,
        family: Family,
        edit: PolicyEdit,
        claims: &Claims,
    ) -> Result<Proposal, ClientError> {
        let args = json!({
            "contractId": contract, "policyType": family.as_str(), "type": edit.as_str(), "claims": claims,
        });
        self.propose(&Actions::new().action("set_clean_room_policy", args))
    }
}
