//! What is known of a recovery before and after it: checkpoints, secrets sealed to the machine, drills.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use governance::client::Request;
use governance::member::Actions;
use governance::service::ProposalState;
use governance::{Identity, Member};
use ledger_tools::{VerifyOptions, judge_directory};
use serde_json::{Value, json};
use tests::scene::Scene;
use tests::service::{Service, program};

use crate::recovery::{EMBEDDED, open, wait_until_open};

fn members_at(service: &Service, members: &[Member]) -> Vec<Member> {
    members
        .iter()
        .map(|member| service.member(member.identity()))
        .collect()
}

#[test]
fn older_files_than_a_checkpoint_are_refused_unless_everybody_is_told() {
    let mut scene = Scene::set();
    let kept_early = scene
        .service
        .client()
        .checkpoint(scene.service.certificate())
        .unwrap();
    // The files as they are now, and what is decided after.
    let old = tempfile::tempdir().unwrap();
    tests::service::copy_files(&scene.service.ledger(), &old.path().join("ledger"));
    let more = json!({ "contractId": "c2", "contract": { "data": "decided later" } });
    scene
        .service
        .accept(&scene.members, &Actions::new().action("set_contract", more));
    let kept_late = scene
        .service
        .client()
        .checkpoint(scene.service.certificate())
        .unwrap();
    scene.service.stop();
    // The node kept one too, of its last signature.
    let own = scene.service.folder().join("checkpoint.json");
    let own: Value = serde_json::from_slice(&std::fs::read(own).unwrap()).unwrap();
    assert!(own["txid"].as_str().unwrap().starts_with("2."));

    let with = |folder: &Path, configuration: &mut Value, reason: Option<&str>| {
        for (n, kept) in [&kept_early, &kept_late].into_iter().enumerate() {
            let text = serde_json::to_string(kept).unwrap();
            std::fs::write(folder.join(format!("kept{n}.json")), text).unwrap();
        }
        configuration["embedded_node"] =
            json!({ "recovery_checkpoint_files": ["kept0.json", "kept1.json"] });
        if let Some(reason) = reason {
            configuration["embedded_node"]["accept_rollback"] = reason.into();
        }
    };
    let previous = scene.service.certificate();
    // The whole ledger holds both.
    let good = Service::recover_with(&EMBEDDED, &scene.service.ledger(), previous, |f, c| {
        with(f, c, None);
    });
    assert_eq!(good.client().latest_recovery().unwrap().rollback, None);
    drop(good);
    let said = Service::refuses_to_recover_with(
        &EMBEDDED,
        &old.path().join("ledger"),
        previous,
        |f, c| with(f, c, None),
    );
    assert!(
        said.contains("accept_rollback") && said.contains("checkpoint is of"),
        "{said}"
    );
    let mut forced =
        Service::recover_with(&EMBEDDED, &old.path().join("ledger"), previous, |f, c| {
            with(f, c, Some("the disk of the newer files burnt"));
        });
    let rollback = forced.client().latest_recovery().unwrap().rollback.unwrap();
    assert_eq!(rollback["reason"], "the disk of the newer files burnt");
    assert_eq!(rollback["checkpoints"], json!([kept_late.txid]));
    // Who judges the ledger finds the announcement in its place.
    let members = members_at(&forced, &scene.members);
    open(&forced, &members);
    members[0].give_share().unwrap();
    wait_until_open(&forced.client());
    forced.stop();
    let options = VerifyOptions {
        service_certificate: Some(forced.certificate().to_owned()),
        ..VerifyOptions::default()
    };
    let (_, found) = judge_directory(&forced.ledger(), &options).unwrap();
    assert_eq!(found.breach.as_ref().map(ToString::to_string), None);
    assert_eq!(found.recoveries, 1);
}

