//! User proposals: registered people propose that a user document be accepted, and its approvers vote.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Client, ClientError, Request, segment};
use crate::documents::{Approver, Document};

/// How far a user proposal has come.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserProposalStatus {
    /// Who proposed.
    pub proposer_id: String,
    /// `Open`, `Accepted`, `Rejected`, `Withdrawn`.
    pub state: String,
    /// Who voted how.
    pub ballots: Vec<UserBallot>,
}

/// How an approver voted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserBallot {
    /// The approver.
    pub approver_id: String,
    /// `accepted` or `rejected`.
    pub ballot: String,
}

/// # Errors
/// All return [`ClientError::Service`] when the service refuses; every read of a proposal may answer `ProposalNotFound`.
impl Client {
    /// Proposes a user document as read and reviewed, to these approvers: those of its draft, where that names some. The id is the
    /// proposer's choice.
    pub fn propose_user_document(
        &self,
        proposal: &str,
        document: &Document,
        approvers: &[Approver],
    ) -> Result<(), ClientError> {
        let body = json!({
            "name": "set_user_document",
            "args": { "documentId": document.id, "document": document },
            "approvers": approvers,
        });
        self.write(Request::put(path(proposal, "")?).json(&body)?)?;
        Ok(())
    }

    /// What was proposed, as the proposer sent it.
    pub fn user_proposal(&self, proposal: &str) -> Result<Value, ClientError> {
        self.send(Request::post(path(proposal, "")?).json(&json!({}))?)?
            .json()
    }

    /// How far a proposal has come.
    pub fn user_proposal_status(&self, proposal: &str) -> Result<UserProposalStatus, ClientError> {
        self.send(Request::post(path(proposal, "/status")?).json(&json!({}))?)?
            .json()
    }

    /// Votes as one of the approvers, for good. Codes `NotProposalApprover`, `BallotAlreadySubmitted`, `ProposalNotOpen`.
    pub fn vote_on_user_proposal(
        &self,
        proposal: &str,
        accept: bool,
    ) -> Result<UserProposalStatus, ClientError> {
        let ballot = if accept { "accepted" } else { "rejected" };
        let request = Request::post(path(proposal, "/ballots/submit")?);
        self.write(request.json(&json!({ "ballot": ballot }))?)?
            .json()
    }

    /// Takes the caller's own proposal back. Codes `NotProposalOwner`, `ProposalNotOpen`.
    pub fn withdraw_user_proposal(
        &self,
        proposal: &str,
    ) -> Result<UserProposalStatus, ClientError> {
        self.write(Request::post(path(proposal, "/withdraw")?).json(&json!({}))?)?
            .json()
    }
}

fn path(proposal: &str, what: &str) -> Result<String, ClientError> {
    Ok(format!("/app/users/proposals/{}{what}", segment(proposal)?))
}
