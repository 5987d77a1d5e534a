//! The voting rules once more, in Rust, over what tables mean and not over what is written in them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::consortium::id;

/// A role that keeps a member out of the count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Operator,
    RecoveryOperator,
    CgsOperator,
    ContractOperator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Active,
    Joining,
    Gone,
}

#[derive(Debug, Clone)]
pub struct Member {
    pub status: Status,
    pub roles: BTreeSet<Role>,
    pub holds_share: bool,
}

impl Member {
    fn is_counted(&self) -> bool {
        self.roles.is_empty()
    }

    fn votes(&self) -> bool {
        self.status == Status::Active && self.is_counted()
    }
}

/// A constitution that is proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    InForce,
    Approved,
    Unknown,
}

/// An action, as far as its arguments matter to a vote. Ids are small numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    SetContract(u8),
    SetDocument(u8),
    SetContractWithoutId,
    CleanRoomPolicy,
    DeploymentSpec,
    DeploymentInfo,
    Enable(&'static str),
    Disable(&'static str),
    Constitution(Text),
    ContractOptions,
    ApplicationOptions,
    RecoveryPolicy,
    RemoveMember(String),
    NewOperator,
    NewMember,
    OpenService,
    RemoveNode,
    Snapshot,
    Rekey,
    /// A minimum TCB whose components are this one.
    MinimumTcb(u8),
    Unknown,
}

/// What the tables say.
#[derive(Debug, Clone)]
pub struct Service {
    pub members: BTreeMap<String, Member>,
    /// Whether it is `Opening`, and not `Open`.
    pub is_new: bool,
    pub accepted_contracts: BTreeSet<u8>,
    pub accepted_documents: BTreeSet<u8>,
    pub open_proposals: Vec<Vec<Action>>,
    /// Delegated: constitutions, deployment specifications, deployment information, policies.
    pub delegated: [bool; 4],
    pub minimum_tcb: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub state: &'static str,
    pub rule: &'static str,
}

const fn open(rule: &'static str) -> Verdict {
    Verdict {
        state: "Open",
        rule,
    }
}

const fn accepted(rule: &'static str) -> Verdict {
    Verdict {
        state: "Accepted",
        rule,
    }
}

const fn rejected(rule: &'static str) -> Verdict {
    Verdict {
        state: "Rejected",
        rule,
    }
}

/// What the rules say of a proposal.
pub fn decide(
    service: &Service,
    actions: &[Action],
    proposer: &str,
    votes: &BTreeMap<String, bool>,
) -> Verdict {
    if actions.is_empty() {
        return rejected("CON-01");
    }
    let proposer = service.members.get(proposer);
    let has_role = |role| proposer.is_some_and(|member| member.roles.contains(&role));
    if has_role(Role::Operator) && actions.iter().all(|a| operator_may(service, a)) {
        return accepted("CON-10");
    }
    let says_no = |(name, member): (&String, &Member)| {
        member.status == Status::Active && votes.get(name) == Some(&false)
    };
    if actions.iter().any(one_no_is_enough) && service.members.iter().any(says_no) {
        return rejected("CON-11");
    }
    if let Some(verdict) = once(service, actions, votes) {
        return verdict;
    }
    let switches_off = |a: &Action| matches!(a, Action::Disable(_));
    if proposer.is_some_and(Member::votes) && actions.iter().all(switches_off) {
        return accepted("CON-14");
    }
    let voters: Vec<&String> = service
        .members
        .iter()
        .filter(|(_, member)| member.votes())
        .map(|(name, _)| name)
        .collect();
    let all_yes = voters.iter().all(|name| votes.get(*name) == Some(&true));
    let about_contract = actions.iter().any(is_contract);
    let somebody_joins = service
        .members
        .values()
        .any(|m| m.status == Status::Joining && m.is_counted());
    if !voters.is_empty() && all_yes && !(about_contract && somebody_joins) {
        return accepted("CON-15");
    }
    let delegated = |role: Role| {
        has_role(role)
            && actions
                .iter()
                .all(|a| delegated_to(service, a) == Some(role))
    };
    if delegated(Role::CgsOperator) {
        return accepted("CON-17");
    }
    if delegated(Role::ContractOperator) {
        return accepted("CON-18");
    }
    if voters.is_empty() {
        open("CON-19")
    } else if all_yes {
        open("CON-16")
    } else {
        open("CON-15")
    }
}

fn is_contract(action: &Action) -> bool {
    matches!(
        action,
        Action::SetContract(_) | Action::SetContractWithoutId
    )
}

fn one_no_is_enough(action: &Action) -> bool {
    match action {
        Action::SetContract(_)
        | Action::SetContractWithoutId
        | Action::SetDocument(_)
        | Action::CleanRoomPolicy
        | Action::DeploymentSpec
        | Action::DeploymentInfo
        | Action::Enable(_)
        | Action::ContractOptions
        | Action::ApplicationOptions
        | Action::RecoveryPolicy => true,
        Action::Disable(_)
        | Action::Constitution(_)
        | Action::RemoveMember(_)
        | Action::NewOperator
        | Action::NewMember
        | Action::OpenService
        | Action::RemoveNode
        | Action::Snapshot
        | Action::Rekey
        | Action::MinimumTcb(_)
        | Action::Unknown => false,
    }
}

/// Contracts come alone; contracts and documents come once.
fn once(service: &Service, actions: &[Action], votes: &BTreeMap<String, bool>) -> Option<Verdict> {
    let is_document = |a: &Action| matches!(a, Action::SetDocument(_));
    let contract = |a: &Action| match a {
        Action::SetContract(id) => Some(*id),
        _ => None,
    };
    let document = |a: &Action| match a {
        Action::SetDocument(id) => Some(*id),
        _ => None,
    };
    if actions.iter().any(is_contract) {
        let alone =
            actions.iter().all(is_contract) && !actions.contains(&Action::SetContractWithoutId);
        if !alone
            || clashes(
                service,
                actions,
                votes,
                &service.accepted_contracts,
                contract,
            )
        {
            return Some(rejected("CON-12"));
        }
    }
    if actions.iter().any(is_document)
        && clashes(
            service,
            actions,
            votes,
            &service.accepted_documents,
            document,
        )
    {
        return Some(rejected("CON-13"));
    }
    None
}

fn clashes(
    service: &Service,
    actions: &[Action],
    votes: &BTreeMap<String, bool>,
    taken: &BTreeSet<u8>,
    claim: impl Fn(&Action) -> Option<u8>,
) -> bool {
    let ids: Vec<u8> = actions.iter().filter_map(&claim).collect();
    let distinct: BTreeSet<u8> = ids.iter().copied().collect();
    let elsewhere: BTreeSet<u8> = service
        .open_proposals
        .iter()
        .flatten()
        .filter_map(&claim)
        .collect();
    distinct.len() != ids.len()
        || !distinct.is_disjoint(taken)
        || (votes.is_empty() && !distinct.is_disjoint(&elsewhere))
}

fn operator_may(service: &Service, action: &Action) -> bool {
    match action {
        Action::RemoveNode | Action::Snapshot | Action::NewOperator => true,
        Action::OpenService => service.is_new,
        Action::RemoveMember(name) => service
            .members
            .get(name)
            .is_some_and(|m| m.roles.contains(&Role::Operator) && !m.holds_share),
        Action::MinimumTcb(level) => service.minimum_tcb.is_some_and(|now| *level >= now),
        _ => false,
    }
}

fn delegated_to(service: &Service, action: &Action) -> Option<Role> {
    let [constitution, spec, info, policy] = service.delegated;
    match action {
        Action::Constitution(text) if constitution && *text != Text::Unknown => {
            Some(Role::CgsOperator)
        }
        Action::DeploymentSpec if spec => Some(Role::ContractOperator),
        Action::DeploymentInfo if info => Some(Role::ContractOperator),
        Action::CleanRoomPolicy if policy => Some(Role::ContractOperator),
        _ => None,
    }
}

/// The certificates and texts that actions refer to.
#[derive(Debug, Clone)]
pub struct Texts {
    pub certificate: String,
    pub in_force: &'static str,
    pub approved: &'static str,
}

impl Action {
    /// As a member writes it.
    pub fn to_json(&self, texts: &Texts) -> Value {
        let contract = json!({"contractId": "k"});
        let (name, args) = match self {
            Self::SetContract(id) => (
                "set_contract",
                json!({"contractId": id.to_string(), "contract": {"data": 1}}),
            ),
            Self::SetContractWithoutId => ("set_contract", json!({"contract": {"data": 1}})),
            Self::SetDocument(id) => (
                "set_member_document",
                json!({"documentId": id.to_string(), "document": {"data": 1}}),
            ),
            Self::CleanRoomPolicy => (
                "set_clean_room_policy",
                json!({"contractId": "k", "type": "add", "claims": {"x-ms-sevsnpvm-vmpl": 0}}),
            ),
            Self::DeploymentSpec => (
                "set_deployment_spec",
                json!({"contractId": "k", "spec": {}}),
            ),
            Self::DeploymentInfo => (
                "set_deployment_info",
                json!({"contractId": "k", "info": {}}),
            ),
            Self::Enable("logging") => ("set_contract_runtime_options_enable_logging", contract),
            Self::Enable(_) => ("set_contract_runtime_options_enable_telemetry", contract),
            Self::Disable("logging") => ("set_contract_runtime_options_disable_logging", contract),
            Self::Disable(_) => ("set_contract_runtime_options_disable_telemetry", contract),
            Self::Constitution(text) => {
                let text = match text {
                    Text::InForce => texts.in_force,
                    Text::Approved => texts.approved,
                    Text::Unknown => "unknown",
                };
                ("set_constitution", json!({ "constitution": text }))
            }
            Self::ContractOptions => (
                "set_contract_options",
                json!({"contractId": "k", "options": {}}),
            ),
            Self::ApplicationOptions => ("set_application_options", json!({"options": {}})),
            Self::RecoveryPolicy => ("set_recovery_policy", json!({"policy": {}})),
            Self::RemoveMember(name) => ("remove_member", json!({"member_id": id(name)})),
            Self::NewOperator => (
                "set_member",
                json!({"cert": texts.certificate, "member_data": {"isOperator": true}}),
            ),
            Self::NewMember => ("set_member", json!({"cert": texts.certificate})),
            Self::OpenService => (
                "transition_service_to_open",
                json!({"next_service_identity": texts.certificate}),
            ),
            Self::RemoveNode => ("remove_node", json!({"node_id": id("n")})),
            Self::Snapshot => ("trigger_snapshot", Value::Null),
            Self::Rekey => ("trigger_ledger_rekey", Value::Null),
            Self::MinimumTcb(level) => (
                "set_snp_minimum_tcb_version",
                json!({"cpuid": "00a00f11", "tcb_version": tcb(*level)}),
            ),
            Self::Unknown => ("no_such_action", json!({"contractId": "k"})),
        };
        json!({"name": name, "args": args})
    }
}

/// A TCB whose every component is this one.
pub fn tcb(level: u8) -> Value {
    json!({"boot_loader": level, "tee": level, "snp": level, "microcode": level})
}
