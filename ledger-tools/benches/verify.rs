//! Verification of large ledgers, beside CCF's `read_ledger.py` on the same files and beside the floor that hashing the
//! same bytes and leaves sets on the same cores.
//!
//! ```text
//! cargo bench -p ledger-tools --bench verify                       10 MB, a signature every 5,000 transactions
//! cargo bench -p ledger-tools --bench verify -- 305 5000           305 MB
//! cargo bench -p ledger-tools --bench verify -- 305 5000 /scratch  the ledger is written there and kept
//! cargo bench -p ledger-tools --bench verify -- growth             10 MB to 5 GB
//! ```
//!
//! CCF's tool runs where `CLEANROOM_CCF_PYTHON` names an interpreter that has it. Each figure is of a process of its own,
//! the best of three; memory is the most that was resident.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ledger::{Digest, Fold, Seqno, WriteSet};
use ledger_tools::{Files, VerifyOptions, chunk_files, verify_directory};
use tests::ledger_writer::LedgerWriter;

const CHUNK: u64 = 5 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["child", what, directory] => child(what, Path::new(directory)),
        ["growth"] => {
            for megabytes in [10, 50, 305, 1000, 5000] {
                measure(megabytes, 5000, None, megabytes <= 305);
            }
        }
        [] => measure(10, 5000, None, true),
        [megabytes, every] => measure(number(megabytes), number(every), None, true),
        [megabytes, every, directory] => {
            measure(number(megabytes), number(every), Some(directory), true);
        }
        other => panic!("{other:?}: see the head of this file"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

/// Writes a ledger of about this size and measures what can be done with it.
fn measure(megabytes: u64, every: u64, directory: Option<&str>, python: bool) {
    let scratch = tempfile::tempdir().unwrap();
    let directory = directory.map_or_else(|| scratch.path().join("ledger"), PathBuf::from);
    let transactions = write(&directory, megabytes * 1_000_000, every);
    let bytes: u64 = chunk_files(&directory, Files::default())
        .unwrap()
        .iter()
        .map(|chunk| chunk.path.metadata().unwrap().len())
        .sum();
    println!(
        "{:.0} MB, {transactions} transactions, a signature every {every}",
        bytes as f64 / 1e6
    );
    let show = |what: &str, (time, memory): (Duration, u64)| {
        let seconds = time.as_secs_f64();
        println!(
            "  {what:<28} {seconds:>8.3} s {:>8.0} MB/s {:>10.0} tx/s {:>6} MB resident",
            bytes as f64 / 1e6 / seconds,
            transactions as f64 / seconds,
            memory / 1000,
        );
        seconds
    };
    let floor = show("hashing, read from files", best("floor", &directory));
    if megabytes <= 1000 {
        show("hashing, in memory", best("memory", &directory));
    }
    let ours = show("verification", best("verify", &directory));
    println!("  {:.0} % of the floor", 100.0 * floor / ours);
    if let Some(interpreter) = std::env::var_os("CLEANROOM_CCF_PYTHON").filter(|_| python) {
        let theirs = show(
            "read_ledger.py",
            read_ledger(Path::new(&interpreter), &directory),
        );
        println!("  {:.0} times its speed", theirs / ours);
    }
}

/// Small transactions, signed every so often, in chunks of the usual size.
fn write(directory: &Path, bytes: u64, every: u64) -> u64 {
    let mut writer = LedgerWriter::new(directory);
    let mut set = writer.founding();
    let mut done = 0;
    loop {
        writer.write(&set);
        let count = writer.next().seqno.0;
        if count.is_multiple_of(every) || done + writer.chunk_size() >= bytes {
            if writer.chunk_size() >= CHUNK || done + writer.chunk_size() >= bytes {
                done += writer.chunk_size();
                writer.sign_and_finish();
                if done >= bytes {
                    return writer.next().seqno.0 - 1;
                }
            } else {
                writer.sign();
            }
        }
        set = WriteSet::new();
        let value = [count as u8; 110];
        set.put("public:records", count.to_le_bytes(), value);
    }
}

/// The best of three runs in a process of its own: time, and resident memory in kB.
fn best(what: &str, directory: &Path) -> (Duration, u64) {
    let run = || {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["child", what])
            .arg(directory)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let (time, memory) = text.trim().split_once(' ').unwrap();
        (Duration::from_nanos(number(time)), number(memory))
    };
    (0..3).map(|_| run()).min().unwrap()
}

fn child(what: &str, directory: &Path) {
    let begin = Instant::now();
    let time = match what {
        "verify" => {
            let report = verify_directory(directory, &VerifyOptions::default()).unwrap();
            assert_eq!(report.verified_until, report.last);
            begin.elapsed()
        }
        "floor" => {
            hash_files(directory);
            begin.elapsed()
        }
        _ => hash_memory(directory),
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let resident = resident.unwrap().trim().trim_end_matches(" kB").trim();
    println!("{} {resident}", time.as_nanos());
}

/// Reads and hashes every entry and leaf, and folds leaves into subtrees: nothing is compared, nothing is verified.
fn hash_files(directory: &Path) {
    let chunks = chunk_files(directory, Files::default()).unwrap();
    let next = AtomicUsize::new(0);
    on_all_cores(|| {
        while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let bytes = std::fs::read(&chunk.path).unwrap();
            hash_chunk(&bytes, chunk.name.first);
        }
    });
}

/// The same with all files in memory before the clock runs.
fn hash_memory(directory: &Path) -> Duration {
    let chunks = chunk_files(directory, Files::default()).unwrap();
    let chunks: Vec<_> = chunks
        .iter()
        .map(|chunk| (std::fs::read(&chunk.path).unwrap(), chunk.name.first))
        .collect();
    let next = AtomicUsize::new(0);
    let begin = Instant::now();
    on_all_cores(|| {
        while let Some((bytes, first)) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            hash_chunk(bytes, *first);
        }
    });
    begin.elapsed()
}

fn on_all_cores(work: impl Fn() + Sync) {
    let cores = thread::available_parallelism().unwrap().get();
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(&work);
        }
    });
}

fn hash_chunk(bytes: &[u8], first: Seqno) {
    let end = u64::from_le_bytes(*bytes.first_chunk().unwrap());
    let end = if end == 0 { bytes.len() } else { end as usize };
    let mut fold = Fold::new(first);
    let mut at = 8;
    while at < end {
        let size = u64::from_le_bytes(*bytes[at..].first_chunk().unwrap()) >> 16;
        let entry = &bytes[at..at + 8 + size as usize];
        // Behind the header of 44 bytes: type, position, the two digests.
        let digest = |at: usize| Digest(*entry[at..].first_chunk().unwrap());
        let leaf = Digest::of_three(&Digest::of(entry), &digest(85), &digest(53));
        fold.push(leaf);
        at += entry.len();
    }
    std::hint::black_box(fold.subtrees().len());
}

fn read_ledger(python: &Path, directory: &Path) -> (Duration, u64) {
    let begin = Instant::now();
    let output = Command::new(python)
        .arg(python.with_file_name("read_ledger.py"))
        .args(["-q", "--uncommitted"])
        .arg(directory)
        .output()
        .unwrap();
    let time = begin.elapsed();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("verified until"),
        "{text}"
    );
    (time, 0)
}
