//! What an act decides, as the node finds it out: by the constitution, over the tables as they are.

use std::collections::BTreeMap;

use constitution::{Case, Engine as _, InProcess, Limits, ProposalState, Vote};
use ledger::{SINGLE_KEY, WriteSet};
use serde_json::{Value, json};

use super::node::{Made, Pending};
use super::{History, gov};

impl History {
    pub(super) fn prune(&self, set: &mut WriteSet, keep: &str) {
        for (key, (value, _)) in self.state.get(&gov("proposals_info")).into_iter().flatten() {
            let info: Value = serde_json::from_slice(value).unwrap();
            if key != keep.as_bytes() && info["state"] != "Open" {
                set.remove(&gov("proposals"), key.as_slice());
                set.remove(&gov("proposals_info"), key.as_slice());
            }
        }
    }

    pub(super) fn decide(&mut self, mut set: WriteSet, proposal: &str, mut info: Value) {
        let mut engine = InProcess::new(Limits::default());
        let table = gov("proposals_info");
        set.put(&table, proposal, info.to_string());
        let mut pending = Pending::new(&self.state, set);
        let text = pending.text("proposals", proposal.as_bytes());
        let constitution: String =
            serde_json::from_str(&pending.text("constitution", &SINGLE_KEY)).unwrap();
        let proposer = info["proposer_id"].as_str().unwrap().to_owned();
        let mut votes = Vec::new();
        for (member, ballot) in info["ballots"].as_object().unwrap() {
            let ballot = ballot.as_str().unwrap();
            let voted = engine.vote(ballot, &text, &proposer, proposal, member, &mut pending);
            votes.extend(voted.map(|voted| Vote {
                member_id: member.clone(),
                vote: voted.vote,
            }));
        }
        let case = Case {
            proposal: &text,
            proposer_id: &proposer,
            votes: &votes,
            proposal_id: proposal,
        };
        let state = engine.resolve(&constitution, &case, &mut pending).unwrap();
        info["state"] = json!(state.as_str());
        if state != ProposalState::Open {
            self.prune(&mut pending.set, proposal);
            let votes: BTreeMap<_, _> = votes.iter().map(|v| (&v.member_id, v.vote)).collect();
            info["final_votes"] = json!(votes);
            info["vote_failures"] = json!({});
        }
        pending.set.put(&table, proposal, info.to_string());
        if state == ProposalState::Accepted {
            let mut made = Made {
                writer: &self.writer,
            };
            engine
                .apply(&constitution, &text, proposal, &mut pending, &mut made)
                .unwrap();
        }
        let set = pending.set;
        self.write(set);
    }
}
