//! Three nodes of CCF on one machine: they join, writes reach the primary through any of them, the primary may die, and the ledger of one is enough
//! to recover from.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use governance::client::Request;
use governance::member::Actions;
use governance::receipt::UnverifiedReceipt;
use governance::secrets::SecretText;
use governance::{Client, Member, TxId};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tests::ccf;
use tests::scene::{CONTRACT, SECRET, Scene};
use tests::service::{Host, Service};

/// A scene whose service has three nodes; the first, which the scene holds, is the primary.
pub(crate) struct Cluster {
    pub(crate) scene: Scene,
    /// The others.
    pub(crate) backups: Vec<Service>,
    /// The id of the first.
    first: String,
}

impl Cluster {
    pub(crate) fn on(host: &Host) -> Self {
        Self::on_with(host, |_, _| {})
    }

    /// As [`Cluster::on`], with the configuration of each node changed: 0 is the first, which the others join.
    pub(crate) fn on_with(host: &Host, change: impl Fn(usize, &mut Value)) -> Self {
        let scene = Scene::on_with(host, |configuration| change(0, configuration));
        let joined = (1..3).map(|node| join(&scene, host, |it| change(node, it)));
        let backups = joined.collect();
        let first = primary(&scene.service).unwrap();
        Self {
            scene,
            backups,
            first,
        }
    }

    /// Kills the first node and waits until the others agree on another primary.
    pub(crate) fn lose_primary(&mut self) {
        self.scene.service.kill();
        until("another primary", || {
            let known: Option<Vec<_>> = self.backups.iter().map(primary).collect();
            let known = known?;
            (known[0] == known[1] && known[0] != self.first).then_some(())
        });
    }

    /// The nodes that live.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Service> {
        std::iter::once(&self.scene.service).chain(&self.backups)
    }

    /// A member, at a node.
    pub(crate) fn member_at(&self, node: &Service) -> Member {
        node.member(self.scene.members[0].identity())
    }
}

/// Adds a node and has the members trust it.
fn join(scene: &Scene, host: &Host, change: impl FnOnce(&mut Value)) -> Service {
    let client = scene.service.client();
    let node = scene.service.join_with(host, change);
    let pending = until("a pending node", || {
        let nodes = nodes(&client);
        let found = nodes.iter().find(|node| node["status"] == "Pending")?;
        Some(found["node_id"].as_str()?.to_owned())
    });
    let trust = json!({
        "node_id": pending,
        "valid_from": now(),
        "validity_period_days": 90,
    });
    let actions = Actions::new().action("transition_node_to_trusted", trust);
    scene.service.accept(&scene.members, &actions);
    until("the new node", || {
        node.client().is_app_ready().ok()?.then_some(())
    });
    node
}

fn nodes(client: &Client) -> Vec<Value> {
    let list = client.send(Request::get("/node/network/nodes"));
    let list: Value = list.unwrap().json().unwrap();
    list["nodes"].as_array().unwrap().clone()
}

/// The primary as a node knows it.
pub(crate) fn primary(node: &Service) -> Option<String> {
    let network = node.client().send(Request::get("/node/network")).ok()?;
    let network: Value = network.json().ok()?;
    network["primary_id"].as_str().map(str::to_owned)
}

/// What `look` finds, within a minute.
pub(crate) fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < patience, "no {what}");
        sleep(Duration::from_millis(50));
    }
}

