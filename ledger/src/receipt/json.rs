//! Receipts in CCF's JSON form (ledger format, section 15.1).
//!
//! ```cddl
//! receipt = {
//!   cert: tstr,                      ; PEM of the node that signed
//!   node_id: tstr,                   ; SHA-256 of its public key, hexadecimal; of its certificate in 1.x
//!   signature: tstr,                 ; base64 of ECDSA in DER over the root
//!   proof: [* { left: tstr // right: tstr }],
//!   (leaf_components: { write_set_digest: tstr, commit_evidence: tstr, ? claims_digest: tstr } // leaf: tstr),
//!   ? service_endorsements: [* tstr],
//! }
//! ```
//!
//! | check | rule |
//! |---|---|
//! | REC-01 | the receipt has this form, with a leaf or its components, not both |
//! | REC-02 | the root that leaf and proof lead to is signed by the node |
//! | REC-03 | the node id is the digest of the node's key; in receipts of CCF 1.x, of its certificate |
//! | REC-04 | the node's certificate leads over the endorsements to the trusted service certificate |
//! | REC-05 | the receipt is for the transaction that was asked for |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hash::Digest;
use crate::id::TxId;
use crate::key::PublicKey;
use crate::merkle::{ProofStep, fold_proof};

/// A receipt as received: nothing in it is true yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnverifiedReceipt {
    pub(super) cert: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) leaf: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) leaf_components: Option<LeafComponents>,
    pub(super) node_id: String,
    pub(super) proof: Vec<ProofStep>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) service_endorsements: Vec<String>,
    pub(super) signature: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LeafComponents {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) claims_digest: Option<Digest>,
    pub(super) commit_evidence: String,
    pub(super) write_set_digest: Digest,
}

/// What a receipt that verifies proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedReceipt {
    /// The transaction, as its commit evidence names it; absent for signature transactions.
    pub transaction: Option<TxId>,
    /// The leaf of the Merkle tree that it is about.
    pub leaf: Digest,
    /// The digest of what the application claims about the transaction; 32 zero bytes when it claims nothing.
    pub claims_digest: Option<Digest>,
    /// The digest of the ledger entry.
    pub write_set_digest: Option<Digest>,
    /// The signed Merkle root.
    pub root: Digest,
    /// The node that signed.
    pub node_id: String,
}

impl UnverifiedReceipt {
    /// Reads a receipt.
    ///
    /// # Errors
    /// REC-01.
    pub fn from_json(value: &Value) -> Result<Self, ReceiptError> {
        let receipt = Self::deserialize(value).map_err(|error| ReceiptError::Form {
            reason: error.to_string(),
        })?;
        if receipt.leaf.is_some() == receipt.leaf_components.is_some() {
            return Err(ReceiptError::Form {
                reason: "want either leaf or leaf_components".to_owned(),
            });
        }
        Ok(receipt)
    }

