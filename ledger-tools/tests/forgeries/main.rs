//! Ledgers that hold together, every byte hashed and signed by the service, and say what was never decided. Each is written
//! as an honest node would, but for one lie, and is caught by the rule that the test names.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod history;

use governance::cose::{MessageType, sign};
use ledger::{
    ENCRYPTED_SECRETS_MAP, RECOVERY_SHARES_MAP, SINGLE_KEY, SUBMITTED_SHARES_MAP, Signer as _,
    WriteSet,
};
use ledger_tools::{Legitimacy, Rule, Verdict, VerifyOptions, judge_directory};
use serde_json::{Value, json};
use tests::ledger_writer::{Key, NODES_CERTIFICATES, NODES_INFO, SERVICE_INFO};

use crate::history::{History, NO, YES, action, contract, gov, history_row, id, people};

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

#[test]
fn leg_01_a_foundation_decides_nothing() {
    let founded = |change: fn(&mut WriteSet)| History::founded_with(move |set, _| change(set));
    caught(
        Rule::Genesis,
        founded(|set| {
            let active = json!({ "status": "Active" });
            set.put(&gov("members.info"), id(0), active.to_string());
        }),
    );
    caught(
        Rule::Genesis,
        founded(|set| set.put(&gov("proposals_info"), "p", "{}")),
    );
    caught(
        Rule::Genesis,
        founded(|set| {
            let other = people()[3].certificate().to_pem();
            set.put(&gov("members.certs"), id(0), other);
        }),
    );
    caught(
        Rule::Genesis,
        founded(|set| without(&gov("constitution"), set)),
    );
}

#[test]
fn leg_02_nothing_is_governed_without_an_act() {
    let put = |table: String, key: Vec<u8>, row: Value| {
        open(move |history| {
            history.put(&table, key, row.to_string());
        })
    };
    // Another constitution.
    let lax =
        "export function validate() {} export function resolve() {} export function apply() {}";
    let row = json!(lax);
    caught(
        Rule::Unexplained,
        put(gov("constitution"), SINGLE_KEY.to_vec(), row),
    );
    // A contract nobody voted on, a policy, a member who became active, a member's other certificate.
    let row = json!({ "data": "terms" });
    caught(
        Rule::Unexplained,
        put(gov("accepted_contracts"), b"c9".to_vec(), row),
    );
    let row = json!(["x"]);
    caught(
        Rule::Unexplained,
        put(gov("policies.cleanroom-c1"), b"x".to_vec(), row),
    );
    let mut history = History::founded();
    let row = json!({ "status": "Active" });
    history.put(&gov("members.info"), id(0), row.to_string());
    caught(Rule::Unexplained, history);
    caught(
        Rule::Unexplained,
        open(|history| {
            let other = people()[3].certificate().to_pem();
            history.put(&gov("members.certs"), id(0), other);
        }),
    );
    // The certificate of the service renewed without a vote.
    caught(
        Rule::Unexplained,
        open(|history| {
            history.writer.service_certificate = history.writer.service.service_certificate();
            let row = history.writer.service_info("Open", 0);
            history.put(SERVICE_INFO, SINGLE_KEY, row);
        }),
    );
    // Early apply: the effect of a proposal that is still open.
    caught(
        Rule::Unexplained,
        open(|history| {
            history.changing(|set, _| {
                set.put(&gov("accepted_contracts"), "c1", r#"{"data":"terms"}"#);
            });
            history.propose(0, &contract("c1"));
        }),
    );
    // Beside an acknowledgement.
    caught(
        Rule::Unexplained,
        open(|history| {
            history.changing(|set, _| set.put(&gov("accepted_contracts"), "c1", "{}"));
            history.update(0);
        }),
    );
}

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
            let kind = MessageType::Ballot(proposal.parse().unwrap());
            let payload = json!({ "ballot": YES }).to_string();
            let envelope = history.envelope(1, &kind, payload.as_bytes());
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
            history.changing(|set, _| {
                let proposal = written(set, "proposals_info");
                let change = |row: &mut Value| row["proposer_id"] = json!(id(1));
                edit(&gov("proposals_info"), &proposal, change, set);
            });
            history.propose(0, &contract("c1"));
        }),
    );
}

/// The one key written to a table of governance.
fn written(set: &WriteSet, table: &str) -> Vec<u8> {
    let table = gov(table);
    let (_, rows) = set.maps().find(|(name, _)| *name == table).unwrap();
    let mut keys = rows.iter().filter(|(_, value)| value.is_some());
    keys.next().unwrap().0.clone()
}

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

