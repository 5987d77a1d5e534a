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

/// W8: one contract's clean rooms cannot get a subject that members gave to another.
#[test]
pub fn a_subject_of_tokens_belongs_to_one_contract() {
    let mut c = contract();
    c.accept_contract("l");
    let set = |contract: &str, options: Value| json!({"contractId": contract, "options": options});
    let options = json!({"tokenSubjects": ["s", "t"], "tokenSubjectPrefixes": ["p-"]});
    c.enact("set_contract_options", set("k", options));
    let owner = |c: &Consortium, key: &str| {
        let table = c.kv.tables.get("public:ccf.gov.token_subjects")?;
        let bytes: &Vec<u8> = table.get(key.as_bytes())?;
        Some(String::from_utf8(bytes.clone()).unwrap())
    };
    assert_eq!(owner(&c, "=s").as_deref(), Some("k"));
    assert_eq!(owner(&c, "^p-").as_deref(), Some("k"));
    assert_eq!(owner(&c, "^s"), None);
    for options in [
        json!({"tokenSubjects": ["s"]}),
        json!({"tokenSubjectPrefixes": ["x", "p-"]}),
    ] {
        let got = c.broken_rule("set_contract_options", set("l", options));
        assert_eq!(got.as_deref(), Some("CON-65"));
    }
    // What is no longer listed is free; what is not spoken of stays.
    c.enact(
        "set_contract_options",
        set("k", json!({"tokenSubjects": ["t"]})),
    );
    assert_eq!(owner(&c, "=s"), None);
    assert_eq!(owner(&c, "^p-").as_deref(), Some("k"));
    c.enact(
        "set_contract_options",
        set("l", json!({"tokenSubjects": ["s"]})),
    );
    assert_eq!(owner(&c, "=s").as_deref(), Some("l"));
}
