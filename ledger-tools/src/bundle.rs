//! Receipts made from a ledger, with everything that checking them offline takes.
//!
//! ```cddl
//! bundle = {
//!   version: 1,
//!   transaction: tstr,
//!   entry: tstr,                   ; base64: the ledger entry
//!   receipt: receipt,              ; of the entry, in CCF's JSON form
//!   ? cose: tstr,                  ; base64: the receipt in COSE form
//!   endorsements: [* row],         ; identities, newest first, from the one at the ledger's end back to the entry's
//! }
//! ```
//!
//! | check | rule |
//! |---|---|
//! | REC-10 | the bundle has this form and version, and its entry parses |
//! | REC-11 | the entry is the transaction's, and its leaf is the receipt's |
//! | REC-12 | the endorsements lead from the trusted identity to the one of the entry |
//! | REC-13 | the receipt holds under that identity (REC-01 to REC-04), and so does the COSE form (REC-06, REC-07) |

use std::collections::BTreeMap;
use std::path::Path;

use ledger::receipt::{
    CoseReceipt, CoseReceiptError, Covering, MakeReceiptError, ReceiptError, UnverifiedReceipt,
    recorded_certificates,
};
use ledger::{
    Base64, Digest, ENDORSEMENT_MAP, EndorsementError, EndorsementRow, Entry, EntryError, KeyError,
    LedgerSecrets, PublicKey, RsaPrivateKey, SINGLE_KEY, TxId, verify_chain,
};
use serde::{Deserialize, Serialize};

use crate::decrypt::{DecryptError, SealedSecrets};
use crate::error::AuditError;
use crate::history::TransactionSummary;
use crate::replay::replay_signed;
use crate::values::read;
use crate::verify::VerifyOptions;

/// A receipt with its entry and the endorsements it needs. Nothing in it is true before [`Bundle::verify`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    version: u32,
    transaction: TxId,
    entry: Base64,
    receipt: UnverifiedReceipt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cose: Option<Base64>,
    #[serde(default)]
    endorsements: Vec<EndorsementRow>,
}

const VERSION: u32 = 1;

/// What a bundle that verifies proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proven {
    /// What the transaction wrote.
    pub transaction: TransactionSummary,
    /// Id of the service key that signed it.
    pub identity: String,
    /// Number of endorsements between that key and the trusted one.
    pub endorsements: usize,
    /// Whether the COSE form was there and holds too.
    pub cose: bool,
}

