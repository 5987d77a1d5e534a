//! The first transaction of a service (ledger format, section 16.1).

use ccf_rs::{HostError, TxId, WriteHost};
use ledger::{Digest, SINGLE_KEY, canonical};
use serde_json::{Map, Value as JsonValue, json};

use super::node_rows::{NodeInputs, put_node};
use super::settings::{GenesisMember, NewService};
use crate::identity::{CertificateError, certificate_der};

/// What the first transaction of a new service records.
pub struct GenesisInputs<'a> {
    /// The service.
    pub service: &'a NewService,
    /// What it is described with.
    pub service_data: Option<&'a JsonValue>,
    /// Its certificate, PEM.
    pub service_certificate: &'a str,
    /// The first node.
    pub node: &'a NodeInputs<'a>,
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
    let service = inputs.service;
    let constitution = canonical(&service.constitution)?;
    tx.put("public:ccf.gov.constitution", &SINGLE_KEY, &constitution)?;
    for member in &service.members {
        put_member(member, tx)?;
    }
    put_service(inputs, tx)?;
    put_node(inputs.node, tx)
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
    let mut info = json!({
        "cert": inputs.service_certificate,
        "current_service_create_txid": TxId::new(2, 1),
        "recovery_count": 0,
        "status": "Opening",
    });
    if let Some(data) = inputs.service_data {
        info["service_data"] = data.clone();
    }
    let configuration = &inputs.service.configuration;
    let mut config = Map::from_iter([(
        "recovery_threshold".to_owned(),
        json!(inputs.service.recovery_threshold()),
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
