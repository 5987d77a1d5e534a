//! Who could have read a secret at some time, and why.
//!
//! Four ways lead to a secret, and each is decided by governance: code that meets the contract's policy, code that a delegate policy
//! admits, nodes that hold the ledger's secrets, and members who can recover them. The answer names all four as they stood
//! after one transaction.

use std::collections::BTreeMap;

use ledger::{Entry, RECOVERY_SHARES_MAP, RecoverySharesRow, SINGLE_KEY, Seqno, TxId};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::releases::{Decision, Decisions};
use crate::rows::{
    AcceptedContract, MemberInfo, NodeInfo, Origin, ServiceConfig, disabled_by, table,
};
use crate::tables::Tables;
use crate::timeline::signature_time;
use crate::values::{read, readable, shown};

/// The moment that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// After the last verified transaction.
    End,
    /// After the transaction at this position.
    Seqno(Seqno),
    /// After the last transaction that was signed not later than this, in seconds since 1970 by the clock of the signing node.
    Time(u64),
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CouldRead {
    /// The contract.
    pub contract: String,
    /// The secret, where one is asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The transaction after which this holds.
    pub after: TxId,
    /// How the contract was accepted; without it nothing is released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Basis>,
    /// Members who had switched execution off; while there is one nothing is released.
    pub execution_disabled_by: Vec<String>,
    /// Code that the contract's policy admits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Admitted>,
    /// Code that delegate policies admit, each for one purpose.
    pub delegates: Vec<Delegate>,
    /// Nodes that hold the ledger's secrets.
    pub nodes: Vec<Holder>,
    /// Members who can recover the ledger's secrets.
    pub recovery: Recovery,
    /// Those who received the secret before, by the digest of the record of the release.
    pub received: Vec<Received>,
}

/// Why something holds: the transaction that wrote it, and the vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Basis {
    /// The transaction.
    pub transaction: TxId,
    /// The vote, where a proposal is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

/// The claims that admit code: each must be one of the values.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Admitted {
    /// Claim to permitted values.
    pub claims: BTreeMap<String, Value>,
    /// Why.
    pub basis: Basis,
}

/// A delegate policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delegate {
    /// The row as stored: purpose, claims, who installed it.
    pub row: Map<String, Value>,
    /// The transaction that wrote it.
    pub transaction: TxId,
}

/// A node that holds the ledger's secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// Node id.
    pub node: String,
    /// `AMD_SEV_SNP_v1`, or what else its quote says: `Insecure_Virtual` proves nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Its launch measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Since when.
    pub transaction: TxId,
}

/// Who can recover the ledger's secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// How many participants it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u64>,
    /// Members with a share.
    pub participants: Vec<String>,
    /// Members who hold the whole: each of them alone can recover.
    pub owners: Vec<String>,
}

/// A release of the secret before the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// The transaction of the release.
    pub transaction: TxId,
    /// Host data of the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_data: Option<String>,
}

/// Follows a ledger up to the moment.
pub struct Access {
    contract: String,
    secret: Option<String>,
    moment: Moment,
    state: Tables,
    decisions: Decisions,
    received: Vec<Received>,
    last: Option<TxId>,
    /// What was applied since the last signature, when a time is asked about: it counts once a signature of that time follows.
    answer: Option<CouldRead>,
    over: bool,
}

impl Access {
    /// Asks about the secrets of a contract, or one of them.
    #[must_use]
    pub fn to(contract: &str, secret: Option<&str>, moment: Moment) -> Self {
        Self {
            contract: contract.to_owned(),
            secret: secret.map(str::to_owned),
            moment,
            state: Tables::new(),
            decisions: Decisions::default(),
            received: Vec::new(),
            last: None,
            answer: None,
            over: false,
        }
    }

    /// Takes the next transaction.
    pub fn transaction(&mut self, entry: &Entry<'_>) {
        if self.over {
            return;
        }
        if matches!(self.moment, Moment::Seqno(seqno) if entry.seqno > seqno) {
            self.over = true;
            return;
        }
        self.state
            .apply_some(entry.id(), &entry.sections, is_needed);
        self.decisions.transaction(entry);
        self.note_release(entry);
        self.last = Some(entry.id());
        if let (Moment::Time(until), Some(signed)) = (self.moment, signature_time(entry)) {
            if signed > until {
                self.over = true;
            } else {
                self.answer = Some(self.now(entry.id()));
            }
        }
    }

    /// The answer; `None` when nothing was there at that moment.
    #[must_use]
    pub fn finish(self) -> Option<CouldRead> {
        if matches!(self.moment, Moment::Time(_)) {
            return self.answer;
        }
        self.last.map(|last| self.now(last))
    }

