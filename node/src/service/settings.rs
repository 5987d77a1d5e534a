//! What a node is started with, all files read and all defaults in place.

use std::path::PathBuf;

use ledger::{Checkpoint, PublicKey, RsaPublicKey};
use serde_json::Value as JsonValue;

use crate::frontend::AcceptedEndpoints;
use crate::identity::Subject;
use crate::server::Limits;

/// What a node is, whatever service it runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Any JSON, shown in the service's information. A recovered service keeps what it had unless this is given.
    pub service_data: Option<JsonValue>,
    /// Name of the node; without alternative names the hosts of the interfaces are taken.
    pub node_subject: Subject,
    /// Days the node's first certificate is valid.
    pub node_validity_days: u32,
    /// Any JSON, shown in the node's information.
    pub node_data: Option<JsonValue>,
    /// Directory of the ledger; empty or absent for a new service.
    pub ledger_directory: PathBuf,
    /// More directories with committed chunks to recover from.
    pub read_only_ledger_directories: Vec<PathBuf>,
    /// The directory of snapshots, made if it is absent.
    pub snapshot_directory: PathBuf,
    /// One more directory with snapshots to recover from.
    pub read_only_snapshot_directory: Option<PathBuf>,
    /// Transactions after which a snapshot is taken; at least 1.
    pub snapshot_tx_count: u64,
    /// Where the last signature is kept as a checkpoint, at most once a second; `None`: nowhere.
    pub checkpoint_file: Option<PathBuf>,
    /// Where ledger secrets are sealed to this machine; `None`: nowhere.
    pub sealing_directory: Option<PathBuf>,
    /// The sealing key is that of the development stand-in, not the hardware's.
    pub development_sealing: bool,
    /// Bytes after which a chunk ends at the next signature.
    pub ledger_chunk_size: u64,
    /// Where to listen.
    pub interfaces: Vec<Interface>,
}

/// Everything a new service needs.
#[derive(Clone, Debug)]
pub struct NewService {
    /// Source of the constitution: one JavaScript module.
    pub constitution: String,
    /// The first members.
    pub members: Vec<GenesisMember>,
    /// What governance may change later.
    pub configuration: ServiceConfiguration,
    /// Distinguished name of the service's certificate.
    pub subject: String,
    /// Days the service's first certificate is valid.
    pub validity_days: u32,
    /// `iss` and `sub` of the service's COSE signatures.
    pub cose_claims: (String, String),
}

/// Everything needed to recover a service from its ledger.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// Certificate of the service that wrote the ledger, PEM. A renewed one is of the same key.
    pub previous_identity: String,
    /// Days the service's first certificate is valid.
    pub validity_days: u32,
    /// Signatures that somebody kept: the ledger must hold them.
    pub checkpoints: Vec<Checkpoint>,
    /// Why the ledger is recovered even if it does not. Every member sees it.
    pub accept_rollback: Option<String>,
    /// Where an earlier node of this machine has sealed the ledger secrets.
    pub previous_sealing_directory: Option<PathBuf>,
}

/// A member of a new service.
#[derive(Clone, Debug)]
pub struct GenesisMember {
    /// Certificate, PEM.
    pub certificate: String,
    /// RSA public key for recovery shares, PEM.
    pub encryption_key: Option<String>,
    /// What the member is described with.
    pub data: Option<JsonValue>,
    /// Part in recovery; by default a member with an encryption key gets a share.
    pub recovery_role: Option<RecoveryRole>,
}

/// A member's part in recovery (CCF interface, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryRole {
    /// None.
    NonParticipant,
    /// Gets one share.
    Participant,
    /// Gets the whole key.
    Owner,
}

/// `public:ccf.gov.service.config` of a new service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceConfiguration {
    /// Shares needed to recover; 0: as many as there are participants.
    pub recovery_threshold: usize,
    /// Longest validity of node certificates.
    pub maximum_node_certificate_validity_days: Option<u32>,
    /// Longest validity of the service certificate.
    pub maximum_service_certificate_validity_days: Option<u32>,
    /// How many proposals are remembered against replay.
    pub recent_cose_proposals_window_size: Option<u32>,
}

/// An interface for requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// `host:port`; port 0 takes any.
    pub bind_address: String,
    /// `host:port` that clients use; by default what was bound.
    pub published_address: Option<String>,
    /// Regular expressions of the templates of endpoints served here; `None`: all.
    pub accepted_endpoints: Option<Vec<String>>,
    /// Its bounds.
    pub limits: Limits,
}

