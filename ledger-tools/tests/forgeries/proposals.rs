//! How proposals are made, withdrawn and removed (LEG-06 to LEG-08, LEG-14, LEG-15).

use governance::cose::MessageType;
use ledger::WriteSet;
use ledger_tools::Rule;
use serde_json::json;

use crate::history;
use crate::history::{History, NO, action, contract, gov};
use crate::{caught, open, without, written};

#[test]
fn leg_06_a_proposal_is_named_after_its_place_and_signature() {
    let rename = |set: &mut WriteSet| {
        for table in ["proposals", "proposals_info"] {
            let table = gov(table);
            let key = written(set, &table[history::GOV.len()..]);
            let row = set.operation(&table, &key).unwrap().unwrap().to_vec();
            without(&table, set);
            set.put(&table, "ab".repeat(32), row);
        }
    };
    caught(
        Rule::ProposalId,
        open(|history| {
            history.changing(move |set, _| rename(set));
            history.propose(0, &contract("c1"));
        }),
    );
    // The message and the id of an earlier proposal, of another ledger.
    let mut other = History::open();
    let payload = contract("c1").to_string();
    let envelope = other.envelope(0, &MessageType::Proposal, payload.as_bytes());
    let theirs = other.propose_message(0, &envelope, &payload);
    caught(
        Rule::ProposalId,
        open(move |history| {
            history.changing(move |set, _| {
                let info = written(set, "proposals_info");
                let info = set.operation(&gov("proposals_info"), &info).unwrap();
                let info = info.unwrap().to_vec();
                for table in ["proposals", "proposals_info"] {
                    without(&gov(table), set);
                }
                set.put(
                    &gov("proposals"),
                    theirs.as_str(),
                    contract("c1").to_string(),
                );
                set.put(&gov("proposals_info"), theirs.as_str(), info);
            });
            history.propose_message(0, &envelope, &payload);
        }),
    );
}

#[test]
fn leg_07_the_constitution_admits_the_proposal() {
    caught(
        Rule::Validate,
        open(|history| {
            history.propose(0, &action("no_such_action", &json!({})));
        }),
    );
    caught(
        Rule::Validate,
        open(|history| {
            history.propose(0, &action("set_contract", &json!({ "contractId": "c1" })));
        }),
    );
}

#[test]
fn leg_08_a_proposal_is_made_once() {
    // The same message again.
    caught(
        Rule::Replay,
        open(|history| {
            let payload = contract("c1").to_string();
            let envelope = history.envelope(0, &MessageType::Proposal, payload.as_bytes());
            let proposal = history.propose_message(0, &envelope, &payload);
            history.withdraw(0, &proposal);
            history.propose_message(0, &envelope, &payload);
        }),
    );
    // One from long ago.
    caught(
        Rule::Replay,
        open(|history| {
            history.now -= 1000;
            history.propose(0, &contract("c1"));
        }),
    );
    // One that is not remembered, so that it can be made again.
    caught(
        Rule::Replay,
        open(|history| {
            history.changing(|set, _| without(&gov("cose_recent_proposals"), set));
            history.propose(0, &contract("c1"));
        }),
    );
}

#[test]
fn leg_14_only_the_proposer_withdraws_and_only_what_is_open() {
    caught(
        Rule::Withdrawal,
        open(|history| {
            let proposal = history.propose(0, &contract("c1"));
            history.withdraw(1, &proposal);
        }),
    );
    caught(
        Rule::Withdrawal,
        open(|history| {
            let proposal = history.propose(0, &contract("c1"));
            history.vote(1, &proposal, NO);
            history.withdraw(0, &proposal);
        }),
    );
}

#[test]
fn leg_15_records_stay_until_they_are_decided() {
    // An open proposal vanishes when another is decided.
    caught(
        Rule::Pruning,
        open(|history| {
            let wanted = history.propose(0, &contract("c1"));
            let other = history.propose(1, &contract("c2"));
            history.changing(move |set, _| {
                set.remove(&gov("proposals"), wanted.as_str());
                set.remove(&gov("proposals_info"), wanted.as_str());
            });
            history.vote(2, &other, NO);
        }),
    );
    // One that is decided stays.
    caught(
        Rule::Pruning,
        open(|history| {
            let first = history.propose(0, &contract("c1"));
            history.vote(1, &first, NO);
            let second = history.propose(1, &contract("c2"));
            history.changing(move |set, history| {
                let row = history
                    .row(&gov("proposals_info"), first.as_bytes())
                    .unwrap();
                let text = contract("c1").to_string();
                set.put(&gov("proposals_info"), first.as_str(), row.to_string());
                set.put(&gov("proposals"), first.as_str(), text);
            });
            history.vote(2, &second, NO);
        }),
    );
}
