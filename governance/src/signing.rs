//! Signing: the service's key that signs what agreed code asks for.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::{Client, ClientError, Request};
use crate::issuer::GeneratedKey;
use crate::member::Actions;

/// The state of signing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signing {
    /// Whether members enabled it.
    pub enabled: bool,
    /// PEM; empty while no key was made.
    pub public_key_pem: String,
    /// The key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// Keys it replaced, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<PreviousKey>,
}

/// A key that was replaced; what it signed stays signed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviousKey {
    /// The key's id.
    pub kid: String,
    /// PEM.
    pub public_key_pem: String,
}

/// # Errors
/// All return [`ClientError::Service`] when the service refuses.
impl Client {
    /// The state of signing, and the public keys.
    pub fn signing(&self) -> Result<Signing, ClientError> {
        self.send(Request::post("/app/signing/info").json(&json!({}))?)?
            .json()
    }

    /// Has the key made that governance asks for; the caller is an active member. Code `SigningNotEnabled`.
    pub fn generate_signing_key(&self) -> Result<GeneratedKey, ClientError> {
        self.write(Request::post("/app/signing/generateSigningKey").json(&json!({}))?)?
            .json()
    }
}

impl Actions {
    /// Enables signing, whose first key gets an id that begins so.
    #[must_use]
    pub fn enable_signing(self, kid: &str) -> Self {
        self.action("enable_signing", json!({ "kid": kid }))
    }

    /// Asks for a new key.
    #[must_use]
    pub fn rotate_signing_key(self) -> Self {
        self.action("signing_enable_rotate_signing_key", json!({}))
    }
}
