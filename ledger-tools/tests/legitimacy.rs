//! Replays of government over real ledgers. None is named: another folder of the same shape can take the place.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use ledger_tools::{VerifyOptions, judge_directory};
use serde_json::Value;
use tests::vectors;

#[test]
fn probe() {
    let Some(root) = vectors("ledgers", "probe") else {
        return;
    };
    let index = std::fs::read(root.join("index.json")).unwrap();
    let index: BTreeMap<String, Value> = serde_json::from_slice(&index).unwrap();
    for (name, facts) in index {
        let directory = root.join(PathBuf::from(facts["ledger"].as_str().unwrap()));
        let (_, found) = judge_directory(&directory, &VerifyOptions::default()).unwrap();
        println!("{name}: {}", serde_json::to_string_pretty(&found).unwrap());
    }
}
