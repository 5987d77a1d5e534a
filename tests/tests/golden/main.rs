//! Recorded requests of existing clients, replayed: this service answers as the recorded one, except where
//! `docs/compatibility.md` says otherwise and why.
//!
//! The transcripts are read where `CLEANROOM_GOLDEN` says, else in `shared/golden` beside the checkout.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod allowed;
mod compare;
mod differences;
mod evidence;
mod issued;
mod people;
mod run;
mod transcript;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use allowed::Allowed;
use differences::{Difference, documented};
use run::Run;
use transcript::Transcript;

fn folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("CLEANROOM_GOLDEN") {
        return Some(PathBuf::from(folder));
    }
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    workspace
        .canonicalize()
        .unwrap()
        .ancestors()
        .skip(1)
        .map(|above| above.join("shared/golden"))
        .find(|place| place.join("allowed.json").is_file())
}

/// What a replay of all transcripts came to.
struct Replay {
    steps: usize,
    differences: BTreeSet<Difference>,
    /// How many steps were recorded as failures of the old service.
    recorded_failures: usize,
    /// Steps at which this service fails: answers 500 or above to any request of the step.
    failures: Vec<String>,
}

/// Whether a scenario is among those to look at: `GOLDEN_ONLY` has their names, separated by commas; all when absent.
fn is_wanted(scenario: &str) -> bool {
    std::env::var("GOLDEN_ONLY")
        .ok()
        .is_none_or(|only| only.split(',').any(|one| one == scenario))
}

/// The replay, done once for all tests; `None` without transcripts.
fn replay(test: &str) -> Option<&'static Replay> {
    static REPLAY: OnceLock<Option<Replay>> = OnceLock::new();
    let replay = REPLAY.get_or_init(|| folder().as_deref().map(replay_all));
    if replay.is_none() {
        println!("SKIPPED {test}: golden transcripts not found");
    }
    replay.as_ref()
}

fn replay_all(folder: &Path) -> Replay {
    let allowed = Allowed::load(&folder.join("allowed.json"));
    let mut replay = Replay {
        steps: 0,
        differences: BTreeSet::new(),
        recorded_failures: 0,
        failures: Vec::new(),
    };
    for transcript in Transcript::all(folder) {
        if !is_wanted(&transcript.scenario) {
            continue;
        }
        let scenario = &transcript.scenario;
        let mut run = Run::start(folder, &transcript);
        for step in &transcript.steps {
            replay.steps += 1;
            replay.recorded_failures += usize::from(step.status >= 500);
            if let Some(difference) = run.step(step)
                && !allowed.permits(scenario, step, &difference)
            {
                let difference = allowed.cut(scenario, step, &difference);
                let difference = Difference::new(scenario, step, &difference);
                replay.differences.insert(difference);
            }
            let failures = run.take_failures().into_iter();
            let named = |failure| format!("{scenario}, {}: {failure}", step.step);
            replay.failures.extend(failures.map(named));
        }
    }
    replay
}

#[test]
fn existing_clients_get_the_answers_they_know() {
    let Some(replay) = replay("existing_clients_get_the_answers_they_know") else {
        return;
    };
    let mut documented = documented();
    documented.retain(|difference| is_wanted(difference.scenario()));
    let found = &replay.differences;
    println!(
        "{} steps replayed, {} documented differences",
        replay.steps,
        found.len()
    );
    let fresh: Vec<_> = found.difference(&documented).collect();
    assert!(
        fresh.is_empty(),
        "answers nobody has explained:\n{}",
        differences::lines(&fresh)
    );
    let stale: Vec<_> = documented.difference(found).collect();
    assert!(
        stale.is_empty(),
        "differences that are none any more:\n{}",
        differences::lines(&stale)
    );
}

/// Comparing does not show it: a step recorded as 500 would be answered 500 as it was recorded.
#[test]
fn w30_nothing_that_was_recorded_makes_this_service_fail() {
    let Some(replay) = replay("w30_nothing_that_was_recorded_makes_this_service_fail") else {
        return;
    };
    println!(
        "{} of {} steps were recorded as failures",
        replay.recorded_failures, replay.steps
    );
    assert!(
        replay.recorded_failures > 0 || std::env::var_os("GOLDEN_ONLY").is_some(),
        "the transcripts have no failures: nothing was looked at"
    );
    assert_eq!(replay.failures, [""; 0], "answered as failures");
}
