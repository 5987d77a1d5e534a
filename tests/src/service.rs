//! A service to test: a node as its operator runs it, a process started from CCF's configuration in a folder of its own.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use governance::encryption::EncryptionKey;
use governance::member::Actions;
use governance::service::ProposalState;
use governance::{Client, Identity, Member};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What runs the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// `cleanroom node start`, which trusts the simulated platform too if that is asked for.
    Embedded {
        /// Trust the simulated platform in place of AMD and Microsoft.
        simulated: bool,
    },
    /// The embedded node with the probe for an application.
    EmbeddedProbe,
    /// A program linked with CCF, which takes the same configuration.
    Ccf {
        /// The program.
        program: PathBuf,
        /// Trust the simulated platform in place of AMD and Microsoft.
        simulated: bool,
    },
}

/// A running service, and its files until it is dropped. Nothing survives a test, however it ends.
pub struct Service {
    url: String,
    certificate: String,
    scratch: TempDir,
    process: Child,
    launched: Instant,
}

impl Host {
    /// The embedded node, which trusts the simulated platform.
    pub const EMBEDDED: Self = Self::Embedded { simulated: true };

    /// Whether it is a node of CCF.
    pub const fn is_ccf(&self) -> bool {
        matches!(self, Self::Ccf { .. })
    }

    fn command(&self) -> Command {
        match self {
            Self::Embedded { simulated } => {
                let mut command = Command::new(program());
                command.args(["node", "start", "--config", "node.json"]);
                if *simulated {
                    command.arg("--simulated-platform");
                }
                command
            }
            Self::EmbeddedProbe => {
                let mut command = Command::new(built("probe-node", "tests"));
                command.args(["--config", "node.json"]);
                command
            }
            Self::Ccf { program, simulated } => {
                let mut command = Command::new(program);
                command.args(["--config", "node.json"]);
                if *simulated {
                    command.args(["--", "--simulated-platform"]);
                }
                command
            }
        }
    }
}

/// The program under test: what `CLEANROOM_PROGRAM` names, else the one built beside this test.
///
/// # Panics
/// When there is none.
pub fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("CLEANROOM_PROGRAM") {
        return program.into();
    }
    built("cleanroom", "cli")
}

/// A program of a package, built beside this test.
fn built(name: &str, package: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.ancestors().nth(2).unwrap().join(name);
    assert!(
        built.is_file(),
        "{} is missing: cargo test --workspace, or cargo build -p {package}, makes it",
        built.display()
    );
    built
}

impl Service {
    /// A service with these members, not open yet.
    ///
    /// # Panics
    /// When the node does not start within a minute; its log is printed.
    pub fn start(host: &Host, founders: &[&Identity]) -> Self {
        Self::start_with(host, founders, |_| {})
    }

    /// As [`Service::start`], with the configuration changed.
    ///
    /// # Panics
    /// As [`Service::start`].
    pub fn start_with(
        host: &Host,
        founders: &[&Identity],
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut configuration = configuration();
        configuration["command"]["start"] = founding(scratch.path(), founders);
        change(&mut configuration);
        Self::launch(host, scratch, &configuration)
    }

    /// Another node of this service, which members have yet to trust; it answers once they do.
    ///
    /// # Panics
    /// As [`Service::start`].
    pub fn join(&self, host: &Host) -> Self {
        self.join_with(host, |_| {})
    }

