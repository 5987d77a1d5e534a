//! How members become active (LEG-16, LEG-17).

use governance::cose::MessageType;
use ledger::WriteSet;
use ledger_tools::Rule;
use serde_json::{Value, json};

use crate::history::{History, gov, id};
use crate::{caught, edit};

#[test]
fn leg_16_members_become_active_by_their_own_word() {
    // Active without a word.
    let mut history = History::founded();
    history.changing(|set, _| {
        let active = json!({ "status": "Active" });
        set.put(&gov("members.info"), id(0), active.to_string());
    });
    history.update(0);
    caught(Rule::Ack, history);
    // Another digest than the one recorded.
    let mut history = History::founded();
    history.update(0);
    let payload = json!({ "stateDigest": "00".repeat(32) }).to_string();
    let envelope = history.envelope(0, &MessageType::Ack, payload.as_bytes());
    history.changing(move |set, _| ack_with(set, 0, &envelope));
    history.ack(0);
    caught(Rule::Ack, history);
    // Another member becomes active too.
    let mut history = History::founded();
    history.update(0);
    history.changing(|set, _| {
        let active = json!({ "status": "Active" });
        set.put(&gov("members.info"), id(1), active.to_string());
    });
    history.ack(0);
    caught(Rule::Ack, history);
    // With a role nobody gave.
    let mut history = History::founded();
    history.update(0);
    history.changing(|set, _| {
        let operator = json!({ "status": "Active", "member_data": { "isOperator": true } });
        set.put(&gov("members.info"), id(0), operator.to_string());
    });
    history.ack(0);
    caught(Rule::Ack, history);
    // Somebody else's word.
    let mut history = History::founded();
    history.update(0);
    let digest = history.row(&gov("members.acks"), id(0).as_bytes()).unwrap();
    let payload = json!({ "stateDigest": digest["state_digest"] }).to_string();
    let envelope = history.envelope(1, &MessageType::Ack, payload.as_bytes());
    history.changing(move |set, _| ack_with(set, 0, &envelope));
    history.ack(0);
    caught(Rule::Envelope, history);
}

fn ack_with(set: &mut WriteSet, member: usize, envelope: &[u8]) {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(envelope);
    let change = |row: &mut Value| row["cose_sign1_req"] = json!(text);
    edit(&gov("members.acks"), id(member).as_bytes(), change, set);
}

#[test]
fn leg_17_digests_are_roots_of_this_ledger() {
    let mut history = History::founded();
    history.changing(|set, _| {
        let foreign = json!({ "state_digest": "ab".repeat(32) });
        set.put(&gov("members.acks"), id(0), foreign.to_string());
    });
    history.update(0);
    caught(Rule::StateDigest, history);
}