#[test]
fn leg_12_what_was_decided_is_what_was_done() {
    // Nothing was done.
    let nothing = |set: &mut WriteSet, _: &History| without(&gov("accepted_contracts"), set);
    caught(Rule::Apply, decided(contract("c1"), nothing));
    // Other terms.
    let other = |set: &mut WriteSet, _: &History| {
        let change = |row: &mut Value| row["data"] = json!("other terms");
        edit(&gov("accepted_contracts"), b"c1", change, set);
    };
    caught(Rule::Apply, decided(contract("c1"), other));
    // More than was decided: another contract, another member, an application's table.
    for (table, key) in [
        (gov("accepted_contracts"), "c2".to_owned()),
        (gov("members.info"), id(3)),
        ("public:contracts".to_owned(), "c1".to_owned()),
    ] {
        let more = move |set: &mut WriteSet, _: &History| set.put(&table, key, "{}");
        caught(Rule::Apply, decided(contract("c1"), more));
    }
    // Another constitution than the one that was voted.
    let lax = constitution::default_module().to_owned() + "\n// changed\n";
    let proposal = action("set_constitution", &json!({ "constitution": lax }));
    let swapped = |set: &mut WriteSet, _: &History| {
        let text = json!(constitution::default_module().to_owned() + "\n// otherwise\n");
        set.put(&gov("constitution"), SINGLE_KEY, text.to_string());
    };
    caught(Rule::Apply, decided(proposal.clone(), swapped));
    holds(decided(proposal, |_, _| {}));
}

#[test]
fn leg_13_only_those_it_is_due_to_get_what_the_service_makes() {
    let rekey = || action("trigger_ledger_rekey", &Value::Null);
    // A share for somebody else, and none for anybody.
    let mut history = History::active();
    let opening = history.opening();
    let proposal = history.propose(0, &opening);
    history.vote(0, &proposal, YES);
    history.vote(1, &proposal, YES);
    history.changing(|set, _| without(RECOVERY_SHARES_MAP, set));
    history.vote(2, &proposal, YES);
    caught(Rule::Made, history);
    caught(
        Rule::Made,
        decided(rekey(), |set, _| {
            edit(
                RECOVERY_SHARES_MAP,
                &SINGLE_KEY,
                |row| {
                    let share = row["encrypted_shares"][id(0)].clone();
                    row["encrypted_shares"][id(3)] = share;
                },
                set,
            );
        }),
    );
    // The new secret for a node that nobody trusts.
    caught(
        Rule::Made,
        decided(rekey(), |set, history| {
            let node = history.writer.node.key_id();
            edit(
                ENCRYPTED_SECRETS_MAP,
                &SINGLE_KEY,
                |row| row[Key::generate().key_id()] = row[node].clone(),
                set,
            );
        }),
    );
    // Something else where a certificate was asked for.
    let args = json!({ "valid_from": "2026-01-01T00:00:00Z", "validity_period_days": 10 });
    let renewal = action("set_service_certificate_validity", &args);
    caught(
        Rule::Apply,
        decided(renewal, |set, _| {
            let unchanged = |row: &mut Value| row["service_data"] = json!("x");
            edit(SERVICE_INFO, &SINGLE_KEY, unchanged, set);
        }),
    );
    // Shares at an acknowledgement that are due to nobody.
    caught(
        Rule::Made,
        open(|history| {
            history.update(0);
            history.changing(|set, history| {
                let row = share_row(history);
                set.put(RECOVERY_SHARES_MAP, SINGLE_KEY, row);
            });
            history.ack(0);
        }),
    );
}

/// A row of shares with one for an intruder.
fn share_row(history: &History) -> Vec<u8> {
    let row = history.row(RECOVERY_SHARES_MAP, &SINGLE_KEY).unwrap();
    let mut row = row;
    let share = row["encrypted_shares"][id(0)].clone();
    row["encrypted_shares"][id(3)] = share;
    row.to_string().into_bytes()
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

#[test]
fn leg_18_nodes_do_not_let_themselves_in() {
    let join = |status: &'static str| {
        open(move |history| {
            let key = Key::generate();
            let node = key.key_id();
            let mut set = WriteSet::new();
            let row = json!({ "status": status });
            set.put(NODES_INFO, node.as_str(), row.to_string());
            if status == "Trusted" {
                let certificate = key.node_certificate(&history.writer.service);
                set.put(NODES_CERTIFICATES, node, certificate);
            }
            history.write(set);
        })
    };
    caught(Rule::Node, join("Trusted"));
    holds(join("Pending"));
    // What is retired stays so.
    caught(
        Rule::Node,
        open(|history| {
            let node = history.writer.node.key_id();
            let row = json!({ "status": "Trusted", "node_data": "x" });
            history.put(NODES_INFO, node, row.to_string());
        }),
    );
    // Another certificate for a node that is there.
    caught(
        Rule::Node,
        open(|history| {
            let certificate = history
                .writer
                .node
                .node_certificate(&history.writer.service);
            let node = history.writer.node.key_id();
            history.put(NODES_CERTIFICATES, node, certificate);
        }),
    );
}

