//! The node itself: `node_certificate`, `attestation`, `logging`, `memory`, `embedded_node`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::units::{Period, Size};

/// `node_certificate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeCertificate {
    /// Distinguished name.
    pub subject_name: String,
    /// `iPAddress:…` or `dNSName:…`; none: the hosts of the published addresses.
    pub subject_alt_names: Vec<String>,
    /// This node's key is always of P-384.
    pub curve_id: CurveId,
    /// Days.
    pub initial_validity_days: u32,
}

/// `node_certificate.curve_id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CurveId {
    /// P-384.
    #[default]
    Secp384R1,
    /// P-256.
    Secp256R1,
}

/// `attestation`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Attestation {
    /// Of no effect here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snp_security_policy_file: Option<PathBuf>,
    /// Of no effect here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snp_uvm_endorsements_file: Option<PathBuf>,
    /// Of no effect here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snp_endorsements_file: Option<PathBuf>,
    /// Of no effect here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub snp_endorsements_servers: Vec<Value>,
}

/// `logging`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logging {
    /// Deprecated by CCF, of no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_level: Option<String>,
    /// Text or JSON lines.
    pub format: LogFormat,
}

/// `logging.format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFormat {
    /// A line of text per event.
    #[default]
    Text,
    /// A JSON object per event.
    Json,
}

/// `memory`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// Of no effect here.
    pub circuit_size: Size,
    /// Of no effect here.
    pub max_msg_size: Size,
    /// Of no effect here.
    pub max_fragment_size: Size,
}

/// `embedded_node`: bounds that CCF has no keys for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddedNode {
    /// From accepting a connection to the end of its TLS handshake (10s).
    pub handshake_timeout: Period,
    /// Connections in their handshake at once, per interface; one more ends the oldest (256).
    pub max_handshakes: usize,
    /// From the end of a request's headers to the end of its body (30s).
    pub body_timeout: Period,
    /// Bytes of a request's headers together (64KB).
    pub max_head_size: Size,
    /// How long open requests may take when the node stops (5s).
    pub shutdown_timeout: Period,
    /// Where the last signature is kept, at most once a second (`checkpoint.json`); empty: nowhere. A recovery is refused from
    /// files that do not hold it.
    pub checkpoint_file: PathBuf,
    /// More checkpoints that the ledger must hold to be recovered, as members keep them.
    pub recovery_checkpoint_files: Vec<PathBuf>,
    /// Why a ledger is recovered although it does not hold a checkpoint. Every member sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_rollback: Option<String>,
    /// Seal ledger secrets with a key in a file in place of the hardware's, which protects nothing: for development.
    pub development_sealing: bool,
}

impl EmbeddedNode {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for NodeCertificate {
    fn default() -> Self {
        Self {
            subject_name: "CN=CCF Node".into(),
            subject_alt_names: Vec::new(),
            curve_id: CurveId::default(),
            initial_validity_days: 1,
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            circuit_size: Size::from_kib(16 << 10),
            max_msg_size: Size::from_kib(64 << 10),
            max_fragment_size: Size::from_kib(256),
        }
    }
}

impl Default for EmbeddedNode {
    fn default() -> Self {
        Self {
            handshake_timeout: Period::from_secs(10),
            max_handshakes: 256,
            body_timeout: Period::from_secs(30),
            max_head_size: Size::from_kib(64),
            shutdown_timeout: Period::from_secs(5),
            checkpoint_file: "checkpoint.json".into(),
            recovery_checkpoint_files: Vec::new(),
            accept_rollback: None,
            development_sealing: false,
        }
    }
}
