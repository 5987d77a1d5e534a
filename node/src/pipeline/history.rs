//! Looking back: committed transactions, their receipts, transaction status.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use std::thread;

use ccf_rs::{
    Historical, HistoricalState, HostError, MAX_HISTORICAL_RANGE, Positions, Seqno, TxId, TxStatus,
    View,
};
use ledger::receipt::{Covering, UnverifiedReceipt};
use ledger::{Entry, LedgerSecrets, parse_sections};
use serde_json::Value as JsonValue;

use super::files::Places;
use super::index::{Chunk, ChunkEntries, Index};
use super::key_index::KeyIndex;
use super::views::Views;
use crate::store::{Bytes, Chain, Pending, Store};

/// Where every committed entry stands, and the secrets that open them.
#[derive(Default)]
pub struct History {
    index: RwLock<Index>,
    secrets: RwLock<LedgerSecrets>,
    endorser: OnceLock<Endorser>,
    keys: KeyIndex,
}

/// Certificates that lead from a node's certificate (PEM), issued by an earlier identity of the service, to the current
/// one: none for a certificate that the current one issued.
pub type Endorser = Box<dyn Fn(&str) -> Result<Vec<String>, String> + Send + Sync>;

/// The ledger as transactions see it.
pub struct Ledger {
    history: Arc<History>,
    store: Weak<Store>,
    views: Views,
}

