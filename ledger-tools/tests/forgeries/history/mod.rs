//! The history of a service as its node would write it, with keys of its own, and a hook through which each transaction can
//! be changed before it is encoded, hashed and signed. What comes out always has its integrity.

mod acts;
mod decision;
mod node;
mod people;
mod recovery;

use std::collections::BTreeMap;

use ledger::{Digest, SINGLE_KEY, TxId, WriteSet};
use serde_json::{Value, json};
use tests::ledger_writer::LedgerWriter;

pub(crate) use acts::history_row;
pub(crate) use people::{NO, YES, action, contract, id, people};

pub(crate) const GOV: &str = "public:ccf.gov.";

type State = BTreeMap<String, BTreeMap<Vec<u8>, (Vec<u8>, u64)>>;
type Change<'c> = Box<dyn FnOnce(&mut WriteSet, &History) + 'c>;

/// Name of a table of governance.
pub(crate) fn gov(table: &str) -> String {
    format!("{GOV}{table}")
}

pub(crate) struct History {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) writer: LedgerWriter,
    state: State,
    /// Root of the latest signature.
    pub(crate) signed: Digest,
    pub(crate) now: u64,
    change: Option<Change<'static>>,
}

impl History {
    /// A service with three members who have not acted, signed once. `change` may alter its first transaction.
    pub(crate) fn founded_with(change: impl FnOnce(&mut WriteSet, &Self) + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writer = LedgerWriter::new(&folder.path().join("ledger"));
        let mut set = writer.founding();
        let constitution = json!(constitution::default_module()).to_string();
        set.put(&gov("constitution"), SINGLE_KEY, constitution);
        let config = json!({ "recovery_threshold": 2 }).to_string();
        set.put(&gov("service.config"), SINGLE_KEY, config);
        for person in &people()[..3] {
            people::found(&mut set, person);
        }
        let mut history = Self {
            folder,
            writer,
            state: State::new(),
            signed: Digest::ZERO,
            now: 1_780_000_000,
            change: Some(Box::new(change)),
        };
        history.write(set);
        history.sign();
        history
    }

    pub(crate) fn founded() -> Self {
        Self::founded_with(|_, _| {})
    }

    /// The founders are active.
    pub(crate) fn active() -> Self {
        let mut history = Self::founded();
        for member in 0..3 {
            history.activate(member);
        }
        history
    }

    /// The service is open.
    pub(crate) fn open() -> Self {
        let mut history = Self::active();
        let opening = history.opening();
        let proposal = history.propose(0, &opening);
        history.vote_all(&proposal);
        history
    }

    pub(crate) fn opening(&self) -> Value {
        let certificate = self.writer.service_certificate.as_str();
        action(
            "transition_service_to_open",
            &json!({ "next_service_identity": certificate }),
        )
    }

    /// The next transaction is changed like this before it is written.
    pub(crate) fn changing(
        &mut self,
        change: impl FnOnce(&mut WriteSet, &Self) + 'static,
    ) -> &mut Self {
        self.change = Some(Box::new(change));
        self
    }

    pub(crate) fn write(&mut self, mut set: WriteSet) -> TxId {
        if let Some(change) = self.change.take() {
            change(&mut set, self);
        }
        let id = self.writer.write(&set);
        for (table, rows) in set.maps() {
            let known = self.state.entry(table.to_owned()).or_default();
            for (key, value) in rows {
                match value {
                    Some(value) => known.insert(key.clone(), (value.clone(), id.seqno.0)),
                    None => known.remove(key),
                };
            }
        }
        id
    }

    pub(crate) fn put(&mut self, table: &str, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let mut set = WriteSet::new();
        set.put(table, key, value);
        self.write(set);
    }

    pub(crate) fn sign(&mut self) {
        self.signed = self.writer.tree.root();
        let row = json!({ "root": self.signed }).to_string().into_bytes();
        let seqno = self.writer.next().seqno.0;
        let table = self.state.entry(ledger::SIGNATURES_MAP.to_owned());
        table.or_default().insert(SINGLE_KEY.to_vec(), (row, seqno));
        self.writer.sign();
    }

    pub(crate) fn row(&self, table: &str, key: &[u8]) -> Option<Value> {
        let value = &self.state.get(table)?.get(key)?.0;
        serde_json::from_slice(value).ok()
    }
}
