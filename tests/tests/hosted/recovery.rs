//! Stop, and recover from the ledger: our own, and those of real CCF services.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use governance::client::Request;
use governance::encryption::EncryptionKey;
use governance::member::Actions;
use governance::recovery::RecoveryShare;
use governance::{Client, Identity, Member, TxId};
use ledger_tools::{VerifyOptions, verify_directory};
use serde_json::Value;
use tests::scene::{CONTRACT, SECRET, Scene};
use tests::service::{Host, Service, copy_files};
use tests::vectors;

pub(crate) const EMBEDDED: Host = Host::Embedded { simulated: true };

/// Members propose and vote to open a recovered service.
pub(crate) fn open(service: &Service, members: &[Member]) {
    let previous = service.client().previous_identity().unwrap();
    let next = service.client().service_info().unwrap().certificate;
    let actions = Actions::new().open_recovered_service(&previous, &next);
    service.accept(members, &actions);
}

pub(crate) fn wait_until_open(client: &Client) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !client.is_app_ready().unwrap() {
        assert!(Instant::now() < patience, "not open");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(client.node_state().unwrap().state, "PartOfNetwork");
}

fn status(client: &Client) -> (String, String) {
    let network = client.network().unwrap();
    (network.service_status, client.node_state().unwrap().state)
}

#[test]
fn a_service_is_stopped_and_recovered_with_nothing_lost() {
    let mut scene = Scene::set();
    let old = scene.service.client();
    let released = scene.room.secret(CONTRACT, &scene.secret_id).unwrap();
    let transaction = released.transaction.unwrap();
    let genesis: TxId = "2.1".parse().unwrap();
    let receipt_before = old.receipt(transaction).unwrap();
    scene.service.stop();

    let previous = scene.service.certificate().to_owned();
    let service = Service::recover(&EMBEDDED, &scene.service.ledger(), &previous);
    let client = service.client();
    assert_eq!(
        status(&client),
        ("Recovering".into(), "PartOfPublicNetwork".into())
    );
    assert!(!client.is_app_ready().unwrap());
    assert_eq!(client.previous_identity().unwrap(), previous);
    let members: Vec<Member> = scene
        .members
        .iter()
        .map(|member| service.member(member.identity()))
        .collect();

    // Nothing is asked of members before they have opened it.
    let share = members[0].recovery_share().unwrap();
    let early = members[0].submit_share(&share).unwrap_err();
    assert_eq!(early.code(), Some("ServiceNotWaitingForRecoveryShares"));
    open(&service, &members);
    assert_eq!(
        status(&client),
        (
            "WaitingForRecoveryShares".into(),
            "PartOfPublicNetwork".into()
        )
    );
    let progress = members[1].give_share().unwrap();
    assert!(
        progress
            .message
            .contains("End of recovery procedure initiated")
    );
    wait_until_open(&client);
    assert_eq!(client.network().unwrap().service_status, "Open");

    // The opening forces a snapshot, whatever comes after it.
    let snapshots = service.folder().join("snapshots");
    let patience = Instant::now() + Duration::from_secs(60);
    while std::fs::read_dir(&snapshots).unwrap().next().is_none() {
        assert!(Instant::now() < patience, "no snapshot");
        std::thread::sleep(Duration::from_millis(5));
    }

    // The secret is there, and released to the agreed code only.
    let contract = members[0].client().contract(CONTRACT).unwrap();
    assert_eq!(contract.data, "terms");
    let room = scene.room_at(&service);
    let again = room.secret(CONTRACT, &scene.secret_id).unwrap();
    assert!(again.secret == governance::secrets::SecretText::new(SECRET.to_owned()));

    // Receipts from before lead to the new identity.
    let receipt = client.receipt(transaction).unwrap();
    assert_eq!(receipt["service_endorsements"].as_array().unwrap().len(), 1);
    assert_eq!(
        receipt["leaf_components"],
        receipt_before["leaf_components"]
    );
    assert!(client.receipt(genesis).is_ok());
    let history: Value = client
        .send(Request::get("/node/commit?view_history=true"))
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(history["view_history"].as_array().unwrap().len(), 4);

    drop(service_stopped(service));
}

/// Stops the service and checks its ledger from the first transaction on.
fn service_stopped(mut service: Service) -> Service {
    service.stop();
    let options = VerifyOptions {
        service_certificate: Some(service.certificate().to_owned()),
        ..VerifyOptions::default()
    };
    let report = verify_directory(&service.ledger(), &options).unwrap();
    assert_eq!(report.last, report.verified_until);
    service
}

fn identity_of(folder: &Path, n: usize) -> Option<Identity> {
    let read = |name: String| std::fs::read_to_string(folder.join(name)).ok();
    let certificate = read(format!("member{n}_cert.pem"))?;
    let key = read(format!("member{n}_privk.pem"))?;
    let identity = Identity::from_pem(&certificate, &key).unwrap();
    let encryption = read(format!("member{n}_enc_privk.pem"))?;
    let encryption = EncryptionKey::from_pem(&encryption).unwrap();
    Some(identity.with_this_encryption_key(encryption))
}

