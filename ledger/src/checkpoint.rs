//! Checkpoints: what an auditor keeps of a ledger, to see later that it went on from there.
//!
//! A checkpoint is a root that the service signed, with the signatures. It says what stood in the ledger up to there: a
//! ledger with another history has another root, and one that was cut behind the checkpoint does not reach it.
//!
//! ```cddl
//! checkpoint = {
//!   format: "ledger-checkpoint/1",
//!   txid: tstr,                    ; the signature transaction
//!   root: tstr,                    ; hex; the Merkle root over everything before it
//!   service_certificate: tstr,     ; PEM
//!   node_certificate: tstr,        ; PEM, issued by the service
//!   node_signature: tstr,          ; base64 of ECDSA in DER over the root
//!   ? cose_signature: tstr,        ; base64 of the service's COSE_Sign1 over the root
//! }
//! ```

use serde::{Deserialize, Serialize};

use crate::hash::Digest;
use crate::id::TxId;
use crate::json::Base64;
use crate::key::{KeyError, PublicKey};
use crate::signature::{CoseError, CoseRootSignature, SignatureRow, cose_of_row};

/// The one version of the format.
const FORMAT: &str = "ledger-checkpoint/1";

/// A root that a service signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    format: String,
    /// The signature transaction.
    pub txid: TxId,
    /// Merkle root over everything before it.
    pub root: Digest,
    /// Certificate of the service then, PEM.
    pub service_certificate: String,
    node_certificate: String,
    node_signature: Base64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cose_signature: Option<Base64>,
}

/// A checkpoint that proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not JSON of the form.
    #[error("not a checkpoint: {reason}")]
    Form {
        /// What is wrong with it.
        reason: String,
    },
    /// Of another service than the one trusted.
    #[error("checkpoint of service {got}, want {want}")]
    Service {
        /// Id of the key in the checkpoint.
        got: String,
        /// Id of the key trusted.
        want: String,
    },
    /// The node's certificate or signature.
    #[error("node: {0}")]
    Node(#[source] KeyError),
    /// The service's signature.
    #[error("service: {0}")]
    Cose(#[from] CoseError),
    /// The service's signature is over another transaction.
    #[error("signature of {got}, want {want}")]
    Transaction {
        /// What it names.
        got: TxId,
        /// What the checkpoint is of.
        want: TxId,
    },
}

/// What a checkpoint is made of.
pub(crate) struct Signed<'a> {
    pub(crate) txid: TxId,
    pub(crate) root: Digest,
    pub(crate) service_certificate: &'a str,
    pub(crate) node_certificate: &'a str,
    pub(crate) node_signature: &'a [u8],
    pub(crate) cose_signature: Option<&'a [u8]>,
}

impl Checkpoint {
    pub(crate) fn new(signed: &Signed<'_>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            txid: signed.txid,
            root: signed.root,
            service_certificate: signed.service_certificate.to_owned(),
            node_certificate: signed.node_certificate.to_owned(),
            node_signature: Base64(signed.node_signature.to_vec()),
            cose_signature: signed.cose_signature.map(|bytes| Base64(bytes.to_vec())),
        }
    }

    /// The checkpoint of a signature as its rows have it: that of [`SIGNATURES_MAP`](crate::SIGNATURES_MAP), and that of
    /// [`COSE_SIGNATURES_MAP`](crate::COSE_SIGNATURES_MAP) if there is one. `None` for a row of 1.x, which has no certificate.
    #[must_use]
    pub fn of_signature(
        row: &SignatureRow,
        cose: Option<&[u8]>,
        service_certificate: &str,
    ) -> Option<Self> {
        let cose = cose.and_then(|row| cose_of_row(row).ok());
        Some(Self::new(&Signed {
            txid: TxId {
                view: row.view,
                seqno: row.seqno,
            },
            root: row.root,
            service_certificate,
            node_certificate: row.cert.as_deref()?,
            node_signature: &row.sig.0,
            cose_signature: cose.as_deref(),
        }))
    }

    /// Reads a checkpoint. Nothing in it is true yet.
    ///
    /// # Errors
    /// [`CheckpointError::Form`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let form = |reason: String| CheckpointError::Form { reason };
        let checkpoint: Self = serde_json::from_slice(bytes).map_err(|e| form(e.to_string()))?;
        if checkpoint.format != FORMAT {
            return Err(form(format!(
                "format {:?}, want {FORMAT:?}",
                checkpoint.format
            )));
        }
        Ok(checkpoint)
    }

    /// Verifies the signatures. `trusted` is the service key the caller trusts; without it the checkpoint vouches for itself
    /// only.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn verify(&self, trusted: Option<&PublicKey>) -> Result<(), CheckpointError> {
        let service =
            PublicKey::of_certificate(&self.service_certificate).map_err(CheckpointError::Node)?;
        if let Some(trusted) = trusted.filter(|trusted| **trusted != service) {
            return Err(CheckpointError::Service {
                got: service.id(),
                want: trusted.id(),
            });
        }
        service
            .verify_certificate(&self.node_certificate)
            .and_then(|()| PublicKey::of_certificate(&self.node_certificate))
            .and_then(|node| node.verify_root(&self.root, &self.node_signature.0))
            .map_err(CheckpointError::Node)?;
        let Some(cose) = &self.cose_signature else {
            return Ok(());
        };
        let cose = CoseRootSignature::from_bytes(&cose.0)?;
        if cose.id != self.txid {
            return Err(CheckpointError::Transaction {
                got: cose.id,
                want: self.txid,
            });
        }
        Ok(cose.verify(&self.root, &service)?)
    }
}
