//! The index of open proposals finds what reading all of them finds (CON-12), whatever comes in between.

use std::collections::BTreeMap;

use constitution::ProposalState::{Accepted, Rejected};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::consortium::{Consortium, id};

fn contract(name: u8) -> Value {
    json!([{"name": "set_contract", "args": {"contractId": name.to_string(), "contract": {"data": 1}}}])
}

/// What a framework does around the constitution (CCF interface, sections 1.3, 2.6 and 4.3), and what is true of it.
struct Framework {
    c: Consortium,
    window: usize,
    /// Open proposals and the contract each is about, `None` for those about none.
    open: BTreeMap<String, Option<u8>>,
    count: usize,
}

impl Framework {
    fn new(window: usize) -> Self {
        let mut c = Consortium::of(&["a"]);
        c.set_only(
            "service.config",
            &json!({"recovery_threshold": 1, "recent_cose_proposals_window_size": window}),
        );
        Self {
            c,
            window,
            open: BTreeMap::new(),
            count: 0,
        }
    }

    /// Whether it was let in.
    fn remember(&mut self, stamp: u64, proposal: &str) -> bool {
        let mut keys = self.c.names_of("cose_recent_proposals");
        keys.sort();
        let stamp = format!("{stamp:010}");
        if let Some(middle) = keys.get(keys.len() / 2)
            && stamp.as_str() < &middle[..10]
        {
            return false;
        }
        let surplus = (keys.len() + 1).saturating_sub(self.window);
        let rows = self
            .c
            .kv
            .tables
            .entry("public:ccf.gov.cose_recent_proposals".to_owned())
            .or_default();
        for old in keys.iter().take(surplus) {
            rows.remove(old.as_bytes());
        }
        let key = format!("{stamp}:{}", id(proposal));
        self.c.set("cose_recent_proposals", &key, &json!(proposal));
        true
    }

    /// Submits a proposal about a contract, or about none, and compares the answer with what is true.
    fn submit(&mut self, stamp: u64, about: Option<u8>) {
        self.count += 1;
        let proposal = format!("p{}", self.count);
        if !self.remember(stamp, &proposal) {
            return;
        }
        let actions = about.map_or_else(|| json!([{"name": "trigger_ledger_rekey"}]), contract);
        let accepted = about.is_some_and(|name| {
            self.c
                .get("accepted_contracts", &name.to_string())
                .is_some()
        });
        let taken = about.is_some() && self.open.values().any(|other| *other == about);
        let outcome = self.c.decide("a", &actions, &[]);
        assert_eq!(
            outcome.state == Rejected,
            accepted || taken,
            "{about:?} among {:?}",
            self.open
        );
        if outcome.state != Rejected {
            self.c
                .set("proposals", &proposal, &json!({ "actions": actions }));
            self.c
                .set("proposals_info", &proposal, &json!({"state": "Open"}));
            self.open.insert(proposal, about);
        }
    }

    fn pick(&self, which: usize) -> Option<String> {
        self.open
            .keys()
            .nth(which % self.open.len().max(1))
            .cloned()
    }

    fn remove(&mut self, proposal: &str) {
        for table in ["proposals", "proposals_info"] {
            let table = format!("public:ccf.gov.{table}");
            self.c
                .kv
                .tables
                .get_mut(&table)
                .unwrap()
                .remove(proposal.as_bytes());
        }
        self.open.remove(proposal);
    }

    fn withdraw(&mut self, which: usize) {
        if let Some(proposal) = self.pick(which) {
            self.remove(&proposal);
        }
    }

    fn accept(&mut self, which: usize) {
        let Some(proposal) = self.pick(which) else {
            return;
        };
        let stored = self.c.get("proposals", &proposal).unwrap();
        let outcome = self.c.decide("a", &stored["actions"], &[("a", true)]);
        assert_eq!(outcome.state, Accepted);
        self.c.apply_as(&proposal, &stored["actions"]).unwrap();
        self.remove(&proposal);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Submit(u64, Option<u8>),
    Withdraw(usize),
    Accept(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let about = prop_oneof![4 => (0_u8..4).prop_map(Some), 2 => Just(None)];
    prop_oneof![
        6 => (0_u64..8, about).prop_map(|(late, about)| Step::Submit(late, about)),
        2 => any::<usize>().prop_map(Step::Withdraw),
        2 => any::<usize>().prop_map(Step::Accept),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_every_open_claim(window in 1_usize..8, steps in vec(step(), 1..25)) {
        let mut framework = Framework::new(window);
        for (clock, step) in steps.into_iter().enumerate() {
            match step {
                // Stamps are mostly in order; some are late.
                Step::Submit(late, about) => framework.submit((10 + clock as u64).saturating_sub(late), about),
                Step::Withdraw(which) => framework.withdraw(which),
                Step::Accept(which) => framework.accept(which),
            }
        }
    }
}

/// Once a proposal was accepted, a submission reads a few rows and no list of proposals.
#[test]
pub fn a_submission_reads_no_list_of_proposals() {
    let mut framework = Framework::new(100);
    for name in 0..4 {
        framework.submit(10, Some(name));
    }
    framework.submit(10, None);
    let rekey = framework.open.values().position(Option::is_none).unwrap();
    framework.accept(rekey);
    assert!(
        framework
            .c
            .get("open_claims", r#"["set_contract","0"]"#)
            .is_some()
    );
    // What reading everything would stumble over: a claim that is only in the list.
    framework.c.open(&contract(7));
    framework.submit(11, Some(7));
    framework.submit(11, Some(0));
    framework.submit(11, Some(5));
    framework.submit(11, Some(5));
}

/// The framework's list of recent proposals is short: what it has dropped since the last accepted proposal is still found.
#[test]
pub fn what_the_list_forgets_is_found_all_the_same() {
    let mut framework = Framework::new(4);
    framework.submit(10, None);
    framework.accept(0);
    framework.submit(11, Some(0));
    for stamp in 12..20 {
        framework.submit(stamp, None);
    }
    framework.submit(20, Some(0));
}