/// The vectors' index: name and description of each ledger.
fn indexed(test: &str) -> Option<(PathBuf, Vec<(String, Value)>)> {
    let vectors = vectors("ledgers", test)?;
    let index = std::fs::read_to_string(vectors.join("index.json")).unwrap();
    let index: serde_json::Map<String, Value> = serde_json::from_str(&index).unwrap();
    Some((vectors, index.into_iter().collect()))
}

/// Recovers one of the vectors to Open with its members' keys, and looks back at its last transaction.
fn recover_vector(vectors: &Path, ledger: &Value, snapshots: Option<&Path>) -> Service {
    let file = |field: &str| vectors.join(ledger[field].as_str().unwrap());
    let previous = std::fs::read_to_string(file("serviceCertificate")).unwrap();
    let service = Service::recover_with(&EMBEDDED, &file("ledger"), &previous, |folder, _| {
        if let Some(snapshots) = snapshots {
            copy_files(snapshots, &folder.join("snapshots"));
        }
    });
    let client = service.client();
    let last: TxId = ledger["lastSigned"].as_str().unwrap().parse().unwrap();
    let created = client
        .network()
        .unwrap()
        .current_service_create_txid
        .unwrap();
    assert_eq!(
        (created.view.0, created.seqno.0),
        (last.view.0 + 2, last.seqno.0 + 1)
    );
    let keys = file("memberKeys");
    let members: Vec<Member> = (0..)
        .map_while(|n| identity_of(&keys, n))
        .map(|identity| service.member(&identity))
        .collect();
    open(&service, &members);
    members
        .iter()
        .map(|member| member.give_share().unwrap().message)
        .find(|message| message.contains("End of recovery"))
        .unwrap();
    wait_until_open(&client);
    let status: Value = client
        .send(Request::get(format!("/node/tx?transaction_id={last}")))
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(status["status"], "Committed");
    assert!(client.receipt(last).is_ok());
    service
}

#[test]
fn real_ledgers_are_recovered_to_open() {
    let Some((vectors, index)) = indexed("real_ledgers_are_recovered_to_open") else {
        return;
    };
    for (name, ledger) in &index {
        println!("{name}");
        drop(service_stopped(recover_vector(&vectors, ledger, None)));
    }
}

#[test]
fn real_ledgers_are_recovered_from_their_snapshots() {
    let Some((vectors, index)) = indexed("real_ledgers_are_recovered_from_their_snapshots") else {
        return;
    };
    for (name, ledger) in &index {
        let newest = ledger["snapshots"].as_array().unwrap().iter();
        let newest = newest
            .filter_map(|file| file.as_str()?.split('_').nth(1)?.parse::<u64>().ok())
            .max();
        let Some(newest) = newest else { continue };
        println!("{name}");
        let snapshots = vectors.join(name).join("snapshots");
        let service = recover_vector(&vectors, ledger, Some(&snapshots));
        assert_eq!(startup(&service.client()), newest);
        // What is older than the snapshot is still there.
        let old = format!("{}", newest / 2);
        let view: Value = service
            .client()
            .send(Request::get("/node/commit?view_history=true"))
            .unwrap()
            .json()
            .unwrap();
        let views = view["view_history"].as_array().unwrap();
        let view = views
            .iter()
            .filter_map(|first| first.as_str()?.parse::<TxId>().ok())
            .filter(|first| first.seqno.0 <= newest / 2)
            .max_by_key(|first| first.view)
            .unwrap()
            .view;
        let old: TxId = format!("{view}.{old}").parse().unwrap();
        assert!(service.client().receipt(old).is_ok(), "{old}");
        drop(service_stopped(service));
    }
}

/// The position that the node started from.
fn startup(client: &Client) -> u64 {
    let state: Value = client
        .send(Request::get("/node/state"))
        .unwrap()
        .json()
        .unwrap();
    state["startup_seqno"].as_u64().unwrap()
}

