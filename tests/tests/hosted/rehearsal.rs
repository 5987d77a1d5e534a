//! A proposal is tried before it is made, and does what the trial said.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use constitution::MemoryKv;
use governance::member::Actions;
use governance::policies::HOST_DATA;
use governance::rehearsal::{Rehearsal, ServiceTables, explain, rehearse};
use governance::service::ProposalState;
use governance::{IdentityId, ProposalId};
use ledger_tools::{Seqno, VerifyOptions, tables_at};
use serde_json::{Value, json};
use tests::scene::{CONTRACT, Scene};
use tests::service::program;

fn tables(scene: &Scene) -> MemoryKv {
    let options = VerifyOptions {
        service_certificate: Some(scene.service.certificate().to_owned()),
        ..VerifyOptions::default()
    };
    let wanted = |table: &str| table.starts_with("public:ccf.gov.");
    let tables = tables_at(&scene.service.ledger(), &options, Seqno(u64::MAX), wanted).unwrap();
    let mut kv = MemoryKv::default();
    for (name, rows) in tables.iter() {
        let rows = rows
            .iter()
            .map(|(key, row)| (key.clone(), row.value.clone()));
        kv.tables.insert(name.to_owned(), rows.collect());
    }
    kv
}

/// What the framework writes around every proposal, and the list of what is indexed, which follows from it.
const FRAMEWORK: [&str; 5] = [
    "public:ccf.gov.cose_history",
    "public:ccf.gov.cose_recent_proposals",
    "public:ccf.gov.open_claims_index",
    "public:ccf.gov.proposals",
    "public:ccf.gov.proposals_info",
];

type Rows = BTreeSet<(String, Vec<u8>, String)>;

/// Rows of one side that the other side does not have, without the framework's.
fn beyond(these: &MemoryKv, others: &MemoryKv, proposal: &ProposalId) -> Rows {
    let mut rows = Rows::new();
    for (table, entries) in &these.tables {
        for (key, value) in entries {
            let same = others.tables.get(table).and_then(|rows| rows.get(key)) == Some(value);
            if !same && !FRAMEWORK.contains(&table.as_str()) {
                let text = String::from_utf8(value.clone()).unwrap();
                let text = text.replace(proposal.as_str(), &"0".repeat(64));
                rows.insert((table.clone(), key.clone(), text));
            }
        }
    }
    rows
}

/// What a rehearsal said the rows will be.
fn foreseen(
    rehearsal: &Rehearsal,
    side: impl Fn(&governance::rehearsal::Change) -> Option<Value>,
) -> BTreeMap<(String, String), Value> {
    rehearsal
        .changes
        .iter()
        .filter(|change| !FRAMEWORK.contains(&change.table.as_str()))
        .filter_map(|change| Some(((change.table.clone(), change.key.clone()), side(change)?)))
        .collect()
}

fn by_key(rows: Rows) -> BTreeMap<(String, String), Value> {
    rows.into_iter()
        .map(|(table, key, value)| {
            let key = if key == [0; 8] {
                String::new()
            } else {
                String::from_utf8(key).unwrap()
            };
            let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
            ((table, key), value)
        })
        .collect()
}

fn of_service(scene: &Scene, actions: &Actions) -> Rehearsal {
    let member = &scene.members[0];
    let mut tables = ServiceTables::read(member.client()).unwrap();
    rehearse(actions, &member.id(), &mut tables).unwrap()
}

