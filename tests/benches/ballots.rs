//! Ballots over HTTPS: each is authenticated, stored, counted by the constitution in a realm of its own, and durable before the
//! reply. `cargo build --release -p cli && cargo bench -p tests --bench ballots`.
//!
//! Beside the rate stands the processor time that node and script workers took for each, which a busy machine does not blur.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use governance::Identity;
use governance::client::{Connection, Endpoint, Request};
use governance::cose::{self, MessageType};
use governance::ids::ProposalId;
use governance::member::{Actions, Ballot, Member};
use serde_json::json;
use tests::service::{Host, Service};
use tokio::runtime::Builder;

const MEMBERS: usize = 10;
const CONNECTIONS: usize = 8;

fn main() {
    let founders: Vec<Identity> = (0..MEMBERS)
        .map(|n| Identity::generate(&format!("member{n}"), Duration::from_secs(36_000)).unwrap())
        .collect();
    let founders: Vec<Identity> = founders
        .into_iter()
        .map(|founder| founder.with_encryption_key().unwrap())
        .collect();
    let service = Service::start(
        &Host::Embedded { simulated: false },
        &founders.iter().collect::<Vec<_>>(),
    );
    let members = service.open(&founders.iter().collect::<Vec<_>>());
    let count: usize = std::env::var("BALLOTS").map_or(400, |n| n.parse().unwrap());
    let proposals: Vec<ProposalId> = (0..count)
        .map(|n| members[0].propose(&action(n)).unwrap().proposal_id)
        .collect();
    let (reads, cost) = rate(&service, vec![Request::get("/node/version"); 10 * count]);
    println!("plain reads                {reads:>8.0}/s, {cost:.2} ms of processor time each");
    for (others, member) in members.iter().skip(1).take(3).enumerate() {
        let ballots: Vec<Request> = proposals.iter().map(|id| ballot(member, id)).collect();
        let (rate, cost) = rate(&service, ballots);
        println!(
            "ballots beside {others} others    {rate:>8.0}/s, {cost:.2} ms of processor time each, {:.3} of plain reads",
            rate / reads
        );
    }
}

/// Processor time of the node and of its script workers so far, in milliseconds.
fn processor_time(service: &Service) -> f64 {
    let node = service.process_id().to_string();
    let ticks: u64 = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok())
        .filter_map(|stat| {
            let id = stat.split(' ').next()?.to_owned();
            // Fields after the name: state, parent, ...; user and system time are the 12th and 13th, of ended children the next.
            let rest: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
            let mine = id == node || *rest.get(1)? == node;
            let times = rest
                .get(11..15)?
                .iter()
                .filter_map(|t| t.parse::<u64>().ok());
            mine.then(|| times.sum::<u64>())
        })
        .sum();
    // A hundred ticks a second, on every Linux there is.
    10.0 * ticks as f64
}

/// An action that three of ten members do not decide.
fn action(n: usize) -> Actions {
    let args = json!({ "name": format!("bundle{n}") });
    Actions::new().action("remove_ca_cert_bundle", args)
}

fn ballot(member: &Member, proposal: &ProposalId) -> Request {
    let payload = json!({ "ballot": Ballot::For.source() }).to_string();
    let kind = MessageType::Ballot(proposal.clone());
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let message = cose::sign(member.identity(), &kind, now, payload.as_bytes()).unwrap();
    Request::post(format!(
        "/gov/members/proposals/{proposal}/ballots/{}:submit?api-version=2024-07-01",
        member.id()
    ))
    .cose(message)
}

/// Requests answered 200 a second, over all connections, and milliseconds of processor time for each.
fn rate(service: &Service, requests: Vec<Request>) -> (f64, f64) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = Endpoint::new(service.url(), service.certificate()).unwrap();
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::open(&endpoint).await.unwrap());
        }
        let answered = u32::try_from(requests.len()).unwrap();
        let mut shares: Vec<Vec<Request>> = vec![Vec::new(); CONNECTIONS];
        for (n, request) in requests.into_iter().enumerate() {
            shares[n % CONNECTIONS].push(request);
        }
        let before = processor_time(service);
        let start = Instant::now();
        let mut workers = tokio::task::JoinSet::new();
        for (mut connection, share) in connections.into_iter().zip(shares) {
            workers.spawn(async move {
                for request in share {
                    let response = connection.send(request).await.unwrap();
                    assert_eq!(response.status(), 200);
                }
            });
        }
        workers.join_all().await;
        let rate = f64::from(answered) / start.elapsed().as_secs_f64();
        (
            rate,
            (processor_time(service) - before) / f64::from(answered),
        )
    })
}
