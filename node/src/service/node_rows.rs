//! What a node that begins or recovers a service records of itself (ledger format, section 16.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::WriteHost;
use ledger::{Digest, SINGLE_KEY, canonical};
use serde_json::{Map, Value as JsonValue, json};

use super::genesis::GenesisError;
use super::settings::Settings;

/// What the machine says of a node that no hardware vouches for, as CCF's virtual platform.
const VIRTUAL_MEASUREMENT: &str = "Insecure hard-coded virtual measurement v1";

/// Keys and certificates of a node.
pub struct NodeInputs<'a> {
    /// Its settings.
    pub settings: &'a Settings,
    /// Its id.
    pub id: &'a str,
    /// Its public key, PEM.
    pub public_key: &'a str,
    /// Its request for endorsement, PEM.
    pub request: &'a str,
    /// Its endorsed certificate, PEM.
    pub certificate: &'a str,
    /// Its public encryption key, PEM.
    pub encryption_key: &'a str,
    /// Bound and published address of each interface, by the order of the settings.
    pub addresses: &'a [(String, String)],
    /// Digest of the program, which stands in for hostData where no hardware gives one.
    pub program: Digest,
}

/// Writes the node's rows, and what it runs as what may join.
///
/// # Errors
/// [`GenesisError`].
pub(super) fn put_node(
    inputs: &NodeInputs<'_>,
    tx: &mut dyn WriteHost,
) -> Result<(), GenesisError> {
    let id = inputs.id.as_bytes();
    tx.put(
        "public:ccf.gov.nodes.endorsed_certificates",
        id,
        inputs.certificate.as_bytes(),
    )?;
    tx.put(
        "public:ccf.gov.nodes.info",
        id,
        &canonical(&node_info(inputs)?)?,
    )?;
    // A node's own identity may join the service that it begins.
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

fn node_info(inputs: &NodeInputs<'_>) -> Result<JsonValue, GenesisError> {
    let mut interfaces = Map::new();
    for (interface, (bound, published)) in inputs.settings.interfaces.iter().zip(inputs.addresses) {
        let row = json!({ "bind_address": bound, "published_address": published });
        interfaces.insert(interface.name.clone(), row);
    }
    let unspecified = (String::from(":"), String::from(":"));
    let (bound, published) = inputs.addresses.first().unwrap_or(&unspecified);
    let (host, port) = bound.rsplit_once(':').unwrap_or((bound, ""));
    let (public_host, public_port) = published.rsplit_once(':').unwrap_or((published, ""));
    let report_data = hex::decode(inputs.id).unwrap_or_default();
    let quote = canonical(&json!({
        "host_data": inputs.program,
        "measurement": VIRTUAL_MEASUREMENT,
        "report_data": STANDARD.encode(report_data),
    }))?;
    let mut info = json!({
        "certificate_signing_request": inputs.request,
        "code_digest": hex::encode(VIRTUAL_MEASUREMENT),
        "encryption_pub_key": inputs.encryption_key,
        // One node: nobody to talk to.
        "node_to_node_interface": { "bind_address": bound, "published_address": published },
        "nodehost": host,
        "nodeport": port,
        "pubhost": public_host,
        "public_key": inputs.public_key,
        "pubport": public_port,
        "quote_info": { "endorsements": "", "format": "Insecure_Virtual", "quote": STANDARD.encode(quote) },
        "rpc_interfaces": interfaces,
        "rpchost": host,
        "rpcport": port,
        "status": "Trusted",
    });
    if inputs.settings.sealing_directory.is_some() {
        info["will_locally_seal_ledger_secrets"] = json!(true);
    }
    if let Some(data) = &inputs.settings.node_data {
        info["node_data"] = data.clone();
    }
    Ok(info)
}