    /// The certificate of the node that signed, PEM. It is a claim of the receipt.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.cert
    }

    /// The receipt with certificates that lead from the node's certificate to a later identity of the service, nearest to the node
    /// first.
    #[must_use]
    pub fn endorsed_by(self, service_endorsements: Vec<String>) -> Self {
        Self {
            service_endorsements,
            ..self
        }
    }

    /// Verifies the receipt against the certificate (PEM) of the service that is trusted. Validity dates are not looked at: a
    /// receipt outlives the certificates of its day.
    ///
    /// # Errors
    /// The first of REC-01 to REC-04 that does not hold.
    pub fn verify(&self, service_certificate: &str) -> Result<VerifiedReceipt, ReceiptError> {
        let verified = self.signed()?;
        let service = PublicKey::of_certificate(service_certificate).map_err(chain)?;
        self.leads_to(&service)?;
        Ok(verified)
    }

    /// As [`UnverifiedReceipt::verify`], with the key of the service that is trusted.
    ///
    /// # Errors
    /// The first of REC-01 to REC-04 that does not hold.
    pub fn verify_with_key(&self, service: &PublicKey) -> Result<VerifiedReceipt, ReceiptError> {
        let verified = self.signed()?;
        self.leads_to(service)?;
        Ok(verified)
    }

    /// REC-01 to REC-03.
    fn signed(&self) -> Result<VerifiedReceipt, ReceiptError> {
        let form = |reason: String| ReceiptError::Form { reason };
        let leaf = match (&self.leaf_components, self.leaf) {
            (Some(components), _) => components.leaf(),
            (None, Some(leaf)) => leaf,
            (None, None) => return Err(form("neither leaf nor leaf_components".to_owned())),
        };
        let root = fold_proof(leaf, &self.proof);
        let node = PublicKey::of_certificate(&self.cert)
            .map_err(|error| form(format!("cert: {error}")))?;
        let signature = STANDARD
            .decode(&self.signature)
            .map_err(|error| form(format!("signature: {error}")))?;
        node.verify_root(&root, &signature)
            .map_err(|_| ReceiptError::Signature { root })?;
        if !node.names_node(&self.cert, &self.node_id) {
            return Err(ReceiptError::NodeId {
                got: self.node_id.clone(),
                want: node.id(),
            });
        }
        let components = self.leaf_components.as_ref();
        Ok(VerifiedReceipt {
            transaction: components.and_then(LeafComponents::transaction),
            leaf,
            claims_digest: components.and_then(|components| components.claims_digest),
            write_set_digest: components.map(|components| components.write_set_digest),
            root,
            node_id: self.node_id.clone(),
        })
    }

    /// REC-04.
    fn leads_to(&self, service: &PublicKey) -> Result<(), ReceiptError> {
        let mut subject = self.cert.as_str();
        for issuer in &self.service_endorsements {
            PublicKey::of_certificate(issuer)
                .and_then(|key| key.verify_certificate(subject))
                .map_err(chain)?;
            subject = issuer;
        }
        service.verify_certificate(subject).map_err(chain)
    }

    /// As [`UnverifiedReceipt::verify`], for a receipt that must be this transaction's.
    ///
    /// # Errors
    /// The first of REC-01 to REC-05 that does not hold.
    pub fn verify_for(
        &self,
        want: TxId,
        service_certificate: &str,
    ) -> Result<VerifiedReceipt, ReceiptError> {
        let receipt = self.verify(service_certificate)?;
        if receipt.transaction == Some(want) {
            return Ok(receipt);
        }
        let got = receipt
            .transaction
            .map_or_else(|| "no transaction".to_owned(), |got| got.to_string());
        Err(ReceiptError::Transaction { got, want })
    }
}

fn chain(error: impl std::fmt::Display) -> ReceiptError {
    ReceiptError::Chain {
        reason: error.to_string(),
    }
}

impl LeafComponents {
    pub(super) fn leaf(&self) -> Digest {
        let evidence = Digest::of(self.commit_evidence.as_bytes());
        match &self.claims_digest {
            Some(claims) => Digest::of_three(&self.write_set_digest, &evidence, claims),
            None => Digest::of_pair(&self.write_set_digest, &evidence),
        }
    }

    /// The id in `ce:<view>.<seqno>:<hex>`.
    fn transaction(&self) -> Option<TxId> {
        let (id, _) = self.commit_evidence.strip_prefix("ce:")?.split_once(':')?;
        id.parse().ok()
    }
}

