//! Evidence against roll-back: signatures of the ledger that somebody kept outside it.

use std::fmt;

use ledger::{Checkpoint, Digest, PublicKey, TxId};

/// How a ledger is not the one that a checkpoint is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rollback {
    /// The ledger ends before it: transactions that were signed are missing.
    Older {
        /// The signature in the checkpoint.
        checkpoint: TxId,
        /// The last signature of the ledger.
        last: TxId,
    },
    /// At its position the ledger has something else.
    Fork {
        /// The signature in the checkpoint.
        checkpoint: TxId,
        /// The root it signs.
        want: Digest,
        /// What the ledger has there: a signature and the root it signs, or none.
        got: Option<(TxId, Digest)>,
    },
    /// A service that is none of the ledger's identities has signed it.
    Stranger {
        /// The signature in the checkpoint.
        checkpoint: TxId,
        /// Id of the key that signed.
        service: String,
    },
}

/// Checkpoints to be found in a ledger.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    checkpoints: Vec<Checkpoint>,
    /// What the ledger has at the position of each.
    found: Vec<Option<(TxId, Digest)>>,
}

impl Expected {
    pub(super) fn new(checkpoints: &[Checkpoint]) -> Self {
        Self {
            checkpoints: checkpoints.to_vec(),
            found: vec![None; checkpoints.len()],
        }
    }

    /// Whether there are any.
    pub(super) const fn any(&self) -> bool {
        !self.checkpoints.is_empty()
    }

    /// A signature of the ledger that was verified, or will be before anybody relies on it.
    pub(super) fn signed(&mut self, id: TxId, root: Digest) {
        for (checkpoint, found) in self.checkpoints.iter().zip(&mut self.found) {
            if checkpoint.txid.seqno == id.seqno {
                *found = Some((id, root));
            }
        }
    }

    /// What does not fit a ledger that ends at `last` and had these identities (certificates in PEM).
    pub(super) fn missing(&self, last: TxId, identities: &[String]) -> Vec<Rollback> {
        let checkpoints = self.checkpoints.iter().zip(&self.found);
        checkpoints
            .filter_map(|(checkpoint, found)| misfit(checkpoint, *found, last, identities))
            .collect()
    }
}

fn misfit(
    checkpoint: &Checkpoint,
    found: Option<(TxId, Digest)>,
    last: TxId,
    identities: &[String],
) -> Option<Rollback> {
    let (id, want) = (checkpoint.txid, checkpoint.root);
    let signer = PublicKey::of_certificate(&checkpoint.service_certificate).ok();
    let known = identities
        .iter()
        .any(|pem| PublicKey::of_certificate(pem).ok() == signer);
    if found == Some((id, want)) && known {
        None
    } else if !known {
        Some(Rollback::Stranger {
            checkpoint: id,
            service: signer.map(|key| key.id()).unwrap_or_default(),
        })
    } else if id.seqno > last.seqno {
        Some(Rollback::Older {
            checkpoint: id,
            last,
        })
    } else {
        Some(Rollback::Fork {
            checkpoint: id,
            want,
            got: found,
        })
    }
}

impl Rollback {
    /// The signature in the checkpoint.
    #[must_use]
    pub const fn checkpoint(&self) -> TxId {
        match self {
            Self::Older { checkpoint, .. }
            | Self::Fork { checkpoint, .. }
            | Self::Stranger { checkpoint, .. } => *checkpoint,
        }
    }
}

impl fmt::Display for Rollback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Older { checkpoint, last } => {
                write!(
                    f,
                    "the ledger ends at {last}, a checkpoint is of {checkpoint}"
                )
            }
            Self::Fork {
                checkpoint,
                want,
                got: Some((id, root)),
            } => write!(
                f,
                "the ledger has root {root} at {id}, a checkpoint has {want} at {checkpoint}"
            ),
            Self::Fork { checkpoint, .. } => {
                write!(
                    f,
                    "the ledger has no signature at {checkpoint}, a checkpoint has"
                )
            }
            Self::Stranger {
                checkpoint,
                service,
            } => write!(
                f,
                "a checkpoint of {checkpoint} is signed by service {service}, which is none of the ledger's"
            ),
        }
    }
}
