//! Strict releases: nothing leaves before its record is committed, and the primary may die between the two calls.

use std::process::Command;

use governance::TxId;
use governance::client::Request;
use governance::member::Actions;
use governance::secrets::SecretText;
use serde_json::{Value, json};
use tests::scene::{CONTRACT, SECRET, Scene};
use tests::service::{Host, Service};
use tests::{ccf, scenarios};

use crate::cluster::{Cluster, until};

scenarios!(a_strict_release_takes_two_calls);

fn a_strict_release_takes_two_calls(host: &Host) {
    let scene = Scene::on(host);
    make_strict(&scene);
    let (status, granted) = ask(&scene, &scene.service, None);
    assert_eq!(status, 202);
    let granted = granted.unwrap();
    assert_eq!(settled(&scene, &scene.service, granted), 200);
    // The client does both.
    let released = scene.room.secret(CONTRACT, &scene.secret_id).unwrap();
    assert!(released.secret == SecretText::new(SECRET.to_owned()));
    let recorded = records(&scene, &scene.service);
    for id in [granted, released.transaction.unwrap()] {
        assert!(recorded.contains(&id.to_string()), "{id}: {recorded:?}");
    }
}

#[test]
fn a_committed_grant_outlives_the_primary() {
    let Some(host) = ccf::host(true, "a_committed_grant_outlives_the_primary") else {
        return;
    };
    let mut cluster = Cluster::on(&host);
    make_strict(&cluster.scene);
    let (status, granted) = ask(&cluster.scene, &cluster.scene.service, None);
    assert_eq!(status, 202);
    let granted = granted.unwrap();
    let survivor = cluster.backups[0].client();
    survivor.wait_committed(granted).unwrap();
    cluster.lose_primary();
    for node in &cluster.backups {
        assert_eq!(settled(&cluster.scene, node, granted), 200);
        assert!(records(&cluster.scene, node).contains(&granted.to_string()));
    }
}

/// The primary alone has the grant when it dies: nobody ever gets what it granted, and no record says that somebody did.
#[test]
fn a_grant_that_is_lost_with_the_primary_gave_nothing_away() {
    let test = "a_grant_that_is_lost_with_the_primary_gave_nothing_away";
    let Some(host) = ccf::host(true, test) else {
        return;
    };
    let mut cluster = Cluster::on(&host);
    make_strict(&cluster.scene);
    for node in &cluster.backups {
        signal(node, "-STOP");
    }
    let (status, granted) = ask(&cluster.scene, &cluster.scene.service, None);
    assert_eq!(status, 202);
    let granted = granted.unwrap();
    for _ in 0..3 {
        let (status, _) = ask(&cluster.scene, &cluster.scene.service, Some(granted));
        assert_eq!(status, 202);
    }
    cluster.scene.service.kill();
    for node in &cluster.backups {
        signal(node, "-CONT");
    }
    cluster.lose_primary();
    for node in &cluster.backups {
        assert_eq!(settled(&cluster.scene, node, granted), 409);
        assert!(!records(&cluster.scene, node).contains(&granted.to_string()));
    }
    // The clean room begins anew.
    let room = cluster.scene.room_at(&cluster.backups[1]);
    let released = room.secret(CONTRACT, &cluster.scene.secret_id).unwrap();
    assert!(released.secret == SecretText::new(SECRET.to_owned()));
}

