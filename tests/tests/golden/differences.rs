//! The differences we stand for, as `docs/compatibility.md` lists them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tests::service::Host;

use crate::compare;
use crate::run::Outcome;
use crate::transcript::Step;

/// One row of the table: scenario, step, recorded answer, ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference([String; 4]);

impl Difference {
    pub fn new(scenario: &str, step: &Step, outcome: &Outcome) -> Self {
        let mut ours = outcome.got.summary();
        if ours == outcome.want.summary() {
            let mut names = outcome.names.clone();
            let more = compare::equal(&outcome.want, &outcome.got, &mut names, true);
            ours.push_str(if more {
                ", more members"
            } else {
                ", another body"
            });
        }
        Self([
            scenario.to_owned(),
            step.step.clone(),
            outcome.want.summary(),
            ours,
        ])
    }

    pub fn scenario(&self) -> &str {
        let [scenario, ..] = &self.0;
        scenario
    }
}

/// The rows of the table between the marks that hold for a host.
pub fn documented(host: &Host) -> BTreeSet<Difference> {
    let page = include_str!("../../../docs/compatibility.md");
    let (_, table) = page.split_once("<!-- differences -->").unwrap();
    let (table, _) = table.split_once("<!-- end -->").unwrap();
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [scenario, step, on, recorded, ours, why] = cells[..] else {
            panic!("six cells: {line}");
        };
        assert!(!why.is_empty(), "no reason: {line}");
        let holds = match on {
            "both" => true,
            "embedded" => !host.is_ccf(),
            "CCF" => host.is_ccf(),
            other => panic!("no host is called {other}: {line}"),
        };
        holds.then(|| Difference([scenario, step, recorded, ours].map(str::to_owned)))
    })
    .collect()
}

pub fn lines(differences: &[&Difference]) -> String {
    differences.iter().fold(
        String::new(),
        |mut text, Difference([scenario, step, recorded, ours])| {
            writeln!(
                text,
                "| {scenario} | {step} | ? | {recorded} | {ours} | ? |"
            )
            .unwrap();
            text
        },
    )
}