/// A little while ago, as certificates write it.
fn now() -> String {
    let output = Command::new("date")
        .args(["-u", "-d", "1 minute ago", "+%y%m%d%H%M%SZ"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn three_nodes_serve_outlive_their_primary_and_recover() {
    let test = "three_nodes_serve_outlive_their_primary_and_recover";
    let Some(host) = ccf::host(true, test) else {
        return;
    };
    let mut cluster = Cluster::on(&host);
    assert_eq!(nodes(&cluster.scene.service.client()).len(), 3);

    // Every node takes writes and releases.
    let mut written = Vec::new();
    for (n, node) in cluster.nodes().enumerate() {
        assert_eq!(primary(node).as_ref(), Some(&cluster.first));
        written.push(draft(&cluster.member_at(node), &format!("draft{n}")));
        release(&cluster.scene, node);
    }
    for node in cluster.nodes() {
        let member = cluster.member_at(node);
        for id in &written {
            member.client().wait_committed(*id).unwrap();
        }
        for n in 0..written.len() {
            assert_eq!(
                member.client().contract(&format!("draft{n}")).unwrap().data,
                "terms"
            );
        }
        assert_eq!(check_records(&member, node).len(), 3);
    }

    // The primary dies; the others choose another and go on.
    cluster.lose_primary();
    let survivor = &cluster.backups[0];
    for (n, node) in cluster.backups.iter().enumerate() {
        until("a release", || {
            let room = cluster.scene.room_at(node);
            room.secret(CONTRACT, &cluster.scene.secret_id).ok()
        });
        draft(&cluster.member_at(node), &format!("later{n}"));
    }
    let records = check_records(&cluster.member_at(survivor), survivor).len();
    assert!(records >= 5, "{records}");

    // All stop, and one ledger is enough.
    let kept = survivor.folder().join("kept");
    tests::service::copy_files(&survivor.ledger(), &kept);
    let previous = survivor.certificate().to_owned();
    for node in &mut cluster.backups {
        node.kill();
    }
    let recovered = Service::recover(&host, &kept, &previous);
    let members: Vec<Member> = (cluster.scene.members.iter())
        .map(|member| recovered.member(member.identity()))
        .collect();
    crate::recovery::open(&recovered, &members);
    members[0].give_share().unwrap();
    until("the recovered service", || {
        recovered.client().is_app_ready().ok()?.then_some(())
    });
    release(&cluster.scene, &recovered);
    assert_eq!(check_records(&members[1], &recovered).len(), records + 1);
    assert_eq!(
        members[0].client().contract("later1").unwrap().data,
        "terms"
    );
}

/// Stores a contract's draft.
pub(crate) fn draft(member: &Member, id: &str) -> TxId {
    let request = Request::put(format!("/app/contracts/{id}"))
        .json(&json!({ "data": "terms" }))
        .unwrap();
    let response = member.client().write(request).unwrap();
    response.transaction().unwrap()
}

/// The agreed code gets the secret at a node.
pub(crate) fn release(scene: &Scene, node: &Service) {
    let room = scene.room_at(node);
    let released = room.secret(CONTRACT, &scene.secret_id).unwrap();
    assert!(released.secret == SecretText::new(SECRET.to_owned()));
}

#[derive(Deserialize)]
struct Page {
    value: Vec<Shown>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    transaction_id: TxId,
    record: Box<RawValue>,
}

/// Every record of a release, at this node, is what the receipt of its transaction proves. The transactions.
pub(crate) fn check_records(member: &Member, node: &Service) -> Vec<TxId> {
    let path = format!("/app/contracts/{CONTRACT}/releases");
    let page = member.client().send(Request::get(path)).unwrap();
    let page: Page = page.json().unwrap();
    for shown in &page.value {
        // A denial was answered before its record was committed.
        member
            .client()
            .wait_committed(shown.transaction_id)
            .unwrap();
        let receipt = node.client().receipt(shown.transaction_id).unwrap();
        let receipt = UnverifiedReceipt::from_json(&receipt).unwrap();
        let verified = receipt.verify(node.certificate()).unwrap();
        assert_eq!(verified.transaction, Some(shown.transaction_id));
        let claims = verified.claims_digest.unwrap();
        let record = digest(&SHA256, shown.record.get().as_bytes());
        assert_eq!(claims.as_bytes().as_slice(), record.as_ref());
    }
    page.value
        .iter()
        .map(|shown| shown.transaction_id)
        .collect()
}
