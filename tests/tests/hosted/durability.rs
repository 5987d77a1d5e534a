//! What was acknowledged is on disk, signed, however the node ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use governance::client::Request;
use governance::{Client, TxId};
use ledger_tools::{VerifyOptions, verify_directory};
use serde_json::json;
use tests::scene::{CONTRACT, Scene};

use crate::releases::contains;

/// Writers that note what was acknowledged, until told to stop.
pub(crate) fn write_until(
    stop: &AtomicBool,
    client: &Client,
    name: &str,
    kept: &Mutex<Vec<(String, TxId)>>,
) {
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let id = format!("draft-{name}-{n}");
        let request = Request::put(format!("/app/contracts/{id}"))
            .json(&json!({ "data": id }))
            .unwrap();
        // The last request dies with the node.
        let Ok(response) = client.exchange(request) else {
            return;
        };
        if response.status() == 200 {
            kept.lock()
                .unwrap()
                .push((id, response.transaction().unwrap()));
        }
    }
}

#[test]
fn kill_during_a_write_load_loses_no_acknowledged_write() {
    let mut scene = Scene::set();
    let stop = Arc::new(AtomicBool::new(false));
    let kept = Arc::new(Mutex::new(Vec::new()));
    let writers: Vec<_> = ["a", "b", "c", "d"]
        .into_iter()
        .map(|name| {
            let member = scene.service.member(scene.members[0].identity());
            let (stop, kept) = (Arc::clone(&stop), Arc::clone(&kept));
            thread::spawn(move || write_until(&stop, member.client(), name, &kept))
        })
        .collect();
    let mut releases = Vec::new();
    while kept.lock().unwrap().len() < 200 {
        let released = scene.room.secret(CONTRACT, &scene.secret_id).unwrap();
        releases.push(released.transaction.unwrap());
    }
    scene.service.kill();
    thread::sleep(Duration::from_millis(10));
    stop.store(true, Ordering::Relaxed);
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());

    let report = verify_directory(&scene.service.ledger(), &VerifyOptions::default()).unwrap();
    let verified = report.verified_until.unwrap().to_string();
    let verified: TxId = verified.parse().unwrap();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(scene.service.ledger()).unwrap() {
        files.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let kept = kept.lock().unwrap();
    for (id, transaction) in kept.iter() {
        assert!(
            *transaction <= verified,
            "{id} at {transaction} is after {verified}"
        );
        assert!(contains(&files, id.as_bytes()), "{id} is not in the ledger");
    }
    for release in &releases {
        assert!(
            *release <= verified,
            "release {release} is after {verified}"
        );
    }
}
