//! A service that moves between the hosts: what the application keeps outlives each recovery, whichever host wrote the ledger.

use governance::client::Request;
use governance::receipt::UnverifiedReceipt;
use governance::{Member, TxId};
use ledger_tools::{VerifyOptions, verify_directory};
use serde_json::{Value, json};
use tests::ccf;
use tests::scene::{CONTRACT, Scene};
use tests::service::{Host, Service};

use crate::cluster::{check_records, release, until};

#[test]
fn a_service_moves_to_ccf_and_back() {
    let test = "a_service_moves_to_ccf_and_back";
    if let Some(ccf) = ccf::host(true, test) {
        moves(&[Host::EMBEDDED, ccf, Host::EMBEDDED]);
    }
}

#[test]
fn a_service_moves_from_ccf_and_back() {
    let test = "a_service_moves_from_ccf_and_back";
    if let Some(ccf) = ccf::host(true, test) {
        moves(&[ccf.clone(), Host::EMBEDDED, ccf]);
    }
}

/// Starts a service on the first host and recovers it on each of the others.
fn moves(hosts: &[Host]) {
    let mut scene = Scene::on(&hosts[0]);
    scene.enable_tokens();
    let client = scene.members[0].client();
    let draft = Request::put("/app/contracts/draft").json(&json!({ "data": "a draft" }));
    client.write(draft.unwrap()).unwrap();
    let keys = published(&scene.service);
    let mut kept = Kept::default();
    kept.grows(&scene, &scene.service, 0);
    kept.holds(&scene.service, &scene.members[1]);
    scene.service.stop();
    let mut ledger = scene.service.ledger();
    let mut previous = scene.service.certificate().to_owned();

    let mut recovered: Vec<Service> = Vec::new();
    for (step, host) in hosts.iter().enumerate().skip(1) {
        let mut service = Service::recover(host, &ledger, &previous);
        let members: Vec<Member> = (scene.members.iter())
            .map(|member| service.member(member.identity()))
            .collect();
        crate::recovery::open(&service, &members);
        members[0].give_share().unwrap();
        until("the recovered service", || {
            service.client().is_app_ready().ok()?.then_some(())
        });
        // Governance and private rows are what they were: the same keys sign tokens, and the secret goes to the agreed code alone.
        assert_eq!(published(&service), keys);
        let contract = members[1].client().contract(CONTRACT).unwrap();
        assert_eq!(contract.data, "terms");
        let draft = members[1].client().contract("draft").unwrap();
        assert_eq!(draft.data, "a draft");
        let refused = scene
            .intruder_at(&service)
            .secret(CONTRACT, &scene.secret_id);
        let error = refused.err().unwrap();
        assert_eq!(error.code(), Some("VerifySnpAttestationFailed"));
        kept.holds(&service, &members[1]);
        kept.grows(&scene, &service, step);
        kept.holds(&service, &members[1]);

        service.stop();
        let report = verify_directory(&service.ledger(), &VerifyOptions::default()).unwrap();
        assert_eq!(report.identities.len(), step + 1);
        ledger = service.ledger();
        service.certificate().clone_into(&mut previous);
        // Its files are read by the next.
        recovered.push(service);
    }
}

/// What was granted and written so far.
#[derive(Default)]
struct Kept {
    events: Vec<TxId>,
    grants: usize,
}

impl Kept {
    /// A secret, a token and an event.
    fn grows(&mut self, scene: &Scene, service: &Service, step: usize) {
        release(scene, service);
        let granted = service.client().write(scene.token_request("workload"));
        let token = String::from_utf8(scene.unwrapped(&granted.unwrap())).unwrap();
        assert_eq!(token.split('.').count(), 3);
        self.grants += 2;
        let event = scene.event("move", &json!({ "step": step }), 1_780_000_000_000);
        let written = service.client().write(event).unwrap();
        self.events.push(written.transaction().unwrap());
    }

    /// All of it is there, and receipts lead to the service as it is now.
    fn holds(&self, service: &Service, member: &Member) {
        let grants = check_records(member, service);
        // The intruder's denials are records too.
        assert!(grants.len() >= self.grants, "{grants:?}");
        for id in &self.events {
            let receipt = service.client().receipt(*id).unwrap();
            let receipt = UnverifiedReceipt::from_json(&receipt).unwrap();
            let verified = receipt.verify(service.certificate()).unwrap();
            assert_eq!(verified.transaction, Some(*id));
        }
        let path = format!("/app/contracts/{CONTRACT}/events?id=move&from_seqno=1");
        let shown = until("past events", || {
            let answer = member.client().send(Request::get(path.as_str())).unwrap();
            (answer.status() == 200).then(|| answer.json::<Value>().unwrap())
        });
        let steps = shown["value"].as_array().unwrap().iter();
        let mut steps: Vec<_> = steps.map(|event| event["data"]["step"].clone()).collect();
        steps.sort_by_key(Value::as_u64);
        let wanted: Vec<Value> = (0..self.events.len()).map(Value::from).collect();
        assert_eq!(steps, wanted);
    }
}

/// The keys by which tokens are verified.
fn published(service: &Service) -> Value {
    let keys = service.client().send(Request::get("/app/oidc/keys"));
    let keys: Value = keys.unwrap().json().unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    keys
}
