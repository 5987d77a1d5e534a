//! The probe on the embedded node: `probe-node --config FILE`, as `cleanroom node start --config FILE`. For the tests only.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use node::config::{Command, Config, resolve};
use node::service::Node;
use serde_json::{Map, Value};
use tokio::runtime::Runtime;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["script-worker"] => node::script::serve().unwrap(),
        ["--config", file] => serve(Path::new(file)),
        _ => panic!("want --config FILE"),
    }
}

/// Serves until it is killed.
fn serve(file: &Path) {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let launch = resolve(&Config::load(file, Duration::ZERO).unwrap()).unwrap();
    fs::create_dir_all(&launch.snapshots).unwrap();
    let Command::Start(service) = launch.command else {
        panic!("the probe only starts new services");
    };
    let runtime = Runtime::new().unwrap();
    let node = runtime
        .block_on(Node::start(launch.settings, service, probe::application()))
        .unwrap();
    let addresses: Map<String, Value> = node
        .addresses()
        .iter()
        .map(|(name, address)| (name.clone(), address.to_string().into()))
        .collect();
    let certificate = launch.output.service_certificate.unwrap();
    fs::write(certificate, node.service_certificate()).unwrap();
    let file = launch.output.rpc_addresses.unwrap();
    fs::write(file, Value::Object(addresses).to_string()).unwrap();
    loop {
        std::thread::park();
    }
}