/// Why a bundle cannot be made or proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The ledger.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The receipt cannot be made.
    #[error(transparent)]
    Make(#[from] MakeReceiptError),
    /// The members' keys do not open the ledger's secrets.
    #[error(transparent)]
    Secrets(#[from] DecryptError),
    /// REC-10.
    #[error("REC-10: not a bundle: {0}")]
    Form(String),
    /// REC-11: another transaction's entry.
    #[error("REC-11: the entry is {got}, want {want}")]
    Transaction {
        /// What the entry is.
        got: TxId,
        /// What the bundle says.
        want: TxId,
    },
    /// REC-11: another leaf.
    #[error("REC-11: the entry's leaf is {got}, the receipt's {want}")]
    Leaf {
        /// The entry's.
        got: Digest,
        /// The receipt's.
        want: Digest,
    },
    /// REC-12.
    #[error("REC-12: {0}")]
    Endorsements(#[from] EndorsementError),
    /// REC-13.
    #[error("REC-13: {0}")]
    Receipt(#[from] ReceiptError),
    /// REC-13, the COSE form.
    #[error("REC-13: {0}")]
    Cose(#[from] CoseReceiptError),
    /// The trusted certificate.
    #[error("service certificate: {0}")]
    Certificate(#[from] KeyError),
}

impl From<EntryError> for BundleError {
    fn from(error: EntryError) -> Self {
        Self::Form(error.to_string())
    }
}

impl Bundle {
    /// Makes the bundle of a transaction from a ledger directory, which is verified on the way. The first signature behind the
    /// transaction proves it; so a signature is proven by the next one, and the last by none. `keys`, private encryption keys of
    /// recovery members, open the secrets that give the commit evidence: without any the receipt has the leaf alone, and there is
    /// no COSE form.
    ///
    /// # Errors
    /// [`BundleError`]; [`AuditError::Absent`] for a transaction with no signature behind it.
    pub fn make(
        directory: &Path,
        options: &VerifyOptions,
        transaction: TxId,
        keys: &[RsaPrivateKey],
    ) -> Result<Self, BundleError> {
        let mut entry: Option<Vec<u8>> = None;
        let mut signature: Option<Vec<u8>> = None;
        let mut certificates = BTreeMap::new();
        let mut sealed = SealedSecrets::default();
        let mut endorsements: Vec<(TxId, EndorsementRow)> = Vec::new();
        let report = replay_signed(directory, options, |shown| {
            let id = shown.entry.id();
            sealed.transaction(&shown.entry);
            let row = shown.entry.section(ENDORSEMENT_MAP);
            if let Some(row) = row.and_then(|s| read::<EndorsementRow>(s.value(&SINGLE_KEY)?)) {
                endorsements.push((id, row));
            }
            if signature.is_none() {
                certificates.extend(recorded_certificates(&shown.entry));
            }
            if id == transaction {
                entry = Some(shown.entry.bytes.to_vec());
            } else if entry.is_some() && signature.is_none() && shown.is_signature() {
                signature = Some(shown.entry.bytes.to_vec());
            }
        })?;
        let (Some(entry), Some(signature)) = (entry, signature) else {
            let last = report.verified_until.map(|last| last.to_string());
            return Err(BundleError::Audit(AuditError::Absent {
                what: "a transaction with a signature behind it",
                got: format!("a ledger signed until {}", last.unwrap_or_default()),
                want: transaction.to_string(),
            }));
        };
        let secrets = (!keys.is_empty()).then(|| sealed.open(keys)).transpose()?;
        let signature = Entry::parse(&signature)?;
        let covering = Covering::with_certificates(&signature, &certificates)?;
        let (receipt, cose) = receipts(&entry, &covering, secrets.as_ref())?;
        // Rows that end an epoch before the transaction say nothing about it.
        endorsements.reverse();
        let needed = endorsements.into_iter().filter(|(_, row)| {
            row.endorsement_epoch_end
                .is_some_and(|end| end.seqno >= transaction.seqno)
        });
        Ok(Self {
            version: VERSION,
            transaction,
            entry: Base64(entry),
            receipt,
            cose: cose.map(Base64),
            endorsements: needed.map(|(_, row)| row).collect(),
        })
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// [`BundleError::Form`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, BundleError> {
        let bundle: Self =
            serde_json::from_slice(bytes).map_err(|e| BundleError::Form(e.to_string()))?;
        if bundle.version != VERSION {
            return Err(BundleError::Form(format!(
                "version {}, want {VERSION}",
                bundle.version
            )));
        }
        Ok(bundle)
    }

    /// Checks the bundle against the certificate (PEM) of the service that is trusted: the one at the ledger's end, or the one that
    /// signed the transaction itself. Nothing else is needed.
    ///
    /// # Errors
    /// The first of REC-10 to REC-13 that does not hold.
    pub fn verify(&self, service_certificate: &str) -> Result<Proven, BundleError> {
        let entry = Entry::parse(&self.entry.0)?;
        if entry.bytes.len() != self.entry.0.len() {
            return Err(BundleError::Form("bytes behind the entry".to_owned()));
        }
        if entry.id() != self.transaction {
            return Err(BundleError::Transaction {
                got: entry.id(),
                want: self.transaction,
            });
        }
        let trusted = PublicKey::of_certificate(service_certificate)?;
        let (identity, endorsements) = self.identity(trusted)?;
        let verified = self.receipt.verify_with_key(&identity)?;
        let leaf = entry.leaf();
        if verified.leaf != leaf {
            return Err(BundleError::Leaf {
                got: leaf,
                want: verified.leaf,
            });
        }
        if let Some(cose) = &self.cose {
            let claims = entry.claims_digest.unwrap_or(Digest::ZERO);
            CoseReceipt::from_bytes(&cose.0)?.verify_leaf(&identity, &claims, &leaf)?;
        }
        Ok(Proven {
            transaction: TransactionSummary::of(&entry),
            identity: identity.id(),
            endorsements,
            cose: self.cose.is_some(),
        })
    }

    /// The entry, for a reader of what it wrote. It is a claim until the bundle was verified.
    #[must_use]
    pub fn entry_bytes(&self) -> &[u8] {
        &self.entry.0
    }

    /// The receipt in COSE form, where the bundle has it.
    #[must_use]
    pub fn cose_bytes(&self) -> Option<&[u8]> {
        self.cose.as_ref().map(|cose| cose.0.as_slice())
    }

    /// The receipt in JSON form.
    #[must_use]
    pub const fn receipt(&self) -> &UnverifiedReceipt {
        &self.receipt
    }

    /// The identity that signed the transaction, and how many endorsements lead to it from the trusted one.
    fn identity(&self, trusted: PublicKey) -> Result<(PublicKey, usize), BundleError> {
        let signed_it = self.receipt.verify_with_key(&trusted).is_ok();
        if signed_it || self.endorsements.is_empty() {
            return Ok((trusted, 0));
        }
        let endorsed = verify_chain(&trusted, &self.endorsements)?;
        let count = endorsed.len();
        let covering = endorsed
            .into_iter()
            .enumerate()
            .find(|(_, endorsed)| endorsed.covers(self.transaction));
        match covering {
            Some((steps, endorsed)) => Ok((endorsed.key, steps + 1)),
            None => Err(BundleError::Endorsements(EndorsementError::Gap {
                got: format!("{count} endorsements"),
                want: format!("one for {}", self.transaction),
            })),
        }
    }
}

/// A receipt in JSON form, and in COSE form where there is one.
type Forms = (UnverifiedReceipt, Option<Vec<u8>>);

/// The receipts of an entry by the signature that covers it.
fn receipts(
    bytes: &[u8],
    covering: &Covering,
    secrets: Option<&LedgerSecrets>,
) -> Result<Forms, MakeReceiptError> {
    let entry =
        Entry::parse(bytes).map_err(|error| MakeReceiptError::Signature(error.to_string()))?;
    let secret = secrets.and_then(|secrets| secrets.at(entry.seqno));
    let Some(evidence) = secret.map(|secret| secret.commit_evidence(entry.id())) else {
        return Ok((covering.json(&entry, None)?, None));
    };
    let cose = match covering.cose(&entry, &evidence) {
        Ok(cose) => Some(cose),
        // Older services sign without COSE, and older entries have no claims.
        Err(MakeReceiptError::Cose(_) | MakeReceiptError::OldEntry) => None,
        Err(error) => return Err(error),
    };
    Ok((covering.json(&entry, Some(&evidence))?, cose))
}
