//! Ledgers that hold together, every byte hashed and signed by the service, and say what was never decided. Each is written
//! as an honest node would, but for one lie, and is caught by the rule that the test names.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod acts;
mod ballots;
mod effects;
mod foundation;
mod history;
mod members;
mod nodes;
mod proposals;

use ledger::{RECOVERY_SHARES_MAP, SINGLE_KEY, WriteSet};
use ledger_tools::{Legitimacy, Rule, Verdict, VerifyOptions, judge_directory};
use serde_json::{Value, json};

use crate::history::{History, NO, YES, action, contract, gov, id, people};

/// Verifies and judges what was written. Integrity must hold, anchored in the service at the end.
fn judge(mut history: History) -> Legitimacy {
    history.sign();
    let options = VerifyOptions {
        service_certificate: Some(history.writer.service_certificate.clone()),
        ..VerifyOptions::default()
    };
    let directory = history.folder.path().join("ledger");
    let (report, found) = judge_directory(&directory, &options).unwrap();
    assert_eq!(report.verdict(), Verdict::Verified);
    found
}

fn holds(history: History) -> Legitimacy {
    let found = judge(history);
    assert_eq!(found.breach.as_ref().map(ToString::to_string), None);
    assert!(found.holds());
    found
}

#[track_caller]
fn caught(rule: Rule, history: History) {
    let breach = judge(history).breach.expect("the forgery was not noticed");
    assert_eq!(breach.breach.rule, rule, "{breach}");
}

/// A service that is open, then what `forge` does.
fn open(forge: impl FnOnce(&mut History)) -> History {
    let mut history = History::open();
    forge(&mut history);
    history
}

/// A row of the next transaction, changed.
fn edit(table: &str, key: &[u8], change: impl FnOnce(&mut Value), set: &mut WriteSet) {
    let row = set.operation(table, key).unwrap().unwrap();
    let mut row: Value = serde_json::from_slice(row).unwrap();
    change(&mut row);
    set.put(table, key, row.to_string());
}

/// The row of the proposal that the next transaction is about, changed.
fn edit_info(set: &mut WriteSet, change: impl FnOnce(&mut Value)) {
    let proposal = written(set, "proposals_info");
    edit(&gov("proposals_info"), &proposal, change, set);
}

/// The next transaction without its writes to a table.
fn without(table: &str, set: &mut WriteSet) {
    let mut kept = WriteSet::new();
    for (name, rows) in set.maps().filter(|(name, _)| *name != table) {
        kept.extend_map(name, rows.clone());
    }
    *set = kept;
}

#[test]
fn an_honest_history_holds() {
    let mut history = History::open();
    history.accept(&contract("c1"));
    let withdrawn = history.propose(1, &contract("c2"));
    history.withdraw(1, &withdrawn);
    let disputed = history.propose(2, &contract("c3"));
    history.vote(0, &disputed, NO);
    history.accept(&action("trigger_ledger_rekey", &Value::Null));
    history.accept(&action("trigger_recovery_shares_refresh", &Value::Null));
    let certificate = people()[3].certificate().to_pem();
    let key = people()[3].encryption_key().unwrap().public_key_pem();
    let args = json!({ "cert": certificate, "encryption_pub_key": key.unwrap() });
    history.accept(&action("set_member", &args));
    history.activate(3);
    let days = json!({ "valid_from": "2026-01-01T00:00:00Z", "validity_period_days": 10 });
    let renewal = action("set_service_certificate_validity", &days);
    let renewal = history.propose(0, &renewal);
    for member in 0..4 {
        history.vote(member, &renewal, YES);
    }
    history.put("public:records", "k", "an application's own");
    let found = holds(history);
    assert_eq!(
        (found.proposals, found.applied, found.withdrawals),
        (8, 6, 1)
    );
    assert_eq!(found.acknowledgements, 4);
}

#[test]
fn an_honest_recovery_holds() {
    let mut history = History::open();
    history.start_recovery();
    history.agree_to_recovery();
    history.submit_share(&id(0));
    history.submit_share(&id(2));
    history.end_recovery();
    let found = holds(history);
    assert_eq!((found.recoveries, found.applied), (1, 2));
}

/// The one key written to a table of governance.
fn written(set: &WriteSet, table: &str) -> Vec<u8> {
    let table = gov(table);
    let (_, rows) = set.maps().find(|(name, _)| *name == table).unwrap();
    let mut keys = rows.iter().filter(|(_, value)| value.is_some());
    keys.next().unwrap().0.clone()
}

/// The last ballot of a proposal, with the transaction changed.
fn decided(proposal: Value, change: impl FnOnce(&mut WriteSet, &History) + 'static) -> History {
    open(move |history| {
        let proposal = history.propose(0, &proposal);
        history.vote(0, &proposal, YES);
        history.vote(1, &proposal, YES);
        history.changing(change);
        history.vote(2, &proposal, YES);
    })
}

/// A row of shares with one for an intruder.
fn share_row(history: &History) -> Vec<u8> {
    let row = history.row(RECOVERY_SHARES_MAP, &SINGLE_KEY).unwrap();
    let mut row = row;
    let share = row["encrypted_shares"][id(0)].clone();
    row["encrypted_shares"][id(3)] = share;
    row.to_string().into_bytes()
}
