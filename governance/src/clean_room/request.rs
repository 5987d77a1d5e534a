//! Attested requests (application interface, section 2.1): the envelope, its signatures, and what to do when the service wants more.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Challenge, CleanRoom, Released, RoomEvidence};
use crate::client::{Client, ClientError, Request, Response, contract_path};
use crate::ids::TxId;
use crate::secrets::SecretText;

/// What a clean room asks for.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) contract: &'a str,
    /// Below the contract, with query.
    pub(super) path: String,
    /// Payload that the attested key signs.
    pub(super) payload: Option<Zeroizing<Vec<u8>>>,
    /// Members of the body that are particular to this request.
    pub(super) more: Map<String, Value>,
    /// What a signature over the request covers in place of the payload.
    pub(super) covered: Option<Vec<u8>>,
}

impl<'a> Ask<'a> {
    pub(super) fn post(contract: &'a str, path: impl Into<String>) -> Self {
        Self {
            method: Method::POST,
            contract,
            path: path.into(),
            payload: None,
            more: Map::new(),
            covered: None,
        }
    }

    pub(super) fn put(
        contract: &'a str,
        path: impl Into<String>,
        payload: Zeroizing<Vec<u8>>,
    ) -> Self {
        Self {
            method: Method::PUT,
            payload: Some(payload),
            ..Self::post(contract, path)
        }
    }

    fn full_path(&self) -> Result<String, ClientError> {
        let contract = contract_path(self.contract, &[])?;
        Ok(format!("{contract}/{}", self.path))
    }
}

/// An answer, and the transaction of what was decided.
pub(super) struct Answer {
    pub(super) response: Response,
    transaction: Option<TxId>,
}

/// What is shown with one attempt.
struct Shown<'a> {
    evidence: &'a RoomEvidence,
    challenge: Option<&'a str>,
    signs_request: bool,
}

impl Client {
    /// Asks for a challenge that fresh evidence answers.
    ///
    /// # Errors
    /// [`ClientError::Service`] when the service has none to give.
    pub fn challenge(&self, contract: &str) -> Result<Challenge, ClientError> {
        let path = contract_path(contract, &["challenge"])?;
        self.send(Request::post(path))?.json()
    }
}

impl CleanRoom {
    /// The body of a get-secret request, as JSON: evidence and key, for programs with a connection of their own.
    ///
    /// # Errors
    /// [`ClientError::Request`] when the evidence has no JSON form; it always has.
    pub fn request_body(&self) -> Result<Vec<u8>, ClientError> {
        let shown = Shown {
            signs_request: false,
            ..self.at_hand()
        };
        let envelope = self.envelope(&Ask::post("", ""), "", &shown)?;
        serde_json::to_vec(&envelope).map_err(|error| form(&error))
    }

    /// Sends a request. Evidence is made anew where the service wants it fresh; a service whose clock is far from this one's gets the
    /// request without a signature over it.
    pub(super) fn ask(&self, ask: &Ask<'_>) -> Result<Answer, ClientError> {
        let first = self.attempt(ask, &self.at_hand());
        let code = first.as_ref().err().and_then(ClientError::code);
        match code {
            Some("RequestExpired") => self.attempt(
                ask,
                &Shown {
                    signs_request: false,
                    ..self.at_hand()
                },
            ),
            Some("ChallengeMissing" | "ChallengeInvalid") if self.source.is_some() => {
                let (evidence, challenge) = self.fresh(ask.contract)?;
                let shown = Shown {
                    evidence: &evidence,
                    challenge: Some(&challenge),
                    signs_request: true,
                };
                self.attempt(ask, &shown)
            }
            _ => first,
        }
    }

