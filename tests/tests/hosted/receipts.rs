//! What clean rooms were granted and what they wrote, proven on each of three nodes: by the node, and from its ledger without it.

use std::collections::BTreeMap;

use governance::TxId;
use governance::client::Request;
use governance::member::Actions;
use governance::receipt::UnverifiedReceipt;
use ledger::{Digest, Entry};
use ledger_tools::{Bundle, VerifyOptions};
use serde_json::{Value, json};
use tests::ccf;
use tests::scene::{CONTRACT, Scene};
use tests::service::Service;

use crate::cluster::{Cluster, check_records, release};

const RELEASES: &str = "public:cleanroom.releases";
const EVENTS: &str = "public:cleanroom.events";

#[test]
fn grants_and_events_are_proven_by_every_node_and_by_every_ledger() {
    let test = "grants_and_events_are_proven_by_every_node_and_by_every_ledger";
    let Some(host) = ccf::host(true, test) else {
        return;
    };
    let cluster = Cluster::on(&host);
    let scene = &cluster.scene;
    enable(scene);

    // One thing of each kind, and an event, at each node.
    let mut events = BTreeMap::new();
    for (n, node) in cluster.nodes().enumerate() {
        release(scene, node);
        let client = node.client();
        client.write(scene.token_request("workload")).unwrap();
        client.write(signature(scene)).unwrap();
        client.write(certificate(scene)).unwrap();
        let data = json!({ "step": n });
        let event = scene.event("progress", &data, 1_780_000_000_000 + n as u64);
        let written = client.write(event).unwrap().transaction().unwrap();
        events.insert(written, data);
    }

    for node in cluster.nodes() {
        let member = cluster.member_at(node);
        for id in events.keys() {
            member.client().wait_committed(*id).unwrap();
        }
        let granted = check_records(&member, node);
        assert_eq!(granted.len(), 4 * 3);
        for id in granted {
            proven(node, id, RELEASES);
        }
        for (id, data) in &events {
            let row = proven(node, *id, EVENTS);
            assert_eq!(row["data"], *data);
            assert_eq!(row["writer"]["hostData"], "a1".repeat(32));
        }
        let path = format!("/app/contracts/{CONTRACT}/events?id=progress");
        let newest = member.client().send(Request::get(path)).unwrap();
        let newest: Value = newest.json().unwrap();
        assert_eq!(newest["value"][0]["data"], json!({ "step": 2 }));
    }
}

/// Tokens, a certificate authority for the contract, and signatures, each with a key.
fn enable(scene: &Scene) {
    scene.enable_tokens();
    let actions = Actions::new()
        .action("enable_ca", json!({ "contractId": CONTRACT }))
        .action("enable_signing", json!({ "kid": "s" }));
    scene.service.accept(&scene.members, &actions);
    let client = scene.members[0].client();
    for path in [
        format!("/app/contracts/{CONTRACT}/ca/generateSigningKey"),
        "/app/signing/generateSigningKey".to_owned(),
    ] {
        client.write(Request::post(path)).unwrap();
    }
}

fn signature(scene: &Scene) -> Request {
    let mut envelope = scene.envelope();
    envelope["payload"] = "cGF5bG9hZA==".into();
    let path = format!("/app/contracts/{CONTRACT}/signing/sign");
    Request::post(path).json(&envelope).unwrap()
}

fn certificate(scene: &Scene) -> Request {
    let wanted = json!({
        "publicKey": scene.room.key().public_key_pem(), "subjectName": "CN=room",
        "subjectAlternateNames": ["dNSName:localhost"], "validityPeriodDays": 1,
    });
    let envelope = scene.signed(wanted.to_string().as_bytes());
    let path = format!("/app/contracts/{CONTRACT}/ca/generateEndorsedCert");
    Request::post(path).json(&envelope).unwrap()
}

/// The row that the transaction wrote to the table, as the node's ledger has it: its digest is what the node's receipt proves, and so does a
/// receipt made from the ledger alone.
fn proven(node: &Service, id: TxId, table: &str) -> Value {
    let options = VerifyOptions::default();
    let bundle = Bundle::make(&node.ledger(), &options, id, &[]).unwrap();
    assert_eq!(bundle.verify(node.certificate()).unwrap().endorsements, 0);
    let entry = Entry::parse(bundle.entry_bytes()).unwrap();
    let (_, row) = entry.section(table).unwrap().writes[0];
    assert_eq!(entry.claims_digest, Some(Digest::of(row)));

    let receipt = node.client().receipt(id).unwrap();
    let receipt = UnverifiedReceipt::from_json(&receipt).unwrap();
    let receipt = receipt.verify(node.certificate()).unwrap();
    assert_eq!(receipt.leaf, entry.leaf());
    serde_json::from_slice(row).unwrap()
}
