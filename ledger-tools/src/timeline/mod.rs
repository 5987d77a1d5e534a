//! What happened to a service, in order: proposals, ballots, joins, recoveries, code identities, keys.

mod event;

use std::collections::BTreeMap;

use ledger::{
    COSE_SIGNATURES_MAP, CoseRootSignature, Digest, ENDORSEMENT_MAP, EndorsementRow, Entry,
    HISTORICAL_SECRET_MAP, MapSection, PublicKey, RECOVERY_SHARES_MAP, RecoverySharesRow,
    SINGLE_KEY, SUBMITTED_SHARES_MAP,
};

pub use event::{Event, What, date, short};

use crate::rows::{
    AcceptedContract, MemberInfo, NodeInfo, Proposal, ProposalInfo, ServiceInfo, SnapshotEvidence,
    disabled_by, table,
};
use crate::tables::Tables;
use crate::values::{read, readable};

/// Builds the timeline from transactions in order.
pub struct Timeline {
    before: Tables,
    events: Vec<Event>,
    /// Index of the first event whose time is not known yet.
    undated: usize,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            before: Tables::new(),
            events: Vec::new(),
            undated: 0,
        }
    }
}

/// Tables whose earlier rows tell what a new one means.
fn is_followed(name: &str) -> bool {
    [
        table::MEMBERS_INFO,
        table::NODES_INFO,
        table::PROPOSALS_INFO,
        table::SERVICE_INFO,
        table::USERS_CERTS,
    ]
    .contains(&name)
}

impl Timeline {
    /// Takes the next transaction.
    pub fn transaction(&mut self, entry: &Entry<'_>) {
        let mut found = Vec::new();
        // Causes before effects: a proposal is decided before what it changes.
        let mut sections: Vec<_> = entry.sections.iter().collect();
        sections.sort_by_key(|section| match section.name {
            table::SERVICE_INFO => 0,
            table::PROPOSALS_INFO => 1,
            _ => 2,
        });
        for section in sections {
            self.section(entry, section, &mut found);
        }
        self.before
            .apply_some(entry.id(), &entry.sections, is_followed);
        let transaction = entry.id();
        self.events.extend(found.into_iter().map(|what| Event {
            transaction,
            signed_at: None,
            what,
        }));
        if let Some(time) = signature_time(entry) {
            for event in self.events.iter_mut().skip(self.undated) {
                event.signed_at = Some(time);
            }
            self.undated = self.events.len();
        }
    }

    /// All of it.
    #[must_use]
    pub fn finish(self) -> Vec<Event> {
        self.events
    }

    /// What came since it was taken last.
    pub fn take(&mut self) -> Vec<Event> {
        self.undated = 0;
        std::mem::take(&mut self.events)
    }

    fn section(&self, entry: &Entry<'_>, section: &MapSection<'_>, found: &mut Vec<What>) {
        if let Some((_, kind)) = table::CODE.iter().find(|(name, _)| *name == section.name) {
            code(kind, section, found);
            return;
        }
        if let Some(contract) = section.name.strip_prefix(table::POLICIES) {
            policy(contract, section, found);
            return;
        }
        match section.name {
            table::SERVICE_INFO => self.service(section, found),
            table::NODES_INFO => self.nodes(section, found),
            table::MEMBERS_INFO => self.members(section, found),
            table::USERS_CERTS => self.users(section, found),
            table::PROPOSALS_INFO => self.proposals(entry, section, found),
            table::CONSTITUTION => constitution(section, found),
            table::ACCEPTED_CONTRACTS => contracts(section, found),
            table::EXECUTION => execution(section, found),
            table::DELEGATES => delegates(section, found),
            table::LAST_RECOVERY => recovery_type(section, found),
            table::SNAPSHOT_EVIDENCE => snapshot(section, found),
            RECOVERY_SHARES_MAP => shares(section, found),
            SUBMITTED_SHARES_MAP => submitted(section, found),
            HISTORICAL_SECRET_MAP => found.push(What::SecretsRekeyed),
            ENDORSEMENT_MAP => endorsement(section, found),
            name if is_told_otherwise(name) => {}
            name if name.starts_with("public:ccf.gov.") => governed(section, found),
            _ => {}
        }
    }

    fn service(&self, section: &MapSection<'_>, found: &mut Vec<What>) {
        let Some(row) = section.value(&SINGLE_KEY).and_then(read::<ServiceInfo>) else {
            return;
        };
        let before: Option<ServiceInfo> = self.before.json(table::SERVICE_INFO, &SINGLE_KEY);
        if before.as_ref().is_none_or(|before| before.cert != row.cert) {
            // A renewed certificate has the same key: the service goes on.
            let key = |cert: &str| PublicKey::of_certificate(cert).map(|key| key.id()).ok();
            let identity = key(&row.cert);
            let old = before.as_ref().and_then(|before| key(&before.cert));
            if identity != old || before.is_none() {
                found.push(What::ServiceCreated {
                    identity: identity.unwrap_or_default(),
                    recovery: row.recovery_count.unwrap_or(0),
                });
            }
        }
        if before.is_none_or(|before| before.status != row.status) {
            found.push(What::ServiceStatus { status: row.status });
        }
    }

