//! Settings and the first transaction.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ccf_rs::ReadHost;
use ledger::{Digest, RsaPrivateKey};
use serde_json::{Value as JsonValue, json};
use time::OffsetDateTime;

use super::*;
use crate::identity::{IdentityKey, Subject, Validity, self_signed_node};
use crate::pipeline::{History, Ledger, Views};
use crate::store::{Access, State, Transaction};

fn member(encryption: bool, recovery_role: Option<RecoveryRole>) -> GenesisMember {
    let key = IdentityKey::generate().unwrap();
    let subject = Subject {
        name: "CN=member".into(),
        alternative_names: vec![],
    };
    let validity = Validity {
        from: OffsetDateTime::from_unix_timestamp(1_780_000_000).unwrap(),
        days: 365,
    };
    let encryption_key =
        encryption.then(|| RsaPrivateKey::generate().unwrap().public_key_pem().unwrap());
    GenesisMember {
        certificate: self_signed_node(&key, &subject, validity).unwrap(),
        encryption_key,
        data: Some(json!({ "identifier": "member" })),
        recovery_role,
    }
}

fn service(members: Vec<GenesisMember>) -> NewService {
    NewService {
        constitution: "export function validate(text) { return { valid: true }; }".into(),
        members,
        configuration: ServiceConfiguration::default(),
        subject: "CN=CCF Service".into(),
        validity_days: 1,
        cose_claims: (String::new(), String::new()),
    }
}

fn settings() -> Settings {
    Settings {
        service_data: Some(json!({ "purpose": "test" })),
        // The ledger is on a disk in memory; this file would not be.
        checkpoint_file: None,
        ..Settings::local(PathBuf::from("ledger"))
    }
}

#[test]
fn the_threshold_is_derived_from_the_members() {
    let with = member(true, None);
    let without = member(false, None);
    let owner = member(true, Some(RecoveryRole::Owner));
    assert_eq!(
        service(vec![with.clone(), with.clone(), without.clone()]).recovery_threshold(),
        2
    );
    assert_eq!(
        service(vec![owner.clone(), without.clone()]).recovery_threshold(),
        1
    );
    let mut two_of_one = service(vec![with, owner, without]);
    two_of_one.configuration.recovery_threshold = 2;
    assert_eq!(
        two_of_one.check(),
        Err(SettingsError::Threshold { got: 2, want: 1 })
    );
}

#[test]
fn unusable_settings_are_refused_before_anything_is_written() {
    assert_eq!(service(vec![]).check(), Err(SettingsError::NoMembers));
    let mut nowhere = settings();
    nowhere.interfaces.clear();
    assert_eq!(nowhere.check(), Err(SettingsError::NoInterfaces));
    let mut bad = member(false, None);
    bad.certificate = "no certificate".into();
    assert!(matches!(
        service(vec![bad]).check(),
        Err(SettingsError::MemberCertificate { index: 0, .. })
    ));
    let mut bad = member(false, None);
    bad.encryption_key = Some("no key".into());
    assert!(matches!(
        service(vec![bad]).check(),
        Err(SettingsError::MemberEncryptionKey { .. })
    ));
    let role = member(false, Some(RecoveryRole::Owner));
    assert_eq!(
        service(vec![role]).check(),
        Err(SettingsError::RoleWithoutKey {
            index: 0,
            role: "Owner"
        })
    );
    assert_eq!(service(vec![member(true, None)]).check(), Ok(()));
}

