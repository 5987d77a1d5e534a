//! CON-70 to CON-75: clean room policies.

use serde_json::{Value, json};

use crate::consortium::Consortium;

const TABLE: &str = "policies.cleanroom-k";

fn edit(kind: &str, claims: Value) -> Value {
    json!({"contractId": "k", "type": kind, "claims": claims})
}

fn consortium() -> Consortium {
    let mut c = Consortium::of(&["a"]);
    c.accept_contract("k");
    c
}

fn broken(c: &mut Consortium, args: Value) -> Option<String> {
    c.broken_rule("set_clean_room_policy", args)
}

#[test]
pub fn values_are_added_and_removed_one_by_one() {
    let mut c = consortium();
    let (one, two) = ("11".repeat(32), "22".repeat(32));
    let host = "x-ms-sevsnpvm-hostdata";
    c.enact("set_clean_room_policy", edit("add", json!({host: one})));
    c.enact(
        "set_clean_room_policy",
        edit("add", json!({host: [one, two]})),
    );
    assert_eq!(c.get(TABLE, host), Some(json!([one, two])));
    c.enact(
        "set_clean_room_policy",
        edit("remove", json!({host: [one]})),
    );
    assert_eq!(c.get(TABLE, host), Some(json!([two])));
    c.enact("set_clean_room_policy", edit("remove", json!({host: two})));
    assert_eq!(c.get(TABLE, host), None);
}

#[test]
pub fn a_truth_value_replaces_its_opposite() {
    let mut c = consortium();
    let smt = "x-ms-sevsnpvm-smt-allowed";
    c.enact("set_clean_room_policy", edit("add", json!({smt: true})));
    c.enact("set_clean_room_policy", edit("add", json!({smt: [false]})));
    assert_eq!(c.get(TABLE, smt), Some(json!([false])));
    c.enact(
        "set_clean_room_policy",
        edit("remove", json!({smt: [true]})),
    );
    assert_eq!(c.get(TABLE, smt), None);
}

#[test]
pub fn only_claims_of_the_family_come_in() {
    let mut c = consortium();
    for (claims, rule) in [
        (json!([]), "CON-32"),
        (json!({"host": "x"}), "CON-70"),
        (json!({"__proto__x": "x"}), "CON-70"),
        (json!({"constructor": "x"}), "CON-70"),
        (json!({"pcr0": "x"}), "CON-70"),
        (json!({"x-ms-sevsnpvm-hostdata": {"a": 1}}), "CON-71"),
        (json!({"x-ms-sevsnpvm-hostdata": null}), "CON-71"),
        (json!({"x-ms-sevsnpvm-hostdata": [["aa"]]}), "CON-71"),
    ] {
        assert_eq!(
            broken(&mut c, edit("add", claims.clone())).as_deref(),
            Some(rule),
            "{claims}"
        );
    }
    assert_eq!(
        broken(&mut c, edit("change", json!({"x-ms-ver": "2"}))).as_deref(),
        Some("CON-30")
    );
    let other = json!({"contractId": "none", "type": "add", "claims": {"x-ms-ver": "2"}});
    assert_eq!(broken(&mut c, other).as_deref(), Some("CON-61"));
}

#[test]
pub fn only_what_is_there_is_removed() {
    let mut c = consortium();
    assert_eq!(
        broken(&mut c, edit("remove", json!({"x-ms-ver": "2"}))).as_deref(),
        Some("CON-74")
    );
    c.enact(
        "set_clean_room_policy",
        edit("add", json!({"x-ms-ver": ["2", "3"]})),
    );
    assert_eq!(
        broken(&mut c, edit("remove", json!({"x-ms-ver": "5"}))).as_deref(),
        Some("CON-74")
    );
    // What another proposal removed in between stays removed, and nothing fails.
    let actions = json!([{"name": "set_clean_room_policy", "args": edit("remove", json!({"x-ms-ver": "2"}))}]);
    c.apply(&actions).unwrap();
    c.apply(&actions).unwrap();
    assert_eq!(c.get(TABLE, "x-ms-ver"), Some(json!(["3"])));
}

#[test]
pub fn each_family_has_its_claims() {
    let mut c = consortium();
    let with = |family: &str, claims: Value| json!({"contractId": "k", "type": "add", "policyType": family, "claims": claims});
    for (family, claim, rule) in [
        ("snp-cvm", "pcr0", None),
        ("snp-cvm", "pcr15", None),
        ("snp-cvm", "pcr16", Some("CON-72")),
        ("snp-cvm", "vm-configuration-secure-boot", Some("CON-72")),
        ("snp-cvm", "pcr24", Some("CON-70")),
        ("snp-cvm", "x-ms-ver", Some("CON-70")),
        ("snp-caci", "x-ms-policy-hash", None),
        ("jwt", "oid", None),
        ("jwt", "email", Some("CON-70")),
        ("tdx", "oid", Some("CON-30")),
        ("__proto__", "oid", Some("CON-30")),
    ] {
        let got = broken(&mut c, with(family, json!({claim: "value"})));
        assert_eq!(got.as_deref(), rule, "{family} {claim}");
    }
}

#[test]
pub fn w4_a_policy_for_virtual_machines_pins_what_booted() {
    let mut c = consortium();
    let cvm = |claims: Value| json!({"contractId": "k", "type": "add", "policyType": "snp-cvm", "claims": claims});
    let loose = cvm(json!({"pcr23": "b", "cvm-guestsvn": 10}));
    assert_eq!(broken(&mut c, loose.clone()).as_deref(), Some("CON-72"));
    c.enact("set_clean_room_policy", cvm(json!({"pcr4": "a"})));
    c.enact("set_clean_room_policy", loose);
    assert_eq!(c.get(TABLE, "pcr23"), Some(json!(["b"])));
}

#[test]
pub fn a_policy_knows_the_proposals_that_made_it() {
    let mut c = consortium();
    let add = |svn: u32| edit("add", json!({"x-ms-sevsnpvm-guestsvn": svn}));
    let made: Vec<String> = (0..20)
        .map(|n| c.enact("set_clean_room_policy", add(n)))
        .collect();
    let origin = c.get("policy_origins", "k").unwrap();
    assert_eq!(origin["proposalId"], *made.last().unwrap());
    assert_eq!(origin["history"], json!(made[4..]));
    let other = c.enact(
        "set_clean_room_policy",
        edit("add", json!({"x-ms-ver": "3"})),
    );
    let origin = c.get("policy_origins", "k").unwrap();
    let claims = json!({"x-ms-sevsnpvm-guestsvn": made.last().unwrap(), "x-ms-ver": other});
    assert_eq!(origin["claims"], claims);
    c.enact(
        "set_clean_room_policy",
        edit("remove", json!({"x-ms-ver": "3"})),
    );
    let origin = c.get("policy_origins", "k").unwrap();
    assert_eq!(origin["claims"].get("x-ms-ver"), None);
}
