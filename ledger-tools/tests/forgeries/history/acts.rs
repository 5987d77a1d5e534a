//! What members do: acknowledge, propose, vote, withdraw.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use governance::cose::{MessageType, sign};
use ledger::{Digest, SINGLE_KEY, WriteSet};
use serde_json::{Value, json};
use tests::ledger_writer::SERVICE_INFO;

use super::node::{Pending, shares};
use super::{History, YES, gov, id, people};

impl History {
    pub(crate) fn envelope(
        &mut self,
        member: usize,
        kind: &MessageType,
        payload: &[u8],
    ) -> Vec<u8> {
        self.now += 1;
        sign(&people()[member], kind, self.now, payload).unwrap()
    }

    pub(crate) fn update(&mut self, member: usize) {
        let mut row = self
            .row(&gov("members.acks"), id(member).as_bytes())
            .unwrap_or_else(|| json!({}));
        row["state_digest"] = json!(self.signed);
        self.put(&gov("members.acks"), id(member), row.to_string());
    }

    pub(crate) fn ack(&mut self, member: usize) {
        let key = id(member);
        let mut row = self.row(&gov("members.acks"), key.as_bytes()).unwrap();
        let payload = json!({ "stateDigest": row["state_digest"] }).to_string();
        let envelope = self.envelope(member, &MessageType::Ack, payload.as_bytes());
        row["cose_sign1_req"] = json!(STANDARD.encode(envelope));
        let mut set = WriteSet::new();
        set.put(&gov("members.acks"), key.as_str(), row.to_string());
        let mut info = self.row(&gov("members.info"), key.as_bytes()).unwrap();
        if info["status"] != "Active" {
            info["status"] = json!("Active");
            set.put(&gov("members.info"), key.as_str(), info.to_string());
            let service = self.row(SERVICE_INFO, &SINGLE_KEY).unwrap();
            if service["status"] == "Open" {
                let mut pending = Pending::new(&self.state, set);
                shares(&mut pending);
                set = pending.set;
            }
        }
        self.write(set);
    }

    pub(crate) fn activate(&mut self, member: usize) {
        self.update(member);
        self.sign();
        self.ack(member);
        self.sign();
    }

    pub(crate) fn propose(&mut self, member: usize, proposal: &Value) -> String {
        let payload = proposal.to_string();
        let envelope = self.envelope(member, &MessageType::Proposal, payload.as_bytes());
        self.propose_message(member, &envelope, &payload)
    }

    /// A proposal by this message, whatever it says.
    pub(crate) fn propose_message(
        &mut self,
        member: usize,
        envelope: &[u8],
        payload: &str,
    ) -> String {
        let signature = Digest::of(signature_of(envelope));
        let proposal = Digest::of_pair(&self.writer.tree.root(), &signature).to_hex();
        let mut set = WriteSet::new();
        set.put(&gov("proposals"), proposal.as_str(), payload);
        history_row(&mut set, member, envelope);
        let recent = format!("{:010}:{signature}", self.now);
        set.put(
            &gov("cose_recent_proposals"),
            recent,
            json!(proposal).to_string(),
        );
        let info = json!({ "ballots": {}, "proposer_id": id(member), "state": "Open" });
        self.decide(set, &proposal, info);
        proposal
    }

    pub(crate) fn vote(&mut self, member: usize, proposal: &str, ballot: &str) {
        let envelope = self.ballot(member, proposal, ballot);
        self.vote_message(member, proposal, ballot, &envelope);
    }

    /// A signed ballot that is not cast.
    pub(crate) fn ballot(&mut self, member: usize, proposal: &str, ballot: &str) -> Vec<u8> {
        let kind = MessageType::Ballot(proposal.parse().unwrap());
        let payload = json!({ "ballot": ballot }).to_string();
        self.envelope(member, &kind, payload.as_bytes())
    }

    /// A ballot recorded with this message, whatever it says.
    pub(crate) fn vote_message(
        &mut self,
        member: usize,
        proposal: &str,
        ballot: &str,
        envelope: &[u8],
    ) {
        let mut set = WriteSet::new();
        history_row(&mut set, member, envelope);
        let key = proposal.as_bytes();
        let mut info = self.row(&gov("proposals_info"), key).unwrap();
        info["ballots"][id(member)] = json!(ballot);
        self.decide(set, proposal, info);
    }

    pub(crate) fn vote_all(&mut self, proposal: &str) {
        for member in 0..3 {
            let info = self.row(&gov("proposals_info"), proposal.as_bytes());
            if info.is_some_and(|info| info["state"] == "Open") {
                self.vote(member, proposal, YES);
                self.sign();
            }
        }
    }

    pub(crate) fn withdraw(&mut self, member: usize, proposal: &str) {
        let kind = MessageType::Withdrawal(proposal.parse().unwrap());
        let envelope = self.envelope(member, &kind, b"");
        let mut set = WriteSet::new();
        history_row(&mut set, member, &envelope);
        self.prune(&mut set, proposal);
        let key = proposal.as_bytes();
        let mut info = self.row(&gov("proposals_info"), key).unwrap();
        info["state"] = json!("Withdrawn");
        set.put(&gov("proposals_info"), key, info.to_string());
        self.write(set);
    }

    /// Proposes and votes until it is decided.
    pub(crate) fn accept(&mut self, proposal: &Value) -> String {
        let proposal = self.propose(0, proposal);
        self.vote_all(&proposal);
        proposal
    }
}

pub(crate) fn history_row(set: &mut WriteSet, member: usize, envelope: &[u8]) {
    let row = json!(STANDARD.encode(envelope)).to_string();
    set.put(&gov("cose_history"), id(member), row);
}

/// The last field of a COSE_Sign1 over P-384: a byte string of 96.
fn signature_of(envelope: &[u8]) -> &[u8] {
    &envelope[envelope.len() - 96..]
}
