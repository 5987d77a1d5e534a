//! Nodes that are stopped in the middle: of a write load, of a recovery, of the renaming at its end.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use governance::Member;
use tests::scene::{CONTRACT, Scene};
use tests::service::Service;

use crate::durability::write_until;
use crate::recovery::{EMBEDDED, open, wait_until_open};

fn members_at(service: &Service, members: &[Member]) -> Vec<Member> {
    members
        .iter()
        .map(|member| service.member(member.identity()))
        .collect()
}

fn names(folder: &Path) -> Vec<String> {
    let items = std::fs::read_dir(folder).unwrap();
    items
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn after_a_kill_under_load_every_acknowledged_write_is_served_again() {
    let mut scene = Scene::set();
    let stop = Arc::new(AtomicBool::new(false));
    let kept = Arc::new(Mutex::new(Vec::new()));
    let writers: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|name| {
            let member = scene.service.member(scene.members[0].identity());
            let (stop, kept) = (Arc::clone(&stop), Arc::clone(&kept));
            thread::spawn(move || write_until(&stop, member.client(), name, &kept))
        })
        .collect();
    while kept.lock().unwrap().len() < 120 {
        thread::yield_now();
    }
    scene.service.kill();
    stop.store(true, Ordering::Relaxed);
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());

    let service = Service::recover(
        &EMBEDDED,
        &scene.service.ledger(),
        scene.service.certificate(),
    );
    let members = members_at(&service, &scene.members);
    open(&service, &members);
    members[0].give_share().unwrap();
    wait_until_open(&service.client());
    let client = members[0].client();
    for (id, transaction) in kept.lock().unwrap().iter() {
        let draft = client.contract(id);
        assert!(
            draft.is_ok(),
            "{id}, acknowledged as {transaction}, is lost"
        );
    }
    let room = scene.room_at(&service);
    assert!(room.secret(CONTRACT, &scene.secret_id).is_ok());
}

#[test]
fn a_recovery_that_was_interrupted_starts_over_cleanly() {
    let mut scene = Scene::set();
    scene.service.stop();
    let previous = scene.service.certificate().to_owned();
    let mut first = Service::recover(&EMBEDDED, &scene.service.ledger(), &previous);
    let members = members_at(&first, &scene.members);
    open(&first, &members);
    // Shares are asked for, and the node dies.
    first.kill();
    assert!(
        names(&first.ledger())
            .iter()
            .any(|name| name.ends_with(".recovery"))
    );

    let second = Service::recover(&EMBEDDED, &first.ledger(), &previous);
    let here = names(&second.ledger());
    assert!(
        here.iter().any(|name| name.ends_with(".recovery.ignored")),
        "{here:?}"
    );
    assert_eq!(second.client().network().unwrap().recovery_count, 1);
    let members = members_at(&second, &members);
    open(&second, &members);
    members[1].give_share().unwrap();
    wait_until_open(&second.client());
    let here = names(&second.ledger());
    assert!(
        !here.iter().any(|name| name.ends_with(".recovery")),
        "{here:?}"
    );
    let room = scene.room_at(&second);
    assert!(room.secret(CONTRACT, &scene.secret_id).is_ok());
}

#[test]
fn a_recovery_that_was_stopped_while_its_files_were_renamed_is_the_ledger() {
    let mut scene = Scene::set();
    scene.service.stop();
    let mut first = Service::recover(
        &EMBEDDED,
        &scene.service.ledger(),
        scene.service.certificate(),
    );
    let created = first
        .client()
        .network()
        .unwrap()
        .current_service_create_txid;
    let created = created.unwrap().seqno.0;
    let members = members_at(&first, &scene.members);
    open(&first, &members);
    members[0].give_share().unwrap();
    wait_until_open(&first.client());
    first.stop();
    // As if power had failed before the first of them was renamed.
    for name in names(&first.ledger()) {
        let begins = name.strip_prefix("ledger_").and_then(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u64>().ok()
        });
        if begins.is_some_and(|first| first >= created) && !name.ends_with("ignored") {
            let from = first.ledger().join(&name);
            std::fs::rename(&from, first.ledger().join(format!("{name}.recovery"))).unwrap();
        }
    }
    let second = Service::recover(&EMBEDDED, &first.ledger(), first.certificate());
    // Nothing of the first recovery is lost: this is one more.
    assert_eq!(second.client().network().unwrap().recovery_count, 2);
    let members = members_at(&second, &members);
    open(&second, &members);
    members[0].give_share().unwrap();
    wait_until_open(&second.client());
}