#[test]
fn sealed_secrets_bring_a_service_back_without_shares_unless_members_forbid_it() {
    let sealing = |configuration: &mut Value, directory: &Path| {
        let directory = directory.join("sealed");
        configuration["output_files"]["sealed_ledger_secret_location"] = json!(directory);
        configuration["embedded_node"] = json!({ "development_sealing": true });
    };
    let identities: Vec<Identity> = (0..2)
        .map(|n| {
            let identity = Identity::generate(&format!("member{n}"), Duration::from_secs(3600));
            identity.unwrap().with_encryption_key().unwrap()
        })
        .collect();
    let founders: Vec<&Identity> = identities.iter().collect();
    let machine = tempfile::tempdir().unwrap();
    let mut service = Service::start_with(&EMBEDDED, &founders, |configuration| {
        sealing(configuration, machine.path());
    });
    let members = service.open(&founders);
    let rekey = Actions::new().action("trigger_ledger_rekey", Value::Null);
    service.accept(&members, &rekey);
    service.stop();

    let again = |ledger: &Path, previous: &str| {
        Service::recover_with(&EMBEDDED, ledger, previous, |_, configuration| {
            sealing(configuration, machine.path());
            configuration["command"]["recover"]["previous_sealed_ledger_secret_location"] =
                json!(machine.path().join("sealed"));
        })
    };
    let mut first = again(&service.ledger(), service.certificate());
    let members = members_at(&first, &members);
    open(&first, &members);
    // Nobody gives a share.
    wait_until_open(&first.client());
    let record = first.client().latest_recovery().unwrap().record.unwrap();
    assert_eq!(record["opened_by"], "LOCAL_UNSEALING");
    assert_eq!(record["shares_of"], json!([]));
    let nodes: Value = first
        .client()
        .send(Request::get("/gov/service/nodes?api-version=2024-07-01"))
        .unwrap()
        .json()
        .unwrap();
    assert!(nodes["value"].as_array().unwrap().len() >= 2);

    let ids: Vec<String> = members.iter().map(|m| m.id().to_string()).collect();
    let holders: Vec<Value> = ids
        .iter()
        .map(|id| json!({ "member_id": id, "holder": "h" }))
        .collect();
    let policy = json!({ "policy": {
        "mode": "break_glass_only", "break_glass": holders, "sealed_restart": false,
    } });
    let mut proposal = members[0]
        .propose(&Actions::new().action("set_recovery_policy", policy))
        .unwrap();
    for member in &members {
        if proposal.proposal_state == ProposalState::Open {
            proposal = member.accept(&proposal.proposal_id).unwrap();
        }
    }
    assert_eq!(proposal.proposal_state, ProposalState::Accepted);
    first.stop();
    let left: Vec<String> = std::fs::read_dir(machine.path().join("sealed"))
        .unwrap()
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".sealed.json"))
        .collect();
    assert!(left.is_empty(), "{left:?}");

    let second = again(&first.ledger(), first.certificate());
    let members = members_at(&second, &members);
    open(&second, &members);
    let status = second.client().network().unwrap().service_status;
    assert_eq!(status, "WaitingForRecoveryShares");
    members[0].give_share().unwrap();
    wait_until_open(&second.client());
}

#[test]
fn a_node_that_is_told_to_seal_without_hardware_does_not_start_and_names_the_device() {
    if Path::new("/dev/sev-guest").exists() {
        println!("skipped: this machine has /dev/sev-guest");
        return;
    }
    let mut scene = Scene::set();
    scene.service.stop();
    let (ledger, previous) = (scene.service.ledger(), scene.service.certificate());
    let places = [
        "/output_files/sealed_ledger_secret_location",
        "/command/recover/previous_sealed_ledger_secret_location",
    ];
    for place in places {
        let said =
            Service::refuses_to_recover_with(&EMBEDDED, &ledger, previous, |_, configuration| {
                let (object, name) = place.rsplit_once('/').unwrap();
                configuration.pointer_mut(object).unwrap()[name] = "sealed".into();
            });
        assert!(
            said.contains("/dev/sev-guest") && said.contains("development_sealing"),
            "{place}: {said}"
        );
    }
}

#[test]
fn a_drill_tells_what_would_come_back_and_whose_shares_are_needed() {
    let mut scene = Scene::set();
    scene.service.stop();
    let scratch = tempfile::tempdir().unwrap();
    let certificate = scratch.path().join("service_cert.pem");
    std::fs::write(&certificate, scene.service.certificate()).unwrap();
    let folder = scratch.path().join("member0");
    scene.members[0].identity().save(&folder).unwrap();
    let drill = |with_identity: bool| -> Value {
        let mut command = Command::new(program());
        command
            .args(["--json", "recovery", "drill"])
            .arg(scene.service.ledger());
        command.arg("--service-cert").arg(&certificate);
        command
            .arg("--snapshots")
            .arg(scene.service.folder().join("snapshots"));
        if with_identity {
            command.arg("--identity").arg(&folder);
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let alone = drill(false);
    assert_eq!(alone["shares"]["threshold"], 1);
    assert_eq!(alone["shares"]["participants"].as_array().unwrap().len(), 2);
    assert_eq!(alone["private"], Value::Null);
    let with_key = drill(true);
    assert_eq!(with_key["recoveredUntil"], alone["recoveredUntil"]);
    assert!(with_key["fromSnapshot"].as_u64().unwrap() > 0);
    assert!(with_key["private"]["rows"].as_u64().unwrap() > 0);
    assert_eq!(with_key["identities"].as_array().unwrap().len(), 1);
}
