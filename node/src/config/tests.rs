//! CCF's configuration file: what is read, and what is refused with which words.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;

/// The smallest configuration (CCF interface, section 8.2).
fn minimal() -> Value {
    json!({
        "network": {
            "node_to_node_interface": { "bind_address": "127.0.0.1:0" },
            "rpc_interfaces": { "primary_rpc_interface": { "bind_address": "127.0.0.1:0" } },
        },
        "command": {
            "type": "Start",
            "start": {
                "constitution_files": ["constitution.js"],
                "members": [{ "certificate_file": "m.pem", "encryption_public_key_file": "e.pem" }],
            },
        },
    })
}

/// The same with one value set, by JSON pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut config = minimal();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    config.pointer_mut(parent).unwrap()[key] = value;
    config
}

fn error(config: &Value) -> ConfigError {
    Config::from_json(&config.to_string()).unwrap_err()
}

#[test]
fn the_smallest_configuration_has_ccfs_defaults() {
    let config = Config::from_json(&minimal().to_string()).unwrap();
    assert_eq!(config.ledger.directory.to_str(), Some("ledger"));
    assert_eq!(config.output_files.pid_file.to_str(), Some("my_node.pid"));
    let interface = &config.network.rpc_interfaces["primary_rpc_interface"];
    assert_eq!(interface.max_open_sessions_hard, 1010);
    assert_eq!(
        interface.http_configuration.max_body_size,
        Size::from_kib(1024)
    );
    assert_eq!(config.idle_connection_timeout, Some(Period::from_secs(60)));
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(Config::from_json(&text).unwrap(), config);
}

#[test]
fn what_is_wrong_is_named_with_place_and_value() {
    let cases = [
        ("/netwrk", json!({}), "ConfigUnknownKey", "netwrk"),
        (
            "/command/type",
            json!("Join"),
            "ConfigCommandNotSupported",
            "CCF",
        ),
        (
            "/command/type",
            json!("Recover"),
            "ConfigMissingKey",
            "recover",
        ),
        (
            "/command/type",
            json!("Begin"),
            "ConfigInvalidValue",
            "one of Start, Join, Recover",
        ),
        (
            "/command/start/members",
            json!([]),
            "ConfigInvalidValue",
            "at least one member",
        ),
        (
            "/command/start/constitution_files",
            json!([]),
            "ConfigInvalidValue",
            "at least one file",
        ),
        (
            "/command/start/extra",
            json!(1),
            "ConfigUnknownKey",
            "command.start",
        ),
        (
            "/idle_connection_timeout",
            json!("soon"),
            "ConfigInvalidValue",
            "\"soon\"",
        ),
        (
            "/ledger",
            json!({ "chunk_size": "5XB" }),
            "ConfigInvalidValue",
            "ledger.chunk_size",
        ),
        (
            "/ledger",
            json!({ "directory": 7 }),
            "ConfigInvalidValue",
            "ledger.directory",
        ),
        (
            "/node_certificate",
            json!({ "initial_validity_days": 0 }),
            "ConfigInvalidValue",
            "at least 1",
        ),
        (
            "/network/rpc_interfaces/primary_rpc_interface/bind_address",
            json!("nowhere"),
            "ConfigInvalidValue",
            "host:port",
        ),
        (
            "/network/rpc_interfaces/primary_rpc_interface/protocol",
            json!("udp"),
            "ConfigInvalidValue",
            "want tcp",
        ),
        (
            "/network/rpc_interfaces/primary_rpc_interface/max_open_sessions_hard",
            json!(1),
            "ConfigInvalidValue",
            "max_open_sessions_soft",
        ),
        (
            "/network/rpc_interfaces/primary_rpc_interface/endorsement",
            json!({ "authority": "Unsecured" }),
            "ConfigInvalidValue",
            "Unsecured",
        ),
    ];
    for (pointer, value, code, text) in cases {
        let error = error(&with(pointer, value.clone()));
        assert_eq!(error.code(), code, "{pointer} = {value}: {error}");
        assert!(
            error.to_string().contains(text),
            "{pointer} = {value}: {error}"
        );
    }
    let missing = json!({ "network": minimal()["network"] });
    assert!(matches!(error(&missing), ConfigError::MissingKey { key, .. } if key == "command"));
    assert!(matches!(
        Config::from_json("{\n  \"a\":").unwrap_err(),
        ConfigError::Syntax { line: 2, .. }
    ));
}

#[test]
fn the_object_of_another_command_is_not_looked_at() {
    let config = with("/command/join", json!({ "whatever": "" }));
    assert!(Config::from_json(&config.to_string()).is_ok());
}

#[test]
fn files_that_are_named_are_read_and_errors_name_the_key() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str| scratch.path().join(name);
    let mut config = minimal();
    config["command"]["start"]["constitution_files"] = json!([file("a.js"), file("b.js")]);
    config["command"]["start"]["members"] = json!([{ "certificate_file": file("m.pem") }]);
    let read = |config: &Value| resolve(&Config::from_json(&config.to_string()).unwrap());
    let error = read(&config).unwrap_err();
    assert_eq!(error.code(), "ConfigFileUnreadable");
    assert!(
        error
            .to_string()
            .contains("command.start.constitution_files[0]"),
        "{error}"
    );

    fs::write(file("a.js"), "one").unwrap();
    fs::write(file("b.js"), "two").unwrap();
    fs::write(file("m.pem"), "no certificate").unwrap();
    let error = read(&config).unwrap_err();
    assert_eq!(error.code(), "ConfigFileInvalid");
    assert!(
        error.to_string().contains("members[0].certificate_file"),
        "{error}"
    );

    let key = crate::identity::IdentityKey::generate().unwrap();
    let subject = crate::identity::Subject {
        name: "CN=m".into(),
        alternative_names: vec![],
    };
    let validity = crate::identity::Validity {
        from: time::OffsetDateTime::UNIX_EPOCH,
        days: 1,
    };
    let certificate = crate::identity::self_signed_node(&key, &subject, validity).unwrap();
    fs::write(file("m.pem"), certificate).unwrap();
    let launch = read(&config).unwrap();
    let Command::Start(service) = launch.command else {
        panic!("the command is Start")
    };
    assert_eq!(service.constitution, "one\ntwo");
    assert_eq!(service.members.len(), 1);
    assert_eq!(launch.output.rpc_addresses, None);
}

#[test]
fn a_configuration_that_does_not_appear_is_said_so() {
    let error = Config::load(std::path::Path::new("no/such/file"), Duration::ZERO).unwrap_err();
    assert_eq!(error.code(), "ConfigAbsent");
}

#[test]
fn periods_and_sizes_are_read_as_ccf_writes_them() {
    for (text, micros) in [
        ("7", 7),
        ("5us", 5),
        ("3MS", 3_000),
        ("2s", 2_000_000),
        ("1 min", 60_000_000),
    ] {
        assert_eq!(
            Period::parse(text).unwrap().as_duration(),
            Duration::from_micros(micros),
            "{text}"
        );
    }
    for (text, bytes) in [("9", 9), ("1KB", 1024), ("2mb", 2 << 20), ("1 GB", 1 << 30)] {
        assert_eq!(Size::parse(text).unwrap().bytes(), bytes, "{text}");
    }
    for bad in ["", "s", "-1s", "1d", "18446744073709551615h"] {
        assert!(Period::parse(bad).is_none(), "{bad:?}");
    }
    for bad in ["", "KB", "1.5MB", "99999999999PB"] {
        assert!(Size::parse(bad).is_none(), "{bad:?}");
    }
}
