//! Load over HTTPS: reads, writes, releases, signed events, contract reads with many contracts and much history; how fast a node is ready, and
//! how much memory it takes idle. Answers of the embedded node are durable.
//! `cargo build --release -p cli && cargo bench -p tests --bench load`; with `-- ccf` on a CCF node, which answers before the commit.
//! `CLEANROOM_BENCH_SHARE` of 10 sends a tenth of the requests, for a slow machine.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use attestation::simulated;
use governance::Identity;
use governance::clean_room::CleanRoom;
use governance::client::{Connection, Endpoint, Request};
use governance::member::Actions;
use serde_json::json;
use tests::scene::{CONTRACT, Scene};
use tests::service::{Host, Service};
use tokio::runtime::Builder;
use zeroize::Zeroizing;

/// Proposals that were decided when contracts are read again.
const PAST_PROPOSALS: u64 = 100_000;

fn main() {
    let on_ccf = std::env::args().any(|argument| argument == "ccf");
    let host = if on_ccf {
        match tests::ccf::host(true, "load") {
            Some(host) => host,
            None => return,
        }
    } else {
        Host::EMBEDDED
    };
    readiness(&host);
    let scene = Scene::on(&host);
    let count = |whole: usize| whole / number("CLEANROOM_BENCH_SHARE", 1);
    let version = vec![Request::get("/node/version"); count(200_000)];
    let reads = rate(&scene, None, 4, &version);
    println!("plain reads                  {reads:>8.0}/s");
    let of_reads = |name: &str, rate: f64| {
        println!(
            "{name:<28} {rate:>8.0}/s, {:.3} of plain reads",
            rate / reads
        );
        rate
    };
    let writer = Some(scene.members[0].identity());
    let same = release(&scene, &scene.room);
    let same = vec![same; count(40_000)];
    for connections in [4, 16] {
        let name = format!("releases, same evidence, {connections}");
        of_reads(&name, rate(&scene, None, connections, &same));
    }
    let platform = simulated::Platform::default();
    let fresh: Vec<Request> = (0..count(20_000))
        .map(|_| release(&scene, &scene.room_with_fresh_report(&platform)))
        .collect();
    for (connections, fresh) in [4, 16].into_iter().zip(fresh.chunks(fresh.len() / 2)) {
        let name = format!("releases, fresh, {connections}");
        of_reads(&name, rate(&scene, None, connections, fresh));
    }

    let show = vec![Request::post(format!("/app/contracts/{CONTRACT}")); count(100_000)];
    let before = of_reads("contract reads, empty", rate(&scene, writer, 4, &show));
    let drafts: Vec<Request> = (0..count(10_000))
        .map(|n| Request::put(format!("/app/contracts/draft{n}")).json(&json!({ "data": "terms" })))
        .collect::<Result<_, _>>()
        .unwrap();
    of_reads("plain writes", rate(&scene, writer, 4, &drafts));
    let events = events(&scene, count(10_000));
    of_reads("signed events", rate(&scene, None, 4, &events));
    of_reads("proposals, one by one", proposals(&scene, count(1000)));
    drop(scene);

    let scene = Scene::with_past(&host, PAST_PROPOSALS);
    let writer = Some(scene.members[0].identity());
    of_reads("plain writes, long past", rate(&scene, writer, 4, &drafts));
    let after = of_reads("contract reads, full", rate(&scene, writer, 4, &show));
    println!(
        "with {} contracts and {PAST_PROPOSALS} past proposals: {:.3} of an empty service",
        drafts.len(),
        after / before
    );
    of_reads("proposals, long past", proposals(&scene, count(1000)));
}

/// Proposals a second that are decided at once, one after the other.
fn proposals(scene: &Scene, wanted: usize) -> f64 {
    let start = Instant::now();
    for n in 0..wanted {
        // A text of its own, so that none is taken for a repeat.
        let args = json!({ "contractId": CONTRACT, "n": n });
        let off = "set_contract_runtime_options_disable_logging";
        let actions = Actions::new().action(off, args);
        scene.members[0].propose(&actions).unwrap();
    }
    f64::from(u32::try_from(wanted).unwrap()) / start.elapsed().as_secs_f64()
}

/// What the environment says, or this.
fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Signed events of the agreed code, each with an id of its own.
fn events(scene: &Scene, count: usize) -> Vec<Request> {
    let start = 1_780_000_000_000;
    (start..)
        .take(count)
        .map(|time| {
            let row = time - start;
            scene.event(&format!("e{row}"), &json!({ "row": row }), time)
        })
        .collect()
}

/// The request by which a clean room asks for the secret.
fn release(scene: &Scene, room: &CleanRoom) -> Request {
    let body = Zeroizing::new(room.request_body().unwrap());
    Request::post(scene.release_path()).body("application/json", body)
}

/// Requests answered well a second, over so many connections, as nobody or as a member.
fn rate(scene: &Scene, member: Option<&Identity>, connections: usize, requests: &[Request]) -> f64 {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (url, certificate) = (scene.service.url(), scene.service.certificate());
        let endpoint = match member {
            None => Endpoint::new(url, certificate),
            Some(identity) => Endpoint::with_identity(url, certificate, identity),
        };
        let endpoint = endpoint.unwrap();
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(Connection::open(&endpoint).await.unwrap());
        }
        let start = Instant::now();
        let mut workers = tokio::task::JoinSet::new();
        for (mut connection, share) in open
            .into_iter()
            .zip(requests.chunks(requests.len() / connections))
        {
            let share = share.to_vec();
            workers.spawn(async move {
                for request in share {
                    let response = connection.send(request).await.unwrap();
                    assert!(response.status().is_success(), "{}", response.status());
                }
            });
        }
        workers.join_all().await;
        let answered = u32::try_from(requests.len()).unwrap();
        f64::from(answered) / start.elapsed().as_secs_f64()
    })
}

/// From the start of the process to the first answer, and resident memory after a second of nothing.
fn readiness(host: &Host) {
    // CCF starts no service whose ledger nobody could recover.
    let identity = Identity::generate("member0", Duration::from_secs(3600)).unwrap();
    let identity = identity.with_encryption_key().unwrap();
    let start = Instant::now();
    let service = Service::start(host, &[&identity]);
    service.client().network().unwrap();
    println!(
        "ready after                {:>8} ms",
        start.elapsed().as_millis()
    );
    std::thread::sleep(Duration::from_secs(1));
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.process_id())).unwrap();
    let resident = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    println!(
        "resident idle              {}",
        resident.trim_start_matches("VmRSS:").trim()
    );
}
