//! Ballots, votes and what they decide (LEG-09 to LEG-11).

use governance::cose::MessageType;
use ledger_tools::Rule;
use serde_json::{Value, json};

use crate::history::{NO, YES, action, contract, gov, id};
use crate::{caught, edit, open, without, written};

#[test]
fn leg_09_ballots_are_kept() {
    // Another text than the one that was signed.
    caught(
        Rule::Ballot,
        open(|history| {
            let proposal = history.propose(0, &contract("c1"));
            let kind = MessageType::Ballot(proposal.parse().unwrap());
            let payload = json!({ "ballot": NO }).to_string();
            let envelope = history.envelope(1, &kind, payload.as_bytes());
            history.vote_message(1, &proposal, YES, &envelope);
        }),
    );
    // A ballot that was there is gone.
    caught(
        Rule::Ballot,
        open(|history| {
            let proposal = history.propose(0, &action("trigger_ledger_rekey", &Value::Null));
            history.vote(1, &proposal, NO);
            let key = proposal.clone();
            history.changing(move |set, _| {
                let forget = |row: &mut Value| {
                    row["ballots"].as_object_mut().unwrap().remove(&id(1));
                };
                edit(&gov("proposals_info"), key.as_bytes(), forget, set);
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
            let key = proposal.clone();
            history.changing(move |set, _| {
                let stuff = |row: &mut Value| row["ballots"][id(2)] = json!(YES);
                edit(&gov("proposals_info"), key.as_bytes(), stuff, set);
            });
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
            let key = proposal.clone();
            history.changing(move |set, _| {
                let flip = |row: &mut Value| row["final_votes"][id(1)] = json!(true);
                edit(&gov("proposals_info"), key.as_bytes(), flip, set);
            });
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
            let key = proposal.clone();
            history.changing(move |set, _| {
                let accept = |row: &mut Value| row["state"] = json!("Accepted");
                edit(&gov("proposals_info"), key.as_bytes(), accept, set);
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
            let key = proposal.clone();
            history.changing(move |set, _| {
                let accept = |row: &mut Value| row["state"] = json!("Accepted");
                edit(&gov("proposals_info"), key.as_bytes(), accept, set);
            });
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
            let key = proposal.clone();
            history.changing(move |set, _| {
                let reject = |row: &mut Value| row["state"] = json!("Rejected");
                edit(&gov("proposals_info"), key.as_bytes(), reject, set);
                without(&gov("accepted_contracts"), set);
            });
            history.vote(2, &proposal, YES);
        }),
    );
    // A role nobody gave: a plain member passes alone what only an operator may.
    caught(
        Rule::State,
        open(|history| {
            history.changing(|set, _| {
                let proposal = written(set, "proposals_info");
                let accept = |row: &mut Value| row["state"] = json!("Accepted");
                edit(&gov("proposals_info"), &proposal, accept, set);
            });
            history.propose(0, &action("trigger_snapshot", &Value::Null));
        }),
    );
    // A vote on one proposal counted for another.
    caught(
        Rule::State,
        open(|history| {
            let wanted = history.propose(0, &contract("c1"));
            let forced = history.propose(1, &action("trigger_ledger_rekey", &Value::Null));
            let kind = MessageType::Ballot(wanted.parse().unwrap());
            let payload = json!({ "ballot": YES }).to_string();
            let envelope = history.envelope(2, &kind, payload.as_bytes());
            history.vote_message(2, &forced, YES, &envelope);
        }),
    );
}
