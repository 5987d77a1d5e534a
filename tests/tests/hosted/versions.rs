//! Several members change one draft at once.

use std::thread;

use governance::Identity;
use governance::client::Request;
use serde_json::{Value, json};
use tests::service::{Host, Service};

const WRITERS: usize = 4;
const ROUNDS: usize = 20;
const DRAFT: &str = "/app/contracts/race";

/// A change that succeeded: the version it named, and the version it made.
struct Change {
    named: String,
    made: String,
}

#[test]
fn of_those_who_change_one_version_of_a_draft_exactly_one_succeeds() {
    let names: Vec<String> = (0..WRITERS).map(|n| format!("member{n}")).collect();
    let founders: Vec<Identity> = names
        .iter()
        .map(|name| {
            let identity = Identity::generate(name, std::time::Duration::from_secs(3600)).unwrap();
            identity.with_encryption_key().unwrap()
        })
        .collect();
    let founders: Vec<&Identity> = founders.iter().collect();
    let service = Service::start(&Host::Embedded { simulated: false }, &founders);
    service.open(&founders);
    let first = put(&service, founders[0], &json!({ "data": "first" })).unwrap();

    let mut changes: Vec<Change> = thread::scope(|scope| {
        let writers: Vec<_> = founders
            .iter()
            .map(|writer| scope.spawn(|| write(&service, writer)))
            .collect();
        let done = writers.into_iter().map(|writer| writer.join().unwrap());
        done.flatten().collect()
    });
    changes.sort_by_key(|change| position(&change.made));
    // How many succeed depends on who reads when: a read does not see what is not on disk yet.
    assert!(changes.len() > 1, "{} changes", changes.len());
    // Each change names what the one before it made: none was lost, and none succeeded over a version that was gone.
    let mut current = first;
    for change in &changes {
        assert_eq!(change.named, current);
        current.clone_from(&change.made);
    }
    assert_eq!(read(&service, founders[0]), current);
}

fn write(service: &Service, writer: &Identity) -> Vec<Change> {
    (0..ROUNDS)
        .filter_map(|n| {
            let named = read(service, writer);
            let made = put(service, writer, &json!({ "data": n + 1, "version": named }))?;
            Some(Change { named, made })
        })
        .collect()
}

fn read(service: &Service, reader: &Identity) -> String {
    let response = client(service, reader)
        .exchange(Request::post(DRAFT))
        .unwrap();
    let shown: Value = response.json().unwrap();
    shown["version"].as_str().unwrap().to_owned()
}

/// The version that was made; `None` when another change came first.
fn put(service: &Service, writer: &Identity, body: &Value) -> Option<String> {
    let request = Request::put(DRAFT).json(body).unwrap();
    let response = client(service, writer).exchange(request).unwrap();
    match response.status().as_u16() {
        200 => Some(response.transaction().unwrap().to_string()),
        412 => None,
        status => panic!("{status}"),
    }
}

fn client(service: &Service, identity: &Identity) -> governance::Client {
    governance::Client::with_identity(service.url(), service.certificate(), identity).unwrap()
}

fn position(version: &str) -> u64 {
    version.split_once('.').unwrap().1.parse().unwrap()
}