    /// As [`Service::join`], with the configuration changed.
    ///
    /// # Panics
    /// As [`Service::start`].
    pub fn join_with(&self, host: &Host, change: impl FnOnce(&mut Value)) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("service_cert.pem"), &self.certificate).unwrap();
        let mut configuration = configuration();
        configuration["command"]["type"] = "Join".into();
        configuration["command"]["join"] = json!({
            "target_rpc_address": self.url.trim_start_matches("https://"),
            "retry_timeout": "200ms",
            // Its ledger then begins where the service began.
            "fetch_recent_snapshot": false,
        });
        change(&mut configuration);
        Self::begin(host, scratch, &configuration)
    }

    /// A service recovered from a copy of the ledger files in `ledger`, written by the service with the certificate
    /// `previous` (PEM). Its members have yet to open it.
    ///
    /// # Panics
    /// As [`Service::start`].
    pub fn recover(host: &Host, ledger: &Path, previous: &str) -> Self {
        Self::recover_with(host, ledger, previous, |_, _| {})
    }

    /// As [`Service::recover`], with the folder and the configuration changed.
    ///
    /// # Panics
    /// As [`Service::start`].
    pub fn recover_with(
        host: &Host,
        ledger: &Path,
        previous: &str,
        change: impl FnOnce(&Path, &mut Value),
    ) -> Self {
        let service = Self::begin_to_recover(host, ledger, previous, change);
        service.answers();
        service
    }

    /// As [`Service::recover_with`]; the node may still be reading the ledger.
    ///
    /// # Panics
    /// As [`Service::start`].
    pub fn begin_to_recover(
        host: &Host,
        ledger: &Path,
        previous: &str,
        change: impl FnOnce(&Path, &mut Value),
    ) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path();
        copy_files(ledger, &folder.join("ledger"));
        fs::write(folder.join("previous_cert.pem"), previous).unwrap();
        let mut configuration = recovering();
        change(folder, &mut configuration);
        Self::begin(host, scratch, &configuration)
    }

    /// What the node says when it refuses to recover a service from these files.
    ///
    /// # Panics
    /// When it does not refuse within a minute.
    pub fn refuses_to_recover(host: &Host, ledger: &Path, previous: &str) -> String {
        Self::refuses_to_recover_with(host, ledger, previous, |_, _| {})
    }

    /// As [`Service::refuses_to_recover`], with the folder and the configuration changed.
    ///
    /// # Panics
    /// As [`Service::refuses_to_recover`].
    pub fn refuses_to_recover_with(
        host: &Host,
        ledger: &Path,
        previous: &str,
        change: impl FnOnce(&Path, &mut Value),
    ) -> String {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path();
        copy_files(ledger, &folder.join("ledger"));
        let before = contents(&folder.join("ledger"));
        fs::write(folder.join("previous_cert.pem"), previous).unwrap();
        let mut configuration = recovering();
        change(folder, &mut configuration);
        fs::write(folder.join("node.json"), configuration.to_string()).unwrap();
        let output = host.command().current_dir(folder).output().unwrap();
        assert!(!output.status.success());
        assert_eq!(
            contents(&folder.join("ledger")),
            before,
            "files were changed"
        );
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn launch(host: &Host, scratch: TempDir, configuration: &Value) -> Self {
        let service = Self::begin(host, scratch, configuration);
        service.answers();
        service
    }

    /// Starts a node. It has its address and the certificate of its service, and may not serve yet.
    fn begin(host: &Host, scratch: TempDir, configuration: &Value) -> Self {
        let folder = scratch.path();
        fs::write(folder.join("node.json"), configuration.to_string()).unwrap();
        let log = fs::File::create(folder.join("node.log")).unwrap();
        let launched = Instant::now();
        let process = host
            .command()
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut service = Self {
            url: String::new(),
            certificate: String::new(),
            scratch,
            process,
            launched,
        };
        let addresses = service.appears("rpc_addresses");
        let addresses: Value = serde_json::from_str(&addresses).unwrap();
        let address = addresses["primary_rpc_interface"].as_str().unwrap();
        service.url = format!("https://{address}");
        service.certificate = service.appears("service_cert.pem");
        service
    }

    /// Waits until the node answers about its service. It writes its files before.
    ///
    /// # Panics
    /// When it does not within a minute; its log is printed.
    pub fn answers(&self) {
        let patience = Instant::now() + Duration::from_secs(60);
        while self.client().network().is_err() {
            assert!(
                Instant::now() < patience,
                "no answer; the node says:\n{}",
                self.log()
            );
            sleep(Duration::from_millis(20));
        }
    }

    /// The text of a file the node writes when it is ready.
    fn appears(&mut self, name: &str) -> String {
        let file = self.folder().join(name);
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            match fs::read_to_string(&file) {
                Ok(text) if !text.trim().is_empty() => return text,
                _ => {
                    let ended = self.process.try_wait().unwrap();
                    assert!(
                        ended.is_none() && Instant::now() < patience,
                        "no {name}; the node says:\n{}",
                        self.log()
                    );
                    sleep(Duration::from_millis(5));
                }
            }
        }
    }

    /// `https://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// PEM of the service certificate.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// When the node's process was started.
    pub const fn launched(&self) -> Instant {
        self.launched
    }

    /// The working directory of the node.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// The directory of the ledger.
    pub fn ledger(&self) -> PathBuf {
        self.folder().join("ledger")
    }

    /// Everything the node has logged.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder().join("node.log")).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The id of the node's process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// A client without credentials.
    ///
    /// # Panics
    /// When the service certificate is malformed.
    pub fn client(&self) -> Client {
        Client::new(&self.url, &self.certificate).unwrap()
    }

    /// A member of this service.
    ///
    /// # Panics
    /// When the identity is malformed.
    pub fn member(&self, identity: &Identity) -> Member {
        let mut copy = Identity::from_pem(
            &identity.certificate().to_pem(),
            &identity.private_key_pem().unwrap(),
        )
        .unwrap();
        if let Some(key) = identity.encryption_key() {
            let key = EncryptionKey::from_pem(&key.private_key_pem().unwrap()).unwrap();
            copy = copy.with_this_encryption_key(key);
        }
        Member::new(&self.url, &self.certificate, copy).unwrap()
    }

    /// The founders become active and vote to open the service.
    ///
    /// # Panics
    /// When they cannot.
    pub fn open(&self, founders: &[&Identity]) -> Vec<Member> {
        let members: Vec<Member> = founders.iter().map(|f| self.member(f)).collect();
        for member in &members {
            member.activate().unwrap();
        }
        self.accept(&members, &Actions::new().open_service(&self.certificate));
        self.wait_until_open();
        members
    }

    /// Waits for the application: a CCF node opens it once the decision to open the service is committed.
    ///
    /// # Panics
    /// When it is not open within a minute.
    pub fn wait_until_open(&self) {
        let patience = Instant::now() + Duration::from_secs(60);
        while !self.client().is_app_ready().unwrap() {
            assert!(Instant::now() < patience, "not open:\n{}", self.log());
            sleep(Duration::from_millis(20));
        }
    }

    /// The first member proposes and all vote until it is decided.
    ///
    /// # Panics
    /// When a call fails or the proposal is not accepted.
    pub fn accept(&self, members: &[Member], actions: &Actions) {
        let mut proposal = members[0].propose(actions).unwrap();
        for member in members {
            if proposal.proposal_state == ProposalState::Open {
                proposal = member.accept(&proposal.proposal_id).unwrap();
            }
        }
        assert_eq!(proposal.proposal_state, ProposalState::Accepted);
    }

    /// Ends the node as an operator does, and waits for it.
    ///
    /// # Panics
    /// When it does not end cleanly, within a minute.
    pub fn stop(&mut self) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(sent.success());
        let patience = Instant::now() + Duration::from_secs(60);
        let ended = loop {
            if let Some(ended) = self.process.try_wait().unwrap() {
                break ended;
            }
            assert!(Instant::now() < patience, "it goes on:\n{}", self.log());
            sleep(Duration::from_millis(5));
        };
        assert!(ended.success(), "{}", self.log());
    }

    /// Ends the node as a power cut does.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

