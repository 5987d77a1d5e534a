//! From text or file to a [`Config`].

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use serde_json::Value;

use super::decode::decode;
use super::error::ConfigError;
use super::schema::{Authority, CommandType, Config, Recover, RpcInterface, Start, Transport};
use super::units::Size;

/// How often a file that is waited for is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Config {
    /// Reads and checks a configuration. Reads no file.
    ///
    /// # Errors
    /// [`ConfigError`], the first found.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let mut value: Value = serde_json::from_str(text).map_err(|error| ConfigError::Syntax {
            line: error.line(),
            column: error.column(),
            reason: reason(&error),
        })?;
        drop_other_commands(&mut value);
        let config: Self = decode(&value)?;
        config.check()?;
        Ok(config)
    }

    /// Reads a configuration file, waiting up to `timeout` for it to appear. Blocks.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path, timeout: Duration) -> Result<Self, ConfigError> {
        let start = Instant::now();
        loop {
            match fs::read_to_string(path) {
                Ok(text) => return Self::from_json(&text),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    if start.elapsed() >= timeout {
                        return Err(ConfigError::Absent {
                            file: path.to_owned(),
                            waited: timeout,
                        });
                    }
                    thread::sleep(LOOK_EVERY.min(timeout));
                }
                Err(source) => {
                    return Err(ConfigError::File {
                        path: String::new(),
                        file: path.to_owned(),
                        source,
                    });
                }
            }
        }
    }

    /// What types do not say.
    fn check(&self) -> Result<(), ConfigError> {
        match self.command.kind {
            CommandType::Start => check_start(given(self.command.start.as_ref(), "start")?)?,
            CommandType::Recover => {
                check_recover(given(self.command.recover.as_ref(), "recover")?)?;
            }
            CommandType::Join => {
                return Err(ConfigError::CommandNotSupported {
                    got: "Join",
                    reason: "this node runs a service alone; to add nodes, run the application on CCF",
                });
            }
        }
        at_least_1(
            "node_certificate.initial_validity_days",
            self.node_certificate.initial_validity_days,
        )?;
        at_least_1("snapshots.tx_count", self.snapshots.tx_count)?;
        at_least_1(
            "ledger_signatures.tx_count",
            self.ledger_signatures.tx_count,
        )?;
        at_least_1(
            "embedded_node.max_handshakes",
            self.embedded_node.max_handshakes,
        )?;
        let head = self.embedded_node.max_head_size;
        if !(8 << 10..=16 << 20).contains(&head.bytes()) {
            let path = "embedded_node.max_head_size";
            return Err(ConfigError::invalid(path, head, "8KB to 16MB"));
        }
        address(
            "network.node_to_node_interface.bind_address",
            &self.network.node_to_node_interface.bind_address,
        )?;
        for (name, interface) in &self.network.rpc_interfaces {
            check_interface(&format!("network.rpc_interfaces.{name}"), interface)?;
        }
        Ok(())
    }
}

/// Removes the objects of commands that are not run: CCF does not look at them, and tools
/// render them with empty paths.
fn drop_other_commands(value: &mut Value) {
    let Some(command) = value.get_mut("command").and_then(Value::as_object_mut) else {
        return;
    };
    let kept = match command.get("type").and_then(Value::as_str) {
        Some("Start") => "start",
        Some("Recover") => "recover",
        _ => "",
    };
    command.retain(|key, _| key == kept || !matches!(key.as_str(), "start" | "join" | "recover"));
}

/// The object of the command that is run.
fn given<'c, T>(object: Option<&'c T>, key: &str) -> Result<&'c T, ConfigError> {
    object.ok_or_else(|| ConfigError::MissingKey {
        path: "command".into(),
        key: key.into(),
    })
}

fn check_recover(recover: &Recover) -> Result<(), ConfigError> {
    at_least_1(
        "command.recover.initial_service_certificate_validity_days",
        recover.initial_service_certificate_validity_days,
    )
}

