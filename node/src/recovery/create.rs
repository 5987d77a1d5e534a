//! The first transaction of a recovered service (ledger format, section 16.3).

use ccf_rs::{HostError, Seqno, TxId, WriteHost};
use ledger::{Digest, LAST_SIGNED_ROOT_MAP, SINGLE_KEY, canonical};
use serde_json::{Map, Value as JsonValue, json};

use super::{RecoveryError, Rollback};

const NODES_INFO: &str = "public:ccf.gov.nodes.info";
const PREVIOUS_IDENTITY: &str = "public:ccf.gov.service.previous_service_identity";
/// Recoveries from files older than a checkpoint, by recovery count in decimal.
const ROLLBACKS: &str = "public:ccf.gov.recovery_rollbacks";
const SERVICE_INFO: &str = "public:ccf.gov.service.info";

/// What the transaction records of the service. The node's own rows are written beside it.
pub struct CreateInputs<'a> {
    /// Its id.
    pub id: TxId,
    /// Certificate of the new identity, PEM.
    pub service_certificate: &'a str,
    /// The root that the earlier service's last signature signs.
    pub last_signed_root: &'a Digest,
    /// Checkpoints that the ledger does not hold, and why it is recovered all the same.
    pub rollback: Option<(&'a [Rollback], &'a str)>,
    /// What the service is described with from now on; `None`: as before.
    pub service_data: Option<&'a JsonValue>,
}

/// Writes it: the earlier nodes are retired, the service is another one and says which it was.
///
/// # Errors
/// [`RecoveryError::Table`] when a row of the earlier service cannot be used.
pub fn create(inputs: &CreateInputs<'_>, tx: &mut dyn WriteHost) -> Result<(), RecoveryError> {
    retire_nodes(tx)?;
    let bad = |reason: String| RecoveryError::Table {
        table: SERVICE_INFO,
        reason,
    };
    let host = |e: HostError| bad(e.to_string());
    let before = row_of(tx, SERVICE_INFO, &SINGLE_KEY)?;
    let certificate = before
        .get("cert")
        .and_then(JsonValue::as_str)
        .ok_or_else(|| bad("no certificate".to_owned()))?;
    let created = before
        .get("current_service_create_txid")
        .and_then(JsonValue::as_str)
        .and_then(|id| id.parse::<TxId>().ok());
    // Early services do not say where they were created: then it is where the row was last written.
    let created = match created {
        Some(id) => Some(id.seqno),
        None => tx.previous_write(SERVICE_INFO, &SINGLE_KEY).map_err(host)?,
    };
    let count = before.get("recovery_count").and_then(JsonValue::as_u64);
    let mut info = json!({
        "cert": inputs.service_certificate,
        "current_service_create_txid": inputs.id,
        "previous_service_identity_version": created,
        "recovery_count": count.unwrap_or(0) + 1,
        "status": "Recovering",
    });
    if let Some(data) = inputs.service_data.or(before.get("service_data")) {
        info["service_data"] = data.clone();
    }
    let mut put = |table: &'static str, row: &JsonValue| {
        let row = canonical(row).map_err(|e| RecoveryError::Table {
            table,
            reason: e.to_string(),
        })?;
        tx.put(table, &SINGLE_KEY, &row).map_err(host)
    };
    put(SERVICE_INFO, &info)?;
    put(PREVIOUS_IDENTITY, &json!(certificate))?;
    put(LAST_SIGNED_ROOT_MAP, &json!(inputs.last_signed_root))?;
    if let Some((rollbacks, reason)) = inputs.rollback {
        let record = json!({
            "checkpoints": rollbacks.iter().map(Rollback::checkpoint).collect::<Vec<_>>(),
            "findings": rollbacks.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "reason": reason,
            "recovered_until": TxId { view: ccf_rs::View(inputs.id.view.0.saturating_sub(2)), seqno: Seqno(inputs.id.seqno.0.saturating_sub(1)) },
        });
        let row = canonical(&record).map_err(|e| bad(e.to_string()))?;
        let key = (count.unwrap_or(0) + 1).to_string();
        tx.put(ROLLBACKS, key.as_bytes(), &row).map_err(host)?;
    }
    Ok(())
}

fn retire_nodes(tx: &mut dyn WriteHost) -> Result<(), RecoveryError> {
    let bad = |reason: String| RecoveryError::Table {
        table: NODES_INFO,
        reason,
    };
    let mut nodes = Vec::new();
    tx.foreach(NODES_INFO, &mut |id, row| {
        nodes.push((id.to_vec(), row.to_vec()));
        true
    })
    .map_err(|e| bad(e.to_string()))?;
    for (id, row) in nodes {
        let mut info: Map<String, JsonValue> =
            serde_json::from_slice(&row).map_err(|e| bad(e.to_string()))?;
        if info.get("status").and_then(JsonValue::as_str) == Some("Retired") {
            continue;
        }
        info.insert("status".to_owned(), json!("Retired"));
        let row = canonical(&info).map_err(|e| bad(e.to_string()))?;
        tx.put(NODES_INFO, &id, &row)
            .map_err(|e| bad(e.to_string()))?;
    }
    Ok(())
}

fn row_of(
    tx: &mut dyn WriteHost,
    table: &'static str,
    key: &[u8],
) -> Result<JsonValue, RecoveryError> {
    let bad = |reason: String| RecoveryError::Table { table, reason };
    let row = tx.get(table, key).map_err(|e| bad(e.to_string()))?;
    let row = row.ok_or_else(|| bad("no row".to_owned()))?;
    serde_json::from_slice(&row).map_err(|e| bad(e.to_string()))
}
