//! Power cuts, failed syncs and a full disk, at every step of the pipeline and of the settling after it, with everything
//! that was not synced lost, torn or reordered. One seed gives everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ledger::PublicKey;

use super::{LedgerSource, PublicLedger, RecoveryError};
use crate::pipeline::{Fault, Random, Rig, SimulatedDisk};
use crate::store::CommitError;

const DIRECTORY: &str = "/ledger";

/// A run of the pipeline: what was acknowledged is marked in the disk's log.
struct Run {
    disk: SimulatedDisk,
    service: PublicKey,
    refused: usize,
}

/// Writes through a pipeline on a disk that fails as said.
async fn run(faults: BTreeMap<usize, Fault>, seed: u64, writes: u64) -> Run {
    // Small chunks, so that many end.
    run_with_chunks(faults, seed, writes, 6_000).await
}

async fn run_with_chunks(
    faults: BTreeMap<usize, Fault>,
    seed: u64,
    writes: u64,
    chunk_size: u64,
) -> Run {
    let disk = SimulatedDisk::failing(faults, seed);
    let mut rig = Rig::on(Arc::new(disk.clone()), DIRECTORY.as_ref(), chunk_size).await;
    rig.open_service().await;
    let mut random = Random::new(seed);
    let mut refused = 0;
    for n in 0..writes {
        let value = vec![7; random.below(1_200)];
        let key = n.to_le_bytes();
        match rig.write(&[("public:rows", &key, &value)]).await {
            Ok(_) => disk.mark(n),
            Err(CommitError::Unavailable) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    rig.stop();
    Run {
        disk,
        service: rig.service().clone(),
        refused,
    }
}

fn source(disk: &SimulatedDisk) -> LedgerSource {
    LedgerSource {
        disk: Arc::new(disk.clone()),
        directory: DIRECTORY.into(),
        read_only: vec![],
        snapshots: vec![],
        checkpoints: vec![],
    }
}

/// Recovers from what a power cut left, and checks that nothing is missing.
fn recovers(disk: &SimulatedDisk, service: &PublicKey, acknowledged: &BTreeSet<u64>, what: &str) {
    let source = source(disk);
    let mut ledger = match PublicLedger::read(&source, service) {
        Ok(ledger) => ledger,
        // The service had not come so far.
        Err(
            RecoveryError::Empty { .. } | RecoveryError::Ledger(_) | RecoveryError::NeverOpened,
        ) if acknowledged.is_empty() => {
            return;
        }
        Err(error) => panic!("{what}: {error}"),
    };
    for n in acknowledged {
        assert!(
            ledger
                .state
                .value("public:rows", &n.to_le_bytes())
                .is_some(),
            "{what}: write {n} was acknowledged and is lost"
        );
    }
    let tail = ledger.tail.clone();
    ledger.settle().unwrap();
    let after = disk.contents();
    if let Some(tail) = tail.filter(|tail| !tail.bytes.is_empty()) {
        let kept = after.iter().filter(|(name, _)| name.ends_with(".ignored"));
        assert!(
            kept.map(|(_, bytes)| bytes)
                .any(|bytes| bytes.ends_with(&tail.bytes)),
            "{what}: the tail of {} was not set aside",
            tail.file
        );
    }
    // The directory is whole now: nothing is behind the last signature, and it is the same ledger.
    let again = PublicLedger::read(&source, service).unwrap();
    assert_eq!((again.last, &again.tail), (ledger.last, &None), "{what}");
    assert_eq!(again.tree.root(), ledger.tree.root(), "{what}");
}

/// Cuts the power at every time of a run, with this many outcomes each.
fn cut_everywhere(run: &Run, outcomes: u64, seed: u64) -> usize {
    let mut points = 0;
    for time in 0..run.disk.times() {
        for outcome in 0..outcomes {
            let seed = seed.wrapping_mul(1_000_003) + time as u64 * 101 + outcome;
            let (left, acknowledged) = run.disk.after_power_cut(time, seed);
            recovers(
                &left,
                &run.service,
                &acknowledged,
                &format!("cut at {time}, seed {seed}"),
            );
            points += 1;
        }
    }
    points
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_at_any_step_loses_no_acknowledged_write() {
    let run = run(BTreeMap::new(), 1, 12).await;
    assert_eq!(run.refused, 0);
    let points = cut_everywhere(&run, 10, 1);
    println!("{points} power cuts");
    assert!(points > 800);
}

/// Faults at a few places of a run, some of them several operations long.
fn faults(random: &mut Random) -> BTreeMap<usize, Fault> {
    let mut faults = BTreeMap::new();
    for _ in 0..3 {
        let first = 20 + random.below(90);
        for operation in first..first + 1 + random.below(6) {
            let fault = if random.below(2) == 0 {
                Fault::Refused
            } else {
                Fault::Partial
            };
            faults.insert(operation, fault);
        }
    }
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_writes_and_syncs_are_not_acknowledged_and_lose_nothing() {
    let (mut points, mut refused) = (0, 0);
    for seed in 0..14 {
        let mut random = Random::new(1_000 + seed);
        let run = run(faults(&mut random), seed, 12).await;
        refused += run.refused;
        points += cut_everywhere(&run, 1, 7 + seed);
    }
    println!("{points} power cuts after failures, {refused} writes refused");
    assert!(points > 1_000 && refused > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_acknowledging_until_there_is_space() {
    // From some operation on nothing can be written for a while.
    let full: BTreeMap<usize, Fault> = (25..55).map(|n| (n, Fault::Refused)).collect();
    let run = run_with_chunks(full, 3, 16, 1 << 20).await;
    assert!(
        run.refused > 0,
        "nothing is acknowledged while the disk is full"
    );
    let (left, acknowledged) = run.disk.after_power_cut(run.disk.times() - 1, 3);
    // What came after was acknowledged again.
    assert!(acknowledged.contains(&15));
    recovers(&left, &run.service, &acknowledged, "after a full disk");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_while_the_directory_is_settled_loses_nothing_either() {
    let run = run(BTreeMap::new(), 5, 10).await;
    let mut points = 0;
    for round in 0..60 {
        let mut random = Random::new(round);
        let time = run.disk.times() / 2 + random.below(run.disk.times() / 2);
        let (left, acknowledged) = run.disk.after_power_cut(time, round);
        let settling = source(&left);
        let Ok(mut ledger) = PublicLedger::read(&settling, &run.service) else {
            assert!(acknowledged.is_empty());
            continue;
        };
        let before = left.times();
        ledger.settle().unwrap();
        for time in before..left.times() {
            let (again, _) = left.after_power_cut(time, round * 31 + time as u64);
            recovers(
                &again,
                &run.service,
                &acknowledged,
                &format!("round {round}, settling cut at {time}"),
            );
            points += 1;
        }
    }
    println!("{points} power cuts while settling");
    assert!(points > 200);
}
