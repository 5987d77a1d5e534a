//! The keys, their types and their defaults (CCF interface, section 8.2).
//!
//! Field names are the keys. What a key means is said in CCF's documentation; here it is said
//! where this node differs or where the meaning is not in the name.

mod command;
mod network;
mod node;
mod storage;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::units::{Period, Size};

pub use command::{
    CommandSection, CommandType, CoseSignatures, Member, Recover, RecoveryRole,
    ServiceConfiguration, Start,
};
pub use network::{
    AppProtocol, Authority, Endorsement, HttpConfiguration, Network, NodeToNodeInterface,
    RpcInterface, Transport,
};
pub use node::{Attestation, CurveId, EmbeddedNode, LogFormat, Logging, Memory, NodeCertificate};
pub use storage::{Consensus, LedgerSection, LedgerSignatures, OutputFiles, Snapshots};

/// The configuration of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub network: Network,
    /// How to start.
    pub command: CommandSection,
    /// The node's certificate.
    #[serde(default)]
    pub node_certificate: NodeCertificate,
    /// File of any JSON that describes the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_data_json_file: Option<PathBuf>,
    /// File of any JSON that describes the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_data_json_file: Option<PathBuf>,
    /// Where CCF finds its own attestation. Of no effect here.
    #[serde(default)]
    pub attestation: Attestation,
    /// The ledger's files.
    #[serde(default)]
    pub ledger: LedgerSection,
    /// The snapshots' files.
    #[serde(default)]
    pub snapshots: Snapshots,
    /// The log's form.
    #[serde(default)]
    pub logging: Logging,
    /// Raft. Of no effect here.
    #[serde(default)]
    pub consensus: Consensus,
    /// When CCF signs. Here each batch of transactions ends with a signature.
    #[serde(default)]
    pub ledger_signatures: LedgerSignatures,
    /// Of no effect here: nothing is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Value>,
    /// What the node writes for those who start it.
    #[serde(default)]
    pub output_files: OutputFiles,
    /// Of no effect here.
    #[serde(default = "defaults::tick_interval")]
    pub tick_interval: Period,
    /// Of no effect here.
    #[serde(default = "defaults::slow_io_logging_threshold")]
    pub slow_io_logging_threshold: Period,
    /// Of no effect here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_client_interface: Option<String>,
    /// Of the node's own connections to other nodes. Of no effect here.
    #[serde(default = "defaults::client_connection_timeout")]
    pub client_connection_timeout: Period,
    /// After which a connection on which nothing moves is closed; `null`: never.
    #[serde(default = "defaults::idle_connection_timeout")]
    pub idle_connection_timeout: Option<Period>,
    /// Threads beside the first that run requests; 0: as many as the machine has processors.
    #[serde(default)]
    pub worker_threads: usize,
    /// Buffers between CCF's threads. Of no effect here.
    #[serde(default)]
    pub memory: Memory,
    /// Of no effect here: the first SIGTERM ends the node.
    #[serde(default)]
    pub ignore_first_sigterm: bool,
    /// Of no effect here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_to_node_message_limit: Option<u64>,
    /// Of no effect here.
    #[serde(default = "defaults::historical_cache_soft_limit")]
    pub historical_cache_soft_limit: Size,
    /// Of no effect here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_cleanup: Option<Value>,
    /// Of no effect here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_history_fetch: Option<Value>,
    /// Of no effect here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealing_recovery: Option<Value>,
    /// What CCF has no keys for. CCF refuses a configuration with this section.
    #[serde(default, skip_serializing_if = "EmbeddedNode::is_default")]
    pub embedded_node: EmbeddedNode,
}

/// Defaults of keys whose type has no or another default.
pub(in crate::config) mod defaults {
    use std::path::PathBuf;

    use crate::config::units::{Period, Size};

    pub(in crate::config) const fn tick_interval() -> Period {
        Period::from_millis(10)
    }

    pub(in crate::config) const fn slow_io_logging_threshold() -> Period {
        Period::from_millis(10)
    }

    pub(in crate::config) const fn client_connection_timeout() -> Period {
        Period::from_millis(2000)
    }

    #[allow(clippy::unnecessary_wraps, reason = "the key's type")]
    pub(in crate::config) const fn idle_connection_timeout() -> Option<Period> {
        Some(Period::from_secs(60))
    }

    pub(in crate::config) const fn historical_cache_soft_limit() -> Size {
        Size::from_kib(512 << 10)
    }

    pub(in crate::config) const fn max_open_sessions_soft() -> usize {
        1000
    }

    pub(in crate::config) const fn max_open_sessions_hard() -> usize {
        1010
    }

    pub(in crate::config) const fn forwarding_timeout_ms() -> u64 {
        3000
    }

    pub(in crate::config) const fn one_day() -> u32 {
        1
    }

    pub(in crate::config) fn service_subject_name() -> String {
        "CN=CCF Service".into()
    }

    pub(in crate::config) fn service_certificate_file() -> PathBuf {
        "service_cert.pem".into()
    }
}