impl History {
    /// From now on finds past writes to these public tables by key. What is in the ledger already is looked through by a thread of its
    /// own, which ends when it is done or nothing else holds the history.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn index_keys(self: &Arc<Self>, tables: &[&str], store: &Arc<Store>) -> io::Result<()> {
        self.keys.follow(tables);
        let (history, store) = (Arc::downgrade(self), Arc::downgrade(store));
        thread::Builder::new()
            .name("key index".to_owned())
            .spawn(move || {
                while let (Some(history), Some(store)) = (history.upgrade(), store.upgrade()) {
                    let last = store.durable().state.seqno();
                    let more = history
                        .keys
                        .catch_up(last, |seqno| history.authentic(seqno));
                    match more {
                        Ok(true) => continue,
                        Ok(false) => {}
                        // Whoever asks later tries again and is told.
                        Err(error) => tracing::error!(%error, "past writes cannot be indexed"),
                    }
                    history.keys.filled();
                    break;
                }
            })?;
        Ok(())
    }

    /// Notes what a batch wrote, once its entries are on disk.
    pub fn note_writes(&self, transactions: &[Pending], signature: Seqno) {
        self.keys.extend(transactions, signature);
    }

    /// Notes a batch that is on disk: its entries in order, the last of them a signature.
    pub fn extend(&self, places: Places) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.extend(places);
    }

    /// Notes a chunk of the ledger that this run goes on from.
    pub fn add_chunk(&self, chunk: Chunk) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.add(chunk);
    }

    /// Says how receipts of earlier identities are endorsed. Only the first call counts.
    pub fn endorse_with(&self, endorser: Endorser) {
        let _ = self.endorser.set(endorser);
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

    /// The bytes of a committed entry. In a file from before a snapshot anything may stand: `Self::authentic` tells.
    ///
    /// # Errors
    /// [`HostError::NotKept`] when no file holds it, or what the disk says.
    pub fn entry(&self, seqno: Seqno) -> Result<Vec<u8>, HostError> {
        self.read_chunk_of(seqno)?;
        let place = {
            let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
            index.place(ledger::Seqno(seqno.0))
        };
        let place = place.ok_or_else(|| self.not_kept(seqno))?;
        place.read().map_err(failed)
    }

    /// The bytes of an entry that is the one that was committed: it was verified, or the ledger secret opens it.
    ///
    /// # Errors
    /// As for [`Self::entry`]; [`HostError::NotKept`] also for another one.
    fn authentic(&self, seqno: Seqno) -> Result<Vec<u8>, HostError> {
        let bytes = self.entry(seqno)?;
        let verified = {
            let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
            index.is_verified(ledger::Seqno(seqno.0))
        };
        if !verified {
            self.opened(seqno, &bytes)?;
        }
        Ok(bytes)
    }

    /// An entry and its private domain, if it is the one that was committed there: nobody else can make its tag, which covers
    /// all of it.
    fn opened<'b>(&self, seqno: Seqno, bytes: &'b [u8]) -> Result<(Entry<'b>, Vec<u8>), HostError> {
        let altered = |reason: &dyn std::fmt::Display| {
            tracing::error!(%seqno, %reason, "a transaction in the ledger's files is not the one that was committed");
            self.not_kept(seqno)
        };
        let entry = Entry::parse(bytes).map_err(|e| altered(&e))?;
        if entry.seqno.0 != seqno.0 {
            return Err(altered(&format!("{} stands in its place", entry.seqno)));
        }
        // The row of an older secret may be missing with the file that it is in.
        let secret = self.secret_at(seqno).ok_or_else(|| self.not_kept(seqno))?;
        let private = entry.open(&secret).map_err(|e| altered(&e))?;
        Ok((entry, private))
    }

    fn not_kept(&self, seqno: Seqno) -> HostError {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let next = index.next_chunk(ledger::Seqno(seqno.0));
        HostError::NotKept {
            seqno,
            next: next.map_or(Seqno(seqno.0 + 1), |next| Seqno(next.0)),
        }
    }

    /// Looks through the chunk of a position if that has not been done yet.
    fn read_chunk_of(&self, seqno: Seqno) -> Result<(), HostError> {
        let unread = {
            let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
            index.unread(ledger::Seqno(seqno.0))
        };
        if let Some((at, file)) = unread {
            let bytes = file.read().map_err(failed)?;
            // As far as it is a chunk.
            let entries = ChunkEntries::of(&bytes).unwrap_or_else(|error| {
                tracing::error!(%seqno, %error, "a file of the ledger is damaged");
                ChunkEntries::default()
            });
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            index.set_entries(at, entries);
        }
        Ok(())
    }

    /// Position of the first signature behind `seqno`. Chunks end with one, so it is in the same chunk.
    fn signature_behind(&self, seqno: Seqno) -> Option<Seqno> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let found = index.signature_behind(ledger::Seqno(seqno.0))?;
        Some(Seqno(found.0))
    }

    fn is_signature(&self, seqno: Seqno) -> bool {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.is_signature(ledger::Seqno(seqno.0))
    }

    /// Receipt of a committed transaction, in CCF's JSON form (ledger format, section 15.1).
    pub fn receipt(&self, seqno: Seqno) -> Result<JsonValue, HostError> {
        let bytes = self.entry(seqno)?;
        let entry = Entry::parse(&bytes).map_err(failed)?;
        if self.is_signature(seqno) {
            let own = Covering::of(&entry).map_err(failed)?;
            return self.endorsed(own.of_itself());
        }
        let secret = self
            .secret_at(seqno)
            .ok_or_else(|| HostError::Failed("no ledger secret".into()))?;
        let signature = self
            .signature_behind(seqno)
            .ok_or_else(|| HostError::Failed("not signed yet".into()))?;
        let signed = self.entry(signature)?;
        let signed = Entry::parse(&signed).map_err(failed)?;
        let covering = Covering::of(&signed).map_err(failed)?;
        let evidence = secret.commit_evidence(entry.id());
        self.endorsed(covering.json(&entry, Some(&evidence)).map_err(failed)?)
    }

    /// Adds `service_endorsements` to the receipt of an earlier identity (ledger format, section 15.1).
    fn endorsed(&self, receipt: UnverifiedReceipt) -> Result<JsonValue, HostError> {
        let receipt = match self.endorser.get() {
            Some(endorser) => {
                let endorsements = endorser(receipt.certificate()).map_err(HostError::Failed)?;
                receipt.endorsed_by(endorsements)
            }
            None => receipt,
        };
        serde_json::to_value(&receipt).map_err(failed)
    }

    fn past(self: &Arc<Self>, seqno: Seqno) -> Result<Past, HostError> {
        let bytes = self.entry(seqno)?;
        let (entry, private) = self.opened(seqno, &bytes)?;
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
    /// The ledger behind a store.
    pub fn new(history: Arc<History>, store: Weak<Store>, views: Views) -> Self {
        Self {
            history,
            store,
            views,
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
        (seqno.0 > 0 && seqno <= self.newest_seqno()).then(|| self.views.of(seqno))
    }

    fn status_of(&self, id: TxId) -> TxStatus {
        let is_here = self.view_of(id.seqno) == Some(id.view);
        if id.seqno <= self.committed_seqno() {
            return if is_here {
                TxStatus::Committed
            } else {
                TxStatus::Invalid
            };
        }
        if is_here {
            TxStatus::Pending
        } else if id.view < self.last_committed().view {
            TxStatus::Invalid
        } else {
            TxStatus::Unknown
        }
    }

    fn last_committed(&self) -> TxId {
        let seqno = self.committed_seqno();
        TxId {
            view: self.views.of(seqno),
            seqno,
        }
    }

    fn historical(&self, range: RangeInclusive<Seqno>) -> Result<Historical, HostError> {
        let (first, last) = (range.start().0, range.end().0);
        if first == 0 || first > last || Seqno(last) > self.committed_seqno() {
            return Err(HostError::Failed(format!(
                "transactions {first} to {last} are not all committed"
            )));
        }
        if last - first >= MAX_HISTORICAL_RANGE {
            return Err(HostError::Failed(format!(
                "{} transactions asked for, at most {MAX_HISTORICAL_RANGE}",
                last - first + 1
            )));
        }
        let states = (first..=last).map(|seqno| {
            let past = self.history.past(Seqno(seqno))?;
            Ok(Box::new(past) as Box<dyn HistoricalState>)
        });
        Ok(Historical::Ready(states.collect::<Result<_, HostError>>()?))
    }

    fn positions(
        &self,
        table: &str,
        key: &[u8],
        range: RangeInclusive<Seqno>,
        limit: usize,
    ) -> Result<Positions, HostError> {
        let last = self.committed_seqno();
        let read = |seqno| self.history.authentic(seqno);
        self.history
            .keys
            .positions(table, key, range, limit, last, read)
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
