//! The JavaScript and the model say the same of every proposal, in random consortia.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::batch::{Batch, Question};
use crate::consortium::{Consortium, certificate, id};
use crate::model::{self, Action, Member, Role, Service, Status, Text, Texts};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// How a role is written, and data that looks like one and is none.
#[derive(Debug, Clone, Copy)]
enum Spelling {
    Role(Role, bool),
    Decoy(u8),
}

fn spelling() -> impl Strategy<Value = Spelling> {
    let role = prop_oneof![
        Just(Role::Operator),
        Just(Role::RecoveryOperator),
        Just(Role::CgsOperator),
        Just(Role::ContractOperator),
    ];
    prop_oneof![
        3 => (role, any::<bool>()).prop_map(|(role, as_text)| Spelling::Role(role, as_text)),
        1 => (0_u8..5).prop_map(Spelling::Decoy),
    ]
}

/// Data of a member, and the roles it gives.
fn data(spellings: &[Spelling]) -> (Value, BTreeSet<Role>) {
    let mut data = json!({"tenantId": "t"});
    let mut roles = BTreeSet::new();
    for spelling in spellings {
        let flag = |as_text| if as_text { json!("true") } else { json!(true) };
        match spelling {
            Spelling::Role(role, as_text) => {
                roles.insert(*role);
                match role {
                    Role::Operator => data["isOperator"] = flag(*as_text),
                    Role::RecoveryOperator => data["isRecoveryOperator"] = flag(*as_text),
                    Role::CgsOperator => data["cgsRoles"]["cgsOperator"] = json!("true"),
                    Role::ContractOperator => data["cgsRoles"]["contractOperator"] = json!("true"),
                }
            }
            Spelling::Decoy(0) => data["operator"] = json!(true),
            Spelling::Decoy(1) => data["isoperator"] = json!("true"),
            Spelling::Decoy(2) => data["cgsOperator"] = json!("true"),
            Spelling::Decoy(3) => data["isRecoveryoperator"] = json!(1),
            Spelling::Decoy(_) => data["role"] = json!("isOperator"),
        }
    }
    (data, roles)
}

fn member() -> impl Strategy<Value = (Member, Value)> {
    let status = prop_oneof![
        6 => Just(Status::Active),
        1 => Just(Status::Joining),
        1 => Just(Status::Gone),
    ];
    let spellings = prop_oneof![3 => Just(Vec::new()), 2 => vec(spelling(), 1..3)];
    (status, spellings, any::<bool>()).prop_map(|(status, spellings, holds_share)| {
        let (data, roles) = data(&spellings);
        let member = Member {
            status,
            roles,
            holds_share,
        };
        (member, data)
    })
}

fn action() -> impl Strategy<Value = Action> {
    let switch = || prop_oneof![Just("logging"), Just("telemetry")];
    prop_oneof![
        4 => (0_u8..3).prop_map(Action::SetContract),
        2 => (0_u8..3).prop_map(Action::SetDocument),
        2 => switch().prop_map(Action::Disable),
        1 => switch().prop_map(Action::Enable),
        2 => prop_oneof![Just(Text::InForce), Just(Text::Approved), Just(Text::Unknown)].prop_map(Action::Constitution),
        2 => prop::sample::select(&NAMES[..]).prop_map(|name| Action::RemoveMember(name.to_owned())),
        1 => (3_u8..6).prop_map(Action::MinimumTcb),
        8 => prop::sample::select(vec![
            Action::SetContractWithoutId,
            Action::CleanRoomPolicy,
            Action::DeploymentSpec,
            Action::DeploymentInfo,
            Action::ContractOptions,
            Action::ApplicationOptions,
            Action::RecoveryPolicy,
            Action::NewOperator,
            Action::NewMember,
            Action::OpenService,
            Action::RemoveNode,
            Action::Snapshot,
            Action::Rekey,
            Action::Unknown,
        ]),
    ]
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    prop_oneof![1 => Just(Vec::new()), 14 => vec(action(), 1..2), 10 => vec(action(), 2..4)]
}

