//! What members do: acknowledge, propose, vote, withdraw.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Client, ClientError, Request, Response};
use crate::cose::{self, MessageType};
use crate::identity::{Certificate, Identity};
use crate::ids::{IdentityId, ProposalId};
use crate::service::{API_VERSION, Proposal};

/// A member of the consortium with a connection to the service.
///
/// Governance messages are signed by the member's key; the connection shows the member's certificate as well, for the application.
pub struct Member {
    identity: Identity,
    client: Client,
}

/// Sixty-four hexadecimal characters: the Merkle root a member acknowledges. Empty before the first update.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateDigest {
    /// The member.
    pub member_id: IdentityId,
    /// The root of the ledger's Merkle tree at its last signature, when the digest was updated.
    pub state_digest: String,
}

impl Member {
    /// A member at the service at `url` with the given certificate (PEM).
    ///
    /// # Errors
    /// As [`Client::with_identity`]. Nothing is sent yet.
    pub fn new(
        url: &str,
        service_certificate: &str,
        identity: Identity,
    ) -> Result<Self, ClientError> {
        let client = Client::with_identity(url, service_certificate, &identity)?;
        Ok(Self { identity, client })
    }

    /// The member's id.
    pub fn id(&self) -> IdentityId {
        self.identity.id()
    }

    /// The member's identity.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The member's connection, for everything that takes a client certificate.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Asks for a fresh state digest and returns it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn update_state_digest(&self) -> Result<StateDigest, ClientError> {
        let path = format!("/gov/members/state-digests/{}:update", self.id());
        self.signed(&path, &MessageType::StateDigest, &Value::Null)?
            .json()
    }

    /// Acknowledges a state digest. An accepted member becomes active.
    ///
    /// # Errors
    /// [`ClientError`]; code `StateDigestMismatch` when the digest was updated since.
    pub fn acknowledge(&self, digest: &StateDigest) -> Result<(), ClientError> {
        let path = format!("/gov/members/state-digests/{}:ack", self.id());
        self.signed(
            &path,
            &MessageType::Ack,
            &json!({ "stateDigest": digest.state_digest }),
        )?;
        Ok(())
    }

    /// Updates and acknowledges the state digest: what a new member does to become active.
    ///
    /// # Errors
    /// As [`Member::acknowledge`].
    pub fn activate(&self) -> Result<StateDigest, ClientError> {
        let digest = self.update_state_digest()?;
        self.acknowledge(&digest)?;
        Ok(digest)
    }

    /// Makes a proposal. It may be decided at once: look at its state.
    ///
    /// # Errors
    /// [`ClientError`]; code `ProposalFailedToValidate` when the constitution refuses its form.
    pub fn propose(&self, actions: &Actions) -> Result<Proposal, ClientError> {
        self.signed(
            "/gov/members/proposals:create",
            &MessageType::Proposal,
            actions,
        )?
        .json()
    }

    /// Casts a ballot, which cannot be changed afterwards.
    ///
    /// # Errors
    /// [`ClientError`]; codes `ProposalNotFound`, `ProposalNotOpen`, `VoteAlreadyExists`.
    pub fn vote(&self, id: &ProposalId, ballot: &Ballot) -> Result<Proposal, ClientError> {
        let path = format!("/gov/members/proposals/{id}/ballots/{}:submit", self.id());
        self.signed(
            &path,
            &MessageType::Ballot(id.clone()),
            &json!({ "ballot": ballot.source() }),
        )?
        .json()
    }

    /// Votes for a proposal.
    ///
    /// # Errors
    /// As [`Member::vote`].
    pub fn accept(&self, id: &ProposalId) -> Result<Proposal, ClientError> {
        self.vote(id, &Ballot::For)
    }

    /// Takes back an open proposal of this member. `None` when the service does not know the proposal.
    ///
    /// # Errors
    /// [`ClientError`]; codes `AuthorizationFailed` (another member's), `ProposalNotOpen`.
    pub fn withdraw(&self, id: &ProposalId) -> Result<Option<Proposal>, ClientError> {
        let path = format!("/gov/members/proposals/{id}:withdraw");
        let response = self.signed(&path, &MessageType::Withdrawal(id.clone()), &Value::Null)?;
        if response.body().is_empty() {
            Ok(None)
        } else {
            response.json().map(Some)
        }
    }

    /// Signs `payload` (`null` becomes an empty payload), sends it and waits for the commit.
    pub(crate) fn signed<T: Serialize>(
        &self,
        path: &str,
        kind: &MessageType,
        payload: &T,
    ) -> Result<Response, ClientError> {
        let mut bytes = serde_json::to_vec(payload).map_err(|error| ClientError::Request {
            reason: error.to_string(),
        })?;
        if bytes == b"null" {
            bytes.clear();
        }
        let message = cose::sign(&self.identity, kind, now(), &bytes)?;
        self.client
            .write(Request::post(format!("{path}?{API_VERSION}")).cose(message))
    }
}

