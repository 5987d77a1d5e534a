//! Who signed an act, and what was recorded of it (LEG-03 to LEG-05).

use governance::cose::{MessageType, sign};
use ledger_tools::Rule;
use serde_json::json;

use crate::history::{History, YES, contract, gov, history_row, id, people};
use crate::{caught, edit_info, open, without};

#[test]
fn leg_03_every_act_is_signed_by_its_member() {
    // A ballot signed by somebody else's key, with the member's id.
    caught(
        Rule::Envelope,
        open(|history| {
            let proposal = history.propose(0, &contract("c1"));
            let kind = MessageType::Ballot(proposal.parse().unwrap());
            let payload = json!({ "ballot": YES }).to_string();
            let mut envelope = sign(&people()[3], &kind, 1, payload.as_bytes()).unwrap();
            let (theirs, member) = (id(3), id(1));
            let at = envelope
                .windows(64)
                .position(|window| window == theirs.as_bytes())
                .unwrap();
            envelope[at..at + 64].copy_from_slice(member.as_bytes());
            history.vote_message(1, &proposal, YES, &envelope);
        }),
    );
    // A ballot of one member recorded as that of another.
    caught(
        Rule::Envelope,
        open(|history| {
            let proposal = history.propose(0, &contract("c1"));
            let envelope = history.ballot(1, &proposal, YES);
            history.vote_message(2, &proposal, YES, &envelope);
        }),
    );
    // A ballot without a message.
    caught(
        Rule::Envelope,
        open(|history| {
            let proposal = history.propose(0, &contract("c1"));
            history.changing(|set, _| without(&gov("cose_history"), set));
            history.vote(1, &proposal, YES);
        }),
    );
    // A message of another kind.
    caught(
        Rule::Envelope,
        open(|history| {
            let envelope = history.envelope(0, &MessageType::Ack, b"{}");
            history.changing(move |set, _| history_row(set, 0, &envelope));
            history.propose(0, &contract("c1"));
        }),
    );
    // One bit of the signature.
    caught(
        Rule::Envelope,
        open(|history| {
            let payload = contract("c1").to_string();
            let mut envelope = history.envelope(0, &MessageType::Proposal, payload.as_bytes());
            *envelope.last_mut().unwrap() ^= 1;
            history.propose_message(0, &envelope, &payload);
        }),
    );
    // Somebody who is no member.
    caught(
        Rule::Envelope,
        open(|history| {
            history.propose(3, &contract("c1"));
        }),
    );
}

#[test]
fn leg_04_only_active_members_decide() {
    let mut history = History::founded();
    history.activate(0);
    history.activate(1);
    history.propose(2, &contract("c1"));
    caught(Rule::Active, history);
    let mut history = History::founded();
    history.activate(0);
    history.activate(1);
    let proposal = history.propose(0, &contract("c1"));
    history.vote(2, &proposal, YES);
    caught(Rule::Active, history);
}

#[test]
fn leg_05_what_is_recorded_is_what_was_signed() {
    // Other terms than those that were signed.
    caught(
        Rule::Payload,
        open(|history| {
            let signed = contract("c1").to_string();
            let envelope = history.envelope(0, &MessageType::Proposal, signed.as_bytes());
            history.propose_message(0, &envelope, &contract("c2").to_string());
        }),
    );
    // Somebody else's proposal.
    caught(
        Rule::Payload,
        open(|history| {
            history.changing(|set, _| edit_info(set, |row| row["proposer_id"] = json!(id(1))));
            history.propose(0, &contract("c1"));
        }),
    );
}
