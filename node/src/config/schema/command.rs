//! `command`: how the service starts, and with whom.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::defaults;

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
