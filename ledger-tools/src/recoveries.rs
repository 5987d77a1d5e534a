//! The identities a service has had, and how each took over from the one before.

use ledger::{
    ENDORSEMENT_MAP, EndorsementRow, Entry, PublicKey, SINGLE_KEY, SUBMITTED_SHARES_MAP, TxId,
};
use serde::Serialize;
use serde_json::Value;

use crate::releases::{Decision, Decisions};
use crate::rows::{ProposalInfo, ServiceInfo, table};
use crate::values::{read, readable, shown};

/// One identity of the service.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Hex SHA-256 of the public key.
    pub key: String,
    /// How many recoveries were before it.
    pub recovery: u64,
    /// The transaction that introduced it.
    pub from: Option<TxId>,
    /// The transaction that opened the service under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<TxId>,
    /// The proposal that opened it, with its votes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Members whose recovery shares were submitted before it opened, with the transaction of each.
    pub shares: Vec<(String, TxId)>,
    /// How private state was recovered, where the ledger says it: `RECOVERY_SHARES`, `LOCAL_UNSEALING`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The key that this one endorses: itself at first, then the one before it. `None` where no endorsement verifies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endorses: Option<String>,
    /// Rows about the recovery that the governed policy asks for (who, why, acknowledgements), as stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// A row that explains a recovery.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// The table.
    pub table: String,
    /// The key.
    pub key: String,
    /// The row.
    pub row: Value,
    /// The transaction that wrote it.
    pub transaction: TxId,
}

/// Collects the identities from transactions in order.
#[derive(Default)]
pub struct Recoveries {
    identities: Vec<Identity>,
    certificate: Option<PublicKey>,
    decisions: Decisions,
    endorsements: Vec<EndorsementRow>,
}

impl Recoveries {
    /// Takes the next transaction.
    pub fn transaction(&mut self, entry: &Entry<'_>) {
        self.decisions.transaction(entry);
        self.service(entry);
        let Some(current) = self.identities.last_mut() else {
            return;
        };
        let only = |map: &str| entry.section(map).and_then(|s| s.value(&SINGLE_KEY));
        if let Some(section) = entry.section(SUBMITTED_SHARES_MAP) {
            let submitted = section
                .writes
                .iter()
                .map(|(id, _)| (readable(id), entry.id()));
            current.shares.extend(submitted);
        }
        if let Some(by) = only(table::LAST_RECOVERY).and_then(read::<String>) {
            current.by = (by != "None").then_some(by);
        }
        if let Some(row) = only(ENDORSEMENT_MAP).and_then(read::<EndorsementRow>) {
            let trusted = self.certificate.as_ref();
            let endorsed = trusted.and_then(|key| row.verify(key).ok());
            current.endorses = endorsed.map(|endorsed| endorsed.key.id());
            self.endorsements.push(row);
        }
        current.notes.extend(notes(entry));
    }

    fn service(&mut self, entry: &Entry<'_>) {
        let section = entry.section(table::SERVICE_INFO);
        let Some(row) =
            section.and_then(|section| read::<ServiceInfo>(section.value(&SINGLE_KEY)?))
        else {
            return;
        };
        let Ok(key) = PublicKey::of_certificate(&row.cert) else {
            return;
        };
        let id = key.id();
        if self
            .identities
            .last()
            .is_none_or(|current| current.key != id)
        {
            self.identities.push(Identity {
                key: id,
                recovery: row.recovery_count.unwrap_or(0),
                from: Some(entry.id()),
                ..Identity::default()
            });
            self.certificate = Some(key);
        }
        let decision = accepted_here(entry).and_then(|proposal| self.decisions.of(&proposal));
        if let Some(current) = self.identities.last_mut()
            && row.status == "Open"
            && current.opened.is_none()
        {
            current.opened = Some(entry.id());
            current.decision = decision;
        }
    }

    /// The endorsements of earlier identities, newest first: with the certificate of the last identity they are what a copy of
    /// the ledger from before a recovery is verified against.
    #[must_use]
    pub fn endorsements(&self) -> Vec<EndorsementRow> {
        let rows = self.endorsements.iter().rev();
        let earlier = rows.filter(|row| row.endorsement_epoch_end.is_some());
        earlier.cloned().collect()
    }

    /// The identities, oldest first.
    #[must_use]
    pub fn finish(self) -> Vec<Identity> {
        self.identities
    }
}

/// The proposal that this transaction accepted.
fn accepted_here(entry: &Entry<'_>) -> Option<String> {
    let section = entry.section(table::PROPOSALS_INFO)?;
    let accepted = section
        .writes
        .iter()
        .find(|(_, bytes)| read::<ProposalInfo>(bytes).is_some_and(|row| row.state == "Accepted"));
    accepted.map(|(id, _)| readable(id))
}

/// What governance and the node wrote of recoveries.
fn notes(entry: &Entry<'_>) -> Vec<Note> {
    let sections = entry.sections.iter();
    let explained = sections.filter(|section| table::RECOVERY_NOTES.contains(&section.name));
    let rows = explained.flat_map(|section| {
        section.writes.iter().map(|(key, value)| Note {
            table: section.name.to_owned(),
            key: readable(key),
            row: shown(value),
            transaction: entry.id(),
        })
    });
    rows.collect()
}
