//! Confidential VMs over HTTPS: simulated ones through the code path of genuine ones, and genuine recorded ones under the real roots.

use std::fs;
use std::path::Path;

use attestation::simulated::CvmGuest;
use attestation::{ClientKey, CvmEvidence, QuoteNonce};
use governance::clean_room::{CleanRoom, EvidenceSource, RoomEvidence};
use governance::client::Request;
use governance::member::Actions;
use governance::secrets::SecretText;
use governance::{Identity, Member};
use serde_json::{Value, json};
use tests::scene::{CONTRACT, SECRET, Scene};
use tests::service::{Host, Service};
use tests::{scenarios, vectors};

scenarios!(
    machines_that_booted_what_was_agreed_receive_the_secret,
    machines_answer_challenges_with_fresh_quotes,
);

/// Admits machines whose registers 4 and 7 say what these do.
fn admit(service: &Service, members: &[Member], registers: &Value) {
    let claims = json!({ "pcr4": [registers["4"]], "pcr7": [registers["7"]] });
    let policy = json!({
        "contractId": CONTRACT, "policyType": "snp-cvm", "type": "add", "claims": claims,
    });
    let actions = Actions::new().action("set_clean_room_policy", policy);
    service.accept(members, &actions);
}

fn registers(evidence: &CvmEvidence) -> Value {
    evidence.to_request()["evidence"]["pcrs"].clone()
}

fn room(service: &Service, key: ClientKey, evidence: CvmEvidence) -> CleanRoom {
    CleanRoom::new(service.client(), key, evidence)
}

#[track_caller]
fn refused(room: &CleanRoom, secret: &str, check: &str) {
    let error = room.secret(CONTRACT, secret).err().expect("a refusal");
    let service = error.service().expect("an answer of the service");
    assert_eq!(service.details[0]["check"], check, "{error}");
}

fn machines_that_booted_what_was_agreed_receive_the_secret(host: &Host) {
    let scene = Scene::on(host);
    let key = ClientKey::generate().unwrap();
    let pem = key.private_key_pem().unwrap();
    let again = || ClientKey::from_pem(pem.as_bytes()).unwrap();
    let guest = CvmGuest::new(key.public_key_pem().as_bytes());
    let secret = &scene.secret_id;

    // No policy speaks of machines yet.
    let machine = room(&scene.service, key, guest.evidence());
    refused(&machine, secret, "POL-01");
    admit(
        &scene.service,
        &scene.members,
        &registers(&guest.evidence()),
    );
    let released = machine.secret(CONTRACT, secret).unwrap();
    assert_eq!(released.secret.expose(), SECRET);
    let releases = scene.members[1].client();
    let releases = releases.releases(CONTRACT, &Default::default()).unwrap();
    let record = releases
        .iter()
        .find(|one| one.transaction_id == released.transaction)
        .map(|one| &one.record)
        .expect("a record");
    assert_eq!(record["code"]["platform"], "snp-cvm");
    assert_eq!(record["code"]["simulated"], true);
    // Container groups go on as before.
    assert_eq!(
        scene.room.secret(CONTRACT, secret).unwrap().secret.expose(),
        SECRET
    );

    let booted_otherwise = guest.clone().with_register(7, [7; 32]);
    refused(
        &room(&scene.service, again(), booted_otherwise.evidence()),
        secret,
        "POL-04",
    );
    let constant = guest.evidence_for(QuoteNonce::Constant);
    refused(&room(&scene.service, again(), constant), secret, "CVM-17");
    let thief = room(
        &scene.service,
        ClientKey::generate().unwrap(),
        guest.evidence(),
    );
    refused(&thief, secret, "KEY-07");
    let mut without = guest.evidence();
    without.ak_certificate = None;
    refused(&room(&scene.service, again(), without), secret, "CVM-06");
    let mut relabelled = guest.evidence();
    relabelled.registers.swap(4, 5);
    refused(&room(&scene.service, again(), relabelled), secret, "CVM-19");
    assert!(
        machine.contract_execution(CONTRACT).unwrap().is_enabled(),
        "machines ask for consent too"
    );
}

/// A simulated machine that quotes whenever it is asked to.
struct Machine;

impl EvidenceSource for Machine {
    fn evidence(
        &self,
        key_pem: &str,
        challenge: Option<&str>,
    ) -> Result<RoomEvidence, Box<dyn std::error::Error + Send + Sync>> {
        let nonce = challenge.map_or(QuoteNonce::Key, |text| {
            QuoteNonce::Challenge(text.as_bytes())
        });
        Ok(CvmGuest::new(key_pem.as_bytes()).evidence_for(nonce).into())
    }
}

fn machines_answer_challenges_with_fresh_quotes(host: &Host) {
    let scene = Scene::on(host);
    let key = ClientKey::generate().unwrap();
    let guest = CvmGuest::new(key.public_key_pem().as_bytes());
    admit(
        &scene.service,
        &scene.members,
        &registers(&guest.evidence()),
    );
    let options = json!({ "requireChallenge": true, "requireRequestSignature": true });
    let actions = Actions::new().set_contract_options(CONTRACT, &options);
    scene.service.accept(&scene.members, &actions);

    let pem = key.private_key_pem().unwrap();
    let again = ClientKey::from_pem(pem.as_bytes()).unwrap();
    let recorded = room(&scene.service, again, guest.evidence());
    let error = recorded.secret(CONTRACT, &scene.secret_id).err().unwrap();
    assert_eq!(error.code(), Some("ChallengeMissing"));
    let fresh = CleanRoom::on_platform(scene.service.client(), key, Machine).unwrap();
    let released = fresh.secret(CONTRACT, &scene.secret_id).unwrap();
    assert_eq!(released.secret.expose(), SECRET);
    let id = fresh
        .put_secret(CONTRACT, "out", &SecretText::new("result".to_owned()))
        .unwrap();
    let stored = fresh.secret(CONTRACT, &id).unwrap();
    assert_eq!(stored.secret.expose(), "result");
    fresh
        .write_event(CONTRACT, "", "e", &json!({ "rows": 3 }))
        .unwrap();
    let events = scene.members[0].client();
    let filter = governance::events::EventFilter {
        id: Some("e".to_owned()),
        ..Default::default()
    };
    let events = events.events(CONTRACT, &filter).unwrap();
    assert!(events[0].timestamp_signed, "{events:?}");
}

