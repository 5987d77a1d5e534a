//! A real CCF node, governed by our constitution from its first transaction.

use std::time::Duration;

use governance::member::Actions;
use governance::rehearsal::{ServiceTables, rehearse};
use governance::service::ProposalState;
use governance::{Identity, Member};
use ledger_tools::{VerifyOptions, verify_directory};
use serde_json::{Value, json};
use tests::ccf::program;
use tests::service::{Host, Service};

#[test]
fn our_constitution_governs_a_ccf_node() {
    let Some(program) = program("js_generic", "our_constitution_governs_a_ccf_node") else {
        return;
    };
    let host = Host::Ccf {
        program,
        simulated: false,
    };
    let identities = ["member0", "member1"].map(|name| {
        let identity = Identity::generate(name, Duration::from_secs(3600)).unwrap();
        identity.with_encryption_key().unwrap()
    });
    let founders: Vec<&Identity> = identities.iter().collect();
    let mut service = Service::start(&host, &founders);
    let members = service.open(&founders);
    assert_eq!(
        service.client().constitution().unwrap(),
        constitution::default_module()
    );

    let newcomer = Identity::generate("member2", Duration::from_secs(3600)).unwrap();
    let contract = json!({"contractId": "c1", "contract": {"data": "terms"}});
    let claims = json!({"x-ms-sevsnpvm-hostdata": ["a1".repeat(32)]});
    let policy = json!({"contractId": "c1", "type": "add", "claims": claims});
    let tcb = json!({"cpuid": "00a00f11", "tcb_version": "db18000000000004"});
    for actions in [
        Actions::new().action("set_contract", contract.clone()),
        Actions::new().action("set_clean_room_policy", policy),
        Actions::new().action("set_platform_policy", json!({"policy": {"vmpl": [0]}})),
        Actions::new().action("set_snp_minimum_tcb_version_hex", tcb),
        Actions::new()
            .action("trigger_ledger_rekey", Value::Null)
            .action("trigger_snapshot", Value::Null),
        Actions::new().set_member(newcomer.certificate(), None, &json!({"identifier": "c"})),
        Actions::new().action(
            "set_constitution",
            json!({"constitution": constitution::default_module()}),
        ),
    ] {
        service.accept(&members, &actions);
    }

    // What the rules refuse, they refuse here.
    let refused = members[0].propose(&Actions::new().action("set_js_app", json!({})));
    let error = refused.unwrap_err();
    assert_eq!(error.code(), Some("ProposalFailedToValidate"));
    assert!(error.to_string().contains("CON-03"), "{error}");
    let again = members[0]
        .propose(&Actions::new().action("set_contract", contract))
        .unwrap();
    assert_eq!(again.proposal_state, ProposalState::Rejected);

    claims_are_found(&members);
    a_rehearsal_tells_what_happens(&service, &members);

    service.stop();
    let report = verify_directory(&service.ledger(), &VerifyOptions::default()).unwrap();
    assert!(report.verified_until.is_some());
}

/// CON-12 over CCF's own tables: the later of two proposals about a contract falls, whether the earlier one is indexed or not.
fn claims_are_found(members: &[Member]) {
    let propose = |member: &Member, id: &str| {
        let args = json!({"contractId": id, "contract": {"data": "terms"}});
        member
            .propose(&Actions::new().action("set_contract", args))
            .unwrap()
    };
    let first = propose(&members[0], "c2");
    assert_eq!(first.proposal_state, ProposalState::Open);
    assert_eq!(
        propose(&members[1], "c2").proposal_state,
        ProposalState::Rejected
    );
    let chunk = members[0]
        .propose(&Actions::new().action("trigger_ledger_chunk", Value::Null))
        .unwrap();
    for member in members {
        member.accept(&chunk.proposal_id).unwrap();
    }
    assert_eq!(
        propose(&members[1], "c2").proposal_state,
        ProposalState::Rejected
    );
    assert_eq!(
        propose(&members[1], "c3").proposal_state,
        ProposalState::Open
    );
    members[0].withdraw(&first.proposal_id).unwrap();
    assert_eq!(
        propose(&members[1], "c2").proposal_state,
        ProposalState::Open
    );
}

fn a_rehearsal_tells_what_happens(service: &Service, members: &[Member]) {
    let actions = Actions::new().action("set_recovery_threshold", json!({"recovery_threshold": 2}));
    let mut tables = ServiceTables::read(members[0].client()).unwrap();
    let told = rehearse(&actions, &members[0].id(), &mut tables).unwrap();
    assert_eq!(told.votes_needed.as_ref().map(Vec::len), Some(2));
    let config = told
        .changes
        .iter()
        .find(|change| change.table.ends_with("service.config"));
    assert_eq!(
        config.unwrap().after.as_ref().unwrap()["recovery_threshold"],
        2
    );
    service.accept(members, &actions);
    let mut tables = ServiceTables::read(members[0].client()).unwrap();
    let again = rehearse(&actions, &members[0].id(), &mut tables).unwrap();
    let config = again
        .changes
        .iter()
        .find(|change| change.table.ends_with("service.config"));
    assert_eq!(config, None, "it is so already");
}
