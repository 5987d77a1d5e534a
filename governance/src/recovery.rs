//! What recovery members do: open a recovered service, give back their shares.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::{Checkpoint, PublicKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::client::{Client, ClientError, Request};
use crate::cose::MessageType;
use crate::identity::IdentityError;
use crate::ids::{IdentityId, TxId};
use crate::member::{Actions, Member};
use crate::service::gov;

/// What came of submitting a share.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShareProgress {
    /// For people.
    pub message: String,
    /// How many shares there are now.
    pub submitted_count: usize,
    /// How many are needed.
    pub recovery_threshold: usize,
    /// Whether this was the whole key, as owners hold it.
    pub full_key_submitted: bool,
    /// Members whose shares turned out not to fit the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wrong_shares: Vec<IdentityId>,
}

/// By whose shares a service is recovered (`docs/constitution.md`, "Recovery").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryKind {
    /// Of people or organisations.
    BreakGlass,
    /// Of members whose keys stay in an attested recovery service.
    Confidential,
}

/// Where a recovering node is (`GET /node/state`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct NodeState {
    /// `PartOfPublicNetwork` while it waits, `ReadingPrivateLedger`, then `PartOfNetwork`.
    pub state: String,
    /// Position of the last signature.
    pub last_signed_seqno: u64,
}

/// What members should know of the last recovery.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LatestRecovery {
    /// How often the service was recovered.
    pub recovery_count: u64,
    /// Status of the service.
    pub status: String,
    /// The recovery policy in force.
    #[serde(default)]
    pub policy: Option<Value>,
    /// How it was opened, by which proposal, why; whether it is acknowledged.
    #[serde(default)]
    pub record: Option<Value>,
    /// Which checkpoints the recovered ledger does not hold, and the operator's reason to go on.
    #[serde(default)]
    pub rollback: Option<Value>,
}

/// Why a share was not submitted.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// The service or the connection.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The identity has no encryption key.
    #[error("member {member} has no encryption key here (enc_privk.pem)")]
    NoKey {
        /// The member.
        member: IdentityId,
    },
    /// The share is not encrypted to the member's key.
    #[error("the share of member {member} cannot be decrypted: {source}")]
    Decrypt {
        /// The member.
        member: IdentityId,
        /// Why.
        source: crate::encryption::EncryptionError,
    },
    /// The identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// A decrypted recovery share. Wiped when dropped.
pub struct RecoveryShare(Zeroizing<Vec<u8>>);

impl RecoveryShare {
    /// A share as another program has decrypted it.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl Client {
    /// The certificate of the service before the last recovery, byte for byte as proposals must name it.
    ///
    /// # Errors
    /// [`ClientError`]; code `ResourceNotFound` when the service was never recovered.
    pub fn previous_identity(&self) -> Result<String, ClientError> {
        #[derive(Deserialize)]
        struct Body {
            previous_service_identity: String,
        }
        let body: Body = self
            .send(Request::get("/node/service/previous_identity"))?
            .json()?;
        Ok(body.previous_service_identity)
    }

