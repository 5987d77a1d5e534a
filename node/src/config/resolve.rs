//! From a configuration to values: the only place here that reads files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ledger::Checkpoint;
use serde_json::Value;

use super::error::ConfigError;
use super::schema::{
    CommandType, Config, CurveId, LogFormat, Member, Recover, RecoveryRole, RpcInterface, Start,
};
use crate::identity::Subject;
use crate::server::Limits;
use crate::service::{self, GenesisMember, Interface, NewService, Recovery, Settings};

/// All that a node is started with.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What the node is.
    pub settings: Settings,
    /// What it does first.
    pub command: Command,
    /// The directory of snapshots.
    pub snapshots: PathBuf,
    /// What to report as the address for other nodes; nobody listens there.
    pub node_to_node_address: String,
    /// Files to write.
    pub output: OutputPaths,
    /// Threads for requests; `None`: as many as the machine has processors.
    pub worker_threads: Option<usize>,
    /// How the log is written.
    pub log_format: LogFormat,
}

/// What a node begins with.
#[derive(Clone, Debug)]
pub enum Command {
    /// A service from an earlier one's ledger.
    Recover(Recovery),
    /// A new service.
    Start(NewService),
}

/// Files to write. A file that is not wanted is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputPaths {
    /// The process identifier.
    pub pid: Option<PathBuf>,
    /// Addresses for clients.
    pub rpc_addresses: Option<PathBuf>,
    /// Address for other nodes.
    pub node_to_node_address: Option<PathBuf>,
    /// The node's certificate as it signed it itself.
    pub node_certificate: Option<PathBuf>,
    /// The service's certificate.
    pub service_certificate: Option<PathBuf>,
}

/// Longer than any connection lasts.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// `iss` and `sub` of ledger signatures when the configuration names none.
const COSE_CLAIMS: (&str, &str) = ("", "");

/// Reads the files that a configuration names. Relative paths count from the working directory.
///
/// # Errors
/// [`ConfigError::File`] and [`ConfigError::FileContent`], naming the key.
pub fn resolve(config: &Config) -> Result<Launch, ConfigError> {
    let certificate = &config.node_certificate;
    if certificate.curve_id != CurveId::Secp384R1 {
        tracing::warn!("node_certificate.curve_id: this node's key is of P-384");
    }
    let settings = Settings {
        service_data: json(
            "service_data_json_file",
            config.service_data_json_file.as_deref(),
        )?,
        node_subject: Subject {
            name: certificate.subject_name.clone(),
            alternative_names: certificate.subject_alt_names.clone(),
        },
        node_validity_days: certificate.initial_validity_days,
        node_data: json("node_data_json_file", config.node_data_json_file.as_deref())?,
        ledger_directory: config.ledger.directory.clone(),
        read_only_ledger_directories: config.ledger.read_only_directories.clone(),
        snapshot_directory: config.snapshots.directory.clone(),
        read_only_snapshot_directory: config.snapshots.read_only_directory.clone(),
        snapshot_tx_count: config.snapshots.tx_count,
        checkpoint_file: given(Some(&config.embedded_node.checkpoint_file)),
        sealing_directory: config.output_files.sealed_ledger_secret_location.clone(),
        development_sealing: config.embedded_node.development_sealing,
        ledger_chunk_size: config.ledger.chunk_size.bytes(),
        interfaces: config
            .network
            .rpc_interfaces
            .iter()
            .map(|(name, interface)| interface_settings(config, name, interface))
            .collect(),
    };
    let peer = &config.network.node_to_node_interface;
    Ok(Launch {
        settings,
        command: command(config)?,
        snapshots: config.snapshots.directory.clone(),
        node_to_node_address: peer
            .published_address
            .clone()
            .unwrap_or_else(|| peer.bind_address.clone()),
        output: output_paths(config),
        worker_threads: (config.worker_threads != 0).then_some(config.worker_threads),
        log_format: config.logging.format,
    })
}

fn command(config: &Config) -> Result<Command, ConfigError> {
    let missing = |key: &str| ConfigError::MissingKey {
        path: "command".into(),
        key: key.into(),
    };
    let command = &config.command;
    if command.kind == CommandType::Recover {
        let recover = command.recover.as_ref();
        let recover = recover.ok_or_else(|| missing("recover"))?;
        return recovery(config, recover).map(Command::Recover);
    }
    let start = command.start.as_ref().ok_or_else(|| missing("start"))?;
    Ok(Command::Start(NewService {
        constitution: constitution(start)?,
        members: members(start)?,
        configuration: service_configuration(start),
        subject: start.service_subject_name.clone(),
        validity_days: start.initial_service_certificate_validity_days,
        cose_claims: start.cose_signatures.as_ref().map_or_else(
            || (COSE_CLAIMS.0.to_owned(), COSE_CLAIMS.1.to_owned()),
            |claims| (claims.issuer.clone(), claims.subject.clone()),
        ),
    }))
}

fn recovery(config: &Config, recover: &Recover) -> Result<Recovery, ConfigError> {
    let path = "command.recover.previous_service_identity_file";
    let file = &recover.previous_service_identity_file;
    let own = &config.embedded_node;
    let mut checkpoints = Vec::new();
    // The node's own is there unless this is its first run on this machine.
    if let Some(file) = given(Some(&own.checkpoint_file)).filter(|file| file.exists()) {
        checkpoints.push(checkpoint("embedded_node.checkpoint_file", &file)?);
    }
    for (index, file) in own.recovery_checkpoint_files.iter().enumerate() {
        let path = format!("embedded_node.recovery_checkpoint_files[{index}]");
        checkpoints.push(checkpoint(&path, file)?);
    }
    Ok(Recovery {
        previous_identity: certificate(path, file)?,
        validity_days: recover.initial_service_certificate_validity_days,
        checkpoints,
        accept_rollback: own.accept_rollback.clone(),
        previous_sealing_directory: recover.previous_sealed_ledger_secret_location.clone(),
    })
}

