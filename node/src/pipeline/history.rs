//! Looking back: committed transactions, their receipts, transaction status.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use ccf_rs::{Historical, HistoricalState, HostError, Seqno, TxId, TxStatus, View};
use ledger::{
    Digest, Entry, LedgerSecrets, MerkleTree, ProofStep, SIGNATURES_MAP, SINGLE_KEY, SignatureRow,
    TREE_MAP, fold_proof, parse_sections,
};
use serde_json::{Value as JsonValue, json};

use super::files::Place;
use crate::store::{Bytes, Chain, Store};

/// How many transactions one look into history may load.
const MAX_RANGE: u64 = 10_000;

/// Where every committed entry stands, and the secrets that open them.
#[derive(Default)]
pub struct History {
    index: RwLock<Index>,
    secrets: RwLock<LedgerSecrets>,
}

#[derive(Default)]
struct Index {
    /// Place of each entry from position 1 on.
    places: Vec<Place>,
    /// Positions of signatures, ascending.
    signatures: Vec<Seqno>,
}

/// The ledger as transactions see it.
pub struct Ledger {
    history: Arc<History>,
    store: Weak<Store>,
    view: View,
}

impl History {
    /// Notes a batch that is on disk: its entries in order, the last of them a signature.
    pub fn extend(&self, places: Vec<Place>) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.places.extend(places);
        let last = Seqno(index.places.len() as u64);
        index.signatures.push(last);
    }

    /// A secret, and the first position it covers.
    pub fn add_secret(&self, from: Seqno, secret: Arc<ledger::LedgerSecret>) {
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        secrets.insert(ledger::Seqno(from.0), secret);
    }

    /// The secret that covers a position.
    pub fn secret_at(&self, seqno: Seqno) -> Option<Arc<ledger::LedgerSecret>> {
        self.secrets
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .at(ledger::Seqno(seqno.0))
            .cloned()
    }

    /// The newest secret and the first position it covers.
    pub fn latest_secret(&self) -> Option<(Seqno, Arc<ledger::LedgerSecret>)> {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        secrets
            .latest()
            .map(|(from, secret)| (Seqno(from.0), Arc::clone(secret)))
    }

    /// The bytes of a committed entry.
    fn entry(&self, seqno: Seqno) -> Result<Vec<u8>, HostError> {
        let place = {
            let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
            let at = usize::try_from(seqno.0).ok().and_then(|n| n.checked_sub(1));
            at.and_then(|at| index.places.get(at).cloned())
        };
        let place =
            place.ok_or_else(|| HostError::Failed(format!("no committed transaction {seqno}")))?;
        place.read().map_err(failed)
    }

    /// Position of the first signature behind `seqno`.
    fn signature_behind(&self, seqno: Seqno) -> Option<Seqno> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let at = index
            .signatures
            .partition_point(|signature| *signature <= seqno);
        index.signatures.get(at).copied()
    }

    fn is_signature(&self, seqno: Seqno) -> bool {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.signatures.binary_search(&seqno).is_ok()
    }

    /// Receipt of a committed transaction, in CCF's JSON form (ledger format, section 15.1).
    pub fn receipt(&self, seqno: Seqno) -> Result<JsonValue, HostError> {
        if self.is_signature(seqno) {
            let bytes = self.entry(seqno)?;
            let (row, _) = signature_of(&bytes)?;
            return Ok(json!({
                "cert": row.cert,
                "leaf": row.root,
                "node_id": row.node,
                "proof": [],
                "signature": row.sig,
            }));
        }
        let bytes = self.entry(seqno)?;
        let entry = Entry::parse(&bytes).map_err(failed)?;
        let secret = self
            .secret_at(seqno)
            .ok_or_else(|| HostError::Failed("no ledger secret".into()))?;
        let signature = self
            .signature_behind(seqno)
            .ok_or_else(|| HostError::Failed("not signed yet".into()))?;
        let signed = self.entry(signature)?;
        let (row, tree) = signature_of(&signed)?;
        let proof = tree.proof(entry.seqno, tree.last()).map_err(failed)?;
        if fold_proof(entry.leaf(), &proof) != row.root {
            return Err(HostError::Failed(
                "the proof does not lead to the signed root".into(),
            ));
        }
        let proof: Vec<JsonValue> = proof
            .iter()
            .map(|step| match step {
                ProofStep::Left(sibling) => json!({ "left": sibling }),
                ProofStep::Right(sibling) => json!({ "right": sibling }),
            })
            .collect();
        Ok(json!({
            "cert": row.cert,
            "leaf_components": {
                "claims_digest": entry.claims_digest.unwrap_or(Digest::ZERO),
                "commit_evidence": secret.commit_evidence(entry.id()).as_str(),
                "write_set_digest": entry.write_set_digest(),
            },
            "node_id": row.node,
            "proof": proof,
            "signature": row.sig,
        }))
    }

    fn past(self: &Arc<Self>, seqno: Seqno) -> Result<Past, HostError> {
        let bytes = self.entry(seqno)?;
        let entry = Entry::parse(&bytes).map_err(failed)?;
        let secret = self
            .secret_at(seqno)
            .ok_or_else(|| HostError::Failed("no ledger secret".into()))?;
        let private = entry.open(&secret).map_err(failed)?;
        let private = parse_sections(&private, false).map_err(failed)?;
        let mut writes = BTreeMap::new();
        for section in entry.sections.iter().chain(&private) {
            let rows = section
                .writes
                .iter()
                .map(|(key, value)| (key.to_vec(), value.to_vec()))
                .collect();
            writes.insert(section.name.to_owned(), rows);
        }
        let id = TxId::new(entry.view.0, entry.seqno.0);
        Ok(Past {
            id,
            writes,
            history: Arc::clone(self),
        })
    }
}

