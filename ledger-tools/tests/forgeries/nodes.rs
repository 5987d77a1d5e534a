//! What nodes do alone, and recoveries (LEG-18 to LEG-21).

use ledger::{RECOVERY_SHARES_MAP, SINGLE_KEY, SUBMITTED_SHARES_MAP, Signer as _, WriteSet};
use ledger_tools::Rule;
use serde_json::{Value, json};
use tests::ledger_writer::{Key, NODES_CERTIFICATES, NODES_INFO, SERVICE_INFO};

use crate::history::{action, gov, id};
use crate::{caught, edit, holds, open, share_row};

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
