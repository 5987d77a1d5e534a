//! The keys, their types and their defaults (CCF interface, section 8.2).
//!
//! Field names are the keys. What a key means is said in CCF's documentation; here it is said
//! where this node differs or where the meaning is not in the name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::units::{Period, Size};

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

/// `network`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// For other nodes. There are none: the address is reserved and reported, nobody listens.
    pub node_to_node_interface: NodeToNodeInterface,
    /// For clients, by name.
    pub rpc_interfaces: BTreeMap<String, RpcInterface>,
}

/// `network.node_to_node_interface`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeToNodeInterface {
    /// `host:port`; port 0: any.
    pub bind_address: String,
    /// As others see it; by default as bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_address: Option<String>,
}

/// One of `network.rpc_interfaces`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RpcInterface {
    /// `host:port`; port 0: any.
    pub bind_address: String,
    /// As clients see it; by default as bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_address: Option<String>,
    /// `udp` (QUIC) is refused.
    #[serde(default)]
    pub protocol: Transport,
    /// Of no effect here: clients choose between both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<AppProtocol>,
    /// Sessions from which on requests are answered 503.
    #[serde(default = "defaults::max_open_sessions_soft")]
    pub max_open_sessions_soft: usize,
    /// Sessions from which on connections are dropped.
    #[serde(default = "defaults::max_open_sessions_hard")]
    pub max_open_sessions_hard: usize,
    /// Bounds of requests.
    #[serde(default)]
    pub http_configuration: HttpConfiguration,
    /// Which certificate is shown; another than `Service` is refused.
    #[serde(default)]
    pub endorsement: Endorsement,
    /// Regular expressions of endpoints served here; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_endpoints: Option<Vec<String>>,
    /// Of no effect here: nothing is forwarded.
    #[serde(default = "defaults::forwarding_timeout_ms")]
    pub forwarding_timeout_ms: u64,
    /// Of no effect here: nothing is redirected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirections: Option<Value>,
    /// Of no effect here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled_operator_features: Option<Vec<String>>,
}

/// `protocol` of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// `app_protocol` of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AppProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// `http_configuration` of an interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfiguration {
    /// Of a request's body.
    pub max_body_size: Size,
    /// Of one header's name or value. Here the bound is on all headers together, twice this or `max_head_size`.
    pub max_header_size: Size,
    /// Headers of a request.
    pub max_headers_count: usize,
    /// HTTP/2: requests at once on a connection.
    pub max_concurrent_streams_count: u32,
    /// Of no effect here.
    pub initial_window_size: Size,
    /// Of no effect here; 16KB to 16MB.
    pub max_frame_size: Size,
}

/// `endorsement` of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endorsement {
    /// Who signed the certificate.
    pub authority: Authority,
}

/// `authority` of an endorsement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authority {
    /// The node's certificate, endorsed by the service.
    #[default]
    Service,
    /// The node's certificate, signed by itself.
    Node,
    /// No certificate and no TLS.
    Unsecured,
}

/// `command`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandSection {
    /// Which of the following.
    #[serde(rename = "type")]
    pub kind: CommandType,
    /// Where the service's certificate is written.
    #[serde(default = "defaults::service_certificate_file")]
    pub service_certificate_file: PathBuf,
    /// Looked at for [`CommandType::Start`] only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// Looked at for [`CommandType::Recover`] only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recover: Option<Recover>,
}

/// `command.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandType {
    /// A new service.
    Start,
    /// One more node. Refused.
    Join,
    /// A service from the ledger of an earlier one.
    Recover,
}

/// `command.start`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Joined by one newline in this order.
    pub constitution_files: Vec<PathBuf>,
    /// The first members.
    pub members: Vec<Member>,
    /// What governance may change later.
    #[serde(default)]
    pub service_configuration: ServiceConfiguration,
    /// Days the service's first certificate is valid.
    #[serde(default = "defaults::one_day")]
    pub initial_service_certificate_validity_days: u32,
    /// Distinguished name of the service's certificate.
    #[serde(default = "defaults::service_subject_name")]
    pub service_subject_name: String,
    /// What COSE signatures of the ledger say of themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cose_signatures: Option<CoseSignatures>,
}

/// `command.recover`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recover {
    /// Days the service's first certificate is valid.
    #[serde(default = "defaults::one_day")]
    pub initial_service_certificate_validity_days: u32,
    /// Certificate of the service that wrote the ledger, PEM.
    pub previous_service_identity_file: PathBuf,
    /// Where an earlier node of this machine has sealed the ledger secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_sealed_ledger_secret_location: Option<PathBuf>,
}

/// One of `command.start.members`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// PEM.
    pub certificate_file: PathBuf,
    /// PEM, RSA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_public_key_file: Option<PathBuf>,
    /// Any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_json_file: Option<PathBuf>,
    /// By default a member with an encryption key participates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_role: Option<RecoveryRole>,
}

/// `recovery_role` of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecoveryRole {
    /// No share.
    NonParticipant,
    /// One share.
    Participant,
    /// The whole key.
    Owner,
}