/// A service, and what is written as its members' data.
fn service() -> impl Strategy<Value = (Service, BTreeMap<String, Value>)> {
    let ids = || btree_set(0_u8..3, 0..2);
    let members = btree_map(prop::sample::select(&NAMES[..]), member(), 0..6);
    let tables = (ids(), ids(), vec(actions(), 0..3));
    let settings = (any::<bool>(), any::<[bool; 4]>(), prop::option::of(3_u8..6));
    (members, tables, settings).prop_map(|(members, tables, settings)| {
        let written = members
            .iter()
            .map(|(name, (_, data))| ((*name).to_owned(), data.clone()))
            .collect();
        let service = Service {
            members: members
                .into_iter()
                .map(|(name, (member, _))| (name.to_owned(), member))
                .collect(),
            is_new: settings.0,
            accepted_contracts: tables.0,
            accepted_documents: tables.1,
            open_proposals: tables.2,
            delegated: settings.1,
            minimum_tcb: settings.2,
        };
        (service, written)
    })
}

/// A proposal, who made it, and who voted how; one of the voters is nobody the service knows.
fn proposed() -> impl Strategy<Value = (Vec<Action>, &'static str, BTreeMap<String, bool>)> {
    let voter = || prop::sample::select(&["a", "b", "c", "d", "e", "f", "x"][..]);
    let votes = prop_oneof![
        2 => btree_map(voter(), any::<bool>(), 0..7),
        3 => btree_map(voter(), prop::bool::weighted(0.9), 3..8),
    ];
    let votes = votes.prop_map(|votes| votes.into_iter().map(|(n, v)| (n.to_owned(), v)).collect());
    (actions(), voter(), votes)
}

fn texts() -> &'static Texts {
    static TEXTS: OnceLock<Texts> = OnceLock::new();
    TEXTS.get_or_init(|| Texts {
        certificate: certificate(),
        in_force: "in force",
        approved: "approved",
    })
}

/// SHA-256 of the text that is approved.
fn approved_digest() -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, texts().approved.as_bytes());
    hex::encode(digest)
}

fn to_json(actions: &[Action]) -> Value {
    actions.iter().map(|a| a.to_json(texts())).collect()
}

/// The tables that say what `service` means.
fn written(service: &Service, data: &BTreeMap<String, Value>) -> Consortium {
    let mut c = Consortium::of(&[]);
    for (name, member) in &service.members {
        let status = match member.status {
            Status::Active => "Active",
            Status::Joining => "Accepted",
            Status::Gone => "Retired",
        };
        c.member(name, status, data[name].clone());
        if member.holds_share {
            c.share(name);
        }
    }
    if service.is_new {
        c.set_only("service.info", &json!({"status": "Opening"}));
    }
    for (table, ids) in [
        ("accepted_contracts", &service.accepted_contracts),
        ("accepted_member_documents", &service.accepted_documents),
    ] {
        for id in ids {
            c.set(table, &id.to_string(), &json!({"data": 1}));
        }
    }
    for actions in &service.open_proposals {
        c.open(&to_json(actions));
    }
    let options = [
        "constitution",
        "deploymentspec",
        "deploymentinfo",
        "cleanroompolicy",
    ];
    for (option, delegated) in options.iter().zip(service.delegated) {
        let status = if delegated { "enabled" } else { "disabled" };
        let option = format!("autoapprove-{option}-proposal");
        c.set("cgs_runtime_options", &option, &json!({ "status": status }));
    }
    if let Some(level) = service.minimum_tcb {
        c.set("nodes.snp.tcb_versions", "00a00f11", &model::tcb(level));
    }
    c.set_only("constitution", &json!(texts().in_force));
    c.set("approved_constitutions", &approved_digest(), &json!({}));
    c
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_javascript_decides_as_the_model((service, data) in service(), proposed in vec(proposed(), 12)) {
        let mut c = written(&service, &data);
        let questions: Vec<Question> = proposed
            .iter()
            .map(|(actions, proposer, votes)| Question {
                actions: to_json(actions),
                proposer: (*proposer).to_owned(),
                votes: votes.clone().into_iter().collect(),
            })
            .collect();
        let answers = Batch::new().ask(&questions, &mut c.kv);
        for ((actions, proposer, votes), answer) in proposed.iter().zip(answers) {
            let want = model::decide(&service, actions, proposer, votes);
            prop_assert_eq!(
                (answer.state.as_str(), answer.rule.as_str()),
                (want.state, want.rule),
                "{:?} by {} with {:?}: {}", actions, proposer, votes, answer.reason
            );
            let voters = service.members.iter().filter(|(_, m)| m.status == Status::Active && m.roles.is_empty());
            let missing: Vec<String> = voters
                .filter(|(name, _)| votes.get(*name) != Some(&true))
                .map(|(name, _)| id(name))
                .collect();
            let told = if answer.rule == "CON-01" { Vec::new() } else { missing };
            prop_assert_eq!(answer.missing, told);
        }
    }
}
