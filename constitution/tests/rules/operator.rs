//! CON-10 and CON-20 to CON-24: what an operator passes alone, and that it is nothing else (law 4; W6, H1, H2, H16, H17).

use std::collections::BTreeSet;

use constitution::ProposalState::{Accepted, Open};
use constitution::default_module;
use serde_json::{Value, json};

use crate::consortium::{Consortium, certificate, id};

/// The actions with arguments for which an operator alone decides. Everything else the constitution knows must stay open.
fn passable() -> Vec<(&'static str, Value)> {
    let validity = json!({"valid_from": "20260101000000Z"});
    let node = json!({"node_id": id("n"), "valid_from": "20260101000000Z"});
    vec![
        (
            "set_member",
            json!({"cert": certificate(), "member_data": {"isOperator": true}}),
        ),
        ("remove_member", json!({"member_id": id("p")})),
        ("remove_node", json!({"node_id": id("n")})),
        ("set_node_data", json!({"node_id": id("n"), "node_data": 1})),
        ("set_node_certificate_validity", node),
        ("set_all_nodes_certificate_validity", validity.clone()),
        ("set_service_certificate_validity", validity),
        ("trigger_ledger_chunk", json!(null)),
        ("trigger_snapshot", json!(null)),
    ]
}

fn consortium() -> Consortium {
    let mut c = Consortium::of(&["a", "b"]);
    c.operator("o");
    c.operator("p");
    c.set("nodes.info", &id("n"), &json!({"status": "Trusted"}));
    c
}

