//! The first transaction, and what is written without any act (LEG-01, LEG-02).

use ledger::{SINGLE_KEY, WriteSet};
use ledger_tools::Rule;
use serde_json::{Value, json};
use tests::ledger_writer::SERVICE_INFO;

use crate::history::{History, contract, gov, id, people};
use crate::{caught, judge, open, without};

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
    // What members decide, decided before there was anybody to ask; and records of an application.
    for table in [
        "public:ccf.gov.accepted_contracts",
        "public:ccf.gov.policies.cleanroom-c1",
        "public:ccf.gov.approved_constitutions",
        "public:ccf.gov.jwt.issuers",
        "public:ccf.gov.recovery_policy",
        "public:ccf.gov.users.certs",
        "public:ccf.gov.modules",
        "public:ccf.internal.recovery_shares",
        "public:records",
    ] {
        let history = History::founded_with(move |set, _| set.put(table, "k", "{}"));
        let breach = judge(history).breach.unwrap().breach;
        let got = format!("a write to {table}");
        assert_eq!((breach.rule, breach.got), (Rule::Genesis, got));
    }
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
