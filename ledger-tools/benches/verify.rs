//! Verification of large ledgers, beside CCF's `read_ledger.py` on the same files and beside the floor that hashing the
//! same bytes and leaves sets on the same cores.
//!
//! ```text
//! cargo bench -p ledger-tools --bench verify                   305 MB, a signature every 5,000 transactions; then
//!                                                              every fourth entry a signature, with COSE and without
//! cargo bench -p ledger-tools --bench verify -- 50 1000        50 MB, a signature every 1,000 transactions
//! cargo bench -p ledger-tools --bench verify -- 50 1000 DIR    the ledger is written there and kept, or read if it is there
//! cargo bench -p ledger-tools --bench verify -- growth [5000]  10 MB to 1 GB, or to 5 GB
//! ```
//!
//! CCF's tool runs where `CLEANROOM_CCF_PYTHON` names an interpreter that has it. Each figure is of a process of its own,
//! ours the best of three; memory is the most that was resident, processor time that of all cores together.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ledger::{Digest, Fold, PublicKey, Seqno, Signer as _, WriteSet, hash_all};
use ledger_tools::{Files, VerifyOptions, chunk_files, verify_directory};
use tests::ledger_writer::{Key, LedgerWriter};

const CHUNK: u64 = 5 << 20;
/// Ticks of processor time in a second (`/proc/self/stat`), on every Linux.
const TICKS: f64 = 100.0;

/// What is measured.
struct Case {
    megabytes: u64,
    /// A signature in so many entries.
    every: u64,
    cose: bool,
    directory: Option<PathBuf>,
    python: bool,
}

impl Case {
    const fn new(megabytes: u64, every: u64) -> Self {
        Self {
            megabytes,
            every,
            cose: true,
            directory: None,
            python: true,
        }
    }
}

/// What one run took.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Cost {
    seconds: f64,
    processor: f64,
    /// Kilobytes resident; zero where it is not known.
    resident: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["child", what, directory] => child(what, Path::new(directory)),
        ["growth"] => growth(1000),
        ["growth", until] => growth(number(until)),
        [] => {
            measure(&Case::new(305, 5000));
            measure(&Case::new(20, 4));
            let mut without = Case::new(20, 4);
            without.cose = false;
            measure(&without);
        }
        [megabytes, every, directory @ ..] => {
            let mut case = Case::new(number(megabytes), number(every));
            case.directory = directory.first().map(PathBuf::from);
            measure(&case);
        }
        other => panic!("{other:?}: see the head of this file"),
    }
}

fn growth(until: u64) {
    for megabytes in [10, 50, 305, 1000, 5000] {
        if megabytes <= until {
            let mut case = Case::new(megabytes, 5000);
            case.python = megabytes <= 50;
            measure(&case);
        }
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

/// Writes a ledger of about this size and measures what can be done with it.
fn measure(case: &Case) {
    let scratch = tempfile::tempdir().unwrap();
    let kept = scratch.path().join("ledger");
    let directory = case.directory.as_ref().unwrap_or(&kept);
    if !directory.exists() {
        write(directory, case);
    }
    let report = verify_directory(directory, &VerifyOptions::default()).unwrap();
    let chunks = chunk_files(directory, Files::default()).unwrap();
    let sizes = chunks
        .iter()
        .map(|chunk| chunk.path.metadata().unwrap().len());
    let megabytes = sizes.sum::<u64>() as f64 / 1e6;
    println!(
        "{megabytes:.0} MB, {} transactions, {} signatures, {} with COSE",
        report.entries, report.signatures, report.cose_signatures
    );
    let show = |what: &str, cost: Cost| {
        let Cost {
            seconds, processor, ..
        } = cost;
        print!(
            "  {what:<26} {seconds:>8.3} s {processor:>7.2} s of processors {:>6.0} MB/s {:>9.0} tx/s",
            megabytes / seconds,
            report.entries as f64 / seconds,
        );
        match cost.resident {
            0 => println!(),
            resident => println!(" {:>4} MB resident", resident / 1000),
        }
        cost
    };
    let single = show("hashing, one by one", best("floor", directory));
    let floor = show("hashing, two at a time", best("floor-of-two", directory));
    let ours = show("verification", best("verify", directory));
    for (which, floor) in [("one by one", single), ("two at a time", floor)] {
        println!(
            "  {:.0} % of the floor of hashing {which}, {:.0} % by processor time",
            100.0 * floor.seconds / ours.seconds,
            100.0 * floor.processor / ours.processor
        );
    }
    let signatures = report.signatures + report.cose_signatures;
    if signatures > report.entries / 100 {
        let cost = show("its ECDSA alone", ecdsa(signatures));
        println!(
            "  {:.0} us for a P-384 signature; {:.0} % of the floor of both",
            1e6 * cost.processor / signatures as f64,
            100.0 * (floor.processor + cost.processor) / ours.processor
        );
    }
    if let Some(python) = std::env::var_os("CLEANROOM_CCF_PYTHON").filter(|_| case.python) {
        let theirs = show("read_ledger.py", read_ledger(Path::new(&python), directory));
        println!(
            "  {:.1} times its speed, {:.1} times less of processors",
            theirs.seconds / ours.seconds,
            theirs.processor / ours.processor
        );
    }
}

/// Small transactions, signed every so often, in chunks of the usual size.
fn write(directory: &Path, case: &Case) {
    let bytes = case.megabytes * 1_000_000;
    let mut writer = LedgerWriter::new(directory);
    if !case.cose {
        writer.without_cose();
    }
    let mut set = writer.founding();
    let mut done = 0;
    while done < bytes {
        writer.write(&set);
        let count = writer.next().seqno.0;
        let last = done + writer.chunk_size() >= bytes;
        if last || writer.chunk_size() >= CHUNK {
            done += writer.chunk_size();
            writer.sign_and_finish();
        } else if count.is_multiple_of(case.every) {
            writer.sign();
        }
        set = WriteSet::new();
        let value = [count as u8; 110];
        set.put("public:records", count.to_le_bytes(), value);
    }
}

/// The best of three runs in a process of its own.
fn best(what: &str, directory: &Path) -> Cost {
    let run = || {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["child", what])
            .arg(directory)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let mut numbers = text.split_whitespace();
        let mut next = || number(numbers.next().unwrap());
        Cost {
            seconds: next() as f64 / 1e9,
            processor: next() as f64 / TICKS,
            resident: next(),
        }
    };
    let runs = (0..3).map(|_| run());
    runs.min_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap()
}

/// Prints nanoseconds, ticks and kilobytes.
fn child(what: &str, directory: &Path) {
    let begin = Instant::now();
    if what == "verify" {
        let report = verify_directory(directory, &VerifyOptions::default()).unwrap();
        assert_eq!(report.verified_until, report.last);
    } else {
        hash_files(directory, what == "floor-of-two");
    }
    let time = begin.elapsed().as_nanos();
    let [user, system, ..] = ticks();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let resident = resident.unwrap().trim().trim_end_matches(" kB").trim();
    println!("{time} {} {resident}", user + system);
}

/// Processor time of this process in user and system mode, then that of its children.
fn ticks() -> [u64; 4] {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name, which may have spaces in it, the first field is the third.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    [11, 12, 13, 14].map(|index| number(fields[index]))
}

/// Reads and hashes every entry and leaf, and folds leaves into subtrees: nothing is compared, nothing is verified.
fn hash_files(directory: &Path, two: bool) {
    let chunks = chunk_files(directory, Files::default()).unwrap();
    let next = AtomicUsize::new(0);
    on_all_cores(|| {
        while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let bytes = std::fs::read(&chunk.path).unwrap();
            hash_chunk(&bytes, chunk.name.first, two);
        }
    });
}