/// The row and the tree of a signature entry.
fn signature_of(bytes: &[u8]) -> Result<(SignatureRow, MerkleTree), HostError> {
    let entry = Entry::parse(bytes).map_err(failed)?;
    let value = |map: &str| {
        entry
            .section(map)
            .and_then(|section| section.value(&SINGLE_KEY))
    };
    let row = value(SIGNATURES_MAP).ok_or_else(|| HostError::Failed("not a signature".into()))?;
    let tree = value(TREE_MAP).ok_or_else(|| HostError::Failed("signature without tree".into()))?;
    Ok((
        serde_json::from_slice(row).map_err(failed)?,
        MerkleTree::deserialise(tree).map_err(failed)?,
    ))
}

#[allow(clippy::needless_pass_by_value, reason = "used as an error mapper")]
fn failed(error: impl ToString) -> HostError {
    HostError::Failed(error.to_string())
}

/// One past transaction: what it wrote. Removed keys are absent.
struct Past {
    id: TxId,
    writes: BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>,
    history: Arc<History>,
}

impl HistoricalState for Past {
    fn id(&self) -> TxId {
        self.id
    }

    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        Ok(self
            .writes
            .get(table)
            .and_then(|rows| rows.get(key))
            .cloned())
    }

    fn receipt(&self) -> Result<JsonValue, HostError> {
        self.history.receipt(self.id.seqno)
    }
}

impl Ledger {
    /// The ledger of a service that has been in one view since its first transaction.
    pub fn new(history: Arc<History>, store: Weak<Store>, view: View) -> Self {
        Self {
            history,
            store,
            view,
        }
    }

    /// Looking back.
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    fn committed_seqno(&self) -> Seqno {
        self.store
            .upgrade()
            .map_or(Seqno(0), |store| store.durable().state.seqno())
    }

    fn newest_seqno(&self) -> Seqno {
        self.store
            .upgrade()
            .map_or(Seqno(0), |store| store.newest().seqno())
    }
}

impl Chain for Ledger {
    fn view_of(&self, seqno: Seqno) -> Option<View> {
        (seqno.0 > 0 && seqno <= self.newest_seqno()).then_some(self.view)
    }

    fn status_of(&self, id: TxId) -> TxStatus {
        if id.seqno <= self.committed_seqno() {
            return if id.view == self.view {
                TxStatus::Committed
            } else {
                TxStatus::Invalid
            };
        }
        if id.seqno <= self.newest_seqno() && id.view == self.view {
            return TxStatus::Pending;
        }
        if id.view < self.view {
            TxStatus::Invalid
        } else {
            TxStatus::Unknown
        }
    }

    fn last_committed(&self) -> TxId {
        TxId {
            view: self.view,
            seqno: self.committed_seqno(),
        }
    }

    fn historical(&self, range: RangeInclusive<Seqno>) -> Result<Historical, HostError> {
        let (first, last) = (range.start().0, range.end().0);
        if first == 0 || first > last || Seqno(last) > self.committed_seqno() {
            return Err(HostError::Failed(format!(
                "transactions {first} to {last} are not all committed"
            )));
        }
        if last - first >= MAX_RANGE {
            return Err(HostError::Failed(format!(
                "{} transactions asked for, at most {MAX_RANGE}",
                last - first + 1
            )));
        }
        let states = (first..=last).map(|seqno| {
            let past = self.history.past(Seqno(seqno))?;
            Ok(Box::new(past) as Box<dyn HistoricalState>)
        });
        Ok(Historical::Ready(states.collect::<Result<_, HostError>>()?))
    }

    fn committed(&self, table: &str, key: &[u8]) -> Option<Bytes> {
        self.store
            .upgrade()?
            .durable()
            .state
            .value(table, key)
            .cloned()
    }
}
