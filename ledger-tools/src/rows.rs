//! The rows of the framework's and the application's public tables, as far as an auditor reads them (CCF interface,
//! section 5; application, section 4). Fields that are not named here are left alone.

use std::collections::BTreeMap;

use ledger::{Seqno, TxId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Names of tables.
pub(crate) mod table {
    pub(crate) const CONSTITUTION: &str = "public:ccf.gov.constitution";
    pub(crate) const MEMBERS_INFO: &str = "public:ccf.gov.members.info";
    pub(crate) const MEMBERS_ACKS: &str = "public:ccf.gov.members.acks";
    pub(crate) const ENCRYPTION_KEYS: &str = "public:ccf.gov.members.encryption_public_keys";
    pub(crate) const USERS_CERTS: &str = "public:ccf.gov.users.certs";
    pub(crate) const PROPOSALS: &str = "public:ccf.gov.proposals";
    pub(crate) const PROPOSALS_INFO: &str = "public:ccf.gov.proposals_info";
    pub(crate) const RECENT_PROPOSALS: &str = "public:ccf.gov.cose_recent_proposals";
    pub(crate) const SERVICE_INFO: &str = "public:ccf.gov.service.info";
    pub(crate) const SERVICE_CONFIG: &str = "public:ccf.gov.service.config";
    pub(crate) const NODES_INFO: &str = "public:ccf.gov.nodes.info";
    pub(crate) const ACCEPTED_CONTRACTS: &str = "public:ccf.gov.accepted_contracts";
    pub(crate) const POLICIES: &str = "public:ccf.gov.policies.cleanroom-";
    pub(crate) const POLICY_ORIGINS: &str = "public:ccf.gov.policy_origins";
    pub(crate) const EXECUTION: &str = "public:contracts_execution_status";
    pub(crate) const DELEGATES: &str = "public:cleanroom.delegates";
    pub(crate) const RELEASES: &str = "public:cleanroom.releases";
    /// What members and the node write of recoveries: who, why, under which policy, from which older files.
    pub(crate) const RECOVERY_NOTES: &[&str] = &[
        "public:ccf.gov.recoveries",
        "public:ccf.gov.recovery_policy",
        "public:ccf.gov.recovery_rollbacks",
    ];
    pub(crate) const LAST_RECOVERY: &str = "public:ccf.internal.last_recovery_type";
    pub(crate) const SNAPSHOT_EVIDENCE: &str = "public:ccf.internal.snapshot_evidence";

    /// Tables that say which code may join, by what they list.
    pub(crate) const CODE: [(&str, &str); 6] = [
        ("public:ccf.gov.nodes.snp.host_data", "host data"),
        (
            "public:ccf.gov.nodes.snp.measurements",
            "launch measurement",
        ),
        ("public:ccf.gov.nodes.snp.uvm_endorsements", "UVM endorser"),
        (
            "public:ccf.gov.nodes.snp.tcb_versions",
            "minimum TCB of CPU",
        ),
        (
            "public:ccf.gov.nodes.virtual.host_data",
            "virtual host data",
        ),
        (
            "public:ccf.gov.nodes.virtual.measurements",
            "virtual measurement",
        ),
    ];
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct MemberInfo {
    pub(crate) status: String,
    pub(crate) member_data: Option<Value>,
    pub(crate) recovery_role: Option<String>,
}

impl MemberInfo {
    /// Whether the member's vote is counted: no administrative role (CON-15 and above).
    pub(crate) fn is_counted(&self) -> bool {
        let Some(data) = &self.member_data else {
            return true;
        };
        let flag = |name: &str| {
            data.get(name)
                .is_some_and(|v| v == &Value::Bool(true) || v == "true")
        };
        let role = |name: &str| {
            data.get("cgsRoles")
                .and_then(|roles| roles.get(name))
                .is_some_and(|v| v == "true")
        };
        !(flag("isOperator")
            || flag("isRecoveryOperator")
            || role("cgsOperator")
            || role("contractOperator"))
    }

    /// What the member calls itself, for people to read; it is a claim of whoever proposed the member.
    pub(crate) fn name(&self) -> Option<&str> {
        let data = self.member_data.as_ref()?;
        ["identifier", "name"]
            .iter()
            .find_map(|field| data.get(field)?.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct ProposalInfo {
    pub(crate) state: String,
    pub(crate) proposer_id: String,
    #[serde(default)]
    pub(crate) ballots: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) final_votes: Option<BTreeMap<String, bool>>,
    #[serde(default)]
    pub(crate) failure: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) actions: Vec<Action>,
}

/// One action of a proposal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct ServiceInfo {
    pub(crate) status: String,
    pub(crate) cert: String,
    #[serde(default)]
    pub(crate) recovery_count: Option<u64>,
    #[serde(default)]
    pub(crate) current_service_create_txid: Option<TxId>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct ServiceConfig {
    #[serde(default)]
    pub(crate) recovery_threshold: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct NodeInfo {
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) code_digest: Option<String>,
    #[serde(default)]
    pub(crate) quote_info: Option<QuoteInfo>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct QuoteInfo {
    pub(crate) format: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Origin {
    pub(crate) proposal_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AcceptedContract {
    pub(crate) proposal_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct SnapshotEvidence {
    pub(crate) version: Seqno,
    pub(crate) hash: String,
}

/// Who has switched off execution, from the row of `contracts_execution_status`: a JSON text that holds an array of pairs.
pub(crate) fn disabled_by(row: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Flags {
        serialized_member_to_status_map: String,
    }
    let flags = serde_json::from_slice::<Flags>(row).ok();
    let pairs = flags.and_then(|flags| {
        serde_json::from_str::<Vec<(String, String)>>(&flags.serialized_member_to_status_map).ok()
    });
    let disabled = |(member, status): (String, String)| (status == "disabled").then_some(member);
    pairs.into_iter().flatten().filter_map(disabled).collect()
}
