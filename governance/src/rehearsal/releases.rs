//! Which releases a change of tables would newly allow or forbid.
//!
//! A clean room policy lets in code whose every named claim has one of the values it names; an empty one lets nobody in. So the code let
//! in by one policy and not by another is known from the two: it differs in a claim that only one of them names, or in a value that only
//! one of them has.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::overlay::{Change, Overlay};
use super::{RehearsalError, readable};
use crate::policies::Claims;

/// What changes about releases, under one contract or under all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReleaseChange {
    /// The contract; absent for what holds for every one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// Code that would newly be let in: what about it was not enough before.
    pub allowed: Vec<String>,
    /// Code that would no longer be let in: what about it would not be enough any more.
    pub forbidden: Vec<String>,
    /// What else bears on releases and changes.
    pub conditions: Vec<String>,
}

const POLICY: &str = "public:ccf.gov.policies.cleanroom-";

/// Tables that bear on releases otherwise.
const OTHERS: [(&str, &str); 5] = [
    (
        "public:ccf.gov.accepted_contracts",
        "acceptance of the contract",
    ),
    (
        "public:ccf.gov.application_options",
        "options of the application",
    ),
    ("public:ccf.gov.contract_options", "options of the contract"),
    (
        "public:ccf.gov.platform_policy",
        "what platforms must prove",
    ),
    (
        "public:ccf.gov.recoveries",
        "whether releases are held after a recovery",
    ),
];

/// The differences between the tables before and after.
pub(super) fn differences(tables: &mut Overlay<'_>) -> Result<Vec<ReleaseChange>, RehearsalError> {
    let mut found = Vec::new();
    for table in tables.written() {
        if let Some(contract) = table.strip_prefix(POLICY) {
            let before = claims(&tables.rows_before(&table).map_err(RehearsalError::Tables)?);
            let after = claims(&tables.rows(&table).map_err(RehearsalError::Tables)?);
            let change = ReleaseChange {
                contract: Some(contract.to_owned()),
                allowed: beyond(&after, &before),
                forbidden: beyond(&before, &after),
                conditions: Vec::new(),
            };
            if !(change.allowed.is_empty() && change.forbidden.is_empty()) {
                found.push(change);
            }
        }
    }
    let changes = tables.changes().map_err(RehearsalError::Tables)?;
    found.extend(changes.iter().filter_map(condition));
    Ok(found)
}

/// What a row that is no clean room policy has to do with releases.
fn condition(change: &Change) -> Option<ReleaseChange> {
    let of_all = |condition: String| ReleaseChange {
        contract: None,
        allowed: Vec::new(),
        forbidden: Vec::new(),
        conditions: vec![condition],
    };
    if change.table == "public:ccf.gov.members.info" && change.after.is_none() {
        let text = "execution of a contract that member MEMBER switched off is not switched off by them any more";
        return Some(of_all(text.replace("MEMBER", &change.key)));
    }
    let (_, what) = OTHERS.iter().find(|(table, _)| *table == change.table)?;
    let said = |value: &Option<Value>| {
        value
            .as_ref()
            .map_or_else(|| "nothing".to_owned(), Value::to_string)
    };
    let mut told = of_all(format!(
        "{what}: {} in place of {}",
        said(&change.after),
        said(&change.before)
    ));
    told.contract = (!change.key.is_empty()).then(|| change.key.clone());
    Some(told)
}

fn claims(rows: &BTreeMap<Vec<u8>, Vec<u8>>) -> Claims {
    rows.iter()
        .map(|(name, values)| {
            let values = match readable(values) {
                Value::Array(values) => values,
                other => vec![other],
            };
            (String::from_utf8_lossy(name).into_owned(), values)
        })
        .collect()
}

/// What code that `policy` lets in may have that `other` does not let in.
fn beyond(policy: &Claims, other: &Claims) -> Vec<String> {
    if lets_nobody_in(policy) {
        return Vec::new();
    }
    if lets_nobody_in(other) {
        let all: Vec<String> = policy
            .iter()
            .map(|(name, values)| format!("{name} = {}", alternatives(values.iter())))
            .collect();
        return vec![all.join(" and ")];
    }
    other
        .iter()
        .filter_map(|(name, had)| match policy.get(name) {
            None => Some(format!("{name} other than {}", alternatives(had.iter()))),
            Some(has) => {
                let new: Vec<&Value> = has.iter().filter(|value| !had.contains(value)).collect();
                (!new.is_empty()).then(|| format!("{name} = {}", alternatives(new.into_iter())))
            }
        })
        .collect()
}

fn lets_nobody_in(policy: &Claims) -> bool {
    policy.is_empty() || policy.values().any(Vec::is_empty)
}

fn alternatives<'v>(values: impl Iterator<Item = &'v Value>) -> String {
    let values: Vec<String> = values.map(Value::to_string).collect();
    values.join(" or ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(claims: &[(&str, Value)]) -> Claims {
        claims
            .iter()
            .map(|(name, values)| ((*name).to_owned(), values.as_array().unwrap().clone()))
            .collect()
    }

    /// Whether `policy` lets code with these two claims in.
    fn admits(policy: &Claims, code: &BTreeMap<&str, i64>) -> bool {
        !policy.is_empty()
            && policy.iter().all(|(name, values)| {
                code.get(name.as_str())
                    .is_some_and(|value| values.contains(&json!(value)))
            })
    }

    #[test]
    fn a_difference_is_told_exactly_when_there_is_one() {
        let lists = [
            None,
            Some(json!([])),
            Some(json!([1])),
            Some(json!([2])),
            Some(json!([1, 2])),
        ];
        let mut policies = Vec::new();
        for a in &lists {
            for b in &lists {
                let mut claims = Vec::new();
                claims.extend(a.clone().map(|values| ("a", values)));
                claims.extend(b.clone().map(|values| ("b", values)));
                policies.push(policy(&claims));
            }
        }
        let mut code = Vec::new();
        for a in 1..4 {
            for b in 1..4 {
                code.push(BTreeMap::from([("a", a), ("b", b)]));
            }
        }
        for policy in &policies {
            for other in &policies {
                let newly = code
                    .iter()
                    .any(|code| admits(policy, code) && !admits(other, code));
                assert_eq!(
                    !beyond(policy, other).is_empty(),
                    newly,
                    "{policy:?} {other:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_new_is_named() {
        let before = policy(&[("h", json!(["x"])), ("d", json!([false]))]);
        let after = policy(&[("h", json!(["x", "y"]))]);
        assert_eq!(beyond(&after, &before), ["d other than false", "h = \"y\""]);
        assert_eq!(beyond(&before, &after), Vec::<String>::new());
        assert_eq!(beyond(&before, &Claims::new()), ["d = false and h = \"x\""]);
    }
}
