//! The differences we stand for, as `docs/compatibility.md` lists them.

use std::fmt::Write as _;

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

/// The rows of the table between the marks.
pub fn documented() -> std::collections::BTreeSet<Difference> {
    let page = include_str!("../../../docs/compatibility.md");
    let (_, table) = page.split_once("<!-- differences -->").unwrap();
    let (table, _) = table.split_once("<!-- end -->").unwrap();
    table
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let mut cells = line
                .trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned());
            let row = Difference(std::array::from_fn(|_| cells.next().unwrap()));
            assert!(
                cells.next().is_some_and(|reason| !reason.is_empty()),
                "no reason: {line}"
            );
            row
        })
        .collect()
}

pub fn lines(differences: &[&Difference]) -> String {
    differences
        .iter()
        .fold(String::new(), |mut text, difference| {
            writeln!(text, "| {} |", difference.0.join(" | ")).unwrap();
            text
        })
}