fn check_start(start: &Start) -> Result<(), ConfigError> {
    if start.constitution_files.is_empty() {
        let path = "command.start.constitution_files";
        return Err(ConfigError::invalid(path, "[]", "at least one file"));
    }
    if start.members.is_empty() {
        let path = "command.start.members";
        return Err(ConfigError::invalid(path, "[]", "at least one member"));
    }
    at_least_1(
        "command.start.initial_service_certificate_validity_days",
        start.initial_service_certificate_validity_days,
    )?;
    let configuration = &start.service_configuration;
    for (key, value) in [
        (
            "maximum_node_certificate_validity_days",
            configuration.maximum_node_certificate_validity_days,
        ),
        (
            "maximum_service_certificate_validity_days",
            configuration.maximum_service_certificate_validity_days,
        ),
        (
            "recent_cose_proposals_window_size",
            configuration.recent_cose_proposals_window_size,
        ),
    ] {
        if let Some(value) = value {
            at_least_1(&format!("command.start.service_configuration.{key}"), value)?;
        }
    }
    Ok(())
}

fn check_interface(path: &str, interface: &RpcInterface) -> Result<(), ConfigError> {
    address(&format!("{path}.bind_address"), &interface.bind_address)?;
    if let Some(published) = &interface.published_address {
        address(&format!("{path}.published_address"), published)?;
    }
    if interface.protocol == Transport::Udp {
        return Err(ConfigError::invalid(
            format!("{path}.protocol"),
            "udp",
            "tcp",
        ));
    }
    if interface.endorsement.authority != Authority::Service {
        return Err(ConfigError::invalid(
            format!("{path}.endorsement.authority"),
            format!("{:?}", interface.endorsement.authority),
            "Service: interfaces of this node always show the certificate that the service endorsed",
        ));
    }
    let (soft, hard) = (
        interface.max_open_sessions_soft,
        interface.max_open_sessions_hard,
    );
    if hard < soft {
        return Err(ConfigError::invalid(
            format!("{path}.max_open_sessions_hard"),
            hard,
            format!("at least max_open_sessions_soft, which is {soft}"),
        ));
    }
    let http = &interface.http_configuration;
    let path = format!("{path}.http_configuration");
    at_least_1(
        &format!("{path}.max_concurrent_streams_count"),
        http.max_concurrent_streams_count,
    )?;
    at_least_1(&format!("{path}.max_headers_count"), http.max_headers_count)?;
    let bounded = |key: &str, value: Size, least: Size, most: u64| {
        if value < least || value.bytes() > most {
            let want = format!("{least} to {}", Size::from_bytes(most));
            return Err(ConfigError::invalid(format!("{path}.{key}"), value, want));
        }
        Ok(())
    };
    bounded(
        "max_body_size",
        http.max_body_size,
        Size::from_bytes(0),
        1 << 32,
    )?;
    bounded(
        "max_header_size",
        http.max_header_size,
        Size::from_bytes(1),
        16 << 20,
    )?;
    bounded(
        "max_frame_size",
        http.max_frame_size,
        Size::from_kib(16),
        16 << 20,
    )?;
    bounded(
        "initial_window_size",
        http.initial_window_size,
        Size::from_bytes(1),
        (1 << 31) - 1,
    )?;
    Ok(())
}

fn at_least_1<N: Copy + Default + PartialEq>(path: &str, value: N) -> Result<(), ConfigError> {
    if value == N::default() {
        return Err(ConfigError::invalid(path, 0, "at least 1"));
    }
    Ok(())
}

/// `host:port`, an IPv6 host in brackets.
fn address(path: &str, text: &str) -> Result<(), ConfigError> {
    let parts = text.rsplit_once(':');
    let valid = parts.is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        !host.is_empty() && (bracketed || !host.contains(':')) && port.parse::<u16>().is_ok()
    });
    if valid {
        return Ok(());
    }
    let want = "host:port, an IPv6 host in brackets";
    Err(ConfigError::invalid(path, format!("{text:?}"), want))
}

/// What the parser says, without the position that is told apart.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}
