//! What the bridge to CCF costs a request: the empty endpoint in Rust against the same in C++, on one node, in turns, by the time its thread had a
//! processor. Needs CCF; `cargo bench -p tests --bench bridge`.
#![allow(clippy::unwrap_used, missing_docs)]

use governance::Identity;
use governance::client::{Connection, Endpoint, Request};
use tests::ccf;
use tests::service::Service;
use tokio::runtime::Builder;

/// Requests in one turn, and turns of each.
const TURN: u32 = 200;
const TURNS: usize = 150;

fn main() {
    let Some(host) = ccf::probe("bridge") else {
        return;
    };
    let identity = Identity::generate("member0", std::time::Duration::from_secs(3600)).unwrap();
    let founders = [&identity.with_encryption_key().unwrap()];
    let service = Service::start(&host, &founders);
    service.open(&founders);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = Endpoint::new(service.url(), service.certificate()).unwrap();
        let mut connection = Connection::open(&endpoint).await.unwrap();
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..TURNS {
            for (path, times) in ["/app/empty", "/app/empty-in-cpp"].iter().zip(&mut times) {
                let start = busy(&service);
                for _ in 0..TURN {
                    let response = connection.send(Request::get(*path)).await.unwrap();
                    assert_eq!(response.status(), 200);
                }
                times.push((busy(&service) - start) / f64::from(TURN));
            }
        }
        let [rust, cpp] = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            (times[TURNS / 10], times[TURNS / 2])
        });
        println!("microseconds a request, best tenth and median of {TURNS} turns");
        println!("empty endpoint in Rust  {:>7.1} {:>7.1}", rust.0, rust.1);
        println!("empty endpoint in C++   {:>7.1} {:>7.1}", cpp.0, cpp.1);
        println!(
            "the bridge              {:>7.1} {:>7.1}",
            rust.0 - cpp.0,
            rust.1 - cpp.1
        );
    });
}

/// Microseconds for which the node's thread had a processor.
fn busy(service: &Service) -> f64 {
    let file = format!("/proc/{}/schedstat", service.process_id());
    let text = std::fs::read_to_string(file).unwrap();
    let nanoseconds: f64 = text.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1000.0
}
