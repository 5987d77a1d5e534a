//! Documents of a contract: drafting, reading, and proposing member documents to the consortium. User documents are proposed to their
//! approvers: [`crate::user_proposals`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Client, ClientError, Request, contract_path, escape};
use crate::contracts::ContractState;
use crate::ids::TxId;
use crate::member::{Actions, Member};
use crate::service::Proposal;

/// Who accepts a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// The consortium.
    Member,
    /// Its approvers.
    User,
}

impl DocumentKind {
    /// Its segment of a path.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Member => "memberdocuments",
            Self::User => "userdocuments",
        }
    }
}

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// Somebody whose consent a user document needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Approver {
    /// A member's, user's or object id.
    pub approver_id: String,
    /// `member` or `user`, for people only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver_id_type: Option<String>,
}

/// What a draft is to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// The content.
    pub data: Value,
    /// Of user documents.
    pub labels: Labels,
    /// Of user documents: who must accept; all members whose votes count, when nobody is named.
    pub approvers: Vec<Approver>,
    /// The version that is replaced; needed when there is a draft already.
    pub version: Option<TxId>,
}

/// A document as the service shows it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// The id its author chose.
    pub id: String,
    /// Where it stands.
    pub state: ContractState,
    /// The transaction that wrote this version; of a proposed document, what the proposer copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Value>,
    /// The contract it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_id: Option<String>,
    /// The content.
    #[serde(default)]
    pub data: Value,
    /// The proposal that is open or was accepted; empty for a draft.
    #[serde(default)]
    pub proposal_id: String,
    /// Labels, approvers, votes, who proposed: what a kind or a state has beyond that.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

/// # Errors
/// All return [`ClientError::Service`] when the service refuses.
impl Client {
    /// Writes a draft, or replaces the draft of `draft.version`. Codes `ContractNotFound`, `PreconditionFailed` and others.
    pub fn put_document(
        &self,
        contract: &str,
        kind: DocumentKind,
        id: &str,
        draft: &Draft,
    ) -> Result<(), ClientError> {
        let mut body = json!({ "contractId": contract, "data": draft.data });
        if !draft.labels.is_empty() {
            body["labels"] = json!(draft.labels);
        }
        if !draft.approvers.is_empty() {
            body["approvers"] = json!(draft.approvers);
        }
        if let Some(version) = draft.version {
            body["version"] = version.to_string().into();
        }
        self.write(Request::put(path(contract, kind, id)?).json(&body)?)?;
        Ok(())
    }

    /// Reads a document. Codes `DocumentNotFound`, `UserDocumentNotFound`.
    pub fn document(
        &self,
        contract: &str,
        kind: DocumentKind,
        id: &str,
    ) -> Result<Document, ClientError> {
        self.send(Request::post(path(contract, kind, id)?).json(&json!({}))?)?
            .json()
    }

    /// The ids of a contract's documents; of user documents, only of those with these labels.
    pub fn documents(
        &self,
        contract: &str,
        kind: DocumentKind,
        labels: &Labels,
    ) -> Result<Vec<String>, ClientError> {
        #[derive(Deserialize)]
        struct Entry {
            id: String,
        }
        // Member documents are listed as a bare array, everything else as the member `value`.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Entries {
            Bare(Vec<Entry>),
            Listed { value: Vec<Entry> },
        }
        let pairs: Vec<String> = labels.iter().map(|(n, v)| format!("{n}:{v}")).collect();
        let query = match pairs.is_empty() {
            true => String::new(),
            false => format!("?labelSelector={}", escape(&pairs.join(","))),
        };
        let path = contract_path(contract, &[kind.path()])? + &query;
        let entries = match self.send(Request::get(path))?.json()? {
            Entries::Bare(entries) | Entries::Listed { value: entries } => entries,
        };
        Ok(entries.into_iter().map(|entry| entry.id).collect())
    }
}

impl Member {
    /// Proposes a member document as read and reviewed: the proposal carries the copy given here, not what the service then has.
    ///
    /// # Errors
    /// As [`Member::propose`].
    pub fn propose_document(&self, document: &Document) -> Result<Proposal, ClientError> {
        let copy = serde_json::to_value(document).map_err(|error| ClientError::Request {
            reason: error.to_string(),
        })?;
        let args = json!({ "documentId": document.id, "document": copy });
        self.propose(&Actions::new().action("set_member_document", args))
    }
}

fn path(contract: &str, kind: DocumentKind, id: &str) -> Result<String, ClientError> {
    contract_path(contract, &[kind.path(), id])
}