/// A checkpoint whose signatures hold.
fn checkpoint(path: &str, file: &Path) -> Result<Checkpoint, ConfigError> {
    let text = text(path, file)?;
    let checkpoint = Checkpoint::from_json(text.as_bytes())
        .and_then(|checkpoint| checkpoint.verify(None).map(|()| checkpoint));
    checkpoint.map_err(|error| ConfigError::FileContent {
        path: path.to_owned(),
        file: file.to_owned(),
        want: "a checkpoint of a ledger",
        reason: error.to_string(),
    })
}

/// The text of a file that holds a certificate.
fn certificate(path: &str, file: &Path) -> Result<String, ConfigError> {
    let certificate = text(path, file)?;
    match crate::identity::certificate_der(&certificate) {
        Ok(_) => Ok(certificate),
        Err(error) => Err(ConfigError::FileContent {
            path: path.to_owned(),
            file: file.to_owned(),
            want: "a certificate in PEM",
            reason: error.to_string(),
        }),
    }
}

fn constitution(start: &Start) -> Result<String, ConfigError> {
    let mut parts = Vec::new();
    for (index, file) in start.constitution_files.iter().enumerate() {
        let path = format!("command.start.constitution_files[{index}]");
        parts.push(text(&path, file)?);
    }
    Ok(parts.join("\n"))
}

fn members(start: &Start) -> Result<Vec<GenesisMember>, ConfigError> {
    let members = start.members.iter().enumerate();
    members
        .map(|(index, m)| member(&format!("command.start.members[{index}]"), m))
        .collect()
}

fn member(path: &str, member: &Member) -> Result<GenesisMember, ConfigError> {
    let certificate = certificate(
        &format!("{path}.certificate_file"),
        &member.certificate_file,
    )?;
    let encryption_key = match given(member.encryption_public_key_file.as_deref()) {
        Some(file) => Some(text(&format!("{path}.encryption_public_key_file"), &file)?),
        None => None,
    };
    let data_path = format!("{path}.data_json_file");
    Ok(GenesisMember {
        certificate,
        encryption_key,
        data: json(&data_path, member.data_json_file.as_deref())?,
        recovery_role: member.recovery_role.map(|role| match role {
            RecoveryRole::NonParticipant => service::RecoveryRole::NonParticipant,
            RecoveryRole::Participant => service::RecoveryRole::Participant,
            RecoveryRole::Owner => service::RecoveryRole::Owner,
        }),
    })
}

fn service_configuration(start: &Start) -> service::ServiceConfiguration {
    let configuration = &start.service_configuration;
    service::ServiceConfiguration {
        recovery_threshold: configuration.recovery_threshold,
        maximum_node_certificate_validity_days: configuration
            .maximum_node_certificate_validity_days,
        maximum_service_certificate_validity_days: configuration
            .maximum_service_certificate_validity_days,
        recent_cose_proposals_window_size: configuration.recent_cose_proposals_window_size,
    }
}

fn interface_settings(config: &Config, name: &str, interface: &RpcInterface) -> Interface {
    let http = &interface.http_configuration;
    let own = &config.embedded_node;
    Interface {
        name: name.to_owned(),
        bind_address: interface.bind_address.clone(),
        published_address: interface.published_address.clone(),
        accepted_endpoints: interface.accepted_endpoints.clone(),
        limits: Limits {
            body: http.max_body_size.in_memory(),
            header: http.max_header_size.in_memory(),
            // At least one header of the size that is allowed must fit.
            head: own
                .max_head_size
                .in_memory()
                .max(2 * http.max_header_size.in_memory()),
            headers: http.max_headers_count,
            handshake: own.handshake_timeout.as_duration(),
            handshakes: own.max_handshakes,
            request: own.body_timeout.as_duration(),
            idle: config
                .idle_connection_timeout
                .map_or(NEVER, super::Period::as_duration),
            sessions_soft: interface.max_open_sessions_soft,
            sessions_hard: interface.max_open_sessions_hard,
            streams: http.max_concurrent_streams_count,
            drain: own.shutdown_timeout.as_duration(),
        },
    }
}

fn output_paths(config: &Config) -> OutputPaths {
    let output = &config.output_files;
    OutputPaths {
        pid: given(Some(&output.pid_file)),
        rpc_addresses: given(output.rpc_addresses_file.as_deref()),
        node_to_node_address: given(output.node_to_node_address_file.as_deref()),
        node_certificate: given(Some(&output.node_certificate_file)),
        service_certificate: given(Some(&config.command.service_certificate_file)),
    }
}

/// An empty path names no file.
fn given(path: Option<&Path>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
        .map(Path::to_owned)
}

fn text(path: &str, file: &Path) -> Result<String, ConfigError> {
    let bytes = fs::read(file).map_err(|source| ConfigError::File {
        path: path.to_owned(),
        file: file.to_owned(),
        source,
    })?;
    String::from_utf8(bytes).map_err(|error| ConfigError::FileContent {
        path: path.to_owned(),
        file: file.to_owned(),
        want: "UTF-8",
        reason: error.to_string(),
    })
}

fn json(path: &str, file: Option<&Path>) -> Result<Option<Value>, ConfigError> {
    let Some(file) = given(file) else {
        return Ok(None);
    };
    let text = text(path, &file)?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| ConfigError::FileContent {
            path: path.to_owned(),
            file,
            want: "JSON",
            reason: error.to_string(),
        })
}
