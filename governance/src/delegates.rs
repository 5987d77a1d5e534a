//! Delegate policies, from the side of members and users: which other code agreed code has admitted, for what.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::{Client, ClientError, Request, contract_path};
use crate::policies::Claims;
use crate::service::Listed;

/// Names a delegate policy within its contract.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DelegateId {
    /// What it is for.
    pub delegate_type: String,
    /// For which of these.
    pub delegate_id: String,
}

/// What a delegate policy says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Delegate {
    /// Claims, each with the values that are accepted; empty when there is no such policy.
    pub claims: Claims,
    /// Documents that must be accepted and consented to for the policy to count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<String>,
}

/// # Errors
/// All return [`ClientError::Service`] when the caller may not read them.
impl Client {
    /// The delegate policies of a contract.
    pub fn delegates(&self, contract: &str) -> Result<Vec<DelegateId>, ClientError> {
        let path = contract_path(contract, &["cleanroompolicy", "delegates"])?;
        let list: Listed<DelegateId> = self.send(Request::get(path))?.json()?;
        Ok(list.value)
    }

    /// One delegate policy.
    pub fn delegate(&self, contract: &str, kind: &str, id: &str) -> Result<Delegate, ClientError> {
        let path = contract_path(contract, &["cleanroompolicy", "delegates", kind, id])?;
        self.send(Request::post(path).json(&json!({}))?)?.json()
    }
}
