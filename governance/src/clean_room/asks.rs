//! What a clean room asks of a service.

use attestation::Family;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::request::{Ask, form, now_ms};
use super::{CleanRoom, Released};
use crate::client::{ClientError, escape, segments};
use crate::contracts::OptionStatus;
use crate::documents::DocumentKind;
use crate::policies::{Claims, PolicyEdit};
use crate::secrets::{SecretId, SecretText};

/// What a token is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRequest {
    /// Who the bearer is to its audience.
    pub subject: String,
    /// For whom it is.
    pub audience: String,
    /// Whose issuer URL is meant.
    pub tenant: String,
    /// One of the configured issuer URLs; the tenant's, or else the one for all, when absent.
    pub issuer: Option<String>,
    /// How long it lives, in seconds from now.
    pub lifetime: u64,
}

/// What is to be certified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRequest {
    /// The key, PEM.
    pub public_key: String,
    /// `CN=name`, more parts separated by commas.
    pub subject_name: String,
    /// `dNSName:name` or `iPAddress:address`.
    pub subject_alternate_names: Vec<String>,
    /// How long, in days; never longer than the authority's own certificate.
    pub validity_period_days: u32,
}

/// A change of the policy by which a clean room admits other code for one purpose.
#[derive(Clone, Debug, PartialEq)]
pub struct DelegatePolicy {
    /// For what: `secrets`, `events`, `oauth-federation-subjects`, `podpolicies`, `ca`.
    pub kind: String,
    /// For which of these: the full id of a secret, `writer`, a subject, `admin`, `endorsed-cert`.
    pub id: String,
    /// Of which kind of platform the claims are.
    pub platform: Family,
    /// Whether claims are added or removed.
    pub edit: PolicyEdit,
    /// Claims, each with the values that are accepted.
    pub claims: Claims,
    /// Documents that must be accepted and consented to for the policy to count; those named before when absent.
    pub documents: Option<Vec<String>>,
}

/// What a clean room may do, by its evidence.
///
/// # Errors
/// All return [`ClientError::Service`] when the service refuses: `VerifySnpAttestationFailed`, `ReportDataMismatch`, `ContractDisabled` and what
/// each endpoint adds; [`ClientError::Unwrap`] when what comes back is not wrapped to this key.
impl CleanRoom {
    /// Reads a secret by its full id.
    pub fn secret(&self, contract: &str, secret_id: &str) -> Result<Released, ClientError> {
        self.receive(&Ask::post(contract, segments(&["secrets", secret_id])?))
    }

    /// Stores a secret as the clean room; returns its full id.
    pub fn put_secret(
        &self,
        contract: &str,
        name: &str,
        secret: &SecretText,
    ) -> Result<String, ClientError> {
        let payload = secret.to_body(&[])?;
        let ask = Ask::put(contract, segments(&["secrets", name])?, payload);
        Ok(self.ask(&ask)?.response.json::<SecretId>()?.secret_id)
    }

    /// Asks whether the contract may run: the consent check.
    pub fn contract_execution(&self, contract: &str) -> Result<OptionStatus, ClientError> {
        self.ask(&Ask::post(contract, "runtimeoptions/execution/status"))?
            .response
            .json()
    }

    /// Asks for the status of an option of a user document, such as `execution`.
    pub fn document_option(
        &self,
        contract: &str,
        document: &str,
        option: &str,
    ) -> Result<OptionStatus, ClientError> {
        let path = segments(&[
            "userdocuments",
            document,
            "runtimeoptions",
            option,
            "status",
        ])?;
        self.ask(&Ask::post(contract, path))?.response.json()
    }

    /// Reads an accepted document, as JSON.
    pub fn document(
        &self,
        contract: &str,
        kind: DocumentKind,
        id: &str,
    ) -> Result<Released, ClientError> {
        let path = segments(&[kind.path(), "accepted", id])?;
        self.receive(&Ask::post(contract, path))
    }

    /// Asks for a token of the service's issuer: a JWS in compact form. Each has an id of its own.
    pub fn token(&self, contract: &str, wanted: &TokenRequest) -> Result<Released, ClientError> {
        let now = u64::try_from(now_ms() / 1000).unwrap_or_default();
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| ClientError::Request {
            reason: "the system has no randomness".to_owned(),
        })?;
        let mut query = format!(
            "sub={}&aud={}&tid={}&jti={}&iat={now}&nbf={now}&exp={}",
            escape(&wanted.subject),
            escape(&wanted.audience),
            escape(&wanted.tenant),
            hex::encode(id),
            now.saturating_add(wanted.lifetime),
        );
        if let Some(issuer) = &wanted.issuer {
            query.push_str(&format!("&iss={}", escape(issuer)));
        }
        self.receive(&Ask::post(contract, format!("oauth/token?{query}")))
    }

    /// Has the service sign bytes: RSASSA-PSS, SHA-256, salt 32, in base64.
    pub fn signature(&self, contract: &str, payload: &[u8]) -> Result<Released, ClientError> {
        let mut ask = Ask::post(contract, "signing/sign");
        ask.more
            .insert("payload".to_owned(), STANDARD.encode(payload).into());
        ask.covered = Some(payload.to_vec());
        self.receive(&ask)
    }

    /// Asks the contract's authority for a certificate, PEM.
    pub fn certificate(
        &self,
        contract: &str,
        wanted: &CertificateRequest,
    ) -> Result<String, ClientError> {
        #[derive(Deserialize)]
        struct Certified {
            cert: String,
        }
        let mut ask = Ask::post(contract, "ca/generateEndorsedCert");
        ask.payload = Some(
            serde_json::to_vec(wanted)
                .map_err(|error| form(&error))?
                .into(),
        );
        let released = self.receive(&ask)?;
        let certified: Certified =
            serde_json::from_str(released.secret.expose()).map_err(|error| {
                ClientError::Answer {
                    reason: format!("certificate: {error}"),
                }
            })?;
        Ok(certified.cert)
    }

    /// Writes an event: JSON that people read, under an id and a scope, the scope empty if there is none.
    pub fn write_event(
        &self,
        contract: &str,
        scope: &str,
        id: &str,
        data: &Value,
    ) -> Result<(), ClientError> {
        let payload = serde_json::to_vec(data).map_err(|error| form(&error))?;
        let timestamp = now_ms().to_string();
        let query = format!("scope={}&id={}", escape(scope), escape(id));
        let mut ask = Ask::put(contract, format!("events?{query}"), payload.clone().into());
        // A signature over the request covers the timestamp, behind the payload and a line feed.
        let mut covered = payload;
        covered.push(b'\n');
        covered.extend_from_slice(timestamp.as_bytes());
        ask.covered = Some(covered);
        ask.more.insert("timestamp".to_owned(), timestamp.into());
        self.ask(&ask)?;
        Ok(())
    }

    /// Changes a delegate policy.
    pub fn put_delegate(&self, contract: &str, change: &DelegatePolicy) -> Result<(), ClientError> {
        let mut payload = json!({
            "type": change.edit.as_str(),
            "policyType": change.platform.as_str(),
            "claims": change.claims,
        });
        if let Some(documents) = &change.documents {
            payload["documents"] = json!(documents);
        }
        let path = segments(&["cleanroompolicy", "delegates", &change.kind, &change.id])?;
        let payload = serde_json::to_vec(&payload).map_err(|error| form(&error))?;
        self.ask(&Ask::put(contract, path, payload.into()))?;
        Ok(())
    }
}
