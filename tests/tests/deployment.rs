//! The files for Confidential ACI are well formed, and what the start script writes is a configuration of a node.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use node::config::Config;
use serde_json::Value;
use tests::ccf;
use tests::service::Host;

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/caci");
    folder.canonicalize().unwrap()
}

/// Runs the script with these variables.
fn start_node(variables: &BTreeMap<&str, String>, arguments: &[&str]) -> Output {
    Command::new("sh")
        .arg(folder().join("start-node"))
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(variables)
        .output()
        .unwrap()
}

/// A share with what members gave the operator.
fn share() -> tempfile::TempDir {
    let share = tempfile::tempdir().unwrap();
    let members = share.path().join("members");
    fs::create_dir(&members).unwrap();
    for file in ["a_cert.pem", "a_enc_pubk.pem", "b_cert.pem"] {
        fs::write(members.join(file), "PEM").unwrap();
    }
    share
}

fn variables(command: &str, share: &Path) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("NODE_COMMAND", command.to_owned()),
        ("NODE_ADDRESS", "node.example:8080".to_owned()),
        ("PEER_ADDRESS", "10.0.0.4:8081".to_owned()),
        ("JOIN_ADDRESS", "10.0.0.5:8080".to_owned()),
        ("NODE_MOUNT", share.to_str().unwrap().to_owned()),
    ])
}

#[test]
fn the_start_script_writes_a_configuration_for_every_command() {
    let share = share();
    let ccf = ccf::host(
        false,
        "the_start_script_writes_a_configuration_for_every_command (on CCF)",
    );
    for command in ["start", "join", "recover"] {
        let output = start_node(&variables(command, share.path()), &["--print"]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let written: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            written["node_certificate"]["subject_alt_names"][0],
            "dNSName:node.example"
        );
        if command != "join" {
            Config::from_json(&text).unwrap();
        }
        if command == "start" {
            let members = written["command"]["start"]["members"].as_array().unwrap();
            assert_eq!(members.len(), 2);
            assert!(members[0]["encryption_public_key_file"].is_string());
        }
        let file = share.path().join("node.json");
        fs::write(&file, &text).unwrap();
        if let Some(Host::Ccf { program, .. }) = &ccf {
            let checked = Command::new(program)
                .args(["--check", "--config"])
                .arg(&file)
                .output()
                .unwrap();
            assert!(checked.status.success(), "{command}: {checked:?}");
        }
    }
}

#[test]
fn the_start_script_refuses_what_is_no_plain_value_and_what_is_not_confidential() {
    let share = share();
    for (name, value) in [
        ("NODE_COMMAND", "begin"),
        ("NODE_ADDRESS", ""),
        ("NODE_ADDRESS", "node.example"),
        ("NODE_ADDRESS", "x\", \"y\": \"z:1"),
        ("PEER_ADDRESS", "$(id):8081"),
        ("JOIN_ADDRESS", "a b:1"),
        ("NODE_MOUNT", "/mnt/\"x"),
        ("NODE_MOUNT", "/nowhere"),
    ] {
        let command = if name == "JOIN_ADDRESS" {
            "join"
        } else {
            "start"
        };
        let mut variables = variables(command, share.path());
        variables.insert(name, value.to_owned());
        let output = start_node(&variables, &["--print"]);
        assert_eq!(output.status.code(), Some(2), "{name}={value}: {output:?}");
    }
    let mut outside = variables("start", share.path());
    outside.insert("NODE_PROGRAM", "/bin/true".to_owned());
    let output = start_node(&outside, &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no confidential container group"), "{said}");
}

#[test]
fn the_container_group_gives_the_script_what_it_asks_for() {
    let text = fs::read_to_string(folder().join("container-group.json")).unwrap();
    let template: Value = serde_json::from_str(&text).unwrap();
    let group = &template["resources"][0]["properties"];
    assert_eq!(group["sku"], "Confidential");
    assert_eq!(
        group["confidentialComputeProperties"]["ccePolicy"],
        "[parameters('ccePolicy')]"
    );
    let container = &group["containers"][0]["properties"];
    let script = fs::read_to_string(folder().join("start-node")).unwrap();
    for variable in container["environmentVariables"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        assert!(script.contains(&format!("#   {name} ")), "{name}");
    }
    let mount = &container["volumeMounts"][0];
    assert_eq!(mount["name"], group["volumes"][0]["name"]);
    // Every parameter that is used is declared, and the other way round.
    let declared = template["parameters"].as_object().unwrap();
    for name in declared.keys() {
        assert!(text.contains(&format!("parameters('{name}')")), "{name}");
    }
    for used in text.split("parameters('").skip(1) {
        let name = used.split('\'').next().unwrap();
        assert!(declared.contains_key(name), "{name}");
    }
}

#[test]
fn the_image_is_made_of_files_that_are_there() {
    let text = fs::read_to_string(folder().join("Dockerfile")).unwrap();
    let root = folder().join("../..");
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    let lines: Vec<&str> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    for line in &lines {
        let (instruction, rest) = line.split_once(' ').unwrap();
        let known = ["ARG", "FROM", "COPY", "WORKDIR", "RUN", "ENTRYPOINT"];
        assert!(known.contains(&instruction), "{line}");
        let words: Vec<&str> = rest.split_whitespace().collect();
        if instruction == "COPY" && !words[0].starts_with("--from") {
            assert!(root.join(words[0]).exists(), "{line}");
        }
    }
    let entry = lines.last().unwrap().strip_prefix("ENTRYPOINT ").unwrap();
    let entry: Vec<String> = serde_json::from_str(entry).unwrap();
    assert!(lines.iter().any(|line| line.ends_with(entry[0].as_str())));
}
