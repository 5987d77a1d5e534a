//! Attested releases over HTTPS with 16 connections, each recorded and durable before the reply; how fast a node is ready, and
//! how much memory it takes idle. `cargo build --release -p cli && cargo bench -p tests --bench load`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use governance::Identity;
use governance::client::{Connection, Endpoint, Request};
use tests::scene::Scene;
use tests::service::{Host, Service};
use tokio::runtime::Builder;
use zeroize::Zeroizing;

const CONNECTIONS: usize = 16;
const SPAN: Duration = Duration::from_secs(5);

fn main() {
    readiness();
    let scene = Scene::set();
    let reads = rate(&scene, &Request::get("/node/version"));
    println!("plain reads                {reads:>8.0}/s");
    let body = Bytes::from(scene.room.request_body().unwrap());
    let request =
        Request::post(scene.release_path()).body("application/json", Zeroizing::new(body.to_vec()));
    let releases = rate(&scene, &request);
    println!(
        "attested releases          {releases:>8.0}/s, {:.3} of plain reads",
        releases / reads
    );
}

/// Requests answered 200 a second, over all connections.
fn rate(scene: &Scene, request: &Request) -> f64 {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = Endpoint::new(scene.service.url(), scene.service.certificate()).unwrap();
        let end = Instant::now() + SPAN;
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let mut connection = Connection::open(&endpoint).await.unwrap();
            let request = request.clone();
            workers.spawn(async move {
                let mut answered = 0_u32;
                while Instant::now() < end {
                    let response = connection.send(request.clone()).await.unwrap();
                    assert_eq!(response.status(), 200);
                    answered += 1;
                }
                answered
            });
        }
        let answered: u32 = workers.join_all().await.into_iter().sum();
        f64::from(answered) / SPAN.as_secs_f64()
    })
}

/// From the start of the process to the first answer, and resident memory after a second of nothing.
fn readiness() {
    let identity = Identity::generate("member0", Duration::from_secs(3600)).unwrap();
    let start = Instant::now();
    let service = Service::start(&Host::Embedded { simulated: false }, &[&identity]);
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
