//! Intended differences: steps at which a better answer than the recorded one is wanted.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::compare::{self, Answer, Names};
use crate::run::Outcome;
use crate::transcript::Step;

pub struct Allowed(Vec<Rule>);

#[derive(Deserialize)]
struct Rule {
    scenario: Patterns,
    step: Patterns,
    when: Option<When>,
    accept: Option<Accept>,
    #[serde(default)]
    ignore: Vec<String>,
    #[serde(default, rename = "asText")]
    as_text: Vec<String>,
}

#[derive(Deserialize)]
struct When {
    status: u16,
}

#[derive(Deserialize)]
struct Accept {
    status: Vec<u16>,
    code: Option<Vec<String>>,
    #[serde(rename = "proposalState")]
    proposal_state: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Patterns {
    One(String),
    Many(Vec<String>),
}

impl Patterns {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::One(pattern) => glob(pattern, text),
            Self::Many(patterns) => patterns.iter().any(|pattern| glob(pattern, text)),
        }
    }
}

/// `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|at| text.is_char_boundary(at) && glob(rest, &text[at..]))
        }),
    }
}

impl Allowed {
    pub fn load(file: &Path) -> Self {
        Self(serde_json::from_slice(&fs::read(file).unwrap()).unwrap())
    }

    /// Whether the answer is among the good ones although it is not the recorded one.
    pub fn permits(&self, scenario: &str, step: &Step, outcome: &Outcome) -> bool {
        self.rules(scenario, step).any(|rule| rule.permits(outcome))
    }

    /// The answers without the parts that need not be the same.
    pub fn cut(&self, scenario: &str, step: &Step, outcome: &Outcome) -> Outcome {
        let (mut want, mut got) = (outcome.want.clone(), outcome.got.clone());
        for rule in self.rules(scenario, step) {
            rule.cut(&mut want);
            rule.cut(&mut got);
        }
        let names = Names::clone(&outcome.names);
        Outcome { want, got, names }
    }

    fn rules(&self, scenario: &str, step: &Step) -> impl Iterator<Item = &Rule> {
        self.0
            .iter()
            .filter(move |rule| rule.scenario.matches(scenario) && rule.step.matches(&step.step))
            .filter(|rule| {
                rule.when
                    .as_ref()
                    .is_none_or(|when| when.status == step.status)
            })
    }
}

impl Rule {
    fn permits(&self, outcome: &Outcome) -> bool {
        if let Some(accept) = &self.accept
            && accept.permits(&outcome.got)
        {
            return true;
        }
        if !self.ignore.is_empty() || !self.as_text.is_empty() {
            let (mut got, mut want) = (outcome.got.clone(), outcome.want.clone());
            self.cut(&mut got);
            self.cut(&mut want);
            return compare::equal(&want, &got, &mut Names::clone(&outcome.names), false);
        }
        self.accept.is_none() && !outcome.got.is_missing_operation()
    }

    fn cut(&self, answer: &mut Answer) {
        for path in self.ignore.iter().chain(&self.as_text) {
            answer.cut(path);
        }
    }
}

impl Accept {
    fn permits(&self, got: &Answer) -> bool {
        let within = |list: &Option<Vec<String>>, value: &Value| {
            list.as_ref()
                .is_none_or(|list| value.as_str().is_some_and(|v| list.iter().any(|l| l == v)))
        };
        self.status.contains(&got.status)
            && within(&self.code, &got.response["error"]["code"])
            && within(&self.proposal_state, &got.response["proposalState"])
    }
}
