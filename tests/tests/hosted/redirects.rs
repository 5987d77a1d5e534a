//! Nodes of CCF that send writes on to the primary instead of forwarding them: the answer says where, and our clients go there.

use governance::ClientError;
use governance::client::{Connection, Endpoint, Request};
use governance::member::Actions;
use serde_json::json;
use tests::ccf;
use tests::scene::{CONTRACT, Scene};
use tests::service::Service;
use tokio::runtime::Builder;

use crate::cluster::{Cluster, check_records, draft, release, until};

/// The answer as a client gets it that goes nowhere: status, and where it is sent.
fn asked(scene: &Scene, node: &Service, request: Request) -> (u16, Option<String>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let identity = scene.members[0].identity();
    let endpoint = Endpoint::with_identity(node.url(), node.certificate(), identity).unwrap();
    runtime.block_on(async {
        let mut connection = Connection::open(&endpoint).await.unwrap();
        let response = connection.send(request).await.unwrap();
        let location = response.headers().get("location");
        let location = location.map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), location)
    })
}

#[test]
fn a_backup_sends_writes_on_and_clients_follow_to_whoever_is_primary() {
    let test = "a_backup_sends_writes_on_and_clients_follow_to_whoever_is_primary";
    let Some(host) = ccf::host(true, test) else {
        return;
    };
    let by_role = json!({ "kind": "NodeByRole", "target": { "role": "primary" } });
    let mut cluster = Cluster::on_with(&host, |_, configuration| {
        configuration["network"]["rpc_interfaces"]["primary_rpc_interface"]["redirections"] =
            json!({ "to_primary": by_role });
    });
    let scene = &cluster.scene;
    let first = scene.service.url();
    let path = "/app/contracts/d?x=1";
    let write = || {
        Request::put(path)
            .json(&json!({ "data": "terms" }))
            .unwrap()
    };
    for node in &cluster.backups {
        let sent = asked(scene, node, write());
        assert_eq!(sent, (307, Some(format!("{first}{path}"))));
        // What any node can answer, it answers.
        let read = Request::post(format!("/app/contracts/{CONTRACT}"));
        assert_eq!(asked(scene, node, read), (200, None));
    }
    assert_eq!(asked(scene, &scene.service, write()).0, 200);

    // Members, clean rooms and proposals at a backup reach the primary.
    let members: Vec<_> = (cluster.backups.iter())
        .map(|node| cluster.member_at(node))
        .collect();
    for (n, (node, member)) in cluster.backups.iter().zip(&members).enumerate() {
        member
            .client()
            .wait_committed(draft(member, &format!("d{n}")))
            .unwrap();
        release(scene, node);
        let options = json!({ "contractId": CONTRACT, "options": { "n": n } });
        let actions = Actions::new().action("set_contract_runtime_options_enable_logging", options);
        member.propose(&actions).unwrap();
    }
    assert_eq!(check_records(&members[0], &cluster.backups[0]).len(), 2);

    // The same clients find the next primary.
    cluster.lose_primary();
    for (n, (node, member)) in cluster.backups.iter().zip(&members).enumerate() {
        until("a release", || {
            let room = cluster.scene.room_at(node);
            room.secret(CONTRACT, &cluster.scene.secret_id).ok()
        });
        // A session from before the change is ended by the node, with an error; the client begins another.
        until("a session", || member.client().contract(CONTRACT).ok());
        draft(member, &format!("later{n}"));
    }

    // Two of three are gone, so there is no primary, and nowhere to go.
    cluster.backups.remove(0).kill();
    let last = &cluster.backups[0];
    until("a node that knows no primary", || {
        let (status, location) = asked(&cluster.scene, last, write());
        assert!(location.is_none() || status == 307);
        (status == 503).then_some(())
    });
}

/// Redirections to an address that the operator names are followed only to a node of the service.
#[test]
fn a_static_redirection_leads_to_nodes_of_the_service_only() {
    let test = "a_static_redirection_leads_to_nodes_of_the_service_only";
    let Some(host) = ccf::host(true, test) else {
        return;
    };
    let stranger = Scene::on(&host);
    let address = stranger.service.url().trim_start_matches("https://");
    let to = json!({ "kind": "StaticAddress", "target": { "address": address } });
    let cluster = Cluster::on_with(&host, |node, configuration| {
        if node > 0 {
            configuration["network"]["rpc_interfaces"]["primary_rpc_interface"]["redirections"] =
                json!({ "to_primary": to });
        }
    });
    let node = &cluster.backups[0];
    let member = cluster.member_at(node);
    let request = Request::put("/app/contracts/d").json(&json!({ "data": "terms" }));
    let error = member.client().send(request.unwrap()).unwrap_err();
    assert!(
        matches!(&error, ClientError::Connect { address: to, .. } if to == address),
        "{error}"
    );
}
