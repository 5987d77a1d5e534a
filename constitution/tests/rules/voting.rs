//! CON-04 and CON-11 to CON-19: who decides.

use constitution::ProposalState::{Accepted, Open, Rejected};
use serde_json::{Value, json};

use crate::consortium::{Consortium, id};

fn contract(name: &str) -> Value {
    json!([{"name": "set_contract", "args": {"contractId": name, "contract": {"data": "d"}}}])
}

fn policy(contract: &str) -> Value {
    json!([{"name": "set_clean_room_policy",
            "args": {"contractId": contract, "type": "add", "claims": {"x-ms-sevsnpvm-vmpl": 0}}}])
}

#[test]
pub fn all_active_members_must_say_yes() {
    let mut c = Consortium::of(&["a", "b", "c"]);
    let rekey = json!([{"name": "trigger_ledger_rekey"}]);
    c.decide("a", &rekey, &[]).is(Open, "CON-15");
    c.decide("a", &rekey, &[("a", true), ("b", true)])
        .is(Open, "CON-15");
    c.decide("a", &rekey, &[("a", true), ("b", true), ("c", false)])
        .is(Open, "CON-15");
    c.decide("a", &rekey, &[("a", true), ("b", true), ("c", true)])
        .is(Accepted, "CON-15");
}

#[test]
pub fn votes_of_strangers_and_of_members_who_left_mean_nothing() {
    let mut c = Consortium::of(&["a", "b"]);
    let rekey = json!([{"name": "trigger_ledger_rekey"}]);
    c.decide("a", &rekey, &[("a", true), ("x", true)])
        .is(Open, "CON-15");
    c.member("gone", "Retired", json!(null));
    c.decide("a", &rekey, &[("a", true), ("gone", true)])
        .is(Open, "CON-15");
    c.decide(
        "a",
        &contract("k"),
        &[("a", true), ("b", true), ("x", false)],
    )
    .is(Accepted, "CON-15");
    c.decide("a", &contract("k"), &[("gone", false)])
        .is(Open, "CON-15");
}

#[test]
pub fn with_nobody_to_count_nothing_is_accepted() {
    let mut c = Consortium::of(&[]);
    c.operator("o");
    for actions in [
        contract("k"),
        json!([{"name": "set_constitution", "args": {"constitution": ""}}]),
    ] {
        c.decide("o", &actions, &[]).is(Open, "CON-19");
        c.decide("o", &actions, &[("o", true)]).is(Open, "CON-19");
    }
}

#[test]
pub fn one_no_ends_what_can_be_vetoed_and_nothing_else() {
    let mut c = Consortium::of(&["a", "b"]);
    c.accept_contract("k");
    for name in [
        "set_contract",
        "set_clean_room_policy",
        "set_deployment_spec",
        "set_deployment_info",
        "set_contract_runtime_options_enable_logging",
        "set_contract_runtime_options_enable_telemetry",
        "set_member_document",
    ] {
        let actions = json!([{"name": name, "args": {"contractId": "n", "documentId": "n"}}]);
        c.decide("a", &actions, &[("b", false)])
            .is(Rejected, "CON-11");
        c.decide("a", &actions, &[("x", false)]).is(Open, "CON-15");
    }
    let actions = json!([{"name": "set_constitution", "args": {"constitution": ""}}]);
    c.decide("a", &actions, &[("b", false)]).is(Open, "CON-15");
}

#[test]
pub fn a_contract_is_accepted_once() {
    let mut c = Consortium::of(&["a"]);
    let yes = [("a", true)];
    c.decide("a", &contract("k"), &yes).is(Accepted, "CON-15");
    c.accept_contract("k");
    c.decide("a", &contract("k"), &yes).is(Rejected, "CON-12");
    c.open(&contract("l"));
    c.decide("a", &contract("l"), &[]).is(Rejected, "CON-12");
    c.decide("a", &contract("l"), &yes).is(Accepted, "CON-15");
    c.decide("a", &contract("m"), &yes).is(Accepted, "CON-15");
    let twice = json!([contract("m")[0], contract("m")[0]]);
    c.decide("a", &twice, &yes).is(Rejected, "CON-12");
    let mixed = json!([contract("m")[0], {"name": "trigger_snapshot"}]);
    c.decide("a", &mixed, &yes).is(Rejected, "CON-12");
}

#[test]
pub fn a_contract_waits_for_members_who_are_joining() {
    let mut c = Consortium::of(&["a"]);
    c.member("new", "Accepted", json!(null));
    c.decide("a", &contract("k"), &[("a", true)])
        .is(Open, "CON-16");
    c.accept_contract("k");
    c.decide("a", &policy("k"), &[("a", true)])
        .is(Accepted, "CON-15");
    c.member("new", "Accepted", json!({"isOperator": true}));
    c.decide("a", &contract("l"), &[("a", true)])
        .is(Accepted, "CON-15");
}

#[test]
pub fn a_document_is_accepted_once_in_any_company() {
    let mut c = Consortium::of(&["a"]);
    let document = json!([
        {"name": "set_member_document", "args": {"documentId": "d", "document": {"data": "x"}}},
        {"name": "trigger_snapshot"},
    ]);
    c.decide("a", &document, &[("a", true)])
        .is(Accepted, "CON-15");
    c.open(&document);
    c.decide("a", &document, &[]).is(Rejected, "CON-13");
}

