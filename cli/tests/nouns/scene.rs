//! A service, a member and clean rooms, each command a process of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cleanroom");
pub(crate) const AGREED: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";
pub(crate) const OTHER: &str = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b";
pub(crate) const CONTRACT: &str = "c1";

/// A service with one member, an accepted contract and a policy that admits [`AGREED`], and folders with evidence.
pub(crate) struct Scene {
    scratch: tempfile::TempDir,
    node: Child,
    url: String,
}

/// What a command came to.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: Value,
    pub(crate) err: String,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}

impl Scene {
    pub(crate) fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut node = Command::new(PROGRAM)
            .args(["node", "start", "--sandbox", "--dir", "box"])
            .args(["--port", "0", "--simulated-platform"])
            .current_dir(scratch.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(node.stdout.take().unwrap());
        let mut url = String::new();
        output.read_line(&mut url).unwrap();
        // Kept open: a node whose output nobody takes any more ends.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let scene = Self {
            scratch,
            node,
            url: url.trim().to_owned(),
        };
        let terms = scene.file("terms.json", &json!({ "purpose": "test" }));
        let draft = scene.member(&["contract", "put", CONTRACT, &terms]);
        let version = draft["version"].as_str().unwrap();
        scene.vote(&["contract", "propose", CONTRACT, "--version", version]);
        scene.vote(&["policy", "propose", CONTRACT, "--host-data", AGREED]);
        for (host_data, folder) in [(AGREED, "room"), (OTHER, "other")] {
            scene.simulate(&["--host-data", host_data], folder);
        }
        scene
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.scratch.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn file(&self, name: &str, content: &Value) -> String {
        let path = self.path(name);
        fs::write(&path, content.to_string()).unwrap();
        path
    }

    pub(crate) fn simulate(&self, what: &[&str], folder: &str) {
        let folder = self.path(folder);
        let arguments = [&["attest", "simulate"], what, &[&folder]].concat();
        let done = self.run(&arguments);
        assert_eq!(done.code, 0, "{}", done.err);
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        let output = Command::new(PROGRAM)
            .args(arguments)
            .arg("--json")
            .output()
            .unwrap();
        Done {
            code: output.status.code().unwrap(),
            out: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command at the service, as whoever `how` says.
    pub(crate) fn at(&self, arguments: &[&str], how: &[&str]) -> Done {
        let certificate = self.path("box/service_cert.pem");
        let service = ["--url", &self.url, "--service-cert", &certificate];
        self.run(&[arguments, &service, how].concat())
    }

    /// As the member; it must succeed.
    #[track_caller]
    pub(crate) fn member(&self, arguments: &[&str]) -> Value {
        let done = self.at(arguments, &["--identity", &self.path("box/member0")]);
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.err);
        done.out
    }

    /// Makes a proposal as the member, who then votes for it.
    #[track_caller]
    pub(crate) fn vote(&self, arguments: &[&str]) {
        let mut proposal = self.member(arguments);
        if proposal["proposalState"] == "Open" {
            let id = proposal["proposalId"].as_str().unwrap().to_owned();
            proposal = self.member(&["proposal", "vote", &id, "--accept"]);
        }
        assert_eq!(proposal["proposalState"], "Accepted", "{arguments:?}");
    }

    /// As the clean room whose evidence is in a folder.
    pub(crate) fn try_as(&self, folder: &str, arguments: &[&str]) -> Done {
        self.at(arguments, &["--evidence", &self.path(folder)])
    }

    #[track_caller]
    pub(crate) fn room(&self, arguments: &[&str]) -> Value {
        let done = self.try_as("room", arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.err);
        done.out
    }

    /// Stores a secret as the member: its full id.
    pub(crate) fn secret(&self, name: &str, more: &[&str]) -> String {
        let file = self.path("secret.txt");
        fs::write(&file, format!("the secret {name}")).unwrap();
        let stored = self.member(&[&["secret", "put", CONTRACT, name, &file], more].concat());
        stored["secretId"].as_str().unwrap().to_owned()
    }
}

/// A service that refused says its code, and the program ends with 3.
#[track_caller]
pub(crate) fn refused(done: &Done, code: &str) {
    assert_eq!(done.code, 3, "{}", done.err);
    let error = done.err.lines().last().unwrap();
    let error: Value = serde_json::from_str(error).unwrap();
    assert_eq!(error["error"]["code"], code, "{error}");
}
