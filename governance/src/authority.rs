//! Certificate authorities: each contract may have one, for its clean rooms.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::{Client, ClientError, Request, contract_path};
use crate::member::Actions;

/// The authority of a contract.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Authority {
    /// Whether members enabled it.
    pub enabled: bool,
    /// Open proposals to enable it.
    #[serde(default)]
    pub proposal_ids: Vec<String>,
    /// The newest certificate, PEM; absent while no key was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_cert: Option<String>,
    /// Its key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Every certificate there was, to be trusted until those under it have expired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ca_certs: Vec<AuthorityCertificate>,
}

/// A certificate of an authority.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorityCertificate {
    /// The request number of governance that it answers.
    pub request_id: String,
    /// PEM.
    pub ca_cert: String,
}

/// # Errors
/// All return [`ClientError::Service`] when the service refuses.
impl Client {
    /// The authority of a contract.
    pub fn authority(&self, contract: &str) -> Result<Authority, ClientError> {
        let path = contract_path(contract, &["ca", "status"])?;
        self.send(Request::post(path).json(&json!({}))?)?.json()
    }

    /// Has the key made that governance asks for; the caller is an active member. Returns the number of the request that it answers. Code
    /// `CANotEnabled`.
    pub fn generate_authority_key(&self, contract: &str) -> Result<String, ClientError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Generated {
            request_id: String,
        }
        let path = contract_path(contract, &["ca", "generateSigningKey"])?;
        let generated = self.write(Request::post(path).json(&json!({}))?)?;
        Ok(generated.json::<Generated>()?.request_id)
    }
}

impl Actions {
    /// Enables the authority of an accepted contract.
    #[must_use]
    pub fn enable_authority(self, contract: &str) -> Self {
        self.action("enable_ca", json!({ "contractId": contract }))
    }

    /// Asks for a new key of the authority.
    #[must_use]
    pub fn rotate_authority_key(self, contract: &str) -> Self {
        let args = json!({ "contractId": contract });
        self.action("ca_enable_rotate_signing_key", args)
    }
}
