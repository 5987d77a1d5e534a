//! A document as it is shown.

use ccf_rs::TxId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::user::{Approver, Labels};
use crate::user_proposals::Ballot;

/// A document of either kind: members that a kind or a state does not have are left out.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Document")]
pub(super) struct Shown {
    pub(super) id: String,
    pub(super) state: State,
    /// Of the draft or of the accepted document; while proposed, what the proposal says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) contract_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) labels: Option<Labels>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) approvers: Option<Vec<Approver>>,
    pub(super) proposal_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proposer_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) final_votes: Option<Vec<Vote>>,
    /// Only when what is proposed is not what the draft says (W10).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) draft_matches: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "DocumentState")]
pub(super) enum State {
    Draft,
    Proposed,
    Accepted,
}

/// How a member voted on a member document, or an approver on a user document.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "DocumentVote")]
pub(super) enum Vote {
    #[serde(rename_all = "camelCase")]
    Member {
        member_id: String,
        vote: bool,
    },
    Approver(Ballot),
}

impl Shown {
    /// A document of which nothing is known but its id and state.
    pub(super) fn new(id: &str, state: State) -> Self {
        Self {
            id: id.to_owned(),
            state,
            version: None,
            contract_id: None,
            data: None,
            labels: None,
            approvers: None,
            proposal_id: String::new(),
            proposer_id: None,
            final_votes: None,
            draft_matches: None,
        }
    }

    /// Whether it belongs to the contract whose route asks; a route without a contract sees all.
    pub(super) fn is_within(&self, scope: Option<&str>) -> bool {
        scope.is_none() || self.contract_id.as_deref() == scope
    }
}

pub(super) fn of_version(version: Option<TxId>) -> Option<Value> {
    version.map(|version| json!(version))
}
