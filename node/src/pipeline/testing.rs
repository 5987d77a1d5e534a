//! A pipeline for tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ccf_rs::{Seqno, WriteHost};
use ledger::{LedgerSecret, PublicKey, RsaPrivateKey};
use time::OffsetDateTime;

use super::*;
use crate::identity::{IdentityKey, Subject, Validity, endorse_node, self_signed_service};
use crate::store::{Access, Chain, CommitError, State, Store, Transaction};

/// Table, key, value.
pub(crate) type Row<'a> = (&'a str, &'a [u8], &'a [u8]);

/// A pipeline with everything around it but a node.
pub(crate) struct Rig {
    pub(super) store: Arc<Store>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) pipeline: Pipeline,
    pub(super) encryption_key: Arc<RsaPrivateKey>,
    pub(super) node: String,
    pub(super) service: PublicKey,
    certificate: String,
    pub(super) chunk_requested: Arc<AtomicBool>,
    pub(super) directory: PathBuf,
    _scratch: Option<tempfile::TempDir>,
}

impl Rig {
    pub(super) async fn new(chunk_size: u64) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut rig = Self::at(scratch.path(), chunk_size).await;
        rig._scratch = Some(scratch);
        rig
    }

    pub(super) async fn at(directory: &Path, chunk_size: u64) -> Self {
        Self::on(Arc::new(RealDisk), directory, chunk_size).await
    }

    /// On any disk.
    pub(crate) async fn on(disk: Arc<dyn Disk>, directory: &Path, chunk_size: u64) -> Self {
        let service_key = Arc::new(IdentityKey::generate().unwrap());
        let node_key = Arc::new(IdentityKey::generate().unwrap());
        let encryption_key = Arc::new(RsaPrivateKey::generate().unwrap());
        let store = Arc::new(Store::new(State::default(), [0; 32]));
        let history = Arc::new(History::default());
        let rng = aws_lc_rs::rand::SystemRandom::new();
        history.add_secret(Seqno(1), Arc::new(LedgerSecret::generate(&rng).unwrap()));
        let ledger = Arc::new(Ledger::new(
            Arc::clone(&history),
            Arc::downgrade(&store),
            Views::of_new_service(),
        ));
        let chunk_requested = Arc::new(AtomicBool::new(false));
        let pipeline = Pipeline::start(PipelineParts {
            store: Arc::clone(&store),
            files: Files::create(disk, directory, chunk_size).unwrap(),
            history,
            tree: ledger::MerkleTree::new(),
            views: Views::of_new_service(),
            service_key: Arc::clone(&service_key),
            node_key: Arc::clone(&node_key),
            encryption_key: Arc::clone(&encryption_key),
            cose_claims: ("issuer".into(), "subject".into()),
            snapshots: Snapshots {
                directory: directory.to_owned(),
                every: u64::MAX,
                requested: Arc::default(),
            },
            chunk_requested: Arc::clone(&chunk_requested),
            checkpoint_file: None,
            clock: Box::new(|| Duration::from_secs(1_780_000_000)),
            on_commit: Box::new(|_| {}),
        })
        .unwrap();
        let validity = Validity {
            from: OffsetDateTime::from_unix_timestamp(1_780_000_000).unwrap(),
            days: 1,
        };
        let service_pem = self_signed_service(&service_key, "CN=CCF Service", validity).unwrap();
        let subject = Subject {
            name: "CN=CCF Node".into(),
            alternative_names: vec![],
        };
        let node_pem = endorse_node(
            &node_key,
            &subject,
            validity,
            &service_key,
            "CN=CCF Service",
        )
        .unwrap();
        let rig = Self {
            store,
            ledger,
            pipeline,
            encryption_key,
            node: node_key.id(),
            service: PublicKey::of_certificate(&service_pem).unwrap(),
            certificate: service_pem.clone(),
            chunk_requested,
            directory: directory.to_owned(),
            _scratch: None,
        };
        let info = serde_json::json!({ "cert": service_pem, "status": "Opening" }).to_string();
        rig.write(&[
            ("public:ccf.gov.service.info", &[0; 8], info.as_bytes()),
            (
                "public:ccf.gov.nodes.info",
                rig.node.as_bytes(),
                br#"{"status":"Trusted"}"#,
            ),
            (
                "public:ccf.gov.nodes.endorsed_certificates",
                rig.node.as_bytes(),
                node_pem.as_bytes(),
            ),
        ])
        .await
        .unwrap();
        rig
    }

    pub(crate) async fn write(&self, rows: &[Row<'_>]) -> Result<Seqno, CommitError> {
        let chain = Arc::clone(&self.ledger) as Arc<dyn Chain>;
        let mut tx = Transaction::new(
            self.store.newest(),
            None,
            chain,
            Access::Framework,
            Duration::ZERO,
        );
        for (table, key, value) in rows {
            tx.put(table, key, value).unwrap();
        }
        tx.set_claims_digest([5; 32]).unwrap();
        let appended = self.store.append(tx)?;
        appended.durable.await.unwrap().map(|()| appended.seqno)
    }

    pub(crate) fn service(&self) -> &PublicKey {
        &self.service
    }

    /// Says that the service is open, and nothing else of what opening is.
    pub(crate) async fn open_service(&self) {
        let info = serde_json::json!({ "cert": self.certificate, "status": "Open" }).to_string();
        // Until the disk takes it.
        while self
            .write(&[("public:ccf.gov.service.info", &[0; 8], info.as_bytes())])
            .await
            .is_err()
        {}
    }

    pub(crate) fn stop(&mut self) {
        self.pipeline.stop();
    }
}
