//! Asking a service why evidence is admitted under a contract, or not.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clean_room::RoomEvidence;
use crate::client::{Client, ClientError, Request, contract_path};

/// What becomes of evidence, step by step.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Whether it would be admitted now.
    pub admitted: bool,
    /// The step that refuses: `check`, `class`, `rule`, `got`, or only a `code`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Value>,
    /// What the evidence proves.
    #[serde(default)]
    pub claims: BTreeMap<String, Value>,
    /// The policies that were compared.
    pub alternatives: Vec<AlternativeTried>,
    /// Members who disabled the contract.
    #[serde(default)]
    pub disabled_by: Vec<String>,
    /// What members should know of such evidence.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// One policy and what it says.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlternativeTried {
    /// `contract` or `delegate`.
    pub policy: String,
    /// Purpose of a delegate policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegate_type: Option<String>,
    /// The same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegate_id: Option<String>,
    /// `matches`, `differs`, `silent`, `nothingPinned`.
    pub outcome: String,
    /// Claims that differ.
    #[serde(default)]
    pub mismatches: Vec<Mismatch>,
    /// The decision that the policy is the result of.
    #[serde(default)]
    pub source: Value,
}

/// One claim that differs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Mismatch {
    /// Its name.
    pub claim: String,
    /// What was presented.
    pub got: Option<Value>,
    /// What is accepted.
    pub want: Vec<Value>,
    /// Which decision set it: `version`, `proposalId`.
    #[serde(default)]
    pub set: Value,
}

impl Client {
    /// Explains evidence, with the PEM text of the key it should bind. `purpose` is type and id of a delegate policy, such as
    /// `("secrets", id)`.
    ///
    /// # Errors
    /// [`ClientError::Service`] when the caller may not ask.
    pub fn explain(
        &self,
        contract: &str,
        evidence: &RoomEvidence,
        key_pem: Option<&str>,
        purpose: Option<(&str, &str)>,
    ) -> Result<Explanation, ClientError> {
        let mut question = json!({
            "platform": evidence.platform(),
            "attestation": evidence.to_request(),
        });
        if let Some(pem) = key_pem {
            question["encrypt"] = json!({ "publicKey": STANDARD.encode(pem) });
        }
        if let Some((kind, id)) = purpose {
            question["purpose"] = json!({ "delegateType": kind, "delegateId": id });
        }
        let path = contract_path(contract, &["cleanroompolicy", "explain"])?;
        self.send(Request::post(path).json(&question)?)?.json()
    }
}