/// Settings that no service can be started with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Nobody could ever govern the service.
    #[error("no members: a service needs at least one")]
    NoMembers,
    /// Nothing could ever be asked of it.
    #[error("no interfaces: a node needs at least one")]
    NoInterfaces,
    /// An interface accepts what is no pattern.
    #[error("accepted_endpoints of interface {interface}: {reason}")]
    AcceptedEndpoints {
        /// Its name.
        interface: String,
        /// What is wrong.
        reason: String,
    },
    /// A member's certificate is unusable.
    #[error("certificate of member {index}: {reason}")]
    MemberCertificate {
        /// Which, from 0.
        index: usize,
        /// Why.
        reason: String,
    },
    /// A member's encryption key is unusable.
    #[error("encryption key of member {index}: {reason}")]
    MemberEncryptionKey {
        /// Which, from 0.
        index: usize,
        /// Why.
        reason: String,
    },
    /// A role that needs an encryption key.
    #[error("member {index} has recovery role {role} and no encryption key")]
    RoleWithoutKey {
        /// Which, from 0.
        index: usize,
        /// The role.
        role: &'static str,
    },
    /// More shares needed than there will be.
    #[error("recovery threshold {got}, want at most {want}, the number of participants")]
    Threshold {
        /// As configured.
        got: usize,
        /// Number of participants, or 1 with owners only.
        want: usize,
    },
}

impl RecoveryRole {
    /// The name in tables and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NonParticipant => "NonParticipant",
            Self::Participant => "Participant",
            Self::Owner => "Owner",
        }
    }
}

impl Interface {
    /// Its patterns, compiled.
    pub(super) fn accepted(&self) -> Result<AcceptedEndpoints, SettingsError> {
        let Some(patterns) = &self.accepted_endpoints else {
            return Ok(AcceptedEndpoints::all());
        };
        AcceptedEndpoints::matching(patterns).map_err(|error| SettingsError::AcceptedEndpoints {
            interface: self.name.clone(),
            reason: error.reason,
        })
    }
}

impl GenesisMember {
    fn participates(&self) -> bool {
        self.encryption_key.is_some()
            && matches!(self.recovery_role, None | Some(RecoveryRole::Participant))
    }

    fn owns(&self) -> bool {
        self.encryption_key.is_some() && self.recovery_role == Some(RecoveryRole::Owner)
    }
}

impl Settings {
    /// A node on any port of this machine, with everything else it writes beside its ledger.
    pub fn local(ledger_directory: PathBuf) -> Self {
        Self {
            service_data: None,
            node_subject: Subject {
                name: "CN=CCF Node".into(),
                alternative_names: vec![],
            },
            node_validity_days: 90,
            node_data: None,
            snapshot_directory: ledger_directory.with_file_name("snapshots"),
            checkpoint_file: Some(ledger_directory.with_file_name("checkpoint.json")),
            sealing_directory: None,
            development_sealing: false,
            read_only_snapshot_directory: None,
            snapshot_tx_count: 10_000,
            ledger_directory,
            read_only_ledger_directories: vec![],
            ledger_chunk_size: 5 << 20,
            interfaces: vec![Interface {
                name: "primary_rpc_interface".into(),
                bind_address: "127.0.0.1:0".into(),
                published_address: None,
                accepted_endpoints: None,
                limits: Limits::default(),
            }],
        }
    }

    /// Checks what can be checked before anything is written.
    ///
    /// # Errors
    /// [`SettingsError`], the first found.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.interfaces.is_empty() {
            return Err(SettingsError::NoInterfaces);
        }
        for interface in &self.interfaces {
            interface.accepted()?;
        }
        Ok(())
    }
}

impl NewService {
    /// Checks what can be checked before anything is written.
    ///
    /// # Errors
    /// [`SettingsError`], the first found.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.members.is_empty() {
            return Err(SettingsError::NoMembers);
        }
        for (index, member) in self.members.iter().enumerate() {
            PublicKey::of_certificate(&member.certificate).map_err(|e| {
                SettingsError::MemberCertificate {
                    index,
                    reason: e.to_string(),
                }
            })?;
            if let Some(key) = &member.encryption_key {
                RsaPublicKey::from_pem(key).map_err(|e| SettingsError::MemberEncryptionKey {
                    index,
                    reason: e.to_string(),
                })?;
            } else if let Some(role) = member
                .recovery_role
                .filter(|role| *role != RecoveryRole::NonParticipant)
            {
                return Err(SettingsError::RoleWithoutKey {
                    index,
                    role: role.as_str(),
                });
            }
        }
        let want = self.largest_threshold();
        let got = self.configuration.recovery_threshold;
        if got > want.max(1) {
            return Err(SettingsError::Threshold { got, want });
        }
        Ok(())
    }

    /// The threshold in force: as configured, or derived from the members.
    pub fn recovery_threshold(&self) -> usize {
        match self.configuration.recovery_threshold {
            0 => self.largest_threshold().max(1),
            configured => configured,
        }
    }

    fn largest_threshold(&self) -> usize {
        let participants = self
            .members
            .iter()
            .filter(|member| member.participates())
            .count();
        if participants == 0 && self.members.iter().any(GenesisMember::owns) {
            1
        } else {
            participants
        }
    }
}