#[test]
fn the_first_transaction_writes_the_tables_of_a_new_service() {
    let settings = settings();
    let service = service(vec![
        member(true, Some(RecoveryRole::Participant)),
        member(false, None),
    ]);
    let node = IdentityKey::generate().unwrap();
    let (id, public) = (node.id(), node.public_key_pem());
    let inputs = GenesisInputs {
        service: &service,
        service_data: settings.service_data.as_ref(),
        service_certificate: "SERVICE",
        node: &NodeInputs {
            settings: &settings,
            id: &id,
            public_key: &public,
            request: "REQUEST",
            certificate: "NODE",
            encryption_key: "ENCRYPTION",
            addresses: &[("127.0.0.1:8000".into(), "example.org:443".into())],
            program: Digest([1; 32]),
        },
    };
    let chain = Arc::new(Ledger::new(
        Arc::new(History::default()),
        std::sync::Weak::new(),
        Views::of_new_service(),
    ));
    let base = Arc::new(State::default());
    let mut tx = Transaction::new(base, None, chain, Access::Framework, Duration::ZERO);
    genesis(&inputs, &mut tx).unwrap();

    let mut row = |table: &str, key: &[u8]| -> JsonValue {
        let bytes = tx
            .get(&format!("public:ccf.gov.{table}"), key)
            .unwrap()
            .unwrap();
        assert!(ledger::is_canonical(&bytes), "{table}");
        serde_json::from_slice(&bytes).unwrap()
    };
    let single = [0; 8];
    assert_eq!(row("constitution", &single), json!(service.constitution));
    assert_eq!(
        row("service.config", &single),
        json!({ "recovery_threshold": 1 })
    );
    assert_eq!(
        row("service.info", &single),
        json!({ "cert": "SERVICE", "current_service_create_txid": "2.1", "recovery_count": 0, "status": "Opening",
                "service_data": { "purpose": "test" } })
    );
    let node = row("nodes.info", id.as_bytes());
    assert_eq!(node["status"], "Trusted");
    assert_eq!(
        node["rpc_interfaces"]["primary_rpc_interface"]["published_address"],
        "example.org:443"
    );
    assert_eq!(
        (&node["rpcport"], &node["pubhost"]),
        (&json!("8000"), &json!("example.org"))
    );
    assert_eq!(
        row(
            "nodes.virtual.measurements",
            b"Insecure hard-coded virtual measurement v1"
        ),
        json!("AllowedToJoin")
    );
    for (table, rows) in [
        ("members.certs", 2),
        ("members.info", 2),
        ("members.acks", 2),
        ("members.encryption_public_keys", 1),
        ("nodes.virtual.host_data", 1),
    ] {
        assert_eq!(
            tx.len(&format!("public:ccf.gov.{table}")).unwrap(),
            rows,
            "{table}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_serves_and_leaves_a_ledger_that_verifies() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings();
    let new = service(vec![member(true, None)]);
    settings.ledger_directory = directory.path().join("ledger");
    settings.snapshot_directory = directory.path().join("snapshots");
    let application = ccf_rs::Application {
        title: "test",
        version: "1",
        endpoints: vec![],
        indexed: vec![],
    };
    let node = Node::start(settings.clone(), new.clone(), application)
        .await
        .unwrap();
    let address = node.address("primary_rpc_interface").unwrap();
    let service = node.service_certificate().to_owned();

    let ask = |path: &'static str| {
        let service = service.clone();
        async move {
            tokio::task::spawn_blocking(move || get(address, &service, path))
                .await
                .unwrap()
        }
    };
    let (status, body) = ask("/node/network").await;
    assert_eq!(
        (
            status,
            &body["service_status"],
            &body["service_certificate"]
        ),
        (200, &json!("Opening"), &json!(service))
    );
    let (status, body) = ask("/node/commit").await;
    assert_eq!((status, &body["transaction_id"]), (200, &json!("2.2")));
    let (status, body) = ask("/gov/service/info?api-version=2024-07-01").await;
    assert_eq!((status, &body["status"]), (200, &json!("Opening")));
    let (status, body) = ask("/node/receipt?transaction_id=2.1").await;
    assert_eq!(
        (
            status,
            body["leaf_components"]["commit_evidence"]
                .as_str()
                .map(|s| &s[..7])
        ),
        (200, Some("ce:2.1:"))
    );
    let (status, body) = ask("/app/commit").await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (404, &json!("FrontendNotOpen"))
    );

    node.stop().await;
    let again = Node::start(
        settings.clone(),
        new,
        ccf_rs::Application {
            title: "test",
            version: "1",
            endpoints: vec![],
            indexed: vec![],
        },
    );
    assert!(
        matches!(again.await, Err(StartError::Files(_))),
        "a new service does not overwrite a ledger"
    );
    let mut verifier =
        ledger::LedgerVerifier::new(Some(ledger::PublicKey::of_certificate(&service).unwrap()));
    let bytes = std::fs::read(settings.ledger_directory.join("ledger_1")).unwrap();
    verifier
        .chunk(&ledger::ChunkName::open(ledger::Seqno(1)), &bytes)
        .unwrap();
    assert_eq!(
        verifier.finish().unwrap().verified_until,
        Some(ledger::TxId::new(2, 2))
    );
}

/// One GET by a client that trusts the service certificate alone.
fn get(address: std::net::SocketAddr, service: &str, path: &str) -> (u16, JsonValue) {
    use std::io::{Read, Write};

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};

    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(service.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let tcp = std::net::TcpStream::connect(address).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, tcp);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap()
        .parse()
        .unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}
