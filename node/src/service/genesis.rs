//! The first transaction of a service (ledger format, section 16.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{HostError, TxId, WriteHost};
use ledger::{Digest, SINGLE_KEY, canonical};
use serde_json::{Map, Value as JsonValue, json};

use super::settings::{GenesisMember, Settings};
use crate::identity::{CertificateError, certificate_der};

/// What the machine says of a node that no hardware vouches for, as CCF's virtual platform.
const VIRTUAL_MEASUREMENT: &str = "Insecure hard-coded virtual measurement v1";

/// Keys and certificates that the first transaction records.
pub struct GenesisInputs<'a> {
    /// Settings of the service.
    pub settings: &'a Settings,
    /// The service's certificate, PEM.
    pub service_certificate: &'a str,
    /// The node's id.
    pub node_id: &'a str,
    /// The node's public key, PEM.
    pub node_public_key: &'a str,
    /// The node's request for endorsement, PEM.
    pub node_request: &'a str,
    /// The node's endorsed certificate, PEM.
    pub node_certificate: &'a str,
    /// The node's public encryption key, PEM.
    pub node_encryption_key: &'a str,
    /// Bound and published address of each interface, by the order of the settings.
    pub addresses: &'a [(String, String)],
    /// Digest of the program, which stands in for hostData where no hardware gives one.
    pub program: Digest,
}

/// The first transaction could not be made.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// A member's certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The store.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A value that has no JSON form: our bug.
    #[error("encoding: {0}")]
    Encoding(#[from] serde_json::Error),
}

/// Writes the first transaction's tables.
///
/// # Errors
/// [`GenesisError`].
pub fn genesis(inputs: &GenesisInputs<'_>, tx: &mut dyn WriteHost) -> Result<(), GenesisError> {
    let settings = inputs.settings;
    let constitution = canonical(&settings.constitution)?;
    tx.put("public:ccf.gov.constitution", &SINGLE_KEY, &constitution)?;
    for member in &settings.members {
        put_member(member, tx)?;
    }
    put_service(inputs, tx)?;
    put_node(inputs, tx)
}

fn put_member(member: &GenesisMember, tx: &mut dyn WriteHost) -> Result<(), GenesisError> {
    let id = Digest::of(&certificate_der(&member.certificate)?).to_hex();
    let mut info = Map::from_iter([("status".to_owned(), json!("Accepted"))]);
    if let Some(data) = &member.data {
        info.insert("member_data".to_owned(), data.clone());
    }
    if let Some(role) = member.recovery_role {
        info.insert("recovery_role".to_owned(), json!(role.as_str()));
    }
    tx.put(
        "public:ccf.gov.members.certs",
        id.as_bytes(),
        member.certificate.as_bytes(),
    )?;
    tx.put(
        "public:ccf.gov.members.info",
        id.as_bytes(),
        &canonical(&info)?,
    )?;
    tx.put(
        "public:ccf.gov.members.acks",
        id.as_bytes(),
        &canonical(&json!({ "state_digest": "" }))?,
    )?;
    if let Some(key) = &member.encryption_key {
        tx.put(
            "public:ccf.gov.members.encryption_public_keys",
            id.as_bytes(),
            key.as_bytes(),
        )?;
    }
    Ok(())
}

fn put_service(inputs: &GenesisInputs<'_>, tx: &mut dyn WriteHost) -> Result<(), GenesisError> {
    let settings = inputs.settings;
    let mut info = json!({
        "cert": inputs.service_certificate,
        "current_service_create_txid": TxId::new(2, 1),
        "recovery_count": 0,
        "status": "Opening",
    });
    if let Some(data) = &settings.service_data {
        info["service_data"] = data.clone();
    }
    let configuration = &settings.configuration;
    let mut config = Map::from_iter([(
        "recovery_threshold".to_owned(),
        json!(settings.recovery_threshold()),
    )]);
    for (name, value) in [
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
            config.insert(name.to_owned(), json!(value));
        }
    }
    tx.put(
        "public:ccf.gov.service.info",
        &SINGLE_KEY,
        &canonical(&info)?,
    )?;
    tx.put(
        "public:ccf.gov.service.config",
        &SINGLE_KEY,
        &canonical(&config)?,
    )?;
    Ok(())
}

fn put_node(inputs: &GenesisInputs<'_>, tx: &mut dyn WriteHost) -> Result<(), GenesisError> {
    let id = inputs.node_id.as_bytes();
    tx.put(
        "public:ccf.gov.nodes.endorsed_certificates",
        id,
        inputs.node_certificate.as_bytes(),
    )?;
    tx.put(
        "public:ccf.gov.nodes.info",
        id,
        &canonical(&node_info(inputs)?)?,
    )?;
    // The first node's own identity is what may join.
    tx.put(
        "public:ccf.gov.nodes.virtual.host_data",
        inputs.program.as_ref(),
        &SINGLE_KEY,
    )?;
    let allowed = canonical("AllowedToJoin")?;
    tx.put(
        "public:ccf.gov.nodes.virtual.measurements",
        VIRTUAL_MEASUREMENT.as_bytes(),
        &allowed,
    )?;
    Ok(())
}

fn node_info(inputs: &GenesisInputs<'_>) -> Result<JsonValue, GenesisError> {
    let mut interfaces = Map::new();
    for (interface, (bound, published)) in inputs.settings.interfaces.iter().zip(inputs.addresses) {
        let row = json!({ "bind_address": bound, "published_address": published });
        interfaces.insert(interface.name.clone(), row);
    }
    let unspecified = (String::from(":"), String::from(":"));
    let (bound, published) = inputs.addresses.first().unwrap_or(&unspecified);
    let (host, port) = bound.rsplit_once(':').unwrap_or((bound, ""));
    let (public_host, public_port) = published.rsplit_once(':').unwrap_or((published, ""));
    let report_data = hex::decode(inputs.node_id).unwrap_or_default();
    let quote = canonical(&json!({
        "host_data": inputs.program,
        "measurement": VIRTUAL_MEASUREMENT,
        "report_data": STANDARD.encode(report_data),
    }))?;
    let mut info = json!({
        "certificate_signing_request": inputs.node_request,
        "code_digest": hex::encode(VIRTUAL_MEASUREMENT),
        "encryption_pub_key": inputs.node_encryption_key,
        // One node: nobody to talk to.
        "node_to_node_interface": { "bind_address": bound, "published_address": published },
        "nodehost": host,
        "nodeport": port,
        "pubhost": public_host,
        "public_key": inputs.node_public_key,
        "pubport": public_port,
        "quote_info": { "endorsements": "", "format": "Insecure_Virtual", "quote": STANDARD.encode(quote) },
        "rpc_interfaces": interfaces,
        "rpchost": host,
        "rpcport": port,
        "status": "Trusted",
    });
    if let Some(data) = &inputs.settings.node_data {
        info["node_data"] = data.clone();
    }
    Ok(info)
}
