//! What is done under one contract changes nothing under another, whatever the two are called.

use std::cell::RefCell;

use ccf_rs::{Caller, Verb};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::{AGREED, Scene, set};

/// Ids made of what separates parts of keys and table names, so that they come close to each other.
const IDS: &str = "[a-b:,_%-][0-9a-b:,._%-]{0,5}";

#[test]
fn nothing_done_under_one_contract_is_seen_under_another() {
    let scene = RefCell::new(Scene::new());
    let mut runner = TestRunner::new(Config::with_cases(24));
    let names = (IDS, IDS, IDS, IDS);
    runner
        .run(&names, |(one, other, scope, name)| {
            if one != other {
                check(&mut scene.borrow_mut(), &one, &other, &scope, &name);
            }
            Ok(())
        })
        .unwrap();
}

fn check(scene: &mut Scene, one: &str, other: &str, scope: &str, name: &str) {
    for contract in [one, other] {
        let accepted = json!({ "data": "terms", "proposalId": "p" });
        set(
            &mut scene.host,
            "public:ccf.gov.accepted_contracts",
            contract,
            &accepted,
        );
        let policy = format!("public:ccf.gov.policies.cleanroom-{contract}");
        let agreed = json!([hex::encode(AGREED)]);
        set(&mut scene.host, &policy, "x-ms-sevsnpvm-hostdata", &agreed);
    }
    let before = seen(scene, other, one, scope, name);
    act(scene, one, other, scope, name);
    assert_eq!(
        seen(scene, other, one, scope, name),
        before,
        "{one:?} {other:?}"
    );
}

/// Everything a contract has, done under `one`; `other` appears wherever a caller chooses a name.
fn act(scene: &mut Scene, one: &str, other: &str, scope: &str, name: &str) {
    for (scope, id) in [("", name), (scope, other), (other, name)] {
        let mut event = scene.signed(&json!({ "from": one }));
        event["timestamp"] = "1700000000000".into();
        let path = format!(
            "/contracts/{one}/events?scope={}&id={}",
            escaped(scope),
            escaped(id)
        );
        let (status, body) = scene.call(Verb::Put, &path, Caller::Anonymous, &event);
        assert_eq!(status, 204, "{body}");
    }
    for (path, body) in [
        (
            format!("/contracts/{one}/secrets/{name}"),
            json!({ "value": "s" }),
        ),
        (
            format!("/contracts/{one}/secrets/{other}"),
            json!({ "value": "s" }),
        ),
    ] {
        let (status, body) = scene.member(Verb::Put, &path, &body);
        assert_eq!(status, 200, "{body}");
    }
    for kind in ["memberdocuments", "userdocuments"] {
        let path = format!("/contracts/{one}/{kind}/{one}~{name}");
        scene.member(Verb::Put, &path, &json!({ "contractId": one, "data": 1 }));
    }
    let change = json!({ "type": "add", "claims": { "x-ms-sevsnpvm-hostdata": "00" } });
    let envelope = scene.signed(&change);
    let path = format!("/contracts/{one}/cleanroompolicy/delegates/secrets/m1_{name}");
    assert_eq!(
        scene.call(Verb::Put, &path, Caller::Unasked, &envelope).0,
        200
    );
    let path = format!("/contracts/{one}/runtimeoptions/execution/disable");
    assert_eq!(scene.member(Verb::Post, &path, &Value::Null).0, 200);
}

/// What can be read under `contract`.
fn seen(scene: &mut Scene, contract: &str, one: &str, scope: &str, name: &str) -> Vec<Value> {
    let base = format!("/contracts/{contract}");
    let event = |scope: &str, id: &str| {
        format!("{base}/events?scope={}&id={}", escaped(scope), escaped(id))
    };
    let lists = [
        "secrets",
        "memberdocuments",
        "userdocuments",
        "cleanroompolicy/delegates",
        "releases",
    ];
    let mut paths: Vec<(Verb, String)> = lists
        .iter()
        .map(|list| (Verb::Get, format!("{base}/{list}")))
        .collect();
    for (scope, id) in [
        ("", name),
        (scope, one),
        (one, name),
        ("", contract),
        (scope, contract),
    ] {
        paths.push((Verb::Get, event(scope, id)));
    }
    for read in ["", "/cleanroompolicy", "/runtimeoptions/execution/status"] {
        paths.push((Verb::Post, format!("{base}{read}")));
    }
    paths
        .into_iter()
        .map(|(verb, path)| {
            let (status, body) = scene.member(verb, &path, &Value::Null);
            assert_eq!(status, 200, "{path}: {body}");
            body
        })
        .collect()
}

fn escaped(text: &str) -> String {
    crate::paging::escape(text)
}
