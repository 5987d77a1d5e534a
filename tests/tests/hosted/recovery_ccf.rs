//! A real CCF node recovers our ledger, and we recover what it went on to write.

use std::time::{Duration, Instant};

use governance::member::Actions;
use governance::recovery::ShareProgress;
use governance::{Client, Identity, Member, TxId};
use ledger_tools::{VerifyOptions, verify_directory};
use serde_json::{Value, json};
use tests::ccf::program;
use tests::service::{Host, Service, copy_files};

use crate::recovery::{EMBEDDED, open};

fn wait_until_open(client: &Client) {
    let patience = Instant::now() + Duration::from_secs(60);
    while client.network().unwrap().service_status != "Open" {
        assert!(Instant::now() < patience, "not open");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn members(service: &Service, identities: &[Identity]) -> Vec<Member> {
    identities.iter().map(|i| service.member(i)).collect()
}

fn bring_back(service: &Service, identities: &[Identity]) -> ShareProgress {
    let members = members(service, identities);
    open(service, &members);
    let progress: Vec<ShareProgress> = members[..2]
        .iter()
        .map(|member| member.give_share().unwrap())
        .collect();
    wait_until_open(&service.client());
    progress.last().unwrap().clone()
}

/// A CCF node renames the files of a recovery some time after the service is open.
fn wait_until_renamed(service: &Service) {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let names = std::fs::read_dir(service.ledger()).unwrap();
        let names: Vec<String> = names
            .map(|item| item.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".recovery"))
            .collect();
        if names.is_empty() {
            return;
        }
        assert!(Instant::now() < patience, "{names:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_ccf_node_recovers_our_ledger_and_we_recover_its() {
    let test = "a_ccf_node_recovers_our_ledger_and_we_recover_its";
    let Some(program) = program("js_generic", test) else {
        return;
    };
    let ccf = Host::Ccf {
        program,
        simulated: false,
    };
    let identities: Vec<Identity> = (0..3)
        .map(|n| {
            let identity = Identity::generate(&format!("member{n}"), Duration::from_secs(3600));
            identity.unwrap().with_encryption_key().unwrap()
        })
        .collect();
    let founders: Vec<&Identity> = identities.iter().collect();
    let mut ours = Service::start_with(&EMBEDDED, &founders, |configuration| {
        configuration["command"]["start"]["service_configuration"]["recovery_threshold"] = 2.into();
    });
    let consortium = ours.open(&founders);
    let terms = json!({ "contractId": "c1", "contract": { "data": "terms" } });
    ours.accept(&consortium, &Actions::new().action("set_contract", terms));
    let rekey = Actions::new().action("trigger_ledger_rekey", Value::Null);
    ours.accept(&consortium, &rekey);
    let refresh = Actions::new().action("trigger_recovery_shares_refresh", Value::Null);
    ours.accept(&consortium, &refresh);
    let snapshot = Actions::new().action("trigger_snapshot", Value::Null);
    ours.accept(&consortium, &snapshot);
    ours.stop();
    let report = verify_directory(&ours.ledger(), &VerifyOptions::default()).unwrap();
    let last = report.verified_until.unwrap();

    for with_snapshot in [false, true] {
        let snapshots = ours.folder().join("snapshots");
        let mut real =
            Service::recover_with(&ccf, &ours.ledger(), ours.certificate(), |folder, _| {
                if with_snapshot {
                    copy_files(&snapshots, &folder.join("snapshots"));
                }
            });
        let created = real.client().network().unwrap().current_service_create_txid;
        let created = created.unwrap();
        // A smaller position would mean that it silently dropped something.
        assert_eq!(
            (created.view.0, created.seqno.0),
            (last.view.0 + 2, last.seqno.0 + 1)
        );
        bring_back(&real, &identities);
        wait_until_renamed(&real);
        real.stop();
        let theirs = verify_directory(&real.ledger(), &VerifyOptions::default()).unwrap();
        assert_eq!(theirs.identities.len(), 2);

        // And back again.
        let mut again = Service::recover(&EMBEDDED, &real.ledger(), real.certificate());
        let progress = bring_back(&again, &identities);
        assert_eq!(progress.submitted_count, 2);
        let client = again.client();
        let genesis: TxId = "2.1".parse().unwrap();
        assert!(client.receipt(genesis).is_ok());
        again.stop();
        let report = verify_directory(&again.ledger(), &VerifyOptions::default()).unwrap();
        assert_eq!(report.identities.len(), 3);
    }
}
