//! Attested releases over HTTPS with 16 connections, each recorded and durable before the reply; how fast a node is ready, and
//! how much memory it takes idle. `cargo build --release -p cli && cargo bench -p tests --bench load`; with `-- ccf` on a CCF node, which
//! answers before the commit.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use attestation::simulated;
use governance::Identity;
use governance::clean_room::CleanRoom;
use governance::client::{Connection, Endpoint, Request};
use serde_json::json;
use tests::scene::Scene;
use tests::service::{Host, Service};
use tokio::runtime::Builder;
use zeroize::Zeroizing;

const CONNECTIONS: usize = 16;

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
    let reads = rate(&scene, None, &vec![Request::get("/node/version"); 200_000]);
    println!("plain reads                {reads:>8.0}/s");
    let of_reads = |name: &str, rate: f64| {
        println!(
            "{name:<26} {rate:>8.0}/s, {:.3} of plain reads",
            rate / reads
        );
    };
    let drafts: Vec<Request> = (0..40_000)
        .map(|n| Request::put(format!("/app/contracts/draft{n}")).json(&json!({ "data": "terms" })))
        .collect::<Result<_, _>>()
        .unwrap();
    let writer = scene.members[0].identity();
    of_reads("plain writes", rate(&scene, Some(writer), &drafts));
    let same = release(&scene, &scene.room);
    of_reads(
        "releases, same evidence",
        rate(&scene, None, &vec![same; 40_000]),
    );
    let platform = simulated::Platform::default();
    let fresh: Vec<Request> = (0..20_000)
        .map(|_| release(&scene, &scene.room_with_fresh_report(&platform)))
        .collect();
    of_reads("releases, fresh reports", rate(&scene, None, &fresh));
}

/// The request by which a clean room asks for the secret.
fn release(scene: &Scene, room: &CleanRoom) -> Request {
    let body = Zeroizing::new(room.request_body().unwrap());
    Request::post(scene.release_path()).body("application/json", body)
}

/// Requests answered 200 a second, over all connections, as nobody or as a member.
fn rate(scene: &Scene, member: Option<&Identity>, requests: &[Request]) -> f64 {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (url, certificate) = (scene.service.url(), scene.service.certificate());
        let endpoint = match member {
            None => Endpoint::new(url, certificate),
            Some(identity) => Endpoint::with_identity(url, certificate, identity),
        };
        let endpoint = endpoint.unwrap();
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::open(&endpoint).await.unwrap());
        }
        let start = Instant::now();
        let mut workers = tokio::task::JoinSet::new();
        for (mut connection, share) in connections
            .into_iter()
            .zip(requests.chunks(requests.len() / CONNECTIONS))
        {
            let share = share.to_vec();
            workers.spawn(async move {
                for request in share {
                    let response = connection.send(request).await.unwrap();
                    assert_eq!(response.status(), 200);
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
    let identity = Identity::generate("member0", Duration::from_secs(3600)).unwrap();
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
