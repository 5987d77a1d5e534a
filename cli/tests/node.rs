//! The node as its operator meets it: a process, files, signals.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use governance::client::Request;
use governance::{Client, Identity};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cleanroom");

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        let child = Command::new(PROGRAM)
            .args(arguments)
            .current_dir(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn terminate(&mut self) -> ExitStatus {
        let id = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        self.0.wait().unwrap()
    }

    fn errors(&mut self) -> String {
        let mut text = String::new();
        self.0
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }
}

fn wait_for(file: &Path) -> String {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        match fs::read_to_string(file) {
            Ok(text) if !text.is_empty() => return text,
            _ => assert!(
                Instant::now() < patience,
                "{} did not appear",
                file.display()
            ),
        }
        sleep(Duration::from_millis(5));
    }
}

/// A directory with a constitution, a member and a configuration.
fn configured(change: impl FnOnce(&mut Value)) -> (tempfile::TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().to_owned();
    let constitution = Command::new(PROGRAM).arg("constitution").output().unwrap();
    assert!(constitution.status.success());
    fs::write(directory.join("constitution.js"), constitution.stdout).unwrap();
    let identity = Identity::generate("member0", Duration::from_secs(3600)).unwrap();
    fs::write(
        directory.join("member0_cert.pem"),
        identity.certificate().to_pem(),
    )
    .unwrap();
    let mut config = json!({
        "network": {
            "node_to_node_interface": { "bind_address": "127.0.0.1:0" },
            "rpc_interfaces": { "primary_rpc_interface": {
                "bind_address": "127.0.0.1:0",
                "accepted_endpoints": ["/node/(state|network)", "/gov/.*"],
            } },
        },
        "command": {
            "type": "Start",
            "service_certificate_file": "service_cert.pem",
            "start": {
                "constitution_files": ["constitution.js"],
                "members": [{ "certificate_file": "member0_cert.pem" }],
            },
        },
        "output_files": {
            "node_certificate_file": "0.pem",
            "pid_file": "0.pid",
            "node_to_node_address_file": "0.node_address",
            "rpc_addresses_file": "0.rpc_addresses",
        },
    });
    change(&mut config);
    fs::write(directory.join("0.config.json"), config.to_string()).unwrap();
    (scratch, directory)
}

#[test]
fn a_configured_node_writes_its_files_serves_and_ends_on_sigterm() {
    let (_scratch, directory) = configured(|_| {});
    let arguments = ["node", "start", "--config", "0.config.json"];
    let mut node = Process::start(&directory, &arguments);
    let addresses: Value =
        serde_json::from_str(&wait_for(&directory.join("0.rpc_addresses"))).unwrap();
    let certificate = fs::read_to_string(directory.join("service_cert.pem")).unwrap();
    let url = format!(
        "https://{}",
        addresses["primary_rpc_interface"].as_str().unwrap()
    );
    let client = Client::new(&url, &certificate).unwrap();
    assert_eq!(client.network().unwrap().service_status.as_str(), "Opening");
    assert_eq!(client.members().unwrap().len(), 1);
    // Not among the accepted endpoints of this interface.
    let refused = client
        .exchange(Request::get("/node/version"))
        .unwrap()
        .status();
    assert_eq!(refused, 503);
    assert_eq!(
        fs::read_to_string(directory.join("0.pid")).unwrap(),
        node.0.id().to_string()
    );
    assert!(directory.join("0.pem").exists() && directory.join("snapshots").exists());
    assert!(node.terminate().success());

    let verified = Command::new(PROGRAM)
        .args([
            "ledger",
            "verify",
            "ledger",
            "--service-cert",
            "service_cert.pem",
        ])
        .current_dir(&directory)
        .status()
        .unwrap();
    assert!(verified.success());

    // Nothing of an earlier service is overwritten.
    let mut again = Process::start(&directory, &arguments);
    assert_eq!(again.0.wait().unwrap().code(), Some(1));
    assert!(again.errors().contains("0.pid"));
    fs::remove_file(directory.join("0.pid")).unwrap();
    let mut again = Process::start(&directory, &arguments);
    assert_eq!(again.0.wait().unwrap().code(), Some(1));
    let errors = again.errors();
    assert!(errors.contains("ledger"), "{errors}");
}

#[test]
fn a_bad_configuration_is_refused_with_place_and_value() {
    let (_scratch, directory) =
        configured(|config| config["ledger"] = json!({ "chunk_size": "big" }));
    let mut node = Process::start(&directory, &["node", "start", "--config", "0.config.json"]);
    assert_eq!(node.0.wait().unwrap().code(), Some(1));
    let errors = node.errors();
    assert!(
        errors.contains("ledger.chunk_size") && errors.contains("\"big\""),
        "{errors}"
    );
    assert!(!directory.join("0.pid").exists());
}

#[test]
fn a_sandbox_is_open_and_says_that_its_platform_is_simulated() {
    let scratch = tempfile::tempdir().unwrap();
    let arguments = [
        "node",
        "start",
        "--sandbox",
        "--dir",
        "box",
        "--port",
        "0",
        "--simulated-platform",
    ];
    let mut node = Process::start(scratch.path(), &arguments);
    let mut url = String::new();
    // Kept open: more lines follow, and a node whose output nobody takes any more ends.
    let mut output = BufReader::new(node.0.stdout.take().unwrap());
    output.read_line(&mut url).unwrap();
    let certificate = fs::read_to_string(scratch.path().join("box/service_cert.pem")).unwrap();
    let identity = Identity::load(&scratch.path().join("box/member0")).unwrap();
    let member = governance::Member::new(url.trim(), &certificate, identity).unwrap();
    assert!(member.client().contracts(None).unwrap().is_empty());
    let network: Value = member
        .client()
        .send(Request::get("/node/network"))
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(network["service_data"]["simulatedPlatform"], true);
    assert!(node.terminate().success());
}