#[test]
fn a_snapshot_and_what_follows_are_enough_and_an_altered_snapshot_is_passed_over() {
    let mut scene = Scene::set();
    let rekey = Actions::new().action("trigger_ledger_rekey", Value::Null);
    scene.service.accept(&scene.members, &rekey);
    let snapshot = Actions::new().action("trigger_snapshot", Value::Null);
    scene.service.accept(&scene.members, &snapshot);
    let secret = governance::secrets::SecretText::new("behind the snapshot".to_owned());
    let late = scene.members[0]
        .client()
        .put_secret(CONTRACT, "late", &secret)
        .unwrap();
    scene.service.stop();
    let snapshots = scene.service.folder().join("snapshots");
    let newest = std::fs::read_dir(&snapshots)
        .unwrap()
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.split('_').nth(1)?.parse::<u64>().ok())
        .max()
        .unwrap();

    for (altered, without_old_chunks) in [(false, false), (false, true), (true, false)] {
        let ledger = scene.service.ledger();
        let previous = scene.service.certificate();
        let service = Service::recover_with(&EMBEDDED, &ledger, previous, |folder, _| {
            copy_files(&snapshots, &folder.join("snapshots"));
            if without_old_chunks {
                remove_chunks_until(&folder.join("ledger"), newest);
            }
            if altered {
                alter_files(&folder.join("snapshots"));
            }
        });
        let client = service.client();
        assert_eq!(startup(&client), if altered { 0 } else { newest });
        let members: Vec<Member> = scene
            .members
            .iter()
            .map(|member| service.member(member.identity()))
            .collect();
        open(&service, &members);
        members[0].give_share().unwrap();
        wait_until_open(&client);
        let room = scene.room_at(&service);
        let old = room.secret(CONTRACT, &scene.secret_id).unwrap();
        assert!(old.secret == governance::secrets::SecretText::new(SECRET.to_owned()));
        assert!(room.secret(CONTRACT, &late).unwrap().secret == secret);
        let genesis: TxId = "2.1".parse().unwrap();
        assert_eq!(client.receipt(genesis).is_ok(), !without_old_chunks);
        if without_old_chunks {
            continue;
        }
        drop(service_stopped(service));
    }
}

fn remove_chunks_until(ledger: &Path, last: u64) {
    for item in std::fs::read_dir(ledger).unwrap() {
        let item = item.unwrap();
        let name = item.file_name().into_string().unwrap();
        let end = name
            .strip_suffix(".committed")
            .and_then(|name| name.split('-').nth(1)?.parse::<u64>().ok());
        if end.is_some_and(|end| end <= last) {
            std::fs::remove_file(item.path()).unwrap();
        }
    }
}

/// Changes one byte in the middle of each file.
fn alter_files(folder: &Path) {
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn wrong_and_repeated_shares_are_named_and_do_no_harm() {
    let identities: Vec<Identity> = (0..4)
        .map(|n| {
            let identity = Identity::generate(&format!("member{n}"), Duration::from_secs(3600));
            identity.unwrap().with_encryption_key().unwrap()
        })
        .collect();
    let founders: Vec<&Identity> = identities.iter().collect();
    let mut service = Service::start_with(&EMBEDDED, &founders, |configuration| {
        configuration["command"]["start"]["service_configuration"]["recovery_threshold"] = 3.into();
    });
    service.open(&founders);
    service.stop();
    let recovered = Service::recover(&EMBEDDED, &service.ledger(), service.certificate());
    let members: Vec<Member> = founders.iter().map(|f| recovered.member(f)).collect();
    open(&recovered, &members);
    let ids: Vec<String> = members.iter().map(|m| m.id().to_string()).collect();

    let garbage = members[0].submit_share(&RecoveryShare::from_bytes(vec![7; 5]));
    let error = garbage.unwrap_err();
    assert_eq!(error.code(), Some("InvalidInput"));
    assert!(error.to_string().contains(&ids[0]), "{error}");

    assert_eq!(members[0].give_share().unwrap().submitted_count, 1);
    let stolen = members[0].recovery_share().unwrap();
    let error = members[1].submit_share(&stolen).unwrap_err();
    assert!(
        error.to_string().contains(&ids[0]) && error.to_string().contains(&ids[1]),
        "{error}"
    );
    // The same again is no second share.
    assert_eq!(members[0].give_share().unwrap().submitted_count, 1);

    // A share with the right number and wrong contents shows when there are enough.
    let mut wrong = 9_u32.to_le_bytes().to_vec();
    wrong.extend([1; 40]);
    let wrong = RecoveryShare::from_bytes(wrong);
    assert_eq!(members[1].submit_share(&wrong).unwrap().submitted_count, 2);
    let error = members[2].give_share().unwrap_err().to_string();
    assert!(ids[..3].iter().all(|id| error.contains(id)), "{error}");
    assert_eq!(status(&recovered.client()).0, "WaitingForRecoveryShares");
    // With one more the wrong one is told, and the others are enough.
    let progress = members[3].give_share().unwrap();
    let named: Vec<String> = progress
        .wrong_shares
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(named, [ids[1].clone()]);
    wait_until_open(&recovered.client());
    let again = members[1].submit_share(&wrong).unwrap_err();
    assert_eq!(again.code(), Some("ServiceNotWaitingForRecoveryShares"));
    drop(service_stopped(recovered));
}

#[test]
fn another_services_ledger_is_refused_and_left_as_it_is() {
    let identity = Identity::generate("member0", Duration::from_secs(3600)).unwrap();
    let identity = identity.with_encryption_key().unwrap();
    let mut service = Service::start(&EMBEDDED, &[&identity]);
    // Never opened: there are no shares.
    service.stop();
    let report = Service::refuses_to_recover(&EMBEDDED, &service.ledger(), service.certificate());
    assert!(report.contains("never opened"), "{report}");

    let mut opened = Service::start(&EMBEDDED, &[&identity]);
    opened.open(&[&identity]);
    opened.stop();
    let report = Service::refuses_to_recover(&EMBEDDED, &opened.ledger(), service.certificate());
    assert!(report.contains("LED-20"), "{report}");
}