    /// What members should know of the last recovery: record, policy, roll-back. An embedded node's own.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn latest_recovery(&self) -> Result<LatestRecovery, ClientError> {
        self.send(gov("/gov/recovery/latest"))?.json()
    }

    /// The last signature of the service's ledger, with `service_certificate` (PEM) as the one that must stand behind it: to be
    /// kept, and shown when the service is recovered.
    ///
    /// # Errors
    /// [`ClientError::Answer`] when the signature does not hold.
    pub fn checkpoint(&self, service_certificate: &str) -> Result<Checkpoint, ClientError> {
        #[derive(Deserialize)]
        struct Commit {
            transaction_id: TxId,
        }
        let commit: Commit = self.send(Request::get("/node/commit"))?.json()?;
        let id = commit.transaction_id;
        let receipt = self.receipt(id)?;
        let bad = |reason: &str| ClientError::Answer {
            reason: format!("receipt of {id}: {reason}"),
        };
        let form = json!({
            "format": "ledger-checkpoint/1",
            "txid": id,
            "root": receipt.get("leaf"),
            "service_certificate": service_certificate,
            "node_certificate": receipt.get("cert"),
            "node_signature": receipt.get("signature"),
        });
        let checkpoint = Checkpoint::from_json(form.to_string().as_bytes())
            .map_err(|_| bad("not one of a signature"))?;
        let service = PublicKey::of_certificate(service_certificate)
            .map_err(|_| bad("the service certificate cannot be used"))?;
        checkpoint
            .verify(Some(&service))
            .map_err(|error| bad(&error.to_string()))?;
        Ok(checkpoint)
    }

    /// Where the node is in its life.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn node_state(&self) -> Result<NodeState, ClientError> {
        self.send(Request::get("/node/state"))?.json()
    }
}

impl Actions {
    /// Opens the recovered service `next` (PEM) as the one that `previous` (PEM) was. It then waits for recovery shares.
    #[must_use]
    pub fn open_recovered_service(self, previous: &str, next: &str) -> Self {
        self.action(
            "transition_service_to_open",
            json!({ "previous_service_identity": previous, "next_service_identity": next }),
        )
    }

    /// The same under a recovery policy: which kind of recovery it is, and why.
    #[must_use]
    pub fn open_recovered_service_as(
        self,
        previous: &str,
        next: &str,
        kind: RecoveryKind,
        reason: Option<&str>,
    ) -> Self {
        let mut args = json!({
            "previous_service_identity": previous,
            "next_service_identity": next,
            "recovery_kind": kind,
        });
        if let Some(reason) = reason {
            args["reason"] = json!(reason);
        }
        self.action("transition_service_to_open", args)
    }

    /// Acknowledges a recovery, by its count: releases that are held until then go on.
    #[must_use]
    pub fn acknowledge_recovery(self, recovery_count: u64) -> Self {
        self.action(
            "acknowledge_recovery",
            json!({ "recovery_count": recovery_count }),
        )
    }
}

impl Member {
    /// Fetches this member's share and decrypts it.
    ///
    /// # Errors
    /// [`ShareError`].
    pub fn recovery_share(&self) -> Result<RecoveryShare, ShareError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Body {
            encrypted_share: String,
        }
        let member = self.id();
        let key = self.identity().encryption_key();
        let key = key.ok_or_else(|| ShareError::NoKey {
            member: member.clone(),
        })?;
        let path = format!("/gov/recovery/encrypted-shares/{member}");
        let body: Body = self.client().send(gov(&path))?.json()?;
        // What is not base64 is not encrypted to this key either.
        let sealed = STANDARD.decode(body.encrypted_share).unwrap_or_default();
        match key.decrypt(&sealed) {
            Ok(share) => Ok(RecoveryShare(share)),
            Err(source) => Err(ShareError::Decrypt { member, source }),
        }
    }

    /// Submits a share.
    ///
    /// # Errors
    /// [`ClientError`]; codes `ServiceNotWaitingForRecoveryShares`, `InvalidInput` for a share that cannot be right,
    /// `InternalError` when enough shares do not fit together, with the members concerned.
    pub fn submit_share(&self, share: &RecoveryShare) -> Result<ShareProgress, ClientError> {
        let path = format!("/gov/recovery/members/{}:recover", self.id());
        let body = json!({ "share": STANDARD.encode(&share.0) });
        self.signed(&path, &MessageType::RecoveryShare, &body)?
            .json()
    }

    /// Fetches, decrypts and submits this member's share.
    ///
    /// # Errors
    /// [`ShareError`].
    pub fn give_share(&self) -> Result<ShareProgress, ShareError> {
        Ok(self.submit_share(&self.recovery_share()?)?)
    }
}
