//! CON-90 to CON-94: who may bring a service back, and on what terms.

use serde_json::{Value, json};

use crate::consortium::{Consortium, certificate, id, rsa_public_key};

fn confidential(member: &str) -> Value {
    json!({"member_id": id(member), "service_host_data": "0a".repeat(32), "key_store_id": "vault"})
}

fn break_glass(member: &str) -> Value {
    json!({"member_id": id(member), "holder": "operator"})
}

fn both() -> Value {
    json!({
        "mode": "confidential_or_break_glass",
        "confidential": [confidential("a")],
        "break_glass": [break_glass("b")],
        "requires_reason": true,
        "requires_member_ack": true,
        "notice_seconds": 3600,
    })
}

/// `a` and `b` hold shares, `c` holds none.
fn holders() -> Consortium {
    let mut c = Consortium::of(&["a", "b", "c"]);
    c.share("a");
    c.share("b");
    c
}

fn set_policy(c: &mut Consortium, policy: &Value) -> Result<String, String> {
    let actions = json!([{"name": "set_recovery_policy", "args": {"policy": policy}}]);
    c.check(&actions)?;
    c.apply(&actions).map_err(|error| error.to_string())
}

#[test]
pub fn a_policy_names_its_mode_and_the_holders_that_mode_needs() {
    let mut c = holders();
    let only = |mode: &str, extra: Value| {
        let mut policy = json!({ "mode": mode });
        for (name, value) in extra.as_object().unwrap() {
            policy[name] = value.clone();
        }
        policy
    };
    for (policy, rule) in [
        (json!(null), "CON-32"),
        (json!({}), "CON-30"),
        (only("anything", json!({})), "CON-30"),
        (only("confidential_only", json!({})), "CON-90"),
        (
            only("confidential_only", json!({"confidential": []})),
            "CON-90",
        ),
        (
            only(
                "confidential_only",
                json!({"confidential": [confidential("a")], "break_glass": [break_glass("b")]}),
            ),
            "CON-90",
        ),
        (
            only(
                "break_glass_only",
                json!({"confidential": [confidential("a")]}),
            ),
            "CON-90",
        ),
        (
            only(
                "confidential_or_break_glass",
                json!({"confidential": [confidential("a")], "break_glass": [break_glass("a")]}),
            ),
            "CON-90",
        ),
        (
            only(
                "break_glass_only",
                json!({"break_glass": [break_glass("a")], "anything": 1}),
            ),
            "CON-90",
        ),
        (
            only(
                "break_glass_only",
                json!({"break_glass": [confidential("a")]}),
            ),
            "CON-90",
        ),
        (
            only(
                "confidential_only",
                json!({"confidential": [{"member_id": id("a"), "service_host_data": "x", "key_store_id": "v"}]}),
            ),
            "CON-41",
        ),
        (
            only(
                "break_glass_only",
                json!({"break_glass": [break_glass("a")], "notice_seconds": -1}),
            ),
            "CON-30",
        ),
    ] {
        let got = c.broken_rule("set_recovery_policy", json!({ "policy": policy }));
        assert_eq!(got.as_deref(), Some(rule), "{policy}");
    }
    set_policy(&mut c, &both()).unwrap();
    assert_eq!(c.read("recovery_policy", &[0; 8]), Some(both()));
    c.enact("remove_recovery_policy", Value::Null);
    assert_eq!(c.read("recovery_policy", &[0; 8]), None);
}

#[test]
pub fn under_a_policy_only_who_it_names_gets_a_share() {
    let mut c = holders();
    let cert = certificate();
    let key = rsa_public_key();
    let member = json!({"cert": cert, "encryption_pub_key": key, "member_data": {"tenantId": "t"}});
    let owner = {
        let mut args = member.clone();
        args["recovery_role"] = json!("Owner");
        args
    };
    assert_eq!(c.broken_rule("set_member", member.clone()), None);
    set_policy(&mut c, &both()).unwrap();
    assert_eq!(
        c.broken_rule("set_member", member.clone()).as_deref(),
        Some("CON-91")
    );
    let error = c
        .apply(&json!([{"name": "set_member", "args": member}]))
        .unwrap_err();
    assert!(error.to_string().contains("CON-91"), "{error}");
    let keyless = json!({ "cert": cert });
    c.enact("set_member", keyless);
    let added = c.names_of("members.certs").pop().unwrap();
    let mut policy = both();
    policy["break_glass"] = json!([{"member_id": added, "holder": "us", "recovery_role": "Owner"}]);
    c.set_only("recovery_policy", &policy);
    assert_eq!(
        c.broken_rule("set_member", member).as_deref(),
        Some("CON-91")
    );
    assert_eq!(c.broken_rule("set_member", owner), None);
}

