//! Ballots, votes and what they decide (LEG-09 to LEG-11).

use ledger_tools::Rule;
use serde_json::{Value, json};

use crate::history::{NO, YES, action, contract, gov, id};
use crate::{caught, edit_info, open, without};

#[test]
fn leg_09_ballots_are_kept() {
    // Another text than the one that was signed.
    caught(
        Rule::Ballot,
        open(|history| {
            let proposal = history.propose(0, &contract("c1"));
            let envelope = history.ballot(1, &proposal, NO);
            history.vote_message(1, &proposal, YES, &envelope);
        }),
    );
    // A ballot that was there is gone.
    caught(
        Rule::Ballot,
        open(|history| {
            let proposal = history.propose(0, &action("trigger_ledger_rekey", &Value::Null));
            history.vote(1, &proposal, NO);
            history.changing(|set, _| {
                edit_info(set, |row| {
                    row["ballots"].as_object_mut().unwrap().remove(&id(1));
                });
            });
            history.vote(2, &proposal, YES);
        }),
    );
    // A second vote, over the first.
    caught(
        Rule::Ballot,
        open(|history| {
            let proposal = history.propose(0, &action("trigger_ledger_rekey", &Value::Null));
            history.vote(1, &proposal, NO);
            history.vote(1, &proposal, YES);
        }),
    );
    // A vote on what is decided.
    caught(
        Rule::Ballot,
        open(|history| {
            let proposal = history.propose(0, &contract("c1"));
            history.vote(1, &proposal, NO);
            history.vote(2, &proposal, YES);
        }),
    );
    // A vote nobody cast comes with one that was cast.
    caught(
        Rule::Ballot,
        open(|history| {
            let proposal = history.propose(0, &contract("c1"));
            history.changing(|set, _| edit_info(set, |row| row["ballots"][id(2)] = json!(YES)));
            history.vote(1, &proposal, YES);
        }),
    );
}

#[test]
fn leg_10_votes_are_those_of_the_ballots() {
    caught(
        Rule::Votes,
        open(|history| {
            let proposal = history.propose(0, &contract("c1"));
            history
                .changing(|set, _| edit_info(set, |row| row["final_votes"][id(1)] = json!(true)));
            history.vote(1, &proposal, NO);
        }),
    );
}

#[test]
fn leg_11_the_state_is_what_the_constitution_resolves() {
    // Accepted by one of three.
    caught(
        Rule::State,
        open(|history| {
            let proposal = history.propose(0, &contract("c1"));
            history.changing(|set, _| {
                edit_info(set, |row| row["state"] = json!("Accepted"));
                set.put(&gov("accepted_contracts"), "c1", r#"{"data":"terms"}"#);
            });
            history.vote(1, &proposal, YES);
        }),
    );
    // Accepted against a veto.
    caught(
        Rule::State,
        open(|history| {
            let proposal = history.propose(0, &contract("c1"));
            history.changing(|set, _| edit_info(set, |row| row["state"] = json!("Accepted")));
            history.vote(1, &proposal, NO);
        }),
    );
    // Rejected though all agreed.
    caught(
        Rule::State,
        open(|history| {
            let proposal = history.propose(0, &contract("c1"));
            history.vote(0, &proposal, YES);
            history.vote(1, &proposal, YES);
            history.changing(|set, _| {
                edit_info(set, |row| row["state"] = json!("Rejected"));
                without(&gov("accepted_contracts"), set);
            });
            history.vote(2, &proposal, YES);
        }),
    );
    // A role nobody gave: a plain member passes alone what only an operator may.
    caught(
        Rule::State,
        open(|history| {
            history.changing(|set, _| edit_info(set, |row| row["state"] = json!("Accepted")));
            history.propose(0, &action("trigger_snapshot", &Value::Null));
        }),
    );
    // A vote on one proposal counted for another.
    caught(
        Rule::State,
        open(|history| {
            let wanted = history.propose(0, &contract("c1"));
            let forced = history.propose(1, &action("trigger_ledger_rekey", &Value::Null));
            let envelope = history.ballot(2, &wanted, YES);
            history.vote_message(2, &forced, YES, &envelope);
        }),
    );
}
