//! CON-64: options of contracts and of the application.

use constitution::ProposalState::{Accepted, Open, Rejected};
use serde_json::{Value, json};

use crate::consortium::{Consortium, id};

fn contract() -> Consortium {
    let mut c = Consortium::of(&["a", "b"]);
    c.accept_contract("k");
    c
}

#[test]
pub fn options_are_merged_taken_back_and_name_their_proposal() {
    let mut c = contract();
    let first = c.enact(
        "set_contract_options",
        json!({"contractId": "k", "options": {"strictReleases": true, "members": [id("a")]}}),
    );
    let second = c.enact(
        "set_contract_options",
        json!({"contractId": "k", "options": {"strictReleases": null, "tokenSubjects": ["s"]}}),
    );
    assert_eq!(
        c.get("contract_options", "k"),
        Some(json!({
            "options": {"members": [id("a")], "tokenSubjects": ["s"]},
            "origins": {"members": first, "tokenSubjects": second},
        }))
    );
    let third = c.enact(
        "set_application_options",
        json!({"options": {"tokenLifetimeSeconds": 600}}),
    );
    assert_eq!(
        c.read("application_options", &[0; 8]),
        Some(
            json!({"options": {"tokenLifetimeSeconds": 600}, "origins": {"tokenLifetimeSeconds": third}})
        )
    );
}

#[test]
pub fn an_option_is_known_in_its_place_and_has_a_value_of_its_kind() {
    let mut c = contract();
    for (options, rule) in [
        (json!(null), "CON-32"),
        (json!([]), "CON-32"),
        (json!({"anything": true}), "CON-64"),
        (json!({"constructor": true}), "CON-64"),
        (json!({"strictReleases": "true"}), "CON-30"),
        (json!({"members": ["a"]}), "CON-31"),
        (json!({"members": [id("a"), id("a")]}), "CON-64"),
        (json!({"tokenLifetimeSeconds": 0}), "CON-30"),
        (json!({"tokenIssuers": ["http://i"]}), "CON-83"),
    ] {
        let args = json!({"contractId": "k", "options": options});
        let got = c.broken_rule("set_contract_options", args);
        assert_eq!(got.as_deref(), Some(rule), "{options}");
    }
    for (name, args, rule) in [
        (
            "set_contract_options",
            json!({"contractId": "none", "options": {}}),
            "CON-61",
        ),
        (
            "set_application_options",
            json!({"options": {"members": []}}),
            "CON-64",
        ),
    ] {
        assert_eq!(c.broken_rule(name, args).as_deref(), Some(rule), "{name}");
    }
}

#[test]
pub fn members_decide_about_options() {
    let mut c = contract();
    c.operator("o");
    let cases: [(&str, Value); 2] = [
        (
            "set_contract_options",
            json!({"contractId": "k", "options": {}}),
        ),
        ("set_application_options", json!({"options": {}})),
    ];
    for (name, args) in cases {
        let actions = json!([{"name": name, "args": args}]);
        assert_eq!(c.decide("o", &actions, &[("a", true)]).state, Open);
        c.decide("a", &actions, &[("a", true), ("b", true)])
            .is(Accepted, "CON-15");
        c.decide("a", &actions, &[("b", false)])
            .is(Rejected, "CON-11");
    }
}
