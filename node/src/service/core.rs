//! What endpoints reach of the node they run in.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ccf_rs::{Seqno, TxId, View};
use ledger::LedgerSecret;
use serde_json::{Map, Value as JsonValue, json};

use super::certificates::NodeCertificates;
use super::restore::Recovering;
use crate::frontend::{app_is_open, gov_is_open};
use crate::gov::{NodeServices, NodeState, Restoring};
use crate::identity::{
    IdentityKey, Validity, endorse_request, parse_valid_from, self_signed_service,
};
use crate::pipeline::{History, Snapshots, Views, committed_snapshots};
use crate::server::Sessions;
use crate::store::Store;

/// What endpoints reach of the node.
pub(super) struct Core {
    pub(super) store: Arc<Store>,
    pub(super) history: Arc<History>,
    pub(super) views: Views,
    pub(super) service_key: Arc<IdentityKey>,
    pub(super) node_key: Arc<IdentityKey>,
    pub(super) service_subject: String,
    pub(super) service_certificate: String,
    pub(super) certificates: NodeCertificates,
    pub(super) sessions: Vec<(String, Arc<Sessions>)>,
    pub(super) chunk_requested: Arc<AtomicBool>,
    pub(super) snapshots: Snapshots,
    pub(super) stopping: AtomicBool,
    pub(super) stage: Stage,
}

/// How the node came to its ledger.
pub(super) enum Stage {
    /// It began it.
    New,
    /// It reads the ledger of an earlier service, and has nothing of it yet.
    ReadingPublic,
    /// It goes on from the ledger of an earlier service.
    Recovered(Arc<Recovering>),
}

impl Core {
    pub(super) fn recovering(&self) -> Option<&Arc<Recovering>> {
        match &self.stage {
            Stage::New | Stage::ReadingPublic => None,
            Stage::Recovered(recovering) => Some(recovering),
        }
    }
}

impl NodeServices for Core {
    fn node_id(&self) -> String {
        self.node_key.id()
    }

    fn state(&self) -> NodeState {
        let (name, recovery) = match &self.stage {
            Stage::New => ("PartOfNetwork", None),
            Stage::ReadingPublic => ("ReadingPublicLedger", None),
            Stage::Recovered(recovering) => recovering.state(self.application_open()),
        };
        NodeState {
            name,
            // Every committed state ends with a signature.
            last_signed: self.store.durable().state.seqno(),
            startup: self.recovering().map_or(Seqno(0), |r| r.startup()),
            recovery,
            stopping: self.stopping.load(Ordering::Relaxed),
        }
    }

    fn view(&self) -> View {
        self.views.current()
    }

    fn view_history(&self) -> Vec<TxId> {
        self.views.as_transactions()
    }

    fn self_signed_certificate(&self) -> String {
        self.certificates.self_signed().as_str().to_owned()
    }

    fn service_key(&self) -> &dyn ledger::Signer {
        self.service_key.as_ref()
    }

    fn endorse_node(
        &self,
        request_pem: &str,
        valid_from: &str,
        days: u32,
    ) -> Result<String, String> {
        let from = parse_valid_from(valid_from).map_err(|e| e.to_string())?;
        endorse_request(
            request_pem,
            Validity { from, days },
            &self.service_key,
            &self.service_subject,
        )
        .map_err(|e| e.to_string())
    }

    fn renew_service_certificate(&self, valid_from: &str, days: u32) -> Result<String, String> {
        let from = parse_valid_from(valid_from).map_err(|e| e.to_string())?;
        self_signed_service(
            &self.service_key,
            &self.service_subject,
            Validity { from, days },
        )
        .map_err(|e| e.to_string())
    }

    fn ledger_secret(&self) -> Option<(Seqno, Arc<LedgerSecret>)> {
        let public_only = self.recovering().is_some_and(|r| r.is_public_only());
        self.history.latest_secret().filter(|_| !public_only)
    }

    fn restoring(&self) -> Option<Arc<dyn Restoring>> {
        let recovering = self.recovering().filter(|r| r.is_public_only())?;
        Some(Arc::clone(recovering) as _)
    }

    fn request_chunk(&self) {
        self.chunk_requested.store(true, Ordering::Release);
    }

    fn request_snapshot(&self) {
        self.snapshots.requested.store(true, Ordering::Release);
    }

    fn session_metrics(&self) -> JsonValue {
        let (mut active, mut peak) = (0, 0);
        let mut interfaces = Map::new();
        for (name, sessions) in &self.sessions {
            let report = sessions.report();
            active += report.active;
            peak += report.peak;
            interfaces.insert(
                name.clone(),
                json!({
                    "active": report.active,
                    "peak": report.peak,
                    "soft_cap": report.soft_cap,
                    "hard_cap": report.hard_cap,
                    "errors": {
                        "parsing": report.parsing,
                        "request_payload_too_large": report.body_too_large,
                        "request_header_too_large": report.header_too_large,
                    },
                }),
            );
        }
        json!({ "active": active, "peak": peak, "interfaces": interfaces })
    }

    fn snapshots(&self) -> Vec<String> {
        committed_snapshots(&self.snapshots.directory)
    }

    fn snapshot(&self, name: &str) -> Option<File> {
        let known = self.snapshots().iter().any(|known| known == name);
        known
            .then(|| File::open(self.snapshots.directory.join(name)).ok())
            .flatten()
    }

    fn application_open(&self) -> bool {
        app_is_open(&self.store.durable().state)
    }

    fn governance_open(&self) -> bool {
        gov_is_open(&self.store.durable().state)
    }
}