/// Recorded machines under AMD's and Microsoft's roots, asked about by HTTPS: each gets the result that its index states.
#[test]
fn recorded_machines_get_their_stated_results() {
    let test = "recorded_machines_get_their_stated_results";
    let Some(folder) = vectors("attestation", test) else {
        return;
    };
    let index: Value = json_file(&folder.join("index.json"));
    let machines: Vec<_> = index["vectors"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|vector| {
            let want = vector["expected"]["cvm_strict"].as_str()?;
            let folder = folder.join(vector["dir"].as_str()?);
            Some((vector["id"].as_str()?, folder, want))
        })
        .collect();
    assert!(machines.len() >= 6, "{machines:?}");

    let founder = Identity::generate("member0", std::time::Duration::from_secs(3600)).unwrap();
    let founder = founder.with_encryption_key().unwrap();
    let host = Host::Embedded { simulated: false };
    let service = Service::start(&host, &[&founder]);
    let members = service.open(&[&founder]);
    let terms = json!({ "contractId": CONTRACT, "contract": { "data": "terms" } });
    service.accept(&members, &Actions::new().action("set_contract", terms));
    // The recordings lack the certificate of the attestation key, so members pin their paravisors; and they have the constant nonce.
    let id_keys: Vec<Value> = machines
        .iter()
        .filter_map(|(_, folder, _)| attestation_of(folder))
        .map(|evidence| {
            let digest = evidence.report.get(0xe0..0x110).unwrap_or_default();
            json!({ "digest": digest.iter().map(|b| format!("{b:02x}")).collect::<String>(), "minGuestSvn": 0 })
        })
        .collect();
    let policy = json!({ "policy": {
        "deniedKeys": [], "deniedHostData": [], "intermediates": null, "cvm": { "idKeys": id_keys },
    }});
    let actions = Actions::new().action("set_platform_policy", policy);
    service.accept(&members, &actions);
    let options = json!({ "constantQuoteNonce": true });
    let actions = Actions::new().set_contract_options(CONTRACT, &options);
    service.accept(&members, &actions);
    let secret = SecretText::new(SECRET.to_owned());
    let secret = members[0].client().put_secret(CONTRACT, "k", &secret);
    let secret = secret.unwrap();

    for (id, folder, want) in &machines {
        let evidence = attestation_of(folder).unwrap();
        let explained = service
            .client()
            .explain(CONTRACT, &evidence.clone().into(), None, None)
            .unwrap();
        // Where everything holds, there is nothing to refuse but that no policy speaks of it yet; or that the recording answers the
        // challenge of somebody else, which the index leaves open.
        let refusal = explained.refusal.unwrap_or_default();
        let is_ours = evidence.nonce == agents_nonce();
        let got = match refusal["check"].as_str() {
            Some("POL-01") if is_ours => "ok",
            Some("CVM-17") if !is_ours => "ok",
            _ => refusal["class"].as_str().unwrap_or_default(),
        };
        assert_eq!(got, *want, "{id}: {refusal}");
    }

    // One of them came with the key that it binds, an RSA key: it receives a secret.
    let folder = folder.join("cvm/acr-cvm-enc");
    let evidence = attestation_of(&folder).unwrap();
    admit(&service, &members, &registers(&evidence));
    let key = ClientKey::from_pem(&fs::read(folder.join("priv_key.pem")).unwrap()).unwrap();
    let mut body = json_file(&folder.join("cgs_get_secret_request.json"));
    body["platform"] = "snp-cvm".into();
    let path = format!("/app/contracts/{CONTRACT}/secrets/{secret}");
    let request = Request::post(path).json(&body).unwrap();
    let wrapped: Value = service.client().send(request).unwrap().json().unwrap();
    let wrapped = base64(wrapped["value"].as_str().unwrap());
    assert_eq!(*key.unwrap(&wrapped).unwrap(), SECRET.as_bytes());
    // The keys of this recording are published: members who say nothing about keys deny it.
    let policy = json!({ "policy": { "cvm": { "idKeys": id_keys } } });
    let actions = Actions::new().action("set_platform_policy", policy);
    service.accept(&members, &actions);
    refused(&room(&service, key, evidence), &secret, "INS-02");
}

/// The nonce that agents of the existing service put into every quote.
fn agents_nonce() -> Vec<u8> {
    base64("CmFzew51TJEK9y1wTWCx/zWoE9QDIVVZ2n3Ubll/YIE=")
}

fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The evidence of a recording, as its client sent it.
fn attestation_of(folder: &Path) -> Option<CvmEvidence> {
    let request = json_file(&folder.join("request.json"));
    let attestation = match &request["attestation"] {
        Value::Null => &request,
        attestation => attestation,
    };
    CvmEvidence::from_request(attestation).ok()
}

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}
