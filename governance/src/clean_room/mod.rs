//! The clean room's side: evidence and a public key go in, what is wrapped to that key comes out.
//!
//! A clean room signs its requests by the attested key, which services that know nothing of it ignore. Where members of a contract ask for fresh
//! evidence (`requireChallenge`), it asks the service for a challenge and has its [`EvidenceSource`] make evidence that answers it.

mod asks;
mod request;

use attestation::{ClientKey, CvmEvidence, Evidence, Family};
use serde::Serialize;
use serde_json::Value;

use crate::client::{Client, ClientError};
use crate::ids::TxId;
use crate::secrets::SecretText;

pub use asks::{CertificateRequest, DelegatePolicy, TokenRequest};

/// A clean room: its evidence, its key, and a connection without credentials.
pub struct CleanRoom {
    client: Client,
    key: ClientKey,
    evidence: RoomEvidence,
    /// The challenge that this evidence answers.
    challenge: Option<String>,
    source: Option<Box<dyn EvidenceSource>>,
}

/// What a clean room shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomEvidence {
    /// It is a confidential container group.
    Group(Box<Evidence>),
    /// It is a confidential VM.
    Machine(Box<CvmEvidence>),
}

/// The platform that makes a clean room's evidence.
pub trait EvidenceSource: Send + Sync {
    /// Evidence that binds a public key (PEM text), and answers a challenge if there is one: in the second half of the report data, which
    /// is then the SHA-256 of its text, or in the nonce of a quote.
    ///
    /// # Errors
    /// Why the platform makes none.
    fn evidence(
        &self,
        key_pem: &str,
        challenge: Option<&str>,
    ) -> Result<RoomEvidence, Box<dyn std::error::Error + Send + Sync>>;
}

impl RoomEvidence {
    /// Name of the platform on the wire.
    pub fn platform(&self) -> &'static str {
        match self {
            Self::Group(_) => Family::Caci.as_str(),
            Self::Machine(_) => Family::Cvm.as_str(),
        }
    }

    /// The `attestation` member of a request.
    pub fn to_request(&self) -> Value {
        match self {
            Self::Group(evidence) => evidence.to_request(),
            Self::Machine(evidence) => evidence.to_request(),
        }
    }
}

impl From<Evidence> for RoomEvidence {
    fn from(evidence: Evidence) -> Self {
        Self::Group(Box::new(evidence))
    }
}

impl From<CvmEvidence> for RoomEvidence {
    fn from(evidence: CvmEvidence) -> Self {
        Self::Machine(Box::new(evidence))
    }
}

/// What was released, and the transaction that recorded the release.
pub struct Released {
    /// The secret, or the text of what else was asked for.
    pub secret: SecretText,
    /// The transaction of the release record, if the service names one.
    pub transaction: Option<TxId>,
    /// How many bytes it has wrapped.
    pub wrapped_len: usize,
}

impl CleanRoom {
    /// A clean room that calls the service through `client` and always shows the same evidence.
    pub fn new(client: Client, key: ClientKey, evidence: impl Into<RoomEvidence>) -> Self {
        Self {
            client,
            key,
            evidence: evidence.into(),
            challenge: None,
            source: None,
        }
    }

    /// A clean room on a platform that makes evidence whenever the service wants it fresh.
    ///
    /// # Errors
    /// [`ClientError::Evidence`] when the platform makes none now.
    pub fn on_platform(
        client: Client,
        key: ClientKey,
        source: impl EvidenceSource + 'static,
    ) -> Result<Self, ClientError> {
        let evidence = source
            .evidence(key.public_key_pem(), None)
            .map_err(|source| ClientError::Evidence { source })?;
        Ok(Self {
            source: Some(Box::new(source)),
            ..Self::new(client, key, evidence)
        })
    }

    /// Says that the evidence at hand answers this challenge.
    #[must_use]
    pub fn answering(mut self, challenge: impl Into<String>) -> Self {
        self.challenge = Some(challenge.into());
        self
    }

    /// The clean room's key.
    pub fn key(&self) -> &ClientKey {
        &self.key
    }

    /// The evidence it shows.
    pub fn evidence(&self) -> &RoomEvidence {
        &self.evidence
    }

    /// Its connection.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

/// A challenge, as `POST /app/contracts/{id}/challenge` gives it out.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, Serialize)]
pub struct Challenge {
    /// The text that evidence answers.
    pub challenge: String,
    /// When it ends, by the host's clock: milliseconds since 1970.
    pub expires: u64,
}