#[test]
fn leg_19_a_recovery_takes_everything_over() {
    let recovered = |change: fn(&mut WriteSet)| {
        open(move |history| {
            history.changing(move |set, _| change(set));
            history.start_recovery();
        })
    };
    let start = |set: &mut WriteSet| {
        set.put(&gov("members.info"), id(3), r#"{"status":"Active"}"#);
    };
    caught(Rule::RecoveryStart, recovered(start));
    caught(
        Rule::RecoveryStart,
        recovered(|set| {
            let change = |row: &mut Value| row["recovery_count"] = json!(0);
            edit(SERVICE_INFO, &SINGLE_KEY, change, set);
        }),
    );
    caught(
        Rule::RecoveryStart,
        recovered(|set| {
            let table = gov("service.previous_service_identity");
            set.put(&table, SINGLE_KEY, json!("another").to_string());
        }),
    );
    caught(
        Rule::RecoveryStart,
        recovered(|set| {
            let other = json!("00".repeat(32)).to_string();
            set.put(ledger::LAST_SIGNED_ROOT_MAP, SINGLE_KEY, other);
        }),
    );
    caught(
        Rule::RecoveryStart,
        recovered(|set| {
            let node = Key::generate().key_id();
            set.put(NODES_INFO, node, r#"{"status":"Trusted"}"#);
        }),
    );
}

#[test]
fn leg_20_a_recovery_ends_with_the_members() {
    // Too few shares.
    caught(
        Rule::RecoveryEnd,
        open(|history| {
            history.start_recovery();
            history.agree_to_recovery();
            history.submit_share(&id(0));
            history.end_recovery();
        }),
    );
    // The members were not asked: the service says itself that it waits for shares.
    caught(
        Rule::Unexplained,
        open(|history| {
            history.start_recovery();
            let row = history.writer.service_info("WaitingForRecoveryShares", 1);
            history.put(SERVICE_INFO, SINGLE_KEY, row);
        }),
    );
    // They agreed to another identity than the one that goes on.
    caught(
        Rule::Apply,
        open(|history| {
            history.start_recovery();
            let previous = history.row(&gov("service.previous_service_identity"), &SINGLE_KEY);
            let args = json!({
                "previous_service_identity": previous,
                "next_service_identity": Key::generate().service_certificate(),
            });
            history.accept(&action("transition_service_to_open", &args));
        }),
    );
    // Shares of the recovered service for somebody else.
    caught(
        Rule::Made,
        open(|history| {
            history.start_recovery();
            history.agree_to_recovery();
            history.submit_share(&id(0));
            history.submit_share(&id(1));
            history.changing(|set, history| {
                set.put(RECOVERY_SHARES_MAP, SINGLE_KEY, share_row(history));
            });
            history.end_recovery();
        }),
    );
}

#[test]
fn leg_21_shares_come_from_those_who_hold_them() {
    caught(
        Rule::ShareSubmission,
        open(|history| history.submit_share(&id(0))),
    );
    caught(
        Rule::Active,
        open(|history| {
            history.start_recovery();
            history.agree_to_recovery();
            history.submit_share(&id(3));
        }),
    );
    // The table of shares, written beside something else.
    caught(
        Rule::ShareSubmission,
        open(|history| {
            history.start_recovery();
            history.agree_to_recovery();
            history.changing(|set, _| set.put(&gov("service.config"), SINGLE_KEY, "{}"));
            history.submit_share(&id(0));
            assert!(
                history
                    .row(SUBMITTED_SHARES_MAP, id(0).as_bytes())
                    .is_some()
            );
        }),
    );
}

#[test]
fn leg_22_token_keys_come_by_vote() {
    let keys = json!([{ "issuer": "https://issuer", "public_key": "AAAA" }]);
    caught(
        Rule::TokenKeys,
        open(|history| {
            history.put(constitution::jwt_keys::TABLE, "kid", keys.to_string());
        }),
    );
}

#[test]
fn leg_23_what_cannot_be_run_decides_nothing() {
    caught(
        Rule::Scripts,
        open(|history| {
            let proposal = history.propose(0, &contract("c1"));
            history.vote(1, &proposal, "export function vote (");
        }),
    );
}
