//! What is equal.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What names such as `<member0>` stand for in this run. Names that are bound by their first occurrence are added.
pub type Names = BTreeMap<String, String>;

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// `None`: not compared.
    pub content_type: Option<Option<String>>,
    pub response: Value,
    pub unwrapped: Option<Value>,
    pub votes_cast: Option<Vec<String>>,
}

impl Answer {
    /// Removes what a path such as `response.keys.*.alg` names.
    pub fn cut(&mut self, path: &str) {
        let (root, rest) = path.split_once('.').unwrap();
        let rest: Vec<&str> = rest.split('.').collect();
        match root {
            "response" => cut(&mut self.response, &rest),
            "unwrapped" => {
                if let Some(value) = &mut self.unwrapped {
                    cut(value, &rest);
                }
            }
            other => panic!("unknown part {other}"),
        }
    }

    /// The framework's word that there is no such operation.
    pub fn is_missing_operation(&self) -> bool {
        let code = self.response["error"]["code"].as_str();
        matches!(
            (self.status, code),
            (404, Some("ResourceNotFound")) | (405, Some("UnsupportedHttpVerb"))
        )
    }

    /// `status`, and the code or state that says most.
    pub fn summary(&self) -> String {
        let response = &self.response;
        let word = [
            &response["error"]["code"],
            &response["proposalState"],
            &response["reason"]["code"],
        ]
        .into_iter()
        .find_map(Value::as_str);
        match word {
            Some(word) => format!("{} {word}", self.status),
            None => self.status.to_string(),
        }
    }
}

fn cut(value: &mut Value, path: &[&str]) {
    let [first, rest @ ..] = path else { return };
    match value {
        Value::Array(items) if *first == "*" => items.iter_mut().for_each(|item| cut(item, rest)),
        Value::Object(members) if rest.is_empty() => {
            members.remove(*first);
        }
        Value::Object(members) => {
            if let Some(member) = members.get_mut(*first) {
                cut(member, rest);
            }
        }
        _ => {}
    }
}

/// Bodies as they are compared: error and reason texts are not part of the contract.
pub fn reduce(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, member)| {
                    let code = member.get("code").cloned();
                    match (name.as_str(), code) {
                        ("error" | "reason", Some(code)) => (
                            name,
                            Value::Object(Map::from_iter([("code".to_owned(), code)])),
                        ),
                        _ => (name, reduce(member)),
                    }
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(reduce).collect()),
        other => other,
    }
}

/// Members that answers carry in addition, whatever the scenario (docs/compatibility.md, "More members").
const ADDITIONS: [&str; 5] = [
    "issuer",
    "receivedAt",
    "timestampIso",
    "timestamp_iso",
    "writer",
];

/// Takes out of `got` the additions that `want` does not have.
pub fn drop_additions(want: &Value, got: &mut Value) {
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => {
            got.retain(|name, _| want.contains_key(name) || !ADDITIONS.contains(&name.as_str()));
            for (name, got) in got {
                if let Some(want) = want.get(name) {
                    drop_additions(want, got);
                }
            }
        }
        (Value::Array(want), Value::Array(got)) => {
            // Lists may be in another order; what one item adds, all add.
            if let Some(want) = want.first() {
                got.iter_mut().for_each(|got| drop_additions(want, got));
            }
        }
        _ => {}
    }
}

/// Whether the answers are equal; `partly`: only members of `want` count.
pub fn equal(want: &Answer, got: &Answer, names: &mut Names, partly: bool) -> bool {
    want.status == got.status
        && want
            .content_type
            .as_ref()
            .is_none_or(|want| Some(want) == got.content_type.as_ref())
        && want.votes_cast == got.votes_cast
        && same(&want.response, &got.response, names, partly)
        && match (&want.unwrapped, &got.unwrapped) {
            (None, _) => true,
            (Some(want), Some(got)) => same(want, got, names, partly),
            (Some(_), None) => false,
        }
}

fn same(want: &Value, got: &Value, names: &mut Names, partly: bool) -> bool {
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => {
            let want: Vec<_> = want
                .iter()
                .map(|(name, value)| (substitute(name, names), value))
                .collect();
            (partly || want.len() == got.len())
                && want.iter().all(|(name, value)| {
                    let is_null = value.is_null() && partly;
                    got.get(name)
                        .map_or(is_null, |got| same(value, got, names, partly))
                })
        }
        // Each item of one has its own equal in the other. Order matters only where a transcript shows it does: lists are
        // recorded sorted by texts that this run does not have.
        (Value::Array(want), Value::Array(got)) => {
            let mut left: Vec<&Value> = got.iter().collect();
            want.len() == got.len()
                && want.iter().all(|want| {
                    let at = left
                        .iter()
                        .position(|got| same(want, got, &mut names.clone(), partly));
                    at.is_some_and(|at| same(want, left.remove(at), names, partly))
                })
        }
        (Value::String(want), _) if want == "<not shown>" => true,
        (Value::String(want), got) => text(want, got, names),
        (Value::Number(want), Value::Number(got)) => want.as_f64() == got.as_f64(),
        _ => want == got,
    }
}

fn text(want: &str, got: &Value, names: &mut Names) -> bool {
    let got = match got {
        Value::String(text) => text.clone(),
        Value::Number(number) if want.starts_with('<') => number.to_string(),
        _ => return false,
    };
    let resolved = substitute(want, names);
    if resolved == got || want == "<n>" || want == "<wrapped>" {
        return true;
    }
    // A name not met before stands for what it meets first.
    let unknown = resolved == want && want.starts_with('<') && want.ends_with('>');
    if unknown {
        names.insert(want.to_owned(), got);
    }
    unknown
}

/// Replaces names, and `<N times TEXT>` by the text repeated.
pub fn substitute(text: &str, names: &Names) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let Some(length) = rest[start..].find('>') else {
            break;
        };
        let token = &rest[start..=start + length];
        out.push_str(&rest[..start]);
        let inner = &token[1..token.len() - 1];
        let repeated = inner
            .split_once(" times ")
            .and_then(|(count, text)| Some(text.repeat(count.parse().ok()?)));
        match (names.get(token), repeated) {
            (Some(value), _) => out.push_str(value),
            (None, Some(text)) => out.push_str(&text),
            (None, None) => out.push_str(token),
        }
        rest = &rest[start + length + 1..];
    }
    out + rest
}
