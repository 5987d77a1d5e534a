//! The clean room's side: evidence and a public key go in, secrets wrapped to that key come out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::client::{Client, ClientError, Request, segment};
use crate::contracts::OptionStatus;
use crate::encryption::{EncryptionError, EncryptionKey};
use crate::ids::TxId;
use crate::secrets::{SecretId, SecretText};

/// Evidence of a confidential container group as it goes over the wire (attestation, section 2.8): all members standard base64
/// with padding, but for the TCB version.
///
/// ```cddl
/// evidence = { evidence: tstr, endorsements: tstr, ? uvm_endorsements: tstr, ? endorsed_tcb: tstr }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct WireEvidence {
    /// The SEV-SNP report.
    pub evidence: String,
    /// The certificate chain in PEM: VCEK, ASK, ARK.
    pub endorsements: String,
    /// The COSE_Sign1 endorsement of the utility VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uvm_endorsements: Option<String>,
    /// The TCB version as hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endorsed_tcb: Option<String>,
}

impl WireEvidence {
    /// Encodes a report, its certificate chain (PEM) and, if there, the utility VM's endorsement.
    pub fn new(report: &[u8], endorsements: &[u8], uvm_endorsement: Option<&[u8]>) -> Self {
        Self {
            evidence: STANDARD.encode(report),
            endorsements: STANDARD.encode(endorsements),
            uvm_endorsements: uvm_endorsement.map(|bytes| STANDARD.encode(bytes)),
            endorsed_tcb: None,
        }
    }
}

/// The key pair of a clean room. Its public half, as text, is what the evidence vouches for.
pub struct CleanRoomKey {
    key: EncryptionKey,
    public_pem: String,
}

impl CleanRoomKey {
    /// Makes an RSA-2048 key. Its public text has no line end after the END line, as existing clean rooms write it.
    ///
    /// # Errors
    /// [`EncryptionError`] when the system cannot make one.
    pub fn generate() -> Result<Self, EncryptionError> {
        Self::new(EncryptionKey::generate()?)
    }

    /// Takes a private key; the public text is as in [`CleanRoomKey::generate`].
    ///
    /// # Errors
    /// [`EncryptionError::Encode`] when the public key cannot be encoded.
    pub fn new(key: EncryptionKey) -> Result<Self, EncryptionError> {
        let public_pem = key.public_key_pem()?.trim_end().to_owned();
        Ok(Self { key, public_pem })
    }

    /// Uses another text for the same public key: the evidence vouches for the text, byte for byte.
    #[must_use]
    pub fn with_public_pem(self, public_pem: String) -> Self {
        Self { public_pem, ..self }
    }

    /// The public key, as text.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// What the evidence must have as report data: the SHA-256 of the public text, then 32 zero bytes (attestation, section 4.3).
    pub fn report_data(&self) -> [u8; 64] {
        let mut data = [0; 64];
        let (digest, _) = data.split_at_mut(32);
        digest.copy_from_slice(&Sha256::digest(self.public_pem.as_bytes()));
        data
    }

    /// The private key.
    pub fn key(&self) -> &EncryptionKey {
        &self.key
    }
}

/// A clean room: its evidence, its key, and a connection without credentials.
pub struct CleanRoom {
    client: Client,
    key: CleanRoomKey,
    evidence: WireEvidence,
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
struct Attested<'a> {
    attestation: &'a WireEvidence,
    encrypt: PublicKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    sign: Option<Signature>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

impl CleanRoom {
    /// A clean room that calls the service through `client`.
    pub fn new(client: Client, key: CleanRoomKey, evidence: WireEvidence) -> Self {
        Self {
            client,
            key,
            evidence,
        }
    }

    /// The clean room's key.
    pub fn key(&self) -> &CleanRoomKey {
        &self.key
    }

    /// The evidence it shows.
    pub fn evidence(&self) -> &WireEvidence {
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

    /// Reads a secret by its full id and unwraps it.
    ///
    /// # Errors
    /// [`ClientError::Service`] when the service refuses: `VerifySnpAttestationFailed`, `ReportDataMismatch`, `SecretNotFound` and
    /// others; [`ClientError::Encryption`] when what comes back is not wrapped to this key.
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
        let response = self
            .client
            .write(Request::post(path).json(&self.envelope())?)?;
        let wrapped = STANDARD
            .decode(response.json::<Wrapped>()?.value)
            .map_err(|error| ClientError::Answer {
                reason: format!("wrapped secret: {error}"),
            })?;
        let secret = SecretText::from_utf8(self.key.key.unwrap_key_wrap(&wrapped)?)?;
        Ok(Released {
            secret,
            transaction: response.transaction(),
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
        let signature = STANDARD.encode(self.key.key.sign_pss(&payload)?);
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
        STANDARD.encode(&self.key.public_pem)
    }

    fn envelope(&self) -> Attested<'_> {
        Attested {
            attestation: &self.evidence,
            encrypt: PublicKey {
                public_key: self.encoded_key(),
            },
            sign: None,
            data: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_data_is_the_digest_of_the_text_as_sent() {
        let key = CleanRoomKey::generate().unwrap();
        assert!(key.public_pem().ends_with("-----END PUBLIC KEY-----"));
        let data = key.report_data();
        assert_eq!(data[..32], Sha256::digest(key.public_pem())[..]);
        assert_eq!(data[32..], [0; 32]);
        let with_line_end = format!("{}\n", key.public_pem());
        assert_ne!(key.with_public_pem(with_line_end).report_data(), data);
    }

    #[test]
    fn evidence_is_written_as_existing_clean_rooms_write_it() {
        let evidence = WireEvidence::new(b"report", b"chain", Some(b"uvm"));
        let want = r#"{"evidence":"cmVwb3J0","endorsements":"Y2hhaW4=","uvm_endorsements":"dXZt"}"#;
        assert_eq!(serde_json::to_string(&evidence).unwrap(), want);
    }
}