    /// Asks for what is wrapped, and unwraps it. Where the contract's releases are strict, waits until the record of this one is committed.
    pub(super) fn receive(&self, ask: &Ask<'_>) -> Result<Released, ClientError> {
        #[derive(Deserialize)]
        struct Wrapped {
            value: String,
        }
        let Answer {
            response,
            transaction,
        } = self.ask(ask)?;
        let wrapped = STANDARD
            .decode(response.json::<Wrapped>()?.value)
            .map_err(|error| ClientError::Answer {
                reason: format!("wrapped value: {error}"),
            })?;
        Ok(Released {
            secret: SecretText::from_utf8(self.key.unwrap(&wrapped)?)?,
            transaction,
            wrapped_len: wrapped.len(),
        })
    }

    fn at_hand(&self) -> Shown<'_> {
        Shown {
            evidence: &self.evidence,
            challenge: self.challenge.as_deref(),
            signs_request: true,
        }
    }

    fn fresh(&self, contract: &str) -> Result<(RoomEvidence, String), ClientError> {
        let Challenge { challenge, .. } = self.client.challenge(contract)?;
        let source = self.source.as_ref().ok_or_else(|| ClientError::Evidence {
            source: "there is no platform to make it".into(),
        })?;
        let evidence = source
            .evidence(self.key.public_key_pem(), Some(&challenge))
            .map_err(|source| ClientError::Evidence { source })?;
        Ok((evidence, challenge))
    }

    fn attempt(&self, ask: &Ask<'_>, shown: &Shown<'_>) -> Result<Answer, ClientError> {
        let path = ask.full_path()?;
        let envelope = self.envelope(ask, &path, shown)?;
        let request = Request::new(ask.method.clone(), path).json(&envelope)?;
        let mut response = self.client.write(request.clone())?;
        let transaction = response.transaction();
        if response.status() == StatusCode::ACCEPTED {
            let granted = transaction.ok_or_else(|| ClientError::Answer {
                reason: "a grant without its transaction".to_owned(),
            })?;
            response = self.client.send(request.at(granted)?)?;
        }
        Ok(Answer {
            response,
            transaction,
        })
    }

    fn envelope(&self, ask: &Ask<'_>, path: &str, shown: &Shown<'_>) -> Result<Value, ClientError> {
        let key = STANDARD.encode(self.key.public_key_pem());
        let mut body = ask.more.clone();
        body.insert("platform".to_owned(), shown.evidence.platform().into());
        body.insert("attestation".to_owned(), shown.evidence.to_request());
        body.insert("encrypt".to_owned(), json!({ "publicKey": key }));
        if let Some(challenge) = shown.challenge {
            body.insert("challenge".to_owned(), challenge.into());
        }
        if let Some(payload) = &ask.payload {
            let signature = STANDARD.encode(self.key.sign(payload)?);
            body.insert("data".to_owned(), STANDARD.encode(&**payload).into());
            body.insert(
                "sign".to_owned(),
                json!({ "publicKey": key, "signature": signature }),
            );
        }
        if shown.signs_request {
            let covered = ask.covered.as_deref();
            let payload = ask.payload.as_ref().map(|payload| payload.as_slice());
            let covered = covered.or(payload).unwrap_or_default();
            let challenge = shown.challenge.unwrap_or_default();
            let signed = self.signed_request(&ask.method, path, challenge, covered)?;
            body.insert("request".to_owned(), signed);
        }
        Ok(body.into())
    }

    /// The signature over a request: over verb, path, query, time, challenge and the digest of what is sent.
    fn signed_request(
        &self,
        method: &Method,
        path: &str,
        challenge: &str,
        covered: &[u8],
    ) -> Result<Value, ClientError> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let issued_at = now_ms();
        let digest = hex::encode(Sha256::digest(covered));
        let text = format!("{method}\n{path}\n{query}\n{issued_at}\n{challenge}\n{digest}");
        let signature = self.key.sign(text.as_bytes())?;
        Ok(json!({ "issuedAt": issued_at.to_string(), "signature": STANDARD.encode(signature) }))
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis())
}

pub(super) fn form(error: &serde_json::Error) -> ClientError {
    ClientError::Request {
        reason: error.to_string(),
    }
}