/// Every action, by name, from the constitution's text.
fn all_actions() -> BTreeSet<String> {
    let module = default_module();
    let mut names: BTreeSet<String> = module
        .split("action(\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    // Defined in loops or through helpers: named in the text, quoted, in snake case with a verb first.
    for word in module.split('"') {
        let verb = word.split('_').next().unwrap_or_default();
        let snake = word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if snake
            && word.contains('_')
            && [
                "set", "remove", "add", "enable", "ca", "oidc", "signing", "refresh",
            ]
            .contains(&verb)
        {
            names.insert(word.to_owned());
        }
    }
    names
}

#[test]
pub fn an_operator_passes_these_actions_alone_and_no_others() {
    let mut c = consortium();
    let passable = passable();
    for (name, args) in &passable {
        let outcome = c.decide("o", &json!([{"name": name, "args": args}]), &[]);
        assert_eq!(
            (outcome.state, outcome.rule.as_str()),
            (Accepted, "CON-10"),
            "{name}"
        );
        let outcome = c.decide("a", &json!([{"name": name, "args": args}]), &[]);
        assert_eq!(outcome.state, Open, "{name} proposed by a member");
    }
    let names: BTreeSet<_> = passable
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let others = all_actions();
    assert!(others.len() > 55, "{} actions found", others.len());
    for name in others.difference(&names) {
        // What these take depends on the tables and has tests below.
        let outcome = c.decide("o", &json!([{"name": name, "args": {"member_id": id("p"), "node_id": id("n"), "cpuid": "00a00f11"}}]), &[]);
        assert_ne!(outcome.state, Accepted, "{name}");
    }
}

#[test]
pub fn one_action_that_is_not_theirs_is_enough() {
    let mut c = consortium();
    for (name, args) in passable() {
        let mixed = json!([{"name": name, "args": args}, {"name": "set_recovery_threshold", "args": {"recovery_threshold": 1}}]);
        assert_eq!(c.decide("o", &mixed, &[]).state, Open, "{name}");
        let mixed = json!([{"name": "set_constitution", "args": {"constitution": ""}}, {"name": name, "args": args}]);
        assert_eq!(c.decide("o", &mixed, &[]).state, Open, "{name}");
    }
}

#[test]
pub fn an_operator_adds_only_new_bare_operators() {
    let mut c = consortium();
    let cert = certificate();
    let set_member = |changes: Value| {
        let mut args =
            json!({"cert": cert, "member_data": {"isOperator": true, "identifier": "i"}});
        for (key, value) in changes.as_object().unwrap() {
            args[key] = value.clone();
        }
        json!([{"name": "set_member", "args": args}])
    };
    c.decide("o", &set_member(json!({})), &[])
        .is(Accepted, "CON-10");
    for changes in [
        json!({"encryption_pub_key": "key"}),
        json!({"recovery_role": "Owner"}),
        json!({"recovery_role": "NonParticipant"}),
        json!({"member_data": {"isOperator": false}}),
        json!({"member_data": {}}),
        json!({"member_data": null}),
        json!({"member_data": {"isOperator": true, "isRecoveryOperator": true}}),
        json!({"member_data": {"isOperator": true, "cgsRoles": {"cgsOperator": true}}}),
        json!({"member_data": {"isOperator": true, "tenantId": "t"}}),
        json!({"member_data": {"isOperator": true, "identifier": {"x": 1}}}),
    ] {
        assert_eq!(
            c.decide("o", &set_member(changes.clone()), &[]).state,
            Open,
            "{changes}"
        );
    }
}

/// W6b, H1: setting a member again would strip it of its vote, its key and its status.
#[test]
pub fn an_operator_cannot_set_an_existing_member_again() {
    let mut c = consortium();
    let cert = certificate();
    let actions = json!([{"name": "set_member", "args": {"cert": cert, "member_data": {"isOperator": true}}}]);
    c.decide("o", &actions, &[]).is(Accepted, "CON-10");
    let mut known = Consortium::of(&["a", "b"]);
    known.operator("o");
    known
        .apply(&json!([{"name": "set_member", "args": {"cert": cert}}]))
        .unwrap();
    assert_eq!(known.decide("o", &actions, &[]).state, Open);
    let member = known.names_of("members.certs").pop().unwrap();
    for table in [
        "members.info",
        "members.certs",
        "members.encryption_public_keys",
    ] {
        let mut c = consortium();
        c.put(table, member.as_bytes(), b"\"anything\"");
        assert_eq!(c.decide("o", &actions, &[]).state, Open, "{table}");
    }
}

/// W6a, W6d: removal is judged by the member it removes.
#[test]
pub fn an_operator_removes_only_operators_without_shares() {
    let mut c = consortium();
    let remove = |args: Value| json!([{"name": "remove_member", "args": args}]);
    c.decide("o", &remove(json!({"member_id": id("p")})), &[])
        .is(Accepted, "CON-10");
    assert_eq!(
        c.decide("o", &remove(json!({"member_id": id("a")})), &[])
            .state,
        Open
    );
    assert_eq!(
        c.decide("o", &remove(json!({"member_id": id("x")})), &[])
            .state,
        Open
    );
    let decoy = json!({"member_id": id("a"), "cert": certificate()});
    assert_eq!(c.decide("o", &remove(decoy), &[]).state, Open);
    c.share("p");
    assert_eq!(
        c.decide("o", &remove(json!({"member_id": id("p")})), &[])
            .state,
        Open
    );
}

#[test]
pub fn an_operator_opens_only_a_service_that_is_new() {
    let open = json!([{"name": "transition_service_to_open", "args": {"next_service_identity": certificate()}}]);
    let mut c = consortium();
    for (status, state) in [
        ("Opening", Accepted),
        ("Open", Open),
        ("Recovering", Open),
        ("WaitingForRecoveryShares", Open),
    ] {
        c.set_only("service.info", &json!({ "status": status }));
        assert_eq!(c.decide("o", &open, &[]).state, state, "{status}");
    }
}

/// H16: raising a minimum that is there, in every component.
#[test]
pub fn an_operator_only_raises_minimum_tcbs() {
    let mut c = consortium();
    let tcb = |boot: u8, tee: u8, snp: u8, microcode: u8| json!({"boot_loader": boot, "tee": tee, "snp": snp, "microcode": microcode});
    let propose = |tcb: &Value| json!([{"name": "set_snp_minimum_tcb_version", "args": {"cpuid": "00a00f11", "tcb_version": tcb}}]);
    assert_eq!(
        c.decide("o", &propose(&tcb(9, 9, 9, 9)), &[]).state,
        Open,
        "no minimum yet"
    );
    c.set("nodes.snp.tcb_versions", "00a00f11", &tcb(4, 0, 24, 219));
    c.decide("o", &propose(&tcb(4, 0, 24, 220)), &[])
        .is(Accepted, "CON-10");
    c.decide("o", &propose(&tcb(4, 0, 24, 219)), &[])
        .is(Accepted, "CON-10");
    assert_eq!(
        c.decide("o", &propose(&tcb(4, 0, 25, 218)), &[]).state,
        Open
    );
    assert_eq!(
        c.decide("o", &propose(&json!({"boot_loader": 9})), &[])
            .state,
        Open
    );
    let hex = |text: &str| json!([{"name": "set_snp_minimum_tcb_version_hex", "args": {"cpuid": "00a00f11", "tcb_version": text}}]);
    c.decide("o", &hex("dc18000000000004"), &[])
        .is(Accepted, "CON-10");
    assert_eq!(c.decide("o", &hex("da18000000000004"), &[]).state, Open);
    let remove = json!([{"name": "remove_snp_minimum_tcb_version", "args": {"cpuid": "00a00f11"}}]);
    assert_eq!(c.decide("o", &remove, &[]).state, Open);
}

/// W6c: an operator among members without counted members cannot govern either.
#[test]
pub fn an_operator_alone_governs_nothing() {
    let mut c = Consortium::of(&[]);
    c.operator("o");
    let jwt = json!([{"name": "set_jwt_issuer", "args": {"issuer": "https://evil.example"}}]);
    assert_eq!(c.decide("o", &jwt, &[("o", true)]).state, Open);
}