fn on_all_cores(work: impl Fn() + Sync) {
    let cores = thread::available_parallelism().unwrap().get();
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(&work);
        }
    });
}

fn hash_chunk(bytes: &[u8], first: Seqno, two: bool) {
    let end = u64::from_le_bytes(*bytes.first_chunk().unwrap());
    let end = if end == 0 { bytes.len() } else { end as usize };
    let mut at = 8;
    let entries = std::iter::from_fn(|| {
        let header = bytes[..end].get(at..at + 8)?;
        let size = u64::from_le_bytes(*header.first_chunk().unwrap()) >> 16;
        let entry = &bytes[at..at + 8 + size as usize];
        at += entry.len();
        Some(entry)
    });
    let fold = if two {
        fold_of_two(entries, first)
    } else {
        fold_one_by_one(entries, first)
    };
    std::hint::black_box(fold.subtrees().len());
}

/// What the leaf of an entry is the hash of.
fn leaf(entry: &[u8], write_set: &Digest) -> [u8; 96] {
    let mut leaf = [0; 96];
    leaf[..32].copy_from_slice(&write_set.0);
    // Behind the header of 44 bytes, the type and the position: claims, evidence of the commit.
    leaf[32..64].copy_from_slice(&entry[85..117]);
    leaf[64..].copy_from_slice(&entry[53..85]);
    leaf
}

fn fold_one_by_one<'e>(entries: impl Iterator<Item = &'e [u8]>, first: Seqno) -> Fold {
    let mut fold = Fold::new(first);
    for entry in entries {
        fold.push(Digest::of(&leaf(entry, &Digest::of(entry))));
    }
    fold
}

fn fold_of_two<'e>(entries: impl Iterator<Item = &'e [u8]>, first: Seqno) -> Fold {
    let entries: Vec<&[u8]> = entries.collect();
    let (mut leaves, mut digests) = (Vec::new(), Vec::new());
    for entries in entries.chunks(256) {
        digests.clear();
        hash_all(entries, &mut digests);
        let unhashed = entries
            .iter()
            .zip(&digests)
            .map(|(entry, digest)| leaf(entry, digest));
        hash_all(&unhashed.collect::<Vec<_>>(), &mut leaves);
    }
    Fold::of(first, &leaves)
}

/// What verifying so many signatures takes and nothing else.
fn ecdsa(signatures: u64) -> Cost {
    let key = Key::generate();
    let root = Digest::of(b"root");
    let signature = key.sign_root(&root).unwrap();
    let key = PublicKey::from_spki_der(key.public_key_der()).unwrap();
    let left = AtomicUsize::new(usize::try_from(signatures).unwrap());
    let one_less = |left: usize| left.checked_sub(1);
    let (begin, before) = (Instant::now(), ticks());
    on_all_cores(|| {
        while left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
        {
            key.verify_root(&root, &signature).unwrap();
        }
    });
    let [user, system, ..] = ticks();
    Cost {
        seconds: begin.elapsed().as_secs_f64(),
        processor: (user + system - before[0] - before[1]) as f64 / TICKS,
        resident: 0,
    }
}

fn read_ledger(python: &Path, directory: &Path) -> Cost {
    let (begin, before) = (Instant::now(), ticks());
    let output = Command::new(python)
        .arg(python.with_file_name("read_ledger.py"))
        .args(["-q", "--uncommitted"])
        .arg(directory)
        .output()
        .unwrap();
    let time: Duration = begin.elapsed();
    let [.., user, system] = ticks();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("verified until"),
        "{text}"
    );
    Cost {
        seconds: time.as_secs_f64(),
        processor: (user + system - before[2] - before[3]) as f64 / TICKS,
        resident: 0,
    }
}