/// A ballot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ballot {
    /// A vote against, whatever the proposal.
    Against,
    /// A vote for, whatever the proposal.
    For,
    /// A JavaScript module that exports `vote(proposal, proposerId)`.
    Script(String),
}

impl Ballot {
    /// The script that is stored. Existing clients recognise the two constant ballots by their exact text.
    pub fn source(&self) -> &str {
        match self {
            Self::Against => "export function vote (proposal, proposerId) { return false }",
            Self::For => "export function vote (proposal, proposerId) { return true }",
            Self::Script(source) => source,
        }
    }
}

/// The actions of a proposal, in the order in which they would be carried out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Actions {
    actions: Vec<Action>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Action {
    name: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    args: Value,
}

impl Actions {
    /// No actions yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the proposal form `{"actions": [{"name", "args"}]}`.
    ///
    /// # Errors
    /// [`ClientError::Request`] when the text is not of that form.
    pub fn from_json(text: &str) -> Result<Self, ClientError> {
        serde_json::from_str(text).map_err(|error| ClientError::Request {
            reason: format!("proposal: {error}"),
        })
    }

    /// Adds any action of the constitution.
    #[must_use]
    pub fn action(mut self, name: &str, args: Value) -> Self {
        self.actions.push(Action {
            name: name.to_owned(),
            args,
        });
        self
    }

    /// Opens the service that has exactly this certificate (PEM, as [`crate::service::ServiceInfo::certificate`] gives it).
    #[must_use]
    pub fn open_service(self, service_certificate: &str) -> Self {
        self.action(
            "transition_service_to_open",
            json!({ "next_service_identity": service_certificate }),
        )
    }

    /// Adds a member, or replaces the data of one. `encryption_key` (PEM) is for recovery shares.
    #[must_use]
    pub fn set_member(
        self,
        certificate: &Certificate,
        encryption_key: Option<&str>,
        data: &Value,
    ) -> Self {
        let mut args = json!({ "cert": certificate.to_pem() });
        if let Some(key) = encryption_key {
            args["encryption_pub_key"] = key.into();
        }
        if !data.is_null() {
            args["member_data"] = data.clone();
        }
        self.action("set_member", args)
    }

    /// Adds a user, or replaces the data of one.
    #[must_use]
    pub fn set_user(self, certificate: &Certificate, data: &Value) -> Self {
        let mut args = json!({ "cert": certificate.to_pem() });
        if !data.is_null() {
            args["user_data"] = data.clone();
        }
        self.action("set_user", args)
    }
}

/// Seconds since 1970. A clock before 1970 counts as 1970: the service compares the time with other proposals only.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn actions_are_written_as_the_constitution_reads_them() {
        let party = Identity::generate("party", Duration::from_secs(3600)).unwrap();
        let actions = Actions::new()
            .open_service("PEM\n")
            .set_member(
                party.certificate(),
                Some("KEY"),
                &json!({ "identifier": "a" }),
            )
            .set_user(party.certificate(), &Value::Null)
            .action("trigger_ledger_rekey", Value::Null);
        let certificate = party.certificate().to_pem();
        let want = json!({ "actions": [
            { "name": "transition_service_to_open", "args": { "next_service_identity": "PEM\n" } },
            { "name": "set_member", "args":
                { "cert": certificate, "encryption_pub_key": "KEY", "member_data": { "identifier": "a" } } },
            { "name": "set_user", "args": { "cert": certificate } },
            { "name": "trigger_ledger_rekey" },
        ]});
        assert_eq!(serde_json::to_value(&actions).unwrap(), want);
        assert_eq!(Actions::from_json(&want.to_string()).unwrap(), actions);
        assert!(matches!(
            Actions::from_json("{}"),
            Err(ClientError::Request { .. })
        ));
    }
}
