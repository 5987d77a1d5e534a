//! What applying a proposal writes, and what cannot be run (LEG-12, LEG-13, LEG-22, LEG-23).

use ledger::{ENCRYPTED_SECRETS_MAP, RECOVERY_SHARES_MAP, SINGLE_KEY, Signer as _, WriteSet};
use ledger_tools::Rule;
use serde_json::{Value, json};
use tests::ledger_writer::{Key, SERVICE_INFO};

use crate::history::{History, YES, action, contract, gov, id};
use crate::{caught, decided, edit, holds, open, share_row, without};

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
