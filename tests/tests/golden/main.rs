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
use std::path::PathBuf;

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

#[test]
fn existing_clients_get_the_answers_they_know() {
    let Some(folder) = folder() else {
        println!(
            "SKIPPED existing_clients_get_the_answers_they_know: golden transcripts not found"
        );
        return;
    };
    let allowed = Allowed::load(&folder.join("allowed.json"));
    // To look at a few only: their names, separated by commas.
    let only = std::env::var("GOLDEN_ONLY").ok();
    let is_wanted = |scenario: &str| {
        only.as_ref()
            .is_none_or(|only| only.split(',').any(|one| one == scenario))
    };
    let mut documented = documented();
    documented.retain(|difference| is_wanted(difference.scenario()));
    let mut found = BTreeSet::new();
    let mut steps = 0;
    for transcript in Transcript::all(&folder) {
        if !is_wanted(&transcript.scenario) {
            continue;
        }
        let mut run = Run::start(&folder, &transcript);
        for step in &transcript.steps {
            steps += 1;
            if let Some(difference) = run.step(step)
                && !allowed.permits(&transcript.scenario, step, &difference)
            {
                let difference = allowed.cut(&transcript.scenario, step, &difference);
                found.insert(Difference::new(&transcript.scenario, step, &difference));
            }
        }
    }
    println!(
        "{steps} steps replayed, {} documented differences",
        found.len()
    );
    let fresh: Vec<_> = found.difference(&documented).collect();
    assert!(
        fresh.is_empty(),
        "answers nobody has explained:\n{}",
        differences::lines(&fresh)
    );
    let stale: Vec<_> = documented.difference(&found).collect();
    assert!(
        stale.is_empty(),
        "differences that are none any more:\n{}",
        differences::lines(&stale)
    );
}
