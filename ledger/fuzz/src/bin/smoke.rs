//! Drives every target for a time with mutations of its corpus, on a stable compiler.
//!
//! `smoke SECONDS [TARGET]`. An input that makes a target panic is written to `artifacts/` and named.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ledger_fuzz::{TARGETS, Target};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|text| text.parse().ok());
    let Some(seconds) = seconds else {
        eprintln!("smoke SECONDS [TARGET]");
        return ExitCode::from(2);
    };
    let only = arguments.next();
    let targets: Vec<&Target> = TARGETS
        .iter()
        .filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name))
        .collect();
    let share = Duration::from_secs(seconds) / u32::try_from(targets.len()).unwrap_or(1).max(1);
    let seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |now| now.as_nanos() as u64);
    println!("seed {seed}");
    let mut random = Random(seed | 1);
    for target in targets {
        match drive(target, share, &mut random) {
            Ok(runs) => println!("{:<20} {runs} inputs", target.0),
            Err(input) => {
                println!("{} panics: {}", target.0, input.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Runs one target; the file of the input that makes it panic.
fn drive((name, run): &Target, share: Duration, random: &mut Random) -> Result<u64, PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut corpus: Vec<Vec<u8>> = fs::read_dir(home.join("corpus").join(name))
        .into_iter()
        .flatten()
        .filter_map(|file| fs::read(file.ok()?.path()).ok())
        .collect();
    corpus.push(Vec::new());
    let begin = Instant::now();
    let mut runs = 0;
    // Every seed as it is comes first.
    let mut inputs = corpus.clone();
    while begin.elapsed() < share {
        let input = inputs.pop().unwrap_or_else(|| mutated(&corpus, random));
        if catch_unwind(AssertUnwindSafe(|| run(&input))).is_err() {
            let artifacts = home.join("artifacts").join(name);
            let file = artifacts.join(format!("crash-{runs}"));
            if fs::create_dir_all(&artifacts)
                .and_then(|()| fs::write(&file, &input))
                .is_err()
            {
                eprintln!("{input:02x?}");
            }
            return Err(file);
        }
        runs += 1;
    }
    Ok(runs)
}

/// Some seed, changed in up to eight places.
fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = random.pick(corpus).cloned().unwrap_or_default();
    for _ in 0..=random.below(8) {
        mutate(&mut input, corpus, random);
    }
    input.truncate(1 << 16);
    input
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    match random.below(8) {
        0 => flip(input, at, random),
        1 => input.truncate(at),
        2 => input.insert(at, random.next() as u8),
        3 => {
            let end = (at + random.below(64)).min(input.len());
            input.drain(at..end);
        }
        // A part of another seed, or of this one.
        4 => {
            let other = random.pick(corpus).cloned().unwrap_or_default();
            let from = random.below(other.len() + 1);
            let to = (from + random.below(128)).min(other.len());
            let part = other.get(from..to).unwrap_or_default().to_vec();
            input.splice(at..at, part);
        }
        // A number where lengths are likely to be.
        5 | 6 => {
            let numbers = [
                0,
                1,
                8,
                0x7f,
                0xff,
                1 << 16,
                1 << 32,
                1 << 47,
                1 << 63,
                u64::MAX,
            ];
            let number = random.pick(&numbers).copied().unwrap_or_default();
            let width = 1 << random.below(4);
            let bytes = number.to_le_bytes();
            for (place, byte) in input.iter_mut().skip(at).zip(bytes.iter().take(width)) {
                *place = *byte;
            }
        }
        _ => {
            let end = (at + random.below(16)).min(input.len());
            input
                .iter_mut()
                .take(end)
                .skip(at)
                .for_each(|byte| *byte = random.next() as u8);
        }
    }
}

fn flip(input: &mut [u8], at: usize, random: &mut Random) {
    if let Some(byte) = input.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

/// xorshift64: enough to vary inputs, and a seed gives them again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len()))
    }
}
