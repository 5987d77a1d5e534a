//! Optimistic concurrency, and what readers see.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ccf_rs::{Historical, HostError, ReadHost, Seqno, TxId, TxStatus, View, WriteHost};
use ledger::{SnapshotMap, SnapshotRow};

use super::*;

struct NoChain;

impl Chain for NoChain {
    fn view_of(&self, _: Seqno) -> Option<View> {
        None
    }

    fn status_of(&self, _: TxId) -> TxStatus {
        TxStatus::Unknown
    }

    fn last_committed(&self) -> TxId {
        TxId::new(2, 1)
    }

    fn historical(&self, _: RangeInclusive<Seqno>) -> Result<Historical, HostError> {
        Ok(Historical::Pending)
    }

    fn committed(&self, _: &str, _: &[u8]) -> Option<Bytes> {
        None
    }
}

fn begin(store: &Store, access: Access) -> Transaction {
    Transaction::new(
        store.newest(),
        None,
        Arc::new(NoChain),
        access,
        Duration::ZERO,
    )
}

fn store() -> Store {
    Store::new(State::default(), [0; 32])
}

fn put(store: &Store, table: &str, key: &str, value: &str) -> Seqno {
    let mut tx = begin(store, Access::Framework);
    tx.put(table, key.as_bytes(), value.as_bytes()).unwrap();
    store.append(tx).unwrap().seqno
}

/// What the pipeline does, without a disk.
fn flush(store: &Store) -> Batch {
    let batch = store.take(Duration::ZERO).unwrap();
    let row: Writes = [(
        Arc::from("public:ccf.internal.signatures"),
        [(Bytes::from([0; 8]), Some(Bytes::from(*b"s")))].into(),
    )]
    .into();
    store.publish(&batch, &row, [7; 32]);
    batch
}

#[test]
fn a_batch_is_held_open_for_handlers_that_run() {
    let store = Arc::new(store());
    put(&store, "public:t", "a", "1");
    let running = store.running();
    let taken = thread::spawn({
        let store = Arc::clone(&store);
        move || store.take(Duration::ZERO).unwrap()
    });
    // Time to take the first alone, were that what it does.
    thread::sleep(Duration::from_millis(50));
    put(&store, "public:t", "b", "2");
    drop(running);
    assert_eq!(taken.join().unwrap().transactions.len(), 2);
}

#[test]
fn positions_have_no_gap_and_signatures_take_one() {
    let store = store();
    assert_eq!(put(&store, "public:a", "k", "1"), Seqno(1));
    assert_eq!(put(&store, "public:a", "k", "2"), Seqno(2));
    assert_eq!(flush(&store).signature, Seqno(3));
    assert_eq!(put(&store, "public:a", "k", "3"), Seqno(4));
}

#[test]
fn of_two_transactions_that_read_the_same_key_the_second_writer_runs_again() {
    let store = store();
    put(&store, "public:a", "k", "1");
    let mut first = begin(&store, Access::Application);
    let mut second = begin(&store, Access::Application);
    for tx in [&mut first, &mut second] {
        assert_eq!(
            tx.get("public:a", b"k").unwrap().as_deref(),
            Some(b"1".as_slice())
        );
        tx.put("public:a", b"k", b"2").unwrap();
    }
    assert!(store.append(first).is_ok());
    assert_eq!(store.append(second).err(), Some(CommitError::Conflict));
}

#[test]
fn absence_is_read_too() {
    let store = store();
    let mut tx = begin(&store, Access::Application);
    assert!(!tx.has("public:a", b"k").unwrap());
    tx.put("public:b", b"x", b"y").unwrap();
    put(&store, "public:a", "k", "1");
    assert_eq!(store.append(tx).err(), Some(CommitError::Conflict));
}

#[test]
fn iteration_conflicts_with_any_write_to_the_table_and_with_no_other() {
    let store = store();
    put(&store, "public:a", "k", "1");
    for (table, conflicts) in [("public:a", true), ("public:b", false)] {
        let mut tx = begin(&store, Access::Application);
        assert_eq!(tx.len("public:a").unwrap(), store.newest().len("public:a"));
        tx.put("public:c", b"x", b"y").unwrap();
        put(&store, table, "new", "1");
        assert_eq!(store.append(tx).is_err(), conflicts, "{table}");
    }
}

#[test]
fn disjoint_transactions_do_not_conflict() {
    let store = store();
    let mut first = begin(&store, Access::Application);
    let mut second = begin(&store, Access::Application);
    first.get("public:a", b"1").unwrap();
    second.get("public:a", b"2").unwrap();
    first.put("public:a", b"1", b"").unwrap();
    second.put("public:a", b"2", b"").unwrap();
    assert!(store.append(first).is_ok());
    assert!(store.append(second).is_ok());
}