#[test]
fn a_proposal_does_what_its_rehearsal_said() {
    let scene = Scene::set();
    let both: BTreeSet<IdentityId> = scene.members.iter().map(governance::Member::id).collect();
    let policy =
        json!({"contractId": CONTRACT, "type": "add", "claims": {HOST_DATA: ["0b".repeat(32)]}});
    let contract = json!({"contractId": "c2", "contract": {"data": {"terms": 2}}});
    let options = json!({"contractId": CONTRACT, "options": {"strictReleases": true}});
    for (actions, shown) in [
        (Actions::new().action("set_clean_room_policy", policy), true),
        (Actions::new().action("set_contract", contract), true),
        (
            Actions::new().action(
                "set_contract_runtime_options_enable_logging",
                json!({"contractId": CONTRACT}),
            ),
            true,
        ),
        (
            Actions::new().action("set_contract_options", options),
            false,
        ),
        (
            Actions::new().action("set_recovery_threshold", json!({"recovery_threshold": 2})),
            true,
        ),
    ] {
        let before = tables(&scene);
        let member = &scene.members[0];
        let told = rehearse(&actions, &member.id(), &mut before.clone()).unwrap();
        assert_eq!(told.faults, Vec::<String>::new());
        assert_eq!(told.on_submission.as_ref().unwrap().state, "Open");
        let needed: BTreeSet<IdentityId> = told.votes_needed.clone().unwrap().into_iter().collect();
        assert_eq!(needed, both);

        // The service shows enough to tell the same, or what it did not show.
        let asked = of_service(&scene, &actions);
        assert_eq!(asked.votes_needed, told.votes_needed);
        let in_sight = |rehearsal: &Rehearsal| {
            let mut rows = foreseen(rehearsal, |change| change.after.clone());
            rows.retain(|(table, _), _| !asked.unseen.contains_key(table));
            rows
        };
        assert_eq!(in_sight(&asked), in_sight(&told));
        assert_eq!(!in_sight(&told).is_empty(), shown, "{:?}", asked.unseen);

        let id = accept(&scene, &actions);
        let after = tables(&scene);
        assert_eq!(
            by_key(beyond(&after, &before, &id)),
            foreseen(&told, |c| c.after.clone())
        );
        assert_eq!(
            by_key(beyond(&before, &after, &id)),
            foreseen(&told, |c| c.before.clone())
        );
    }
}

fn accept(scene: &Scene, actions: &Actions) -> ProposalId {
    let proposal = scene.members[0].propose(actions).unwrap();
    for member in &scene.members {
        member.accept(&proposal.proposal_id).unwrap();
    }
    proposal.proposal_id
}

#[test]
fn what_would_be_let_in_and_what_is_wrong_is_told() {
    let scene = Scene::set();
    let add = |contract: &str| {
        let claims = json!({HOST_DATA: ["0b".repeat(32)]});
        Actions::new().action(
            "set_clean_room_policy",
            json!({"contractId": contract, "type": "add", "claims": claims}),
        )
    };
    let told = of_service(&scene, &add(CONTRACT));
    let [change] = told.releases.as_slice() else {
        panic!("{:?}", told.releases);
    };
    assert_eq!(change.contract.as_deref(), Some(CONTRACT));
    assert_eq!(
        change.allowed,
        [format!("{HOST_DATA} = \"{}\"", "0b".repeat(32))]
    );
    assert_eq!(change.forbidden, Vec::<String>::new());
    let told = of_service(&scene, &add("nowhere"));
    assert!(told.faults[0].contains("CON-61"), "{:?}", told.faults);
    assert_eq!(told.votes_needed, None);
    assert_eq!(
        scene
            .service
            .client()
            .proposals()
            .unwrap()
            .iter()
            .filter(|p| p.proposal_state == ProposalState::Open)
            .count(),
        0
    );

    // The program says it too, from the ledger alone.
    let folder = scene.service.folder();
    scene.members[0]
        .identity()
        .save(&folder.join("member"))
        .unwrap();
    std::fs::write(
        folder.join("proposal.json"),
        serde_json::to_string(&add(CONTRACT)).unwrap(),
    )
    .unwrap();
    let output = Command::new(program())
        .args([
            "proposal",
            "rehearse",
            "proposal.json",
            "--identity",
            "member",
        ])
        .args(["--service-cert", "service_cert.pem", "--ledger", "ledger"])
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    for part in [
        "votes needed: 2",
        "CON-15",
        "newly allowed: x-ms-sevsnpvm-hostdata",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn members_see_why_a_proposal_is_open() {
    let scene = Scene::set();
    let [first, second] = scene.members.as_slice() else {
        panic!("two members");
    };
    let actions = Actions::new().action("trigger_ledger_rekey", Value::Null);
    let proposal = first.propose(&actions).unwrap();
    let answered = proposal.explanation.clone().unwrap();
    assert_eq!(answered.missing.len(), 2);
    let id = &proposal.proposal_id;
    let answered = first.accept(id).unwrap().explanation.unwrap();
    assert_eq!(
        (answered.rule.as_deref(), &answered.missing),
        (Some("CON-15"), &vec![second.id()])
    );

    // Computed at the member's side, which needs nothing from the host but its governance endpoints.
    let mut tables = ServiceTables::read(second.client()).unwrap();
    let text = scene
        .service
        .client()
        .proposal_actions(id)
        .unwrap()
        .to_string();
    let ballots = BTreeMap::from([(
        first.id(),
        scene.service.client().ballot(id, &first.id()).unwrap(),
    )]);
    let computed = explain(&text, &proposal.proposer_id, &ballots, id, &mut tables).unwrap();
    assert_eq!(computed, answered);
}