/// A challenge reaches the primary that issued it through any node. The next primary does not know it: it says so by its code, hands out nothing, and
/// the clean room begins anew.
#[test]
fn a_challenge_ends_with_the_primary_that_issued_it() {
    let test = "a_challenge_ends_with_the_primary_that_issued_it";
    let Some(host) = ccf::host(true, test) else {
        return;
    };
    let mut cluster = Cluster::on(&host);
    let scene = &cluster.scene;
    let options = json!({ "strictReleases": true, "requireChallenge": true });
    set_options(scene, &options);
    let [one, other] = cluster.backups.as_slice() else {
        panic!("two backups")
    };
    let body = scene.answering(&challenge(one));
    let (status, granted, answer) = send(scene, other, &body, None);
    assert_eq!(status, 202, "{answer}");
    assert_eq!(taken(scene, one, &body, granted).0, 200);
    // What only reads takes challenges at any node too.
    for node in [one, other] {
        for what in ["cleanroompolicy/explain", "runtimeoptions/execution/status"] {
            let path = format!("/app/contracts/{CONTRACT}/{what}");
            let answer = node.client().send(Request::post(path).json(&body).unwrap());
            let answer: Value = answer.unwrap().json().unwrap();
            let good = answer["admitted"] == true || answer["status"] == "enabled";
            assert!(good, "{answer}");
        }
    }

    let body = scene.answering(&challenge(other));
    let (status, granted, answer) = send(scene, one, &body, None);
    assert_eq!(status, 202, "{answer}");
    one.client().wait_committed(granted.unwrap()).unwrap();
    cluster.lose_primary();
    let scene = &cluster.scene;
    for node in &cluster.backups {
        let (status, answer) = taken(scene, node, &body, granted);
        assert_eq!(status, 400);
        assert_eq!(answer["error"]["code"], "ChallengeInvalid");
    }
    for node in &cluster.backups {
        let body = scene.answering(&challenge(node));
        let (status, granted, answer) = send(scene, node, &body, None);
        assert_eq!(status, 202, "{answer}");
        assert_eq!(taken(scene, node, &body, granted).0, 200);
    }
}

/// A challenge, asked for at a node.
fn challenge(node: &Service) -> String {
    let path = format!("/app/contracts/{CONTRACT}/challenge");
    let answer: Value = node
        .client()
        .send(Request::post(path))
        .unwrap()
        .json()
        .unwrap();
    answer["challenge"].as_str().unwrap().to_owned()
}

fn make_strict(scene: &Scene) {
    set_options(scene, &json!({ "strictReleases": true }));
}

fn set_options(scene: &Scene, options: &Value) {
    let options = json!({ "contractId": CONTRACT, "options": options });
    let actions = Actions::new().action("set_contract_options", options);
    scene.service.accept(&scene.members, &actions);
}

fn signal(node: &Service, name: &str) {
    let id = node.process_id().to_string();
    let sent = Command::new("kill").args([name, &id]).status().unwrap();
    assert!(sent.success());
}

/// Asks for the secret at a node, naming a grant or not: status, and the transaction of the answer.
fn ask(scene: &Scene, node: &Service, granted: Option<TxId>) -> (u16, Option<TxId>) {
    let (status, transaction, _) = send(scene, node, &scene.envelope(), granted);
    (status, transaction)
}

/// As [`ask`], showing this; with the answer.
fn send(
    scene: &Scene,
    node: &Service,
    body: &Value,
    granted: Option<TxId>,
) -> (u16, Option<TxId>, Value) {
    let mut request = Request::post(scene.release_path()).json(body).unwrap();
    if let Some(granted) = granted {
        request = request.at(granted).unwrap();
    }
    let response = node.client().exchange(request).unwrap();
    let answer: Value = response.json().unwrap_or_default();
    let status = response.status().as_u16();
    assert_eq!(status == 200, answer["value"].is_string(), "{status}");
    (status, response.transaction(), answer)
}

/// The status of the second call once it is another than 202.
fn settled(scene: &Scene, node: &Service, granted: TxId) -> u16 {
    taken(scene, node, &scene.envelope(), Some(granted)).0
}

/// As [`settled`], showing this; with the answer.
fn taken(scene: &Scene, node: &Service, body: &Value, granted: Option<TxId>) -> (u16, Value) {
    until("a settled release", || {
        let (status, _, answer) = send(scene, node, body, granted);
        // A node without a primary, or with a new one, says so for a moment.
        (!matches!(status, 202 | 500 | 503)).then_some((status, answer))
    })
}

/// The transactions of the records of the contract, at a node.
fn records(scene: &Scene, node: &Service) -> Vec<String> {
    let member = node.member(scene.members[0].identity());
    let path = format!("/app/contracts/{CONTRACT}/releases");
    let page: Value = member
        .client()
        .send(Request::get(path))
        .unwrap()
        .json()
        .unwrap();
    let records = page["value"].as_array().unwrap().iter();
    let ids = records.map(|record| record["transactionId"].as_str().unwrap().to_owned());
    ids.collect()
}
