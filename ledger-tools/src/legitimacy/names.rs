//! The framework's tables and rows that rules of government read (CCF interface, section 5).

use std::collections::BTreeMap;

use ledger::SINGLE_KEY;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rule::{Breach, Rule};

pub(super) const CONSTITUTION: &str = "public:ccf.gov.constitution";
pub(super) const COSE_HISTORY: &str = "public:ccf.gov.cose_history";
pub(super) const COSE_RECENT_PROPOSALS: &str = "public:ccf.gov.cose_recent_proposals";
/// Requests signed in the way of CCF 1.x and 2.x.
pub(super) const SIGNED_REQUESTS: &str = "public:ccf.gov.history";
pub(super) const JS_RUNTIME_OPTIONS: &str = "public:ccf.gov.js_runtime_options";
pub(super) const JWT_ISSUERS: &str = "public:ccf.gov.jwt.issuers";
pub(super) const JWT_KEYS: &str = "public:ccf.gov.jwt.public_signing_keys_metadata_v2";
/// Tables of earlier versions: key id to key, key id to issuer.
pub(super) const JWT_KEY: &str = "public:ccf.gov.jwt.public_signing_keys";
pub(super) const JWT_KEY_ISSUER: &str = "public:ccf.gov.jwt.public_signing_key_issuer";
/// Keys that tokens are verified with.
pub(super) const TOKEN_TABLES: &[&str] = &[
    JWT_KEY,
    "public:ccf.gov.jwt.public_signing_keys_metadata",
    JWT_KEYS,
    JWT_KEY_ISSUER,
];
pub(super) const MEMBER_ACKS: &str = "public:ccf.gov.members.acks";
pub(super) const MEMBER_CERTS: &str = "public:ccf.gov.members.certs";
pub(super) const MEMBER_KEYS: &str = "public:ccf.gov.members.encryption_public_keys";
pub(super) const MEMBER_INFO: &str = "public:ccf.gov.members.info";
/// Prefix of the tables of nodes, and of what may join.
pub(super) const NODES: &str = "public:ccf.gov.nodes.";
pub(super) const NODE_CERTS: &str = "public:ccf.gov.nodes.endorsed_certificates";
pub(super) const NODE_INFO: &str = "public:ccf.gov.nodes.info";
pub(super) const PREVIOUS_IDENTITY: &str = "public:ccf.gov.service.previous_service_identity";
pub(super) const PROPOSALS: &str = "public:ccf.gov.proposals";
pub(super) const PROPOSALS_INFO: &str = "public:ccf.gov.proposals_info";
/// What members agreed about each recovery, by its number.
pub(super) const RECOVERIES: &str = "public:ccf.gov.recoveries";
/// Recoveries from files older than a checkpoint, by their number.
pub(super) const ROLLBACKS: &str = "public:ccf.gov.recovery_rollbacks";
pub(super) const SERVICE_CONFIG: &str = "public:ccf.gov.service.config";
pub(super) const SERVICE_INFO: &str = "public:ccf.gov.service.info";
/// Counters that CCF 1.x and 2.x began with.
pub(super) const OLD_VALUES: &str = "public:ccf.internal.values";
pub(super) const LAST_RECOVERY_TYPE: &str = "public:ccf.internal.last_recovery_type";

/// Scripts of the application in compiled form: made by the node, of a text that was voted.
pub(super) const COMPILED: &[&str] = &[
    "public:ccf.gov.modules_quickjs_bytecode",
    "public:ccf.gov.modules_quickjs_version",
];

pub(super) const OPEN: &str = "Open";
pub(super) const ACCEPTED: &str = "Accepted";
pub(super) const WITHDRAWN: &str = "Withdrawn";

/// Tables that governance and the framework own. Applications cannot write them.
pub(super) fn is_framework(table: &str) -> bool {
    table.starts_with("public:ccf.")
}

/// Row of `members.info`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct MemberInfo {
    #[serde(default)]
    pub(super) recovery_role: Option<String>,
    pub(super) status: String,
}

/// Row of `members.acks`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct MemberAck {
    /// Base64 of the acknowledging envelope.
    #[serde(default)]
    pub(super) cose_sign1_req: Option<String>,
    /// The same in the form of CCF 1.x and 2.x.
    #[serde(default)]
    pub(super) signed_req: Option<Value>,
    pub(super) state_digest: String,
}

/// Row of `proposals_info`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProposalInfo {
    pub(super) ballots: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<ScriptFailure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) final_votes: Option<BTreeMap<String, bool>>,
    pub(super) proposer_id: String,
    pub(super) state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) vote_failures: Option<BTreeMap<String, ScriptFailure>>,
}

/// A failed script. The trace differs between engines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ScriptFailure {
    pub(super) reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trace: Option<String>,
}

/// What rules read of `service.info`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct ServiceInfo {
    pub(super) cert: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) recovery_count: u64,
    #[serde(default)]
    pub(super) current_service_create_txid: Option<ledger::TxId>,
}

/// What rules read of `service.config`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct ServiceConfig {
    #[serde(default)]
    pub(super) recent_cose_proposals_window_size: Option<usize>,
    #[serde(default)]
    pub(super) recovery_threshold: usize,
}

/// What rules read of `nodes.info`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct NodeInfo {
    pub(super) status: String,
}

/// A row, if there is one.
pub(super) fn row<T: DeserializeOwned>(
    value: Option<&[u8]>,
    table: &str,
    rule: Rule,
) -> Result<Option<T>, Breach> {
    value
        .map(|bytes| {
            serde_json::from_slice(bytes)
                .map_err(|e| rule.broken(format!("{table}: {e}"), "a row of this table"))
        })
        .transpose()
}

/// The one row of a table, if there is one.
pub(super) fn only<T: DeserializeOwned>(
    tables: &crate::tables::Tables,
    table: &str,
    rule: Rule,
) -> Result<Option<T>, Breach> {
    row(tables.value(table, &SINGLE_KEY), table, rule)
}

/// Keys of members and nodes are text.
pub(super) fn name(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}