fn recovering() -> Value {
    let mut configuration = configuration();
    configuration["command"]["type"] = "Recover".into();
    configuration["command"]["recover"] =
        json!({ "previous_service_identity_file": "previous_cert.pem" });
    configuration
}

/// Names and contents of the files of a folder.
///
/// # Panics
/// When one cannot be read.
pub fn contents(folder: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let items = fs::read_dir(folder).unwrap().map(Result::unwrap);
    items
        .map(|item| (item.file_name(), fs::read(item.path()).unwrap()))
        .collect()
}

/// A file whose reader waits, from opening it on, until [`Gate::open`]. Then it is empty.
pub struct Gate(PathBuf);

impl Gate {
    /// Puts one there.
    ///
    /// # Panics
    /// When it cannot be made (`mkfifo`).
    pub fn at(path: &Path) -> Self {
        let made = Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
        Self(path.to_owned())
    }

    /// Waits until somebody reads, and lets go on.
    ///
    /// # Panics
    /// When it is gone.
    pub fn open(self) {
        drop(fs::OpenOptions::new().write(true).open(&self.0).unwrap());
    }
}

/// Copies the files of a folder.
///
/// # Panics
/// When one cannot be copied.
pub fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        fs::copy(item.path(), to.join(item.file_name())).unwrap();
    }
}

/// Writes the constitution and the founders' files, and gives what names them.
fn founding(folder: &Path, founders: &[&Identity]) -> Value {
    fs::write(
        folder.join("constitution.js"),
        constitution::default_module(),
    )
    .unwrap();
    let members: Vec<Value> = founders
        .iter()
        .enumerate()
        .map(|(n, founder)| {
            let certificate = format!("founder{n}_cert.pem");
            fs::write(folder.join(&certificate), founder.certificate().to_pem()).unwrap();
            let mut member = json!({ "certificate_file": certificate });
            if let Some(key) = founder.encryption_key() {
                let file = format!("founder{n}_enc_pubk.pem");
                fs::write(folder.join(&file), key.public_key_pem().unwrap()).unwrap();
                member["encryption_public_key_file"] = file.into();
            }
            member
        })
        .collect();
    json!({
        "constitution_files": ["constitution.js"],
        "members": members,
        "service_configuration": { "recovery_threshold": 1 },
    })
}

/// What all configurations have in common.
fn configuration() -> Value {
    json!({
        "network": {
            "node_to_node_interface": { "bind_address": "127.0.0.1:0" },
            "rpc_interfaces": { "primary_rpc_interface": { "bind_address": "127.0.0.1:0" } },
        },
        "node_certificate": { "subject_alt_names": ["iPAddress:127.0.0.1"] },
        "command": {
            "type": "Start",
            "service_certificate_file": "service_cert.pem",
        },
        // Backups notice soon that their primary is gone.
        "consensus": { "message_timeout": "100ms", "election_timeout": "4000ms" },
        // What CCF has executed is committed once it is signed.
        "ledger_signatures": { "delay": "100ms" },
        "ledger": { "directory": "ledger" },
        "snapshots": { "directory": "snapshots" },
        "output_files": { "rpc_addresses_file": "rpc_addresses" },
    })
}
