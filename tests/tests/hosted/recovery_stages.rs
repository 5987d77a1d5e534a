//! What a recovering node says of itself while it reads, and what becomes of a recovery that is ended there. The node is
//! held at a file that it waits for, so nothing depends on how fast it is.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use governance::Member;
use governance::client::Request;
use serde_json::Value;
use tests::scene::{CONTRACT, Scene};
use tests::service::{Gate, Service, contents};

use crate::recovery::{EMBEDDED, open, wait_until_open};

fn get(service: &Service, path: &str) -> Result<Value, String> {
    let answer = service.client().send(Request::get(path));
    let answer = answer.map_err(|error| error.code().unwrap_or("no code").to_owned())?;
    Ok(answer.json().unwrap())
}

fn wait_for_state(service: &Service, state: &str) {
    let patience = Instant::now() + Duration::from_secs(60);
    while service.client().node_state().unwrap().state != state {
        assert!(
            Instant::now() < patience,
            "not {state}; the node says:\n{}",
            service.log()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn members_at(service: &Service, scene: &Scene) -> Vec<Member> {
    let members = scene.members.iter();
    members
        .map(|member| service.member(member.identity()))
        .collect()
}

#[test]
fn a_node_that_reads_the_public_ledger_says_so_and_serves_nothing_else() {
    let mut scene = Scene::set();
    scene.service.stop();
    let (service, gate) = held_while_it_reads(&scene);
    let state = get(&service, "/node/state").unwrap();
    assert_eq!(state["state"], "ReadingPublicLedger");
    assert_eq!(
        (&state["last_signed_seqno"], &state["startup_seqno"]),
        (&0.into(), &0.into())
    );
    assert!(state["node_id"].as_str().is_some_and(|id| id.len() == 64));
    let version = get(&service, "/node/version").unwrap();
    assert!(version["ccf_version"].as_str().is_some());
    for path in [
        "/gov/service/info?api-version=2024-07-01",
        "/app/contracts/c1",
    ] {
        assert_eq!(
            get(&service, path).unwrap_err(),
            "FrontendNotOpen",
            "{path}"
        );
    }
    assert!(service.client().network().is_err());
    assert_eq!(
        service.client().node_state().unwrap().state,
        "ReadingPublicLedger"
    );

    gate.open();
    service.answers();
    wait_for_state(&service, "PartOfPublicNetwork");
    let after = get(&service, "/node/state").unwrap();
    assert_eq!(after["node_id"], state["node_id"]);
    let members = members_at(&service, &scene);
    open(&service, &members);
    members[0].give_share().unwrap();
    wait_until_open(&service.client());
}

#[test]
fn a_node_that_is_stopped_while_it_reads_the_public_ledger_ends_and_has_changed_nothing() {
    let mut scene = Scene::set();
    scene.service.stop();
    let (mut service, _gate) = held_while_it_reads(&scene);
    wait_for_state(&service, "ReadingPublicLedger");
    let before = contents(&service.ledger());
    service.stop();
    assert!(contents(&service.ledger()) == before);
    let previous = scene.service.certificate();
    Service::recover(&EMBEDDED, &service.ledger(), previous);
}

/// A node that recovers the scene's service, and is held where it reads the public ledger.
fn held_while_it_reads(scene: &Scene) -> (Service, Gate) {
    let (ledger, previous) = (scene.service.ledger(), scene.service.certificate());
    let mut gate = None;
    let service = Service::begin_to_recover(&EMBEDDED, &ledger, previous, |folder, _| {
        // A snapshot of everything, which turns out to be none.
        let last = last_position(&folder.join("ledger"));
        let snapshots = folder.join("snapshots");
        std::fs::create_dir_all(&snapshots).unwrap();
        let name = format!("snapshot_{last}_{}.committed", last + 1);
        gate = Some(Gate::at(&snapshots.join(name)));
    });
    (service, gate.unwrap())
}

/// The end of the last committed chunk.
fn last_position(ledger: &Path) -> u64 {
    let items = std::fs::read_dir(ledger).unwrap();
    let names = items.map(|item| item.unwrap().file_name().into_string().unwrap());
    let ends = names.filter_map(|name| {
        let range = name.strip_prefix("ledger_")?.strip_suffix(".committed")?;
        range.split('-').nth(1)?.parse().ok()
    });
    ends.max().unwrap()
}

/// The first chunk of the ledger.
fn first_chunk(service: &Service) -> PathBuf {
    let items = std::fs::read_dir(service.ledger()).unwrap();
    let mut paths = items.map(|item| item.unwrap().path());
    let first = paths.find(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("ledger_1-")
    });
    first.unwrap()
}

#[test]
fn a_recovery_that_is_killed_while_it_reads_the_private_ledger_starts_over() {
    let mut scene = Scene::set();
    scene.service.stop();
    let previous = scene.service.certificate().to_owned();
    let mut first = Service::recover(&EMBEDDED, &scene.service.ledger(), &previous);
    let members = members_at(&first, &scene);
    open(&first, &members);
    let chunk = first_chunk(&first);
    let kept = first.folder().join("kept");
    std::fs::rename(&chunk, &kept).unwrap();
    let _gate = Gate::at(&chunk);
    members[0].give_share().unwrap();
    wait_for_state(&first, "ReadingPrivateLedger");
    let state = get(&first, "/node/state").unwrap();
    assert!(state["recovery_target_seqno"].as_u64() > state["last_recovered_seqno"].as_u64());
    // There is nothing to add to what is under way.
    let early = members[1].give_share().unwrap_err();
    assert!(
        early.to_string().contains("NodeAlreadyRecovering"),
        "{early}"
    );
    assert!(!first.client().is_app_ready().unwrap());
    first.kill();

    std::fs::remove_file(&chunk).unwrap();
    std::fs::rename(&kept, &chunk).unwrap();
    let second = Service::recover(&EMBEDDED, &first.ledger(), &previous);
    assert_eq!(second.client().network().unwrap().recovery_count, 1);
    let members = members_at(&second, &scene);
    open(&second, &members);
    members[1].give_share().unwrap();
    wait_until_open(&second.client());
    let room = scene.room_at(&second);
    assert!(room.secret(CONTRACT, &scene.secret_id).is_ok());
}

#[test]
fn a_file_that_changed_since_its_public_part_was_read_is_told_and_shares_may_come_again() {
    let mut scene = Scene::set();
    scene.service.stop();
    let previous = scene.service.certificate().to_owned();
    let service = Service::recover(&EMBEDDED, &scene.service.ledger(), &previous);
    let members = members_at(&service, &scene);
    open(&service, &members);
    let chunk = first_chunk(&service);
    let good = std::fs::read(&chunk).unwrap();
    let mut altered = good.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    std::fs::write(&chunk, altered).unwrap();
    members[0].give_share().unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    while !service
        .log()
        .contains("the private tables cannot be recovered")
    {
        assert!(Instant::now() < patience, "{}", service.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    wait_for_state(&service, "PartOfPublicNetwork");
    assert!(!service.client().is_app_ready().unwrap());

    std::fs::write(&chunk, good).unwrap();
    members[0].give_share().unwrap();
    wait_until_open(&service.client());
    let room = scene.room_at(&service);
    assert!(room.secret(CONTRACT, &scene.secret_id).is_ok());
}
