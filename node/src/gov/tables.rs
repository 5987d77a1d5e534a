//! The framework's tables (CCF interface, section 5). JSON rows have their fields in
//! alphabetical order, which makes their text canonical.

use std::collections::BTreeMap;

use ccf_rs::{MemberId, Raw, Singleton, Table, Text, TxId, UserId};
use constitution::jwt_keys::{self, JwtKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as JsonValue};

type Any = JsonValue;

pub(crate) static CONSTITUTION: Table<Singleton, String> =
    Table::json("public:ccf.gov.constitution");
pub(crate) static COSE_HISTORY: Table<MemberId, String> =
    Table::json("public:ccf.gov.cose_history");
pub(crate) static COSE_RECENT_PROPOSALS: Table<String, String> =
    Table::json("public:ccf.gov.cose_recent_proposals");
pub(crate) static ENDPOINTS: Table<String, Any> = Table::json("public:ccf.gov.endpoints");
pub(crate) static JS_RUNTIME_OPTIONS: Table<Singleton, Vec<u8>, Raw> =
    Table::raw("public:ccf.gov.js_runtime_options");
pub(crate) static CA_CERT_BUNDLES: Table<String, String> =
    Table::json("public:ccf.gov.tls.ca_cert_bundles");
pub(crate) static JWT_ISSUERS: Table<String, Any> = Table::json("public:ccf.gov.jwt.issuers");
pub(crate) static JWT_KEYS: Table<String, Vec<JwtKey>> = Table::json(jwt_keys::TABLE);
pub(crate) static MEMBER_ACKS: Table<MemberId, MemberAck> =
    Table::json("public:ccf.gov.members.acks");
pub(crate) static MEMBER_CERTS: Table<MemberId, String, Text> =
    Table::text("public:ccf.gov.members.certs");
pub(crate) static MEMBER_ENCRYPTION_KEYS: Table<MemberId, String, Text> =
    Table::text("public:ccf.gov.members.encryption_public_keys");
pub(crate) static MEMBER_INFO: Table<MemberId, MemberInfo> =
    Table::json("public:ccf.gov.members.info");
pub(crate) static MODULES: Table<String, String, Text> = Table::text("public:ccf.gov.modules");
pub(crate) static MODULES_BYTECODE: Table<String, Vec<u8>, Raw> =
    Table::raw("public:ccf.gov.modules_quickjs_bytecode");
pub(crate) static NODE_CERTS: Table<String, String, Text> =
    Table::text("public:ccf.gov.nodes.endorsed_certificates");
pub(crate) static NODE_CODE_IDS: Table<String, Any> = Table::json("public:ccf.gov.nodes.code_ids");
pub(crate) static NODE_INFO: Table<String, NodeInfo> = Table::json("public:ccf.gov.nodes.info");
pub(crate) static PROPOSALS: Table<String, Vec<u8>, Raw> = Table::raw("public:ccf.gov.proposals");
pub(crate) static PROPOSALS_INFO: Table<String, ProposalInfo> =
    Table::json("public:ccf.gov.proposals_info");
pub(crate) static SERVICE_CONFIG: Table<Singleton, ServiceConfig> =
    Table::json("public:ccf.gov.service.config");
pub(crate) static SERVICE_INFO: Table<Singleton, ServiceInfo> =
    Table::json("public:ccf.gov.service.info");
pub(crate) static PREVIOUS_SERVICE_IDENTITY: Table<Singleton, String> =
    Table::json("public:ccf.gov.service.previous_service_identity");
pub(crate) static SNP_HOST_DATA: Table<String, String> =
    Table::json("public:ccf.gov.nodes.snp.host_data");
pub(crate) static SNP_MEASUREMENTS: Table<String, Any> =
    Table::json("public:ccf.gov.nodes.snp.measurements");
pub(crate) static SNP_TCB_VERSIONS: Table<String, Any> =
    Table::json("public:ccf.gov.nodes.snp.tcb_versions");
pub(crate) static SNP_UVM_ENDORSEMENTS: Table<String, Any> =
    Table::json("public:ccf.gov.nodes.snp.uvm_endorsements");
