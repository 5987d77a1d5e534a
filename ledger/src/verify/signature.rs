//! What the rules on one signature come to in the end: cryptography that needs nothing else of the walk.

use std::fmt;
use std::sync::Arc;

use super::check::{Check, Fault, Located, Place};
use crate::hash::Digest;
use crate::id::TxId;
use crate::key::PublicKey;
use crate::signature::CoseRootSignature;

/// The signatures of one signature entry, still to be verified. Whoever walks a ledger has to run each; the order does not
/// matter.
#[derive(Debug)]
#[must_use = "a ledger is verified only when its signatures are"]
pub struct PendingSignature {
    pub(super) place: Place,
    pub(super) id: TxId,
    pub(super) root: Digest,
    pub(super) node: Arc<PublicKey>,
    pub(super) node_id: String,
    pub(super) signature: Vec<u8>,
    pub(super) service: Option<Arc<PublicKey>>,
    pub(super) cose: Option<Vec<u8>>,
}

impl PendingSignature {
    /// Verifies what the node and the service signed.
    ///
    /// # Errors
    /// [`Check::NodeSignature`], [`Check::CoseSignature`].
    pub fn verify(self) -> Result<(), Box<Located>> {
        let outcome = self.node().and_then(|()| self.cose());
        outcome.map_err(|fault| {
            Box::new(Located {
                place: self.place,
                fault,
            })
        })
    }

    fn node(&self) -> Result<(), Fault> {
        self.node
            .verify_root(&self.root, &self.signature)
            .map_err(|e| {
                Check::NodeSignature
                    .fault(e.to_string(), format!("a signature by {}", self.node_id))
            })
    }

    fn cose(&self) -> Result<(), Fault> {
        let Some(row) = &self.cose else {
            return Ok(());
        };
        let wrong = |e: &dyn fmt::Display| {
            Check::CoseSignature.fault(e.to_string(), "a signature by the service")
        };
        let signature = CoseRootSignature::from_row(row).map_err(|e| wrong(&e))?;
        if signature.id != self.id {
            let got = signature.id.to_string();
            return Err(Check::CoseSignature.fault(got, self.id.to_string()));
        }
        let service = self.service.as_ref().ok_or_else(|| wrong(&"no service"))?;
        signature.verify(&self.root, service).map_err(|e| wrong(&e))
    }
}