/// Why a receipt proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// REC-04.
    #[error("REC-04: the node's certificate does not lead to the service certificate: {reason}")]
    Chain {
        /// At which signature it breaks, and how.
        reason: String,
    },
    /// REC-01.
    #[error("REC-01: not a receipt: {reason}")]
    Form {
        /// What is wrong with it.
        reason: String,
    },
    /// REC-03.
    #[error("REC-03: node id {got}, but the key is that of {want}")]
    NodeId {
        /// The id in the receipt.
        got: String,
        /// The id of the key.
        want: String,
    },
    /// REC-02.
    #[error("REC-02: the node did not sign root {}", root.to_hex())]
    Signature {
        /// The root that leaf and proof lead to.
        root: Digest,
    },
    /// REC-05.
    #[error("REC-05: a receipt for {got}, not for {want}")]
    Transaction {
        /// What it is for.
        got: String,
        /// What was asked for.
        want: TxId,
    },
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    /// The recorded receipts (`generated/*/receipts/*.json`), each with its service certificate and transaction.
    fn recorded(test: &str) -> Vec<(Value, String)> {
        let Some(folder) = ::tests::vectors("ledgers", test) else {
            return Vec::new();
        };
        let Ok(services) = fs::read_dir(folder.join("generated")) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for service in services.map(|entry| entry.unwrap().path()) {
            let Ok(receipts) = fs::read_dir(service.join("receipts")) else {
                continue;
            };
            let certificate = fs::read_to_string(service.join("common/service_cert.pem")).unwrap();
            for path in receipts
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|e| e == "json"))
            {
                found.push((
                    serde_json::from_slice(&fs::read(path).unwrap()).unwrap(),
                    certificate.clone(),
                ));
            }
        }
        found
    }

    #[test]
    fn rec_01_to_05_hold_for_recorded_receipts_and_for_no_altered_one() {
        let recorded = recorded("rec_01_to_05_hold_for_recorded_receipts_and_for_no_altered_one");
        for (value, certificate) in recorded {
            let check = |value: &Value| UnverifiedReceipt::from_json(value)?.verify(&certificate);
            let good = check(&value).unwrap();
            let transaction = good.transaction.unwrap();
            let receipt = UnverifiedReceipt::from_json(&value).unwrap();
            assert_eq!(receipt.verify_for(transaction, &certificate).unwrap(), good);
            let other = TxId::new(99, 99);
            assert!(
                matches!(
                    receipt.verify_for(other, &certificate),
                    Err(ReceiptError::Transaction { .. })
                ),
                "REC-05"
            );

            for path in [
                "/leaf_components/claims_digest",
                "/leaf_components/write_set_digest",
                "/proof/0/left",
                "/proof/0/right",
            ] {
                let mut bad = value.clone();
                if let Some(digest) = bad.pointer_mut(path) {
                    *digest = json!("00".repeat(32));
                    assert!(
                        matches!(check(&bad), Err(ReceiptError::Signature { .. })),
                        "REC-02 {path}"
                    );
                }
            }
            let mut bad = value.clone();
            bad["leaf_components"]["commit_evidence"] = json!(format!("ce:{other}:00"));
            assert!(
                matches!(check(&bad), Err(ReceiptError::Signature { .. })),
                "REC-02 commit evidence"
            );
            let mut bad = value.clone();
            bad["proof"].as_array_mut().unwrap().pop();
            assert!(
                matches!(check(&bad), Err(ReceiptError::Signature { .. })),
                "REC-02 proof cut"
            );
            let mut bad = value.clone();
            bad["node_id"] = json!("00".repeat(32));
            assert!(
                matches!(check(&bad), Err(ReceiptError::NodeId { .. })),
                "REC-03"
            );
            let mut bad = value.clone();
            bad["service_endorsements"] = json!([value["cert"]]);
            assert!(
                matches!(check(&bad), Err(ReceiptError::Chain { .. })),
                "REC-04 endorsements"
            );
            let node = value["cert"].as_str().unwrap();
            let receipt = UnverifiedReceipt::from_json(&value).unwrap();
            assert!(
                matches!(receipt.verify(node), Err(ReceiptError::Chain { .. })),
                "REC-04 another service"
            );
            let mut bad = value.clone();
            bad["leaf"] = json!("00".repeat(32));
            assert!(
                matches!(check(&bad), Err(ReceiptError::Form { .. })),
                "REC-01 two leaves"
            );
        }
    }

    #[test]
    fn rec_01_refuses_what_is_no_receipt() {
        let digest = "00".repeat(32);
        for bad in [
            json!(null),
            json!({}),
            json!({ "cert": "", "node_id": "", "signature": "", "proof": [] }),
            json!({ "cert": "", "node_id": "", "signature": "", "proof": [{ "up": digest }], "leaf": digest }),
            json!({ "cert": "", "node_id": "", "signature": "", "proof": [{ "left": "00" }], "leaf": digest }),
        ] {
            assert!(
                matches!(
                    UnverifiedReceipt::from_json(&bad),
                    Err(ReceiptError::Form { .. })
                ),
                "{bad}"
            );
        }
        let no_certificate =
            json!({ "cert": "x", "node_id": "", "signature": "", "proof": [], "leaf": digest });
        let outcome = UnverifiedReceipt::from_json(&no_certificate)
            .unwrap()
            .verify("x");
        assert!(matches!(outcome, Err(ReceiptError::Form { .. })));
    }
}
