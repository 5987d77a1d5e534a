//! What governance and node endpoints need beyond their transaction. The node's core
//! implements it; everything else they do is tables.
//!
//! The tables have effects of their own once committed, which the core watches:
//! `nodes.endorsed_certificates` changes what TLS presents, `service.info` opens the
//! application's frontend, `internal.encrypted_ledger_secrets` gives the node the ledger
//! secret that covers the positions after it.

use std::fs::File;
use std::sync::Arc;

use ccf_rs::{Seqno, TxId, View};
use ledger::{EncryptedSecretsRow, LedgerSecret};
use serde_json::Value as JsonValue;

/// The node around the endpoints. All methods are quick and none blocks on a commit.
pub trait NodeServices: Send + Sync {
    /// This node's id: lower-case hex SHA-256 of its public key.
    fn node_id(&self) -> String;

    /// Where the node is in its life.
    fn state(&self) -> NodeState;

    /// The view of transactions executed now.
    fn view(&self) -> View;

    /// The first transaction id of each view from view 1 on, as `/commit` shows it; a view that
    /// began with the service's first transaction has sequence number 1.
    fn view_history(&self) -> Vec<TxId>;

    /// The node's certificate as it signed it itself, PEM.
    fn self_signed_certificate(&self) -> String;

    /// The key of the service.
    fn service_key(&self) -> &dyn ledger::Signer;

    /// A certificate for the node that made this request, issued by the service, PEM.
    ///
    /// # Errors
    /// Why the request, the time or the number of days is not acceptable.
    fn endorse_node(
        &self,
        request_pem: &str,
        valid_from: &str,
        days: u32,
    ) -> Result<String, String>;

    /// A new certificate over the service's key, PEM.
    ///
    /// # Errors
    /// Why the time or the number of days is not acceptable.
    fn renew_service_certificate(&self, valid_from: &str, days: u32) -> Result<String, String>;

    /// The newest ledger secret and the first position it covers; `None` while a recovered
    /// service waits for its shares.
    fn ledger_secret(&self) -> Option<(Seqno, Arc<LedgerSecret>)>;

    /// What recovers the ledger secrets; `None` unless a recovered service waits for its shares.
    fn restoring(&self) -> Option<Arc<dyn Restoring>> {
        None
    }

    /// Ends the ledger file at the next signature. May be asked for by a transaction that is
    /// dropped afterwards, which does no harm.
    fn request_chunk(&self);

    /// Takes a snapshot at the next signature; like [`NodeServices::request_chunk`].
    fn request_snapshot(&self);

    /// Sessions by interface, as `/node/metrics` shows them.
    fn session_metrics(&self) -> JsonValue;

    /// Names of the committed snapshots, oldest first.
    fn snapshots(&self) -> Vec<String>;

    /// The file of a committed snapshot, for reading.
    fn snapshot(&self, name: &str) -> Option<File>;

    /// Whether the application's frontend is open.
    fn application_open(&self) -> bool;

    /// Whether the governance frontend is open.
    fn governance_open(&self) -> bool;
}

/// Recovers the ledger secrets of an earlier service. What it returns takes effect once it is committed.
pub trait Restoring: Send + Sync {
    /// The secret of the recovered service, under which submitted shares are kept.
    fn secret(&self) -> Arc<LedgerSecret>;

    /// All secrets of the earlier service, from the newest, encrypted to this node.
    ///
    /// # Errors
    /// Why the newest does not lead to the others.
    fn restore(&self, newest: LedgerSecret) -> Result<EncryptedSecretsRow, String>;

    /// The same from a secret that was sealed to this machine; `None` without one that fits the ledger.
    ///
    /// # Errors
    /// As [`Self::restore`].
    fn sealed(&self) -> Result<Option<EncryptedSecretsRow>, String>;
}

/// Where a node is in its life (CCF interface, section 7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// `PartOfNetwork`, `PartOfPublicNetwork`, `ReadingPrivateLedger`, ...
    pub name: &'static str,
    /// Position of the last signature transaction.
    pub last_signed: Seqno,
    /// Position from which this node started.
    pub startup: Seqno,
    /// While recovering: target and reached positions.
    pub recovery: Option<(Seqno, Seqno)>,
    /// The node was asked to stop.
    pub stopping: bool,
}

impl NodeState {
    /// The node has only the public tables of a recovered service.
    pub fn is_public_only(&self) -> bool {
        matches!(
            self.name,
            "PartOfPublicNetwork" | "ReadingPrivateLedger" | "ReadingPublicLedger"
        )
    }
}
