//! Plain writes through the commit pipeline: encoded, hashed into the tree, signed, written, synced.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ccf_rs::{Seqno, WriteHost as _};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ledger::{LedgerSecret, RsaPrivateKey};
use node::identity::{IdentityKey, Subject, Validity, endorse_node, parse_valid_from};
use node::pipeline::{Files, History, Ledger, Pipeline, PipelineParts, RealDisk, Snapshots, Views};
use node::store::{Access, Chain, State, Store, Transaction};

struct Writer {
    store: Arc<Store>,
    chain: Arc<dyn Chain>,
    _pipeline: Pipeline,
}

impl Writer {
    fn new(directory: &Path) -> Self {
        let service_key = Arc::new(IdentityKey::generate().unwrap());
        let node_key = Arc::new(IdentityKey::generate().unwrap());
        let store = Arc::new(Store::new(State::default(), [0; 32]));
        let history = Arc::new(History::default());
        let rng = aws_lc_rs::rand::SystemRandom::new();
        history.add_secret(Seqno(1), Arc::new(LedgerSecret::generate(&rng).unwrap()));
        let chain = Ledger::new(
            Arc::clone(&history),
            Arc::downgrade(&store),
            Views::of_new_service(),
        );
        let pipeline = Pipeline::start(PipelineParts {
            store: Arc::clone(&store),
            files: Files::create(Arc::new(RealDisk), directory, 5 << 20).unwrap(),
            history,
            tree: ledger::MerkleTree::new(),
            views: Views::of_new_service(),
            service_key: Arc::clone(&service_key),
            node_key: Arc::clone(&node_key),
            encryption_key: Arc::new(RsaPrivateKey::generate().unwrap()),
            cose_claims: ("issuer".into(), "subject".into()),
            snapshots: Snapshots {
                directory: directory.to_owned(),
                every: u64::MAX,
                requested: Arc::default(),
            },
            chunk_requested: Arc::default(),
            checkpoint_file: None,
            clock: Box::new(|| Duration::from_secs(1_780_000_000)),
            on_commit: Box::new(|_| {}),
        })
        .unwrap();
        let validity = Validity {
            from: parse_valid_from("2026-01-01T00:00:00Z").unwrap(),
            days: 365,
        };
        let subject = Subject {
            name: "CN=CCF Node".into(),
            alternative_names: vec![],
        };
        let issuer = "CN=CCF Service";
        let certificate = endorse_node(&node_key, &subject, validity, &service_key, issuer);
        let writer = Self {
            store,
            chain: Arc::new(chain),
            _pipeline: pipeline,
        };
        let table = "public:ccf.gov.nodes.endorsed_certificates";
        writer.write(
            1,
            table,
            node_key.id().as_bytes(),
            certificate.unwrap().as_bytes(),
        );
        writer
    }

    /// So many transactions at once, and waits until all are on disk.
    fn write(&self, count: usize, table: &str, key: &[u8], value: &[u8]) {
        let waiting: Vec<_> = (0..count)
            .map(|_| {
                let chain = Arc::clone(&self.chain);
                let newest = self.store.newest();
                let mut tx =
                    Transaction::new(newest, None, chain, Access::Framework, Duration::ZERO);
                tx.put(table, key, value).unwrap();
                self.store.append(tx).unwrap().durable
            })
            .collect();
        for durable in waiting {
            durable.blocking_recv().unwrap().unwrap();
        }
    }
}

fn benches(c: &mut Criterion) {
    let scratch = tempfile::tempdir().unwrap();
    let writer = Writer::new(&scratch.path().join("ledger"));
    let mut group = c.benchmark_group("write through the pipeline");
    for count in [1, 16] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{count} at a time"), |b| {
            b.iter(|| writer.write(count, "records", b"key", &[7; 256]));
        });
    }
    group.finish();
}

criterion_group!(writes, benches);
criterion_main!(writes);
