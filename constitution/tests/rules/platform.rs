//! CON-76: the platform policy is one the application reads.

use attestation::PlatformPolicy;
use constitution::ProposalState::{Accepted, Open};
use serde_json::{Value, json};

use crate::consortium::Consortium;

#[test]
pub fn every_policy_the_verifier_writes_is_accepted_and_read_back() {
    let mut c = Consortium::of(&["a"]);
    for policy in [PlatformPolicy::production(), PlatformPolicy::simulated()] {
        let args = json!({"policy": serde_json::to_value(&policy).unwrap()});
        c.enact("set_platform_policy", args);
        let stored = c.read("platform_policy", &[0; 8]).unwrap();
        assert_eq!(
            serde_json::from_value::<PlatformPolicy>(stored).unwrap(),
            policy
        );
    }
    c.enact("remove_platform_policy", Value::Null);
    assert_eq!(c.read("platform_policy", &[0; 8]), None);
}

#[test]
pub fn what_the_application_could_not_read_is_refused() {
    let mut c = Consortium::of(&["a"]);
    for (policy, rule) in [
        (json!(null), "CON-32"),
        (json!([]), "CON-32"),
        (json!({"vmlp": [0]}), "CON-76"),
        (json!({"__proto__x": 1}), "CON-76"),
        (json!({"constructor": 1}), "CON-76"),
        (json!({"products": ["Rome"]}), "CON-30"),
        (json!({"products": null}), "CON-30"),
        (json!({"minimumTcb": {"Rome": "00".repeat(8)}}), "CON-76"),
        (json!({"minimumTcb": {"Milan": "00"}}), "CON-41"),
        (
            json!({"minimumTcbByCpuid": {"x": "00".repeat(8)}}),
            "CON-76",
        ),
        (json!({"committedTcb": "true"}), "CON-30"),
        (json!({"vmpl": [4]}), "CON-30"),
        (json!({"vmpl": [0.5]}), "CON-30"),
        (json!({"uvm": [{"did": "d", "feed": "f"}]}), "CON-30"),
        (
            json!({"uvm": [{"did": "d", "feed": "f", "minSvn": -1}]}),
            "CON-30",
        ),
        (
            json!({"uvm": [{"did": "d", "feed": "f", "minSvn": 1, "x": 1}]}),
            "CON-76",
        ),
        (json!({"uvmForms": ["cose"]}), "CON-30"),
        (json!({"deniedHostData": ["AA".repeat(32)]}), "CON-41"),
        (json!({"deniedKeys": [7]}), "CON-41"),
        (json!({"pinnedMeasurements": ["00".repeat(32)]}), "CON-41"),
        (json!({"deniedChips": ["00".repeat(32)]}), "CON-41"),
        (json!({"intermediates": {}}), "CON-30"),
        (json!({"platformInfo": 1e300}), "CON-30"),
        (json!({"cvm": null}), "CON-32"),
        (json!({"cvm": {"roots": []}}), "CON-76"),
        (json!({"cvm": {"authorities": "x"}}), "CON-30"),
        (json!({"cvm": {"authorities": ["x"]}}), "CON-33"),
        (json!({"cvm": {"idKeys": ["0a".repeat(48)]}}), "CON-32"),
        (
            json!({"cvm": {"idKeys": [{"digest": "0a".repeat(48), "minGuestSvn": -1}]}}),
            "CON-30",
        ),
        (
            json!({"cvm": {"idKeys": [{"digest": "0a", "minGuestSvn": 1}]}}),
            "CON-41",
        ),
    ] {
        let got = c.broken_rule("set_platform_policy", json!({ "policy": policy }));
        assert_eq!(got.as_deref(), Some(rule), "{policy}");
    }
}

/// Each single member, with a value of its kind, is one the application reads.
#[test]
pub fn what_is_accepted_the_application_reads() {
    let mut c = Consortium::of(&["a"]);
    let hex = |bytes: usize| json!(["0a".repeat(bytes)]);
    for policy in [
        json!({}),
        json!({"products": ["Turin"], "minimumTcb": {"Turin": "0a".repeat(8)}}),
        json!({"minimumTcbByCpuid": {"00a00f11": "0a".repeat(8)}}),
        json!({"committedTcb": true, "vmpl": [0, 3], "platformInfo": 9_007_199_254_740_991_u64}),
        json!({"uvm": [{"did": "d", "feed": "f", "minSvn": 9_007_199_254_740_991_u64}], "uvmForms": ["cwt"]}),
        json!({"pinnedMeasurements": hex(48), "deniedHostData": hex(32), "deniedKeys": hex(32), "deniedChips": hex(64)}),
        json!({"intermediates": hex(32), "idKeys": hex(48)}),
        json!({"intermediates": null, "idKeys": null}),
        json!({"cvm": {"authorities": [], "idKeys": [{"digest": "0a".repeat(48), "minGuestSvn": 10}]}}),
    ] {
        c.enact("set_platform_policy", json!({ "policy": policy }));
        let stored = c.read("platform_policy", &[0; 8]).unwrap();
        let read = serde_json::from_value::<PlatformPolicy>(stored);
        assert!(read.is_ok(), "{policy}: {read:?}");
    }
}

#[test]
pub fn members_decide_about_platforms() {
    let mut c = Consortium::of(&["a", "b"]);
    c.operator("o");
    for name in ["set_platform_policy", "remove_platform_policy"] {
        let actions = json!([{"name": name, "args": {"policy": {}}}]);
        assert_eq!(
            c.decide("o", &actions, &[("o", true), ("a", true)]).state,
            Open
        );
        let both = [("a", true), ("b", true)];
        assert_eq!(c.decide("o", &actions, &both).state, Accepted);
    }
}