/// `command.start.service_configuration`. A key that is not given is not in the ledger either.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceConfiguration {
    /// 0: as many as there are participants.
    pub recovery_threshold: usize,
    /// 365 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_node_certificate_validity_days: Option<u32>,
    /// 365 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_service_certificate_validity_days: Option<u32>,
    /// 100 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recent_cose_proposals_window_size: Option<u32>,
}

/// `command.start.cose_signatures`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoseSignatures {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
}

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

/// `ledger`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerSection {
    /// Where the ledger is written.
    pub directory: PathBuf,
    /// More committed chunks to recover from.
    pub read_only_directories: Vec<PathBuf>,
    /// Bytes after which a chunk ends at the next signature.
    pub chunk_size: Size,
}

/// `snapshots`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Snapshots {
    /// Made at the start.
    pub directory: PathBuf,
    /// Transactions after which a snapshot is taken; at least 1.
    pub tx_count: u64,
    /// Of no effect here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_tx_count: Option<u64>,
    /// Of no effect here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_interval: Option<Period>,
    /// One more directory to recover from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_directory: Option<PathBuf>,
    /// Of no effect here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_fetch: Option<Value>,
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

/// `consensus`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Consensus {
    /// Of no effect here.
    pub message_timeout: Period,
    /// Of no effect here.
    pub election_timeout: Period,
    /// Of no effect here.
    pub max_uncommitted_tx_count: usize,
}

/// `ledger_signatures`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerSignatures {
    /// Of no effect here.
    pub tx_count: u64,
    /// Of no effect here.
    pub delay: Period,
}

/// `output_files`. A path that is empty is as good as none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutputFiles {
    /// The node's certificate as it signed it itself.
    pub node_certificate_file: PathBuf,
    /// The process identifier. Must not exist.
    pub pid_file: PathBuf,
    /// Address for other nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_to_node_address_file: Option<PathBuf>,
    /// Addresses for clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpc_addresses_file: Option<PathBuf>,
    /// Of no effect here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed_ledger_secret_location: Option<PathBuf>,
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
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for HttpConfiguration {
    fn default() -> Self {
        Self {
            max_body_size: Size::from_kib(1024),
            max_header_size: Size::from_kib(16),
            max_headers_count: 256,
            max_concurrent_streams_count: 100,
            initial_window_size: Size::from_kib(64),
            max_frame_size: Size::from_kib(16),
        }
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

impl Default for LedgerSection {
    fn default() -> Self {
        Self {
            directory: "ledger".into(),
            read_only_directories: Vec::new(),
            chunk_size: Size::from_kib(5 << 10),
        }
    }
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            directory: "snapshots".into(),
            tx_count: 10_000,
            min_tx_count: None,
            time_interval: None,
            read_only_directory: None,
            backup_fetch: None,
        }
    }
}

impl Default for Consensus {
    fn default() -> Self {
        Self {
            message_timeout: Period::from_millis(100),
            election_timeout: Period::from_millis(5000),
            max_uncommitted_tx_count: 10_000,
        }
    }
}

impl Default for LedgerSignatures {
    fn default() -> Self {
        Self {
            tx_count: 5000,
            delay: Period::from_millis(1000),
        }
    }
}

impl Default for OutputFiles {
    fn default() -> Self {
        Self {
            node_certificate_file: "nodecert.pem".into(),
            // The program's default; CCF's schema says `node.pid`.
            pid_file: "my_node.pid".into(),
            node_to_node_address_file: None,
            rpc_addresses_file: None,
            sealed_ledger_secret_location: None,
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

/// Defaults of keys whose type has no or another default.
pub(super) mod defaults {
    use std::path::PathBuf;

    use super::{Period, Size};

    pub(in super::super) const fn tick_interval() -> Period {
        Period::from_millis(10)
    }

    pub(in super::super) const fn slow_io_logging_threshold() -> Period {
        Period::from_millis(10)
    }

    pub(in super::super) const fn client_connection_timeout() -> Period {
        Period::from_millis(2000)
    }

    #[allow(clippy::unnecessary_wraps, reason = "the key's type")]
    pub(in super::super) const fn idle_connection_timeout() -> Option<Period> {
        Some(Period::from_secs(60))
    }

    pub(in super::super) const fn historical_cache_soft_limit() -> Size {
        Size::from_kib(512 << 10)
    }

    pub(in super::super) const fn max_open_sessions_soft() -> usize {
        1000
    }

    pub(in super::super) const fn max_open_sessions_hard() -> usize {
        1010
    }

    pub(in super::super) const fn forwarding_timeout_ms() -> u64 {
        3000
    }

    pub(in super::super) const fn one_day() -> u32 {
        1
    }

    pub(in super::super) fn service_subject_name() -> String {
        "CN=CCF Service".into()
    }

    pub(in super::super) fn service_certificate_file() -> PathBuf {
        "service_cert.pem".into()
    }
}