#[test]
pub fn who_is_no_longer_named_loses_the_share_and_the_ledger_its_secret() {
    let mut c = holders();
    set_policy(&mut c, &both()).unwrap();
    assert_eq!(c.effects.names, Vec::<&str>::new(), "nobody lost anything");
    let confidential_only =
        json!({"mode": "confidential_only", "confidential": [confidential("a")]});
    set_policy(&mut c, &confidential_only).unwrap();
    assert_eq!(c.names_of("members.encryption_public_keys"), [id("a")]);
    assert_eq!(c.effects.names, ["triggerLedgerRekey"]);
    // Named, but without a key: nobody could recover any more.
    let error = set_policy(
        &mut c,
        &json!({"mode": "confidential_only", "confidential": [confidential("c")]}),
    )
    .unwrap_err();
    assert!(error.contains("CON-36"), "{error}");
    assert_eq!(c.names_of("members.encryption_public_keys"), [id("a")]);
}

#[test]
pub fn a_policy_says_the_roles_its_holders_have() {
    let mut c = holders();
    let owner = json!({"mode": "break_glass_only", "break_glass": [{"member_id": id("a"), "holder": "h", "recovery_role": "Owner"}]});
    let error = set_policy(&mut c, &owner).unwrap_err();
    assert!(error.contains("CON-92"), "{error}");
    c.set(
        "members.info",
        &id("a"),
        &json!({"status": "Active", "recovery_role": "Owner"}),
    );
    set_policy(&mut c, &owner).unwrap();
}

#[test]
pub fn a_policy_does_not_change_during_a_recovery() {
    let mut c = holders();
    for status in ["Recovering", "WaitingForRecoveryShares"] {
        c.set_only("service.info", &json!({ "status": status }));
        let error = set_policy(&mut c, &both()).unwrap_err();
        assert!(error.contains("CON-92"), "{status}: {error}");
    }
}

fn opening(extra: Value) -> Value {
    let mut args =
        json!({"next_service_identity": certificate(), "previous_service_identity": certificate()});
    for (name, value) in extra.as_object().unwrap() {
        args[name] = value.clone();
    }
    args
}

fn recovering(policy: &Value) -> Consortium {
    let mut c = holders();
    c.set_only("recovery_policy", policy);
    c.set_only(
        "service.info",
        &json!({"status": "Recovering", "recovery_count": 3}),
    );
    c
}

#[test]
pub fn an_opening_says_which_recovery_it_is_and_why() {
    let mut c = recovering(&both());
    for (extra, rule) in [
        (json!({}), "CON-93"),
        (json!({"recovery_kind": "other"}), "CON-30"),
        (json!({"recovery_kind": "break_glass"}), "CON-93"),
        (
            json!({"recovery_kind": "break_glass", "reason": "  "}),
            "CON-93",
        ),
    ] {
        let args = opening(extra.clone());
        let got = c.broken_rule("transition_service_to_open", args.clone());
        assert_eq!(got.as_deref(), Some(rule), "{extra}");
        if extra["reason"].is_null() {
            let actions = json!([{"name": "transition_service_to_open", "args": args}]);
            assert!(c.apply(&actions).is_err(), "{extra}");
        }
    }
    let args = opening(json!({"recovery_kind": "break_glass", "reason": "the vault burnt down"}));
    let proposal = c.enact("transition_service_to_open", args);
    let record = c.get("recoveries", "3").unwrap();
    assert_eq!(
        [
            &record["kind"],
            &record["reason"],
            &record["proposal_id"],
            &record["notice_seconds"],
            &record["requires_member_ack"]
        ],
        [
            &json!("break_glass"),
            &json!("the vault burnt down"),
            &json!(proposal),
            &json!(3600),
            &json!(true)
        ]
    );
    assert!(record["acknowledged_by"].is_null());
}

#[test]
pub fn a_policy_of_one_kind_needs_no_word_and_forbids_the_other() {
    let only = json!({"mode": "confidential_only", "confidential": [confidential("a")]});
    let mut c = recovering(&only);
    let broken = c.broken_rule(
        "transition_service_to_open",
        opening(json!({"recovery_kind": "break_glass", "reason": "x"})),
    );
    assert_eq!(broken.as_deref(), Some("CON-93"));
    c.enact("transition_service_to_open", opening(json!({})));
    let record = c.get("recoveries", "3").unwrap();
    assert_eq!(record["kind"], "confidential");
    assert!(record["requires_member_ack"].is_null());
}

#[test]
pub fn members_acknowledge_the_latest_recovery_once() {
    let mut c = recovering(&both());
    let acknowledge = |count: u64| json!({ "recovery_count": count });
    c.set("recoveries", "2", &json!({"kind": "break_glass"}));
    for count in [2, 3] {
        let got = c.broken_rule("acknowledge_recovery", acknowledge(count));
        assert_eq!(got.as_deref(), Some("CON-94"), "{count}");
    }
    let args = opening(json!({"recovery_kind": "break_glass", "reason": "r"}));
    c.enact("transition_service_to_open", args);
    let proposal = c.enact("acknowledge_recovery", acknowledge(3));
    let record = c.get("recoveries", "3").unwrap();
    assert_eq!(record["acknowledged_by"], json!(proposal));
    assert_eq!(record["reason"], "r");
    let again = json!([{"name": "acknowledge_recovery", "args": acknowledge(3)}]);
    assert!(c.apply(&again).unwrap_err().to_string().contains("CON-94"));
}
