//! Who received what: the release records of the application, with the votes behind each.

use std::collections::BTreeMap;

use ledger::{Digest, Entry, TxId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::rows::{ProposalInfo, table};
use crate::values::{read, readable};

/// Which records are asked for. All conditions hold together; none means every record.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this contract.
    pub contract: Option<String>,
    /// `secret`, `token`, `certificate`, `signature` or `document`.
    pub kind: Option<String>,
    /// Of the secret, token or other thing with this name.
    pub subject: Option<String>,
    /// `granted` or `denied`.
    pub outcome: Option<String>,
}

/// One release record.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The transaction that granted or denied.
    pub transaction: TxId,
    /// The record as the application stored it.
    pub record: Map<String, Value>,
    /// Whether the transaction's claims digest is the digest of the record, so that its receipt proves it.
    pub proven: bool,
    /// The proposal that set the policy, with its votes as they were at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

/// How a proposal was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The proposal.
    pub proposal: String,
    /// The member who made it.
    pub proposer: String,
    /// The transaction that decided it.
    pub transaction: TxId,
    /// Its state then.
    pub state: String,
    /// Each counted vote.
    pub votes: BTreeMap<String, bool>,
}

/// Collects release records from transactions in order.
pub struct Releases {
    filter: Filter,
    decisions: Decisions,
    found: Vec<Release>,
}

impl Releases {
    /// Nothing collected yet.
    #[must_use]
    pub fn matching(filter: Filter) -> Self {
        Self {
            filter,
            decisions: Decisions::default(),
            found: Vec::new(),
        }
    }

    /// Takes the next transaction.
    pub fn transaction(&mut self, entry: &Entry<'_>) {
        self.decisions.transaction(entry);
        let Some(section) = entry.section(table::RELEASES) else {
            return;
        };
        for (_, bytes) in &section.writes {
            let Some(record) = read::<Map<String, Value>>(bytes) else {
                continue;
            };
            if !self.filter.admits(&record) {
                continue;
            }
            let proposal = read::<Record>(bytes).and_then(|record| record.policy?.proposal_id);
            self.found.push(Release {
                transaction: entry.id(),
                record,
                proven: entry.claims_digest == Some(Digest::of(bytes)),
                decision: proposal.and_then(|id| self.decisions.of(&id)),
            });
        }
    }

    /// The records, oldest first.
    #[must_use]
    pub fn finish(self) -> Vec<Release> {
        self.found
    }
}

impl Release {
    /// A member of the record that is text.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.record.get(field)?.as_str()
    }

    /// The name of what was asked for: a secret's id, a token's subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.text("subject").unwrap_or("-")
    }

    /// The host data of the code that asked, where its platform has one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.record.get("code")?.get("hostData")?.as_str()
    }
}

impl Filter {
    fn admits(&self, record: &Map<String, Value>) -> bool {
        let text = |field: &str| record.get(field).and_then(Value::as_str);
        let is =
            |got: Option<&str>, want: &Option<String>| want.is_none() || got == want.as_deref();
        is(text("contractId"), &self.contract)
            && is(text("kind"), &self.kind)
            && is(text("subject"), &self.subject)
            && is(text("outcome"), &self.outcome)
    }
}

#[derive(Deserialize)]
struct Record {
    policy: Option<Policy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    proposal_id: Option<String>,
}

/// How each proposal so far was decided.
#[derive(Default)]
pub(crate) struct Decisions(BTreeMap<String, Decision>);

impl Decisions {
    pub(crate) fn transaction(&mut self, entry: &Entry<'_>) {
        let Some(section) = entry.section(table::PROPOSALS_INFO) else {
            return;
        };
        for (id, bytes) in &section.writes {
            let Some(row) = read::<ProposalInfo>(bytes).filter(|row| row.state != "Open") else {
                continue;
            };
            let proposal = readable(id);
            let decision = Decision {
                proposal: proposal.clone(),
                proposer: row.proposer_id,
                transaction: entry.id(),
                state: row.state,
                votes: row.final_votes.unwrap_or_default(),
            };
            self.0.insert(proposal, decision);
        }
    }

    pub(crate) fn of(&self, proposal: &str) -> Option<Decision> {
        self.0.get(proposal).cloned()
    }
}
