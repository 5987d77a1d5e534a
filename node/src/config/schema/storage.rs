//! What is written and when: `ledger`, `snapshots`, `consensus`, `ledger_signatures`, `output_files`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::units::{Period, Size};

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
    /// Transactions after which a snapshot is taken; at least 1. After one that took long the next is taken later (decision 0029).
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