    fn note_release(&mut self, entry: &Entry<'_>) {
        let Some(section) = entry.section(table::RELEASES) else {
            return;
        };
        for (_, bytes) in &section.writes {
            let record = read::<Map<String, Value>>(bytes).unwrap_or_default();
            let is = |field: &str, want: &str| record.get(field).is_some_and(|got| got == want);
            let asked = is("contractId", &self.contract)
                && is("outcome", "granted")
                && is("kind", "secret")
                && self.secret.as_deref().is_none_or(|id| is("subject", id));
            if asked {
                let host_data = record.get("code").and_then(|code| code.get("hostData"));
                self.received.push(Received {
                    transaction: entry.id(),
                    host_data: host_data.and_then(Value::as_str).map(str::to_owned),
                });
            }
        }
    }

    fn now(&self, after: TxId) -> CouldRead {
        self.standing(&self.contract, after)
    }

    /// As [`Self::finish`] at the end of the ledger, for any contract.
    pub(crate) fn now_for(&self, contract: &str) -> Option<CouldRead> {
        self.last.map(|last| self.standing(contract, last))
    }

    fn standing(&self, contract: &str, after: TxId) -> CouldRead {
        let key = contract.as_bytes();
        let accepted = self.state.row(table::ACCEPTED_CONTRACTS, key);
        let disabled = self.state.row(table::EXECUTION, key);
        CouldRead {
            contract: contract.to_owned(),
            secret: self.secret.clone(),
            after,
            accepted: accepted.map(|row| {
                let contract = read::<AcceptedContract>(&row.value);
                self.basis(row.written, contract.and_then(|row| row.proposal_id))
            }),
            execution_disabled_by: disabled.map_or_else(Vec::new, |row| disabled_by(&row.value)),
            policy: self.policy(contract),
            delegates: self.delegates(contract),
            nodes: self.nodes(),
            recovery: self.recovery(),
            received: self.received.clone(),
        }
    }

    fn basis(&self, transaction: TxId, proposal: Option<String>) -> Basis {
        Basis {
            transaction,
            decision: proposal.and_then(|id| self.decisions.of(&id)),
        }
    }

    fn policy(&self, contract: &str) -> Option<Admitted> {
        let name = format!("{}{contract}", table::POLICIES);
        let rows = || self.state.rows(&name);
        let written = rows()
            .map(|(_, row)| row.written)
            .max_by_key(|id| id.seqno)?;
        let origin: Option<Origin> = self.state.json(table::POLICY_ORIGINS, contract.as_bytes());
        Some(Admitted {
            claims: rows()
                .map(|(claim, row)| (readable(claim), shown(&row.value)))
                .collect(),
            basis: self.basis(written, origin.and_then(|origin| origin.proposal_id)),
        })
    }

    fn delegates(&self, contract: &str) -> Vec<Delegate> {
        let rows = self.state.rows(table::DELEGATES);
        let of_contract = rows.filter_map(|(_, row)| {
            let fields = read::<Map<String, Value>>(&row.value)?;
            let ours = fields.get("contractId")? == contract;
            ours.then_some(Delegate {
                row: fields,
                transaction: row.written,
            })
        });
        of_contract.collect()
    }

    fn nodes(&self) -> Vec<Holder> {
        let rows = self.state.rows(table::NODES_INFO);
        let trusted = rows.filter_map(|(id, row)| {
            let info = read::<NodeInfo>(&row.value).filter(|info| info.status == "Trusted")?;
            Some(Holder {
                node: readable(id),
                platform: info.quote_info.map(|quote| quote.format),
                code: info.code_digest,
                transaction: row.written,
            })
        });
        trusted.collect()
    }

    fn recovery(&self) -> Recovery {
        let config: Option<ServiceConfig> = self.state.json(table::SERVICE_CONFIG, &SINGLE_KEY);
        let row: Option<RecoverySharesRow> = self.state.json(RECOVERY_SHARES_MAP, &SINGLE_KEY);
        let holders = row.map_or_else(BTreeMap::new, |row| row.encrypted_shares);
        let is_owner = |member: &String| {
            let info: Option<MemberInfo> = self.state.json(table::MEMBERS_INFO, member.as_bytes());
            info.and_then(|info| info.recovery_role).as_deref() == Some("Owner")
        };
        let (owners, participants) = holders.into_keys().partition(is_owner);
        Recovery {
            threshold: config.and_then(|config| config.recovery_threshold),
            participants,
            owners,
        }
    }
}

fn is_needed(name: &str) -> bool {
    name.starts_with(table::POLICIES)
        || [
            table::ACCEPTED_CONTRACTS,
            table::DELEGATES,
            table::EXECUTION,
            table::MEMBERS_INFO,
            table::NODES_INFO,
            table::POLICY_ORIGINS,
            table::SERVICE_CONFIG,
            RECOVERY_SHARES_MAP,
        ]
        .contains(&name)
}
