//! Many questions to the constitution in one call: a call costs a fresh engine, a question does not.

use constitution::{Case, Engine, InProcess, Limits, MemoryKv};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::consortium::{id, module};

/// What the constitution says of one proposal in one situation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Answer {
    pub valid: bool,
    pub state: String,
    pub rule: String,
    pub reason: String,
    pub missing: Vec<String>,
    pub against: Vec<String>,
    pub joining: Vec<String>,
}

/// One proposal in one situation; members by name.
#[derive(Debug, Clone)]
pub struct Question {
    pub actions: Value,
    pub proposer: String,
    pub votes: Vec<(String, bool)>,
}

/// The constitution in force in this test, and a way to ask it several questions.
pub struct Batch {
    module: String,
    engine: InProcess,
}

impl Batch {
    pub fn new() -> Self {
        let rules = module()
            .replace("export function explain(", "function explainOne(")
            .replace("} = explain(proposal,", "} = explainOne(proposal,");
        Self {
            module: rules + DRIVER,
            engine: InProcess::new(Limits::default()),
        }
    }

    /// The names of all actions.
    pub fn actions(&mut self) -> Vec<String> {
        serde_json::from_value(self.call(&json!({"names": true}), &mut MemoryKv::default()))
            .unwrap()
    }

    /// The answers, in order.
    pub fn ask(&mut self, questions: &[Question], kv: &mut MemoryKv) -> Vec<Answer> {
        let questions: Vec<Value> = questions
            .iter()
            .map(|question| {
                let votes: Vec<Value> = question
                    .votes
                    .iter()
                    .map(|(name, vote)| json!({"member_id": id(name), "vote": vote}))
                    .collect();
                json!({
                    "proposal": json!({"actions": question.actions}).to_string(),
                    "proposer": id(&question.proposer),
                    "votes": votes,
                })
            })
            .collect();
        serde_json::from_value(self.call(&json!({ "questions": questions }), kv)).unwrap()
    }

    fn call(&mut self, input: &Value, kv: &mut MemoryKv) -> Value {
        let case = Case {
            proposal: &input.to_string(),
            proposer_id: "",
            votes: &[],
            proposal_id: "",
        };
        let answer = self
            .engine
            .explain(&self.module, &case, kv)
            .unwrap()
            .unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}

const DRIVER: &str = r#"
export function explain(input) {
  const { names, questions } = JSON.parse(input);
  if (names) return [...actions.keys()];
  return questions.map(({ proposal, proposer, votes }) => {
    const { valid } = validate(proposal);
    return { valid, ...explainOne(proposal, proposer, votes, "new") };
  });
}
"#;
