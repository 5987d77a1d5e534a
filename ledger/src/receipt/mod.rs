//! Receipts: proof that a transaction is in the ledger of a service (ledger format, section 15).
//!
//! A receipt takes the leaf of a transaction to a root that the service signed. [`Covering`] makes receipts from a ledger,
//! [`UnverifiedReceipt`] and [`CoseReceipt`] check them.

mod cose;
mod json;

pub use cose::{CoseReceipt, CoseReceiptError};
pub use json::{ReceiptError, UnverifiedReceipt, VerifiedReceipt};

use std::collections::BTreeMap;

use json::LeafComponents;

use crate::entry::Entry;
use crate::hash::Digest;
use crate::json::encode_base64;
use crate::merkle::{MerkleTree, Proof, TREE_MAP, TreeError, fold_proof};
use crate::secret::CommitEvidence;
use crate::signature::{COSE_SIGNATURES_MAP, CoseError, SIGNATURES_MAP, SignatureRow, cose_of_row};
use crate::write_set::SINGLE_KEY;

/// A receipt cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MakeReceiptError {
    /// The entry that should cover the transaction is no signature, or not a readable one.
    #[error("the covering entry: {0}")]
    Signature(String),
    /// Signatures of CCF 1.x do not carry the certificate that a receipt needs, and the ledger before it was not read.
    #[error(
        "the covering signature carries no certificate, as those of CCF 1.x; that of node {node} stands in the node's row"
    )]
    NoCertificate {
        /// Id of the node that signed.
        node: String,
    },
    /// The signature's tree does not reach back to the transaction.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The tree does not lead to the root that was signed.
    #[error("the proof leads to root {got}, want {want}")]
    Root {
        /// Where it leads.
        got: Digest,
        /// The signed root.
        want: Digest,
    },
    /// The signature has no COSE form, or its bytes are not one.
    #[error("the covering signature has no COSE form: {0}")]
    Cose(CoseError),
    /// The entry is of a type that has no COSE receipts.
    #[error("an entry without claims or commit evidence has no COSE receipt")]
    OldEntry,
}

/// The certificates of nodes that an entry records as CCF 1.x did, PEM by node id: for [`Covering::with_certificates`].
#[must_use]
pub fn recorded_certificates(entry: &Entry<'_>) -> BTreeMap<String, String> {
    crate::verify::recorded_certificates(entry)
}

/// The first signature behind a transaction, which makes the transaction's receipt.
pub struct Covering {
    row: SignatureRow,
    certificate: String,
    tree: MerkleTree,
    cose: Option<Vec<u8>>,
}

impl Covering {
    /// Reads a signature entry.
    ///
    /// # Errors
    /// [`MakeReceiptError::Signature`], [`MakeReceiptError::NoCertificate`].
    pub fn of(signature: &Entry<'_>) -> Result<Self, MakeReceiptError> {
        Self::with_certificates(signature, &BTreeMap::new())
    }

    /// As [`Covering::of`], also for a signature of CCF 1.x, which carries no certificate. `certificates` are those that the
    /// ledger recorded before it, PEM by node id: [`recorded_certificates`].
    ///
    /// # Errors
    /// [`MakeReceiptError::Signature`], [`MakeReceiptError::NoCertificate`].
    pub fn with_certificates(
        signature: &Entry<'_>,
        certificates: &BTreeMap<String, String>,
    ) -> Result<Self, MakeReceiptError> {
        let value = |map: &str| {
            let section = signature.section(map);
            section.and_then(|section| section.value(&SINGLE_KEY))
        };
        let wrong = |what: &dyn std::fmt::Display| MakeReceiptError::Signature(what.to_string());
        let signed = value(SIGNATURES_MAP).ok_or_else(|| wrong(&"it signs nothing"))?;
        let tree = value(TREE_MAP).ok_or_else(|| wrong(&"it has no tree"))?;
        let cose = value(COSE_SIGNATURES_MAP).map(cose_of_row).transpose();
        let mut row: SignatureRow = serde_json::from_slice(signed).map_err(|e| wrong(&e))?;
        let certificate = row
            .cert
            .take()
            .or_else(|| certificates.get(&row.node).cloned());
        let missing = || MakeReceiptError::NoCertificate {
            node: row.node.clone(),
        };
        Ok(Self {
            certificate: certificate.ok_or_else(missing)?,
            row,
            tree: MerkleTree::deserialise(tree).map_err(|e| wrong(&e))?,
            cose: cose.map_err(|e| wrong(&e))?,
        })
    }

    /// The receipt of the signature itself: its root, with nothing to prove.
    #[must_use]
    pub fn of_itself(&self) -> UnverifiedReceipt {
        self.receipt(Some(self.row.root), None, Proof::new())
    }

    /// The JSON receipt of a transaction. `evidence` is its commit evidence, which takes the ledger's secret to know; without it
    /// the receipt has the leaf alone and proves an entry to whoever has the entry.
    ///
    /// # Errors
    /// [`MakeReceiptError`].
    pub fn json(
        &self,
        entry: &Entry<'_>,
        evidence: Option<&CommitEvidence>,
    ) -> Result<UnverifiedReceipt, MakeReceiptError> {
        let proof = self.proof(entry)?;
        let evidence = evidence.filter(|_| entry.commit_evidence_digest.is_some());
        Ok(match evidence {
            None => self.receipt(Some(entry.leaf()), None, proof),
            Some(evidence) => {
                let components = LeafComponents {
                    claims_digest: entry.claims_digest,
                    commit_evidence: evidence.as_str().to_owned(),
                    write_set_digest: entry.write_set_digest(),
                };
                self.receipt(None, Some(components), proof)
            }
        })
    }

    /// The COSE receipt of a transaction.
    ///
    /// # Errors
    /// [`MakeReceiptError`]; [`MakeReceiptError::OldEntry`] for entries without claims digest or commit evidence.
    pub fn cose(
        &self,
        entry: &Entry<'_>,
        evidence: &CommitEvidence,
    ) -> Result<Vec<u8>, MakeReceiptError> {
        let proof = self.proof(entry)?;
        let (Some(claims), Some(_)) = (entry.claims_digest, entry.commit_evidence_digest) else {
            return Err(MakeReceiptError::OldEntry);
        };
        let signature = self
            .cose
            .as_deref()
            .ok_or(MakeReceiptError::Cose(CoseError::Row))?;
        let leaf = (entry.write_set_digest(), evidence, claims);
        cose::with_proof(signature, leaf, &proof).map_err(MakeReceiptError::Cose)
    }

    fn proof(&self, entry: &Entry<'_>) -> Result<Proof, MakeReceiptError> {
        let proof = self.tree.proof(entry.seqno, self.tree.last())?;
        let (got, want) = (fold_proof(entry.leaf(), &proof), self.row.root);
        if got != want {
            return Err(MakeReceiptError::Root { got, want });
        }
        Ok(proof)
    }

    fn receipt(
        &self,
        leaf: Option<Digest>,
        leaf_components: Option<LeafComponents>,
        proof: Proof,
    ) -> UnverifiedReceipt {
        UnverifiedReceipt {
            cert: self.certificate.clone(),
            leaf,
            leaf_components,
            node_id: self.row.node.clone(),
            proof,
            service_endorsements: Vec::new(),
            signature: encode_base64(&self.row.sig.0),
        }
    }
}