    fn nodes(&self, section: &MapSection<'_>, found: &mut Vec<What>) {
        for (id, value) in &section.writes {
            let Some(row) = read::<NodeInfo>(value) else {
                continue;
            };
            let before: Option<NodeInfo> = self.before.json(table::NODES_INFO, id);
            if before.is_some_and(|before| before.status == row.status) {
                continue;
            }
            found.push(What::NodeStatus {
                node: readable(id),
                status: row.status,
                platform: row.quote_info.map(|quote| quote.format),
                code: row.code_digest,
            });
        }
        for id in &section.removes {
            found.push(What::NodeRemoved { node: readable(id) });
        }
    }

    fn members(&self, section: &MapSection<'_>, found: &mut Vec<What>) {
        for (id, value) in &section.writes {
            let Some(row) = read::<MemberInfo>(value) else {
                continue;
            };
            let member = readable(id);
            let counted = row.is_counted();
            let Some(before) = self.before.json::<MemberInfo>(table::MEMBERS_INFO, id) else {
                found.push(What::MemberAdded {
                    member,
                    name: row.name().map(str::to_owned),
                    counted,
                    recovery_role: row.recovery_role,
                });
                continue;
            };
            if before.member_data != row.member_data || before.recovery_role != row.recovery_role {
                found.push(What::MemberChanged {
                    member: member.clone(),
                    counted,
                });
            }
            if before.status != "Active" && row.status == "Active" {
                found.push(What::MemberActive { member });
            }
        }
        for id in &section.removes {
            found.push(What::MemberRemoved {
                member: readable(id),
            });
        }
    }

    fn users(&self, section: &MapSection<'_>, found: &mut Vec<What>) {
        for (id, _) in &section.writes {
            if self.before.row(section.name, id).is_none() {
                found.push(What::UserAdded { user: readable(id) });
            }
        }
        for id in &section.removes {
            found.push(What::UserRemoved { user: readable(id) });
        }
    }

    fn proposals(&self, entry: &Entry<'_>, section: &MapSection<'_>, found: &mut Vec<What>) {
        for (id, value) in &section.writes {
            let Some(row) = read::<ProposalInfo>(value) else {
                continue;
            };
            let proposal = readable(id);
            let before: Option<ProposalInfo> = self.before.json(table::PROPOSALS_INFO, id);
            if before.is_none() {
                found.push(What::ProposalMade {
                    proposal: proposal.clone(),
                    proposer: row.proposer_id.clone(),
                    actions: actions(entry, id),
                    created_at: created_at(entry),
                });
            }
            let earlier = before.as_ref().map(|before| &before.ballots);
            for member in row.ballots.keys() {
                if earlier.is_none_or(|ballots| !ballots.contains_key(member)) {
                    found.push(What::BallotCast {
                        proposal: proposal.clone(),
                        member: member.clone(),
                    });
                }
            }
            if row.state != "Open" && before.is_none_or(|before| before.state != row.state) {
                found.push(decided(proposal, row));
            }
        }
    }
}

/// Tables that other events tell about: rows that go with them, and the framework's own bookkeeping.
fn is_told_otherwise(name: &str) -> bool {
    [
        table::ENCRYPTION_KEYS,
        table::MEMBERS_ACKS,
        table::POLICY_ORIGINS,
        table::PROPOSALS,
        table::RECENT_PROPOSALS,
        "public:ccf.gov.cose_history",
        "public:ccf.gov.history",
        "public:ccf.gov.members.certs",
        "public:ccf.gov.nodes.endorsed_certificates",
        "public:ccf.gov.service.previous_service_identity",
        "public:ccf.gov.users.info",
    ]
    .contains(&name)
}

fn decided(proposal: String, row: ProposalInfo) -> What {
    let votes = row.final_votes.unwrap_or_default();
    let those = |wanted: bool| {
        let cast = votes.iter().filter(|(_, vote)| **vote == wanted);
        cast.map(|(member, _)| member.clone()).collect()
    };
    let failure = row.failure.map(|failure| {
        let reason = failure.get("reason").and_then(|reason| reason.as_str());
        reason.map_or_else(|| failure.to_string(), str::to_owned)
    });
    What::ProposalDecided {
        proposal,
        votes: those(true),
        against: those(false),
        state: row.state,
        failure,
    }
}

fn actions(entry: &Entry<'_>, proposal: &[u8]) -> Vec<String> {
    let text = entry
        .section(table::PROPOSALS)
        .and_then(|section| section.value(proposal));
    let proposal = text.and_then(read::<Proposal>);
    proposal.map_or_else(Vec::new, |proposal| {
        let names = proposal.actions.into_iter().map(|action| action.name);
        names.collect()
    })
}