#[test]
fn own_writes_are_seen_and_removals_hide_rows() {
    let store = store();
    put(&store, "public:a", "1", "one");
    put(&store, "public:a", "2", "two");
    let mut tx = begin(&store, Access::Application);
    tx.remove("public:a", b"1").unwrap();
    tx.put("public:a", b"3", b"three").unwrap();
    assert_eq!(tx.get("public:a", b"1").unwrap(), None);
    assert_eq!(tx.len("public:a").unwrap(), 2);
    let mut keys = Vec::new();
    tx.range("public:a", Some(b"1"), Some(b"3"), &mut |key, _| {
        keys.push(key.to_vec());
        true
    })
    .unwrap();
    assert_eq!(keys, [b"2".to_vec()]);
    assert_eq!(tx.previous_write("public:a", b"1").unwrap(), Some(Seqno(1)));
    tx.clear("public:a").unwrap();
    assert_eq!(tx.len("public:a").unwrap(), 0);
}

#[test]
fn readers_of_durable_state_see_only_what_was_published() {
    let store = store();
    put(&store, "public:a", "k", "1");
    assert!(store.durable().state.value("public:a", b"k").is_none());
    flush(&store);
    assert!(store.durable().state.value("public:a", b"k").is_some());
    assert_eq!(store.durable().root, [7; 32]);
    assert_eq!(store.durable().state.seqno(), Seqno(2));
}

#[test]
fn whoever_read_a_signature_waits_for_the_one_being_made() {
    let store = store();
    put(&store, "public:a", "k", "1");
    flush(&store);
    put(&store, "public:a", "k", "2");
    let batch = store.take(Duration::ZERO).unwrap();
    let mut tx = begin(&store, Access::Framework);
    tx.get("public:ccf.internal.signatures", &[0; 8]).unwrap();
    tx.put("public:a", b"z", b"").unwrap();
    assert_eq!(store.append(tx).err(), Some(CommitError::Conflict));
    store.publish(&batch, &Writes::new(), [8; 32]);
    let mut tx = begin(&store, Access::Framework);
    tx.get("public:ccf.internal.signatures", &[0; 8]).unwrap();
    tx.put("public:a", b"z", b"").unwrap();
    assert!(store.append(tx).is_ok());
}

#[test]
fn an_application_cannot_reach_the_frameworks_tables() {
    let store = store();
    let mut tx = begin(&store, Access::Application);
    for table in [
        "public:ccf.gov.members.info",
        "public:ccf.internal.tree",
        "ccf.gov.x",
        "ccf.internal.y",
    ] {
        assert!(tx.put(table, b"k", b"v").is_err(), "{table}");
        assert!(tx.remove(table, b"k").is_err(), "{table}");
        assert!(tx.clear(table).is_err(), "{table}");
    }
    assert!(tx.get("public:ccf.gov.members.info", b"k").is_ok());
    assert!(tx.get("ccf.gov.x", b"k").is_err());
    assert!(!tx.has_writes());
}

#[test]
fn a_closed_store_takes_nothing_and_lets_the_pipeline_finish() {
    let store = store();
    put(&store, "public:a", "k", "1");
    store.close();
    let mut tx = begin(&store, Access::Application);
    tx.put("public:a", b"k", b"2").unwrap();
    assert_eq!(store.append(tx).err(), Some(CommitError::Stopping));
    assert_eq!(flush(&store).transactions.len(), 1);
    assert!(store.take(Duration::ZERO).is_none());
}

#[test]
fn a_table_comes_out_of_a_snapshot_as_it_went_in() {
    // Enough for several threads; in the order of a hash; with keys that begin with others and end with zeros.
    let keys: BTreeMap<Vec<u8>, u64> = (0..25_000_u64)
        .map(|n| {
            let bytes = (n / 3).to_be_bytes();
            let end = [8, 9, 10][n as usize % 3];
            (bytes.into_iter().chain([0, 0]).take(end).collect(), n)
        })
        .collect();
    let values: Vec<(&Vec<u8>, [u8; 8], u64)> = keys
        .iter()
        .map(|(key, n)| (key, n.to_le_bytes(), *n))
        .collect();
    let mut rows: Vec<SnapshotRow<'_>> = values
        .iter()
        .map(|(key, value, n)| (key.as_slice(), value.as_slice(), ledger::Seqno(n + 1)))
        .collect();
    rows.sort_by_key(|(_, _, seqno)| seqno.0.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut builder = StateBuilder::default();
    builder.load(&SnapshotMap {
        name: "public:a",
        version: ledger::Seqno(30_000),
        rows,
    });
    let state = builder.finish();
    assert_eq!(
        (state.seqno(), state.len("public:a")),
        (Seqno(30_000), keys.len())
    );
    assert_eq!(state.table_version("public:a"), Seqno(30_000));
    let found = state.versioned_rows("public:a");
    let want = values
        .iter()
        .map(|(key, value, n)| (key.as_slice(), value.as_slice(), Seqno(n + 1)));
    assert!(
        found
            .map(|(key, value, at)| (&**key, &**value, at))
            .eq(want)
    );
}
