//! What a ballot and a submission cost in a consortium of 50 members, after 10 and after 10,000 proposals, in one run.
//!
//! All proposals before are still in the tables: each claims a contract of its own and is open, which is the most that can be in the
//! way. CCF removes decided ones. The last column of the printed table is what must stay near one.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::io::{PipeReader, PipeWriter};
use std::time::{Duration, Instant};

use constitution::{
    Case, Engine, InProcess, Kv, Limits, MemoryKv, NoEffects, Vote, default_module, worker,
};
use serde_json::json;

const MEMBERS: usize = 50;
const SIZES: [usize; 2] = [10, 10_000];
const RUNS: usize = 200;

fn put(kv: &mut MemoryKv, table: &str, key: &str, value: &serde_json::Value) {
    let table = format!("public:ccf.gov.{table}");
    kv.put(&table, key.as_bytes(), value.to_string().as_bytes())
        .unwrap();
}

fn only(kv: &mut MemoryKv, table: &str, value: &serde_json::Value) {
    let table = format!("public:ccf.gov.{table}");
    kv.put(&table, &[0; 8], value.to_string().as_bytes())
        .unwrap();
}

fn member(number: usize) -> String {
    format!("{number:064x}")
}

fn contract(number: usize) -> String {
    let contract = json!({"data": "terms"});
    json!({"actions": [{"name": "set_contract", "args": {"contractId": format!("c{number}"), "contract": contract}}]}).to_string()
}

/// A service after so many proposals, the last accepted one of which brought the index up to date.
fn service(size: usize) -> MemoryKv {
    let mut kv = MemoryKv::default();
    for number in 0..MEMBERS {
        let data = json!({"tenantId": "t", "identifier": format!("member {number}")});
        put(
            &mut kv,
            "members.info",
            &member(number),
            &json!({"status": "Active", "member_data": data}),
        );
    }
    only(
        &mut kv,
        "service.info",
        &json!({"status": "Open", "cert": "c"}),
    );
    only(&mut kv, "service.config", &json!({"recovery_threshold": 1}));
    for number in 0..size {
        let id = format!("{number:064}");
        let table = "public:ccf.gov.proposals";
        kv.put(table, id.as_bytes(), contract(number).as_bytes())
            .unwrap();
        let info = json!({"state": "Open", "proposer_id": member(0), "ballots": {}});
        put(&mut kv, "proposals_info", &id, &info);
        if number + 100 >= size {
            let key = format!("{number:010}:{id}");
            put(&mut kv, "cose_recent_proposals", &key, &json!(id));
        }
    }
    let snapshot = r#"{"actions": [{"name": "remove_node", "args": {"node_id": ""}}]}"#;
    let applied = "f".repeat(64);
    put(
        &mut kv,
        "proposals_info",
        &applied,
        &json!({"state": "Accepted"}),
    );
    InProcess::new(Limits::default())
        .apply(
            &default_module(),
            snapshot,
            &applied,
            &mut kv,
            &mut NoEffects,
        )
        .unwrap();
    kv
}

/// The quickest of many runs: what it costs when nothing else takes the processor.
fn time(mut run: impl FnMut()) -> Duration {
    let times = (0..RUNS).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    times.min().unwrap_or_default()
}

fn resolve(engine: &mut dyn Engine, kv: &mut MemoryKv, votes: &[Vote]) {
    let module = default_module();
    let proposal = contract(usize::MAX);
    let case = Case {
        proposal: &proposal,
        proposer_id: &member(0),
        votes,
        proposal_id: "new",
    };
    engine.resolve(&module, &case, kv).unwrap();
}

fn piped() -> worker::Client<PipeReader, PipeWriter> {
    let (worker_reader, writer) = std::io::pipe().unwrap();
    let (reader, worker_writer) = std::io::pipe().unwrap();
    std::thread::spawn(move || worker::serve(worker_reader, worker_writer, None));
    worker::Client::new(reader, writer, Limits::default())
}

fn main() {
    let votes: Vec<Vote> = (0..MEMBERS - 1)
        .map(|number| Vote {
            member_id: member(number),
            vote: true,
        })
        .collect();
    let mut services = SIZES.map(service);
    println!(
        "resolve, {MEMBERS} members, quickest of {RUNS} runs\n{:<24}{:>14}{:>14}{:>8}",
        "", SIZES[0], SIZES[1], "ratio"
    );
    let engines: [(&str, Box<dyn Engine>); 2] = [
        ("in process", Box::new(InProcess::new(Limits::default()))),
        ("worker", Box::new(piped())),
    ];
    for (name, mut engine) in engines {
        for (what, votes) in [("submission", &[][..]), ("ballot", &votes[..])] {
            let [few, many] = [0, 1].map(|which| {
                let kv = &mut services[which];
                resolve(engine.as_mut(), kv, votes);
                time(|| resolve(engine.as_mut(), kv, votes))
            });
            println!(
                "{:<24}{:>14.3?}{:>14.3?}{:>8.2}",
                format!("{what}, {name}"),
                few,
                many,
                many.as_secs_f64() / few.as_secs_f64()
            );
        }
    }
}
