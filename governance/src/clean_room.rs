//! The clean room's side: evidence and a public key go in, secrets wrapped to that key come out.

use attestation::{ClientKey, CvmEvidence, Evidence, Family};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Client, ClientError, Request, segment};
use crate::contracts::OptionStatus;
use crate::ids::TxId;
use crate::secrets::{SecretId, SecretText};

/// A clean room: its evidence, its key, and a connection without credentials.
pub struct CleanRoom {
    client: Client,
    key: ClientKey,
    evidence: RoomEvidence,
}

/// What a clean room shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomEvidence {
    /// It is a confidential container group.
    Group(Box<Evidence>),
    /// It is a confidential VM.
    Machine(Box<CvmEvidence>),
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

/// A secret that was released, and the transaction that recorded the release.
pub struct Released {
    /// The secret.
    pub secret: SecretText,
    /// The transaction of the release record, if the service names one.
    pub transaction: Option<TxId>,
    /// How many bytes the wrapped secret has.
    pub wrapped_len: usize,
}

#[derive(Serialize)]
struct PublicKey {
    #[serde(rename = "publicKey")]
    public_key: String,
}

#[derive(Serialize)]
struct Signature {
    #[serde(rename = "publicKey")]
    public_key: String,
    signature: String,
}

/// The envelope of attested requests (application interface, section 2.1).
#[derive(Serialize)]
struct Attested {
    platform: &'static str,
    attestation: Value,
    encrypt: PublicKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    sign: Option<Signature>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

impl CleanRoom {
    /// A clean room that calls the service through `client`.
    pub fn new(client: Client, key: ClientKey, evidence: impl Into<RoomEvidence>) -> Self {
        Self {
            client,
            key,
            evidence: evidence.into(),
        }
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

    /// The body of a get-secret request, as JSON: what [`CleanRoom::secret`] sends, for programs with a connection of their own.
    ///
    /// # Errors
    /// [`ClientError::Request`] when the evidence has no JSON form; it always has.
    pub fn request_body(&self) -> Result<Vec<u8>, ClientError> {
        serde_json::to_vec(&self.envelope()).map_err(|error| ClientError::Request {
            reason: error.to_string(),
        })
    }

    /// Reads a secret by its full id and unwraps it. Where the contract's releases are strict, waits until the record of this one is committed.
    ///
    /// # Errors
    /// [`ClientError::Service`] when the service refuses: `VerifySnpAttestationFailed`, `ReportDataMismatch`, `SecretNotFound`,
    /// `ReleaseNotCommitted` and others; [`ClientError::Unwrap`] when what comes back is not wrapped to this key.
    pub fn secret(&self, contract: &str, secret_id: &str) -> Result<Released, ClientError> {
        #[derive(Deserialize)]
        struct Wrapped {
            value: String,
        }
        let path = format!(
            "/app/contracts/{}/secrets/{}",
            segment(contract)?,
            segment(secret_id)?
        );
        let request = Request::post(path).json(&self.envelope())?;
        let mut response = self.client.write(request.clone())?;
        let transaction = response.transaction();
        if response.status() == StatusCode::ACCEPTED {
            let granted = transaction.ok_or_else(|| ClientError::Answer {
                reason: "a grant without its transaction".to_owned(),
            })?;
            response = self.client.send(request.at(granted)?)?;
        }
        let wrapped = STANDARD
            .decode(response.json::<Wrapped>()?.value)
            .map_err(|error| ClientError::Answer {
                reason: format!("wrapped secret: {error}"),
            })?;
        let secret = SecretText::from_utf8(self.key.unwrap(&wrapped)?)?;
        Ok(Released {
            secret,
            transaction,
            wrapped_len: wrapped.len(),
        })
    }

    /// Stores a secret as the clean room; returns its full id.
    ///
    /// # Errors
    /// As [`CleanRoom::secret`].
    pub fn put_secret(
        &self,
        contract: &str,
        name: &str,
        secret: &SecretText,
    ) -> Result<String, ClientError> {
        let path = format!(
            "/app/contracts/{}/secrets/{}",
            segment(contract)?,
            segment(name)?
        );
        let payload = secret.to_body()?;
        let signature = STANDARD.encode(self.key.sign(&payload)?);
        let request = Attested {
            sign: Some(Signature {
                public_key: self.encoded_key(),
                signature,
            }),
            data: Some(STANDARD.encode(&payload)),
            ..self.envelope()
        };
        Ok(self
            .client
            .write(Request::put(path).json(&request)?)?
            .json::<SecretId>()?
            .secret_id)
    }

    /// Asks whether the contract may run: the consent check.
    ///
    /// # Errors
    /// As [`CleanRoom::secret`].
    pub fn contract_execution(&self, contract: &str) -> Result<OptionStatus, ClientError> {
        let path = format!(
            "/app/contracts/{}/runtimeoptions/execution/status",
            segment(contract)?
        );
        self.client
            .send(Request::post(path).json(&self.envelope())?)?
            .json()
    }

    fn encoded_key(&self) -> String {
        STANDARD.encode(self.key.public_key_pem())
    }

    fn envelope(&self) -> Attested {
        Attested {
            platform: self.evidence.platform(),
            attestation: self.evidence.to_request(),
            encrypt: PublicKey {
                public_key: self.encoded_key(),
            },
            sign: None,
            data: None,
        }
    }
}