pub(crate) static USER_CERTS: Table<UserId, String, Text> =
    Table::text("public:ccf.gov.users.certs");
pub(crate) static USER_INFO: Table<UserId, Any> = Table::json("public:ccf.gov.users.info");
pub(crate) static VIRTUAL_HOST_DATA: Table<Vec<u8>, Vec<u8>, Raw> =
    Table::raw("public:ccf.gov.nodes.virtual.host_data");
pub(crate) static VIRTUAL_MEASUREMENTS: Table<String, Any> =
    Table::json("public:ccf.gov.nodes.virtual.measurements");

pub(crate) static ENCRYPTED_SUBMITTED_SHARES: Table<MemberId, String> =
    Table::json("public:ccf.internal.encrypted_submitted_shares");
/// Recoveries by recovery count in decimal, as members opened them (docs/constitution.md).
pub(crate) static RECOVERIES: Table<String, Any> = Table::json("public:ccf.gov.recoveries");
/// Who may recover the service, and how (docs/constitution.md).
pub(crate) static RECOVERY_POLICY: Table<Singleton, Any> =
    Table::json("public:ccf.gov.recovery_policy");
/// Recoveries from files that do not hold a checkpoint, by recovery count in decimal.
pub(crate) static RECOVERY_ROLLBACKS: Table<String, Any> =
    Table::json("public:ccf.gov.recovery_rollbacks");
pub(crate) static RECOVERY_SHARES: Table<Singleton, Any> =
    Table::json("public:ccf.internal.recovery_shares");
pub(crate) static SIGNATURES: Table<Singleton, SignatureRow> =
    Table::json("public:ccf.internal.signatures");

/// Row of `members.info`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MemberInfo {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) member_data: Option<JsonValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recovery_role: Option<String>,
    pub(crate) status: String,
}

/// Row of `members.acks`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct MemberAck {
    /// Base64 of the acknowledging envelope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cose_sign1_req: Option<String>,
    /// Hex Merkle root, empty before the first update.
    pub(crate) state_digest: String,
}

/// Row of `proposals_info`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProposalInfo {
    pub(crate) ballots: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<ScriptFailure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) final_votes: Option<BTreeMap<String, bool>>,
    pub(crate) proposer_id: String,
    pub(crate) state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vote_failures: Option<BTreeMap<String, ScriptFailure>>,
}

/// A failed script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScriptFailure {
    pub(crate) reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<String>,
}

/// Row of `service.info`. Fields unknown here are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ServiceInfo {
    pub(crate) cert: String,
    pub(crate) current_service_create_txid: TxId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) previous_service_identity_version: Option<u64>,
    #[serde(default)]
    pub(crate) recovery_count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) service_data: Option<JsonValue>,
    pub(crate) status: String,
    #[serde(flatten)]
    pub(crate) other: Map<String, JsonValue>,
}

/// Row of `service.config`. Fields unknown here are kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ServiceConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) maximum_node_certificate_validity_days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) maximum_service_certificate_validity_days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recent_cose_proposals_window_size: Option<usize>,
    #[serde(default)]
    pub(crate) recovery_threshold: usize,
    #[serde(flatten)]
    pub(crate) other: Map<String, JsonValue>,
}

/// What the endpoints read of `nodes.info`, and the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NodeInfo {
    #[serde(default)]
    pub(crate) encryption_pub_key: String,
    #[serde(default)]
    pub(crate) node_data: Option<JsonValue>,
    #[serde(default)]
    pub(crate) quote_info: JsonValue,
    #[serde(default)]
    pub(crate) retired_committed: bool,
    #[serde(default)]
    pub(crate) rpc_interfaces: BTreeMap<String, JsonValue>,
    pub(crate) status: String,
    #[serde(flatten)]
    pub(crate) other: Map<String, JsonValue>,
}

/// What governance reads of `internal.signatures`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SignatureRow {
    /// Hex Merkle root.
    pub(crate) root: String,
    #[serde(flatten)]
    pub(crate) other: Map<String, JsonValue>,
}