#[test]
pub fn who_counts_may_switch_logging_off_alone() {
    let mut c = Consortium::of(&["a", "b"]);
    c.operator("o");
    c.accept_contract("k");
    let off = |name: &str| json!({"name": name, "args": {"contractId": "k"}});
    let logging = off("set_contract_runtime_options_disable_logging");
    let telemetry = off("set_contract_runtime_options_disable_telemetry");
    c.decide("b", &json!([logging, telemetry]), &[])
        .is(Accepted, "CON-14");
    c.decide("b", &json!([logging, policy("k")[0]]), &[])
        .is(Open, "CON-15");
    c.decide("o", &json!([logging]), &[]).is(Open, "CON-15");
    c.decide("stranger", &json!([logging]), &[])
        .is(Open, "CON-15");
    c.member("new", "Accepted", json!(null));
    c.decide("new", &json!([logging]), &[]).is(Open, "CON-15");
}

#[test]
pub fn a_role_passes_what_members_delegated_and_only_while_they_do() {
    let spec =
        json!([{"name": "set_deployment_spec", "args": {"contractId": "k", "spec": {"data": {}}}}]);
    let cases = [
        (
            "contractOperator",
            spec.clone(),
            "autoapprove-deploymentspec-proposal",
            "CON-18",
        ),
        (
            "contractOperator",
            policy("k"),
            "autoapprove-cleanroompolicy-proposal",
            "CON-18",
        ),
        (
            "cgsOperator",
            json!([{"name": "set_constitution", "args": {"constitution": "in force"}}]),
            "autoapprove-constitution-proposal",
            "CON-17",
        ),
    ];
    for (role, actions, option, rule) in cases {
        let mut c = Consortium::of(&["a"]);
        c.accept_contract("k");
        c.member("r", "Active", json!({"cgsRoles": {role: "true"}}));
        c.set_only("constitution", &json!("in force"));
        c.decide("r", &actions, &[]).is(Open, "CON-15");
        for status in ["disabled", "Enabled", "true"] {
            c.set("cgs_runtime_options", option, &json!({ "status": status }));
            c.decide("r", &actions, &[]).is(Open, "CON-15");
        }
        c.set("cgs_runtime_options", option, &json!({"status": "enabled"}));
        c.decide("r", &actions, &[]).is(Accepted, rule);
        c.decide("a", &actions, &[]).is(Open, "CON-15");
        let smuggled = json!([actions[0], {"name": "trigger_ledger_rekey"}]);
        c.decide("r", &smuggled, &[]).is(Open, "CON-15");
        let platform = json!([{"name": "set_platform_policy", "args": {"policy": {}}}]);
        c.decide("r", &platform, &[]).is(Open, "CON-15");
    }
}

#[test]
pub fn roles_count_only_when_true() {
    for data in [
        json!({"isOperator": "yes"}),
        json!({"isOperator": 1}),
        json!({"isOperator": "false"}),
        json!({"cgsRoles": {"cgsOperator": "TRUE"}}),
        json!({"cgsRoles": {"contractOperator": true}}),
        json!({"cgsRoles": "cgsOperator"}),
        json!([{"isOperator": true}]),
    ] {
        let mut c = Consortium::of(&["a"]);
        c.member("b", "Active", data.clone());
        c.decide("a", &contract("k"), &[("a", true)])
            .is(Open, "CON-15");
        c.decide("b", &json!([{"name": "trigger_snapshot"}]), &[])
            .is(Open, "CON-15");
    }
    for data in [
        json!({"isOperator": "true"}),
        json!({"isRecoveryOperator": true}),
        json!({"cgsRoles": {"contractOperator": "true"}}),
    ] {
        let mut c = Consortium::of(&["a"]);
        c.member("b", "Active", data);
        c.decide("a", &contract("k"), &[("a", true)])
            .is(Accepted, "CON-15");
    }
}

/// H2: nothing anybody left in a table or wrote into a proposal makes `resolve` fail for others.
#[test]
pub fn damaged_tables_stop_no_decision() {
    let garbage: [&[u8]; 6] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"{\"state\":\"Open\"}",
    ];
    for table in [
        "members.info",
        "proposals",
        "proposals_info",
        "cgs_runtime_options",
    ] {
        for bytes in garbage {
            let mut c = Consortium::of(&["a"]);
            c.put(table, b"damaged", bytes);
            c.put(table, b"\xff\xff", bytes);
            c.put(table, id("z").as_bytes(), bytes);
            let outcome = c.decide("a", &contract("k"), &[("a", true)]);
            outcome.is(Accepted, "CON-15");
        }
    }
}

#[test]
pub fn what_is_no_proposal_is_rejected_and_what_cannot_be_judged_stays_open() {
    let mut c = Consortium::of(&["a"]);
    for text in [
        "null",
        "[]",
        "7",
        "{}",
        r#"{"actions":[]}"#,
        r#"{"actions":[null]}"#,
        r#"{"actions":{"0":1}}"#,
    ] {
        c.decide_text("a", text, &[("a", true)])
            .is(Rejected, "CON-01");
        assert!(c.check_text(text).unwrap_err().contains("CON-01"), "{text}");
    }
    c.decide_text("a", "{not json", &[("a", true)])
        .is(Open, "CON-04");
}

/// W6d, H2: whatever its arguments, no action makes a decision fail, and none is the operator's by accident.
#[test]
pub fn odd_arguments_never_pass_by_operator() {
    let mut c = Consortium::of(&["a"]);
    c.operator("o");
    for args in [
        json!(null),
        json!({}),
        json!([]),
        json!("x"),
        json!({"cert": 7, "member_id": {}}),
    ] {
        for name in [
            "set_member",
            "remove_member",
            "set_member_data",
            "__proto__",
            "constructor",
            "",
        ] {
            let outcome = c.decide("o", &json!([{"name": name, "args": args}]), &[]);
            assert_eq!(outcome.state, Open, "{name} {args}");
        }
    }
}
