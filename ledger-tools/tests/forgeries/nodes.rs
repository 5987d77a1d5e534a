//! What nodes do alone, and recoveries (LEG-18 to LEG-21).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::{RECOVERY_SHARES_MAP, SINGLE_KEY, SUBMITTED_SHARES_MAP, Signer as _, WriteSet};
use ledger_tools::Rule;
use serde_json::{Value, json};
use tests::ledger_writer::{Key, NODES_CERTIFICATES, NODES_INFO, SERVICE_INFO};

use crate::history::{History, action, gov, id};
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
    // A certificate for a node that is not the new one.
    caught(
        Rule::RecoveryStart,
        recovered(|set| set.put(NODES_CERTIFICATES, "another", "x")),
    );
}

const OWN: &str = "0000000000000000000000000000000000000000000000000000000000000001";
const FOREIGN: &str = "0000000000000000000000000000000000000000000000000000000000000002";

/// A recovery whose new node says what it runs as, and what it lets in.
fn joining(change: fn(&mut WriteSet)) -> History {
    open(move |history| {
        history.changing(move |set, history| {
            let quote = json!({ "host_data": OWN, "measurement": "m" }).to_string();
            let quote = STANDARD.encode(quote);
            let row = json!({
                "code_digest": "6d",
                "quote_info": { "endorsements": "", "format": "Insecure_Virtual", "quote": quote },
                "status": "Trusted",
            });
            set.put(NODES_INFO, history.writer.node.key_id(), row.to_string());
            change(set);
        });
        history.start_recovery();
    })
}

#[test]
fn leg_19_a_recovering_node_lets_in_itself_only() {
    holds(joining(|set| {
        set.put(&gov("nodes.virtual.host_data"), OWN, [0; 8]);
        let allowed = r#""AllowedToJoin""#;
        set.put(&gov("nodes.virtual.measurements"), "m", allowed);
    }));
    let forgeries: [fn(&mut WriteSet); 7] = [
        |set| set.put(&gov("nodes.virtual.host_data"), FOREIGN, [0; 8]),
        |set| {
            set.put(&gov("nodes.virtual.host_data"), OWN, [0; 8]);
            set.put(&gov("nodes.virtual.host_data"), FOREIGN, [0; 8]);
        },
        |set| set.put(&gov("nodes.snp.host_data"), FOREIGN, r#""""#),
        |set| set.put(&gov("nodes.virtual.measurements"), "other", "{}"),
        |set| set.put(&gov("nodes.snp.uvm_endorsements"), "did:x", "{}"),
        |set| set.put(&gov("nodes.snp.tcb_versions"), "00a00f11", "{}"),
        |set| set.remove(&gov("nodes.snp.host_data"), FOREIGN),
    ];
    for forgery in forgeries {
        caught(Rule::RecoveryStart, joining(forgery));
    }
}

#[test]
fn leg_19_a_recovery_announces_its_own_roll_back() {
    fn announced(key: &'static str, change: fn(&mut Value)) -> History {
        open(move |history| {
            history.changing(move |set, history| {
                let until = history.writer.next();
                let mut row = json!({
                    "checkpoints": ["2.99"],
                    "findings": ["the ledger ends before"],
                    "reason": "the disk burnt",
                    "recovered_until": format!("2.{}", until.seqno.0 - 1),
                });
                change(&mut row);
                set.put(&gov("recovery_rollbacks"), key, row.to_string());
            });
            history.start_recovery();
        })
    }
    holds(announced("1", |_| {}));
    caught(Rule::RecoveryStart, announced("2", |_| {}));
    let forgeries: [fn(&mut Value); 2] = [
        |row| row["recovered_until"] = json!("2.1"),
        |row| row["members"] = json!([]),
    ];
    for forgery in forgeries {
        caught(Rule::RecoveryStart, announced("1", forgery));
    }
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
