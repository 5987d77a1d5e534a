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

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use allowed::Allowed;
use differences::{Difference, documented};
use run::Run;
use tests::service::Host;
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
    /// Requests that this service answers with 500 or above, by scenario and step.
    failures: BTreeMap<String, Vec<String>>,
}

/// Governance messages that CCF answers with 500, and so does this service, held to CCF's interface by the tests on lines 10, 13 and 20 of
/// `docs/conformance.md`. They have no place in the application.
const AS_CCF: [&str; 5] = [
    "voting_rules, a ballot that has no vote function",
    "voting_rules, a ballot that is no script",
    "voting_rules, garbage",
    "voting_rules, proposal that is no JSON",
    "voting_rules, unsigned",
];

/// Whether a scenario is among those to look at: `GOLDEN_ONLY` has their names, separated by commas; all when absent.
fn is_wanted(scenario: &str) -> bool {
    std::env::var("GOLDEN_ONLY")
        .ok()
        .is_none_or(|only| only.split(',').any(|one| one == scenario))
}

/// The replay on a host, done once for all tests; `None` without transcripts.
fn replay(host: &Host, test: &str) -> Option<&'static Replay> {
    static EMBEDDED: OnceLock<Option<Replay>> = OnceLock::new();
    static CCF: OnceLock<Option<Replay>> = OnceLock::new();
    let replay = if host.is_ccf() { &CCF } else { &EMBEDDED };
    let replay = replay.get_or_init(|| folder().map(|folder| replay_all(host, &folder)));
    if replay.is_none() {
        println!("SKIPPED {test}: golden transcripts not found");
    }
    replay.as_ref()
}

const EMBEDDED: Host = Host::Embedded { simulated: false };

fn replay_all(host: &Host, folder: &Path) -> Replay {
    let allowed = Allowed::load(&folder.join("allowed.json"));
    let mut replay = Replay {
        steps: 0,
        differences: BTreeSet::new(),
        recorded_failures: 0,
        failures: BTreeMap::new(),
    };
    for transcript in Transcript::all(folder) {
        if !is_wanted(&transcript.scenario) {
            continue;
        }
        let scenario = &transcript.scenario;
        let mut run = Run::start(host, folder, &transcript);
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
            for failure in run.take_failures() {
                let place = format!("{scenario}, {}", step.step);
                replay.failures.entry(place).or_default().push(failure);
            }
        }
    }
    replay
}

#[test]
fn existing_clients_get_the_answers_they_know() {
    answers_are_known(&EMBEDDED, "existing_clients_get_the_answers_they_know");
}

#[test]
fn existing_clients_get_the_answers_they_know_on_ccf() {
    let test = "existing_clients_get_the_answers_they_know_on_ccf";
    if let Some(host) = tests::ccf::host(false, test) {
        answers_are_known(&host, test);
    }
}

fn answers_are_known(host: &Host, test: &str) {
    let Some(replay) = replay(host, test) else {
        return;
    };
    let mut documented = documented(host);
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
    let test = "w30_nothing_that_was_recorded_makes_this_service_fail";
    nothing_fails(&EMBEDDED, test);
}

#[test]
fn w30_nothing_that_was_recorded_makes_this_service_fail_on_ccf() {
    let test = "w30_nothing_that_was_recorded_makes_this_service_fail_on_ccf";
    if let Some(host) = tests::ccf::host(false, test) {
        nothing_fails(&host, test);
    }
}

fn nothing_fails(host: &Host, test: &str) {
    let Some(replay) = replay(host, test) else {
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
    let framework = |failures: &[String]| failures.iter().all(|path| path.starts_with("/gov/"));
    let (as_ccf, ours): (BTreeMap<_, _>, BTreeMap<_, _>) = replay
        .failures
        .iter()
        .partition(|(place, failures)| AS_CCF.contains(&place.as_str()) && framework(failures));
    assert!(ours.is_empty(), "answered as failures: {ours:#?}");
    let want = AS_CCF.into_iter().filter(|_| is_wanted("voting_rules"));
    assert!(as_ccf.into_keys().eq(want), "as CCF");
}