/// When the proposer says that it was signed: the framework keeps that time in the key of its replay protection.
fn created_at(entry: &Entry<'_>) -> Option<u64> {
    let section = entry.section(table::RECENT_PROPOSALS)?;
    let (key, _) = section.writes.first()?;
    let (time, _) = std::str::from_utf8(key).ok()?.split_once(':')?;
    time.parse().ok()
}

/// The clock of the node that signed, where this transaction is a signature with COSE.
pub(crate) fn signature_time(entry: &Entry<'_>) -> Option<u64> {
    let row = entry.section(COSE_SIGNATURES_MAP)?.value(&SINGLE_KEY)?;
    CoseRootSignature::from_row(row).ok()?.issued_at
}

fn code(kind: &'static str, section: &MapSection<'_>, found: &mut Vec<What>) {
    for (value, _) in &section.writes {
        found.push(What::CodeAllowed {
            kind,
            value: readable(value),
        });
    }
    for value in &section.removes {
        found.push(What::CodeForbidden {
            kind,
            value: readable(value),
        });
    }
}

fn policy(contract: &str, section: &MapSection<'_>, found: &mut Vec<What>) {
    for (claim, values) in &section.writes {
        found.push(What::PolicyClaimSet {
            contract: contract.to_owned(),
            claim: readable(claim),
            values: readable(values),
        });
    }
    for claim in &section.removes {
        found.push(What::PolicyClaimRemoved {
            contract: contract.to_owned(),
            claim: readable(claim),
        });
    }
}

fn constitution(section: &MapSection<'_>, found: &mut Vec<What>) {
    if let Some(text) = section.value(&SINGLE_KEY).and_then(read::<String>) {
        found.push(What::ConstitutionSet {
            digest: Digest::of(text.as_bytes()).to_hex(),
        });
    }
}

fn contracts(section: &MapSection<'_>, found: &mut Vec<What>) {
    for (id, value) in &section.writes {
        found.push(What::ContractAccepted {
            contract: readable(id),
            proposal: read::<AcceptedContract>(value).and_then(|row| row.proposal_id),
        });
    }
}

fn execution(section: &MapSection<'_>, found: &mut Vec<What>) {
    for (id, value) in &section.writes {
        found.push(What::ExecutionSwitched {
            contract: readable(id),
            disabled_by: disabled_by(value),
        });
    }
}

fn delegates(section: &MapSection<'_>, found: &mut Vec<What>) {
    for (key, value) in &section.writes {
        let row = read::<BTreeMap<String, serde_json::Value>>(value).unwrap_or_default();
        let text = |field: &str| {
            let value = row.get(field).and_then(|value| value.as_str());
            value.map_or_else(|| readable(key), str::to_owned)
        };
        found.push(What::DelegateSet {
            contract: text("contractId"),
            kind: text("delegateType"),
            id: text("delegateId"),
        });
    }
    for key in &section.removes {
        found.push(What::DelegateRemoved { key: readable(key) });
    }
}

fn recovery_type(section: &MapSection<'_>, found: &mut Vec<What>) {
    let by = section.value(&SINGLE_KEY).and_then(read::<String>);
    if let Some(by) = by.filter(|by| by != "None") {
        found.push(What::RecoveryType { by });
    }
}

fn snapshot(section: &MapSection<'_>, found: &mut Vec<What>) {
    if let Some(row) = section
        .value(&SINGLE_KEY)
        .and_then(read::<SnapshotEvidence>)
    {
        found.push(What::SnapshotTaken {
            seqno: row.version,
            digest: row.hash,
        });
    }
}

fn shares(section: &MapSection<'_>, found: &mut Vec<What>) {
    if let Some(row) = section
        .value(&SINGLE_KEY)
        .and_then(read::<RecoverySharesRow>)
    {
        found.push(What::SharesIssued {
            holders: row.encrypted_shares.into_keys().collect(),
        });
    }
}

fn submitted(section: &MapSection<'_>, found: &mut Vec<What>) {
    for (member, _) in &section.writes {
        found.push(What::ShareSubmitted {
            member: readable(member),
        });
    }
}

fn endorsement(section: &MapSection<'_>, found: &mut Vec<What>) {
    if let Some(row) = section.value(&SINGLE_KEY).and_then(read::<EndorsementRow>) {
        found.push(What::IdentityEndorsed {
            previous: row.previous_version.is_some(),
        });
    }
}

fn governed(section: &MapSection<'_>, found: &mut Vec<What>) {
    let written = section.writes.iter().map(|(key, _)| (key, false));
    let removed = section.removes.iter().map(|key| (key, true));
    for (key, removed) in written.chain(removed) {
        let key = if **key == SINGLE_KEY {
            "the value".to_owned()
        } else {
            readable(key)
        };
        found.push(What::Governed {
            table: section.name.to_owned(),
            key,
            removed,
        });
    }
}
