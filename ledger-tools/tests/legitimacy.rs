//! Replays of government over real ledgers. None is named: another folder of the same shape can take the place.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ledger_tools::{Legitimacy, Replay, Rule, VerifyOptions, judge_directory};
use serde_json::Value;
use tests::vectors;

fn each(test: &str, check: impl Fn(&str, &Path, Legitimacy)) {
    let Some(root) = vectors("ledgers", test) else {
        return;
    };
    let index = std::fs::read(root.join("index.json")).unwrap();
    let index: BTreeMap<String, Value> = serde_json::from_slice(&index).unwrap();
    for (name, facts) in index {
        let directory = root.join(facts["ledger"].as_str().unwrap());
        let (report, found) = judge_directory(&directory, &VerifyOptions::default()).unwrap();
        if found.breach.is_none() {
            assert_eq!(found.judged_until, report.verified_until, "{name}");
        }
        check(&name, &directory, found);
    }
}

/// How often each table of governance was written.
fn writes(directory: &Path) -> BTreeMap<String, u64> {
    let mut replay = Replay::open(directory, &VerifyOptions::default()).unwrap();
    let mut writes = BTreeMap::new();
    while let Some(transaction) = replay.next_transaction().unwrap() {
        for section in &transaction.entry.sections {
            *writes.entry(section.name.to_owned()).or_default() += 1;
        }
    }
    writes
}

/// What a node has written is legitimate, as far as it can be judged. What a tool has written that plays a service, without
/// its members' word, is not.
#[test]
fn real_ledgers_were_governed_and_made_up_ones_were_not() {
    each(
        "real_ledgers_were_governed_and_made_up_ones_were_not",
        |name, directory, found| {
            let writes = writes(directory);
            let governed = writes.contains_key("public:ccf.gov.cose_history");
            let breach = found.breach.as_ref().map(|breach| breach.breach.rule);
            if !governed {
                assert_eq!(breach, Some(Rule::Unexplained), "{name}");
                return;
            }
            assert!(breach.is_none(), "{name}: {}", found.breach.unwrap());
            let acts = found.proposals + found.ballots + found.withdrawals;
            assert_eq!(acts, writes["public:ccf.gov.cose_history"], "{name}");
            assert!(found.applied > 0 && found.acknowledgements > 0, "{name}");
        },
    );
}

#[test]
fn what_is_not_judged_is_listed_with_its_reason() {
    each(
        "what_is_not_judged_is_listed_with_its_reason",
        |name, directory, found| {
            let old = writes(directory).get("public:ccf.gov.history").copied();
            let reasons: BTreeSet<_> = found.unjudged.iter().map(|act| act.reason).collect();
            assert!(reasons.len() <= 2, "{name}");
            let signed_otherwise = found
                .unjudged
                .iter()
                .filter(|act| act.reason.contains("CCF 1.x"))
                .count() as u64;
            assert!(signed_otherwise >= old.unwrap_or(0), "{name}");
            assert_eq!(found.holds(), found.breach.is_none() && reasons.is_empty());
        },
    );
}
