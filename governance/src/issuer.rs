//! The issuer of tokens for clean rooms: its keys, its documents, and under which URL it is known to whom.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Client, ClientError, Request};
use crate::member::Actions;

/// The issuer, as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// Whether members enabled it.
    pub enabled: bool,
    /// The URL for all tenants, by governance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_url: Option<String>,
    /// The caller's tenant, if it has a URL of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_data: Option<TenantIssuer>,
}

/// A tenant's own URL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantIssuer {
    /// The tenant.
    pub tenant_id: String,
    /// Its URL.
    pub issuer_url: String,
}

/// A key that was made, or was there already.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GeneratedKey {
    /// The request of governance that it answers.
    pub req_id: String,
    /// Its id.
    pub kid: String,
}

/// # Errors
/// All return [`ClientError::Service`] when the service refuses.
impl Client {
    /// The issuer and its URLs.
    pub fn issuer(&self) -> Result<Issuer, ClientError> {
        self.send(Request::post("/app/oidc/issuerInfo").json(&json!({}))?)?
            .json()
    }

    /// Has the key made that governance asks for; the caller is an active member. Code `OidcIssuerNotEnabled`.
    pub fn generate_issuer_key(&self) -> Result<GeneratedKey, ClientError> {
        self.write(Request::post("/app/oidc/generateSigningKey").json(&json!({}))?)?
            .json()
    }

    /// Sets the URL of the caller's tenant. Codes `InvalidUrl`, `NoTenantId`, `IssuerUrlSetByAnother`.
    pub fn set_issuer_url(&self, url: &str) -> Result<(), ClientError> {
        self.write(Request::post("/app/oidc/setIssuerUrl").json(&json!({ "url": url }))?)?;
        Ok(())
    }

    /// Takes the URL of the caller's tenant away, as far as the caller may.
    pub fn remove_issuer_url(&self) -> Result<(), ClientError> {
        self.write(Request::post("/app/oidc/removeIssuerUrl").json(&json!({}))?)?;
        Ok(())
    }

    /// The two documents to publish below the issuer's URL: at `/.well-known/openid-configuration` and `/keys`. Code
    /// `SigningKeyNotAvailable` while no key was made.
    pub fn issuer_documents(&self) -> Result<(Value, Value), ClientError> {
        let discovery = "/app/oidc/.well-known/openid-configuration";
        let discovery = self.send(Request::get(discovery))?.json()?;
        let keys = self.send(Request::get("/app/oidc/keys"))?.json()?;
        Ok((discovery, keys))
    }
}

impl Actions {
    /// Enables the issuer, whose first key gets an id that begins so.
    #[must_use]
    pub fn enable_issuer(self, kid: &str) -> Self {
        self.action("enable_oidc_issuer", json!({ "kid": kid }))
    }

    /// Asks for a new key of the issuer.
    #[must_use]
    pub fn rotate_issuer_key(self) -> Self {
        self.action("oidc_issuer_enable_rotate_signing_key", json!({}))
    }

    /// Sets the URL for all tenants that have none of their own.
    #[must_use]
    pub fn set_issuer_url_for_all(self, url: &str) -> Self {
        self.action("set_oidc_issuer_url", json!({ "issuer_url": url }))
    }
}
