//! Clean room policies: which code may act under a contract (endpoint E12). Only governance writes them.

use std::collections::BTreeMap;

use attestation::{ClaimPolicy, HostData};
use ccf_rs::{Context, Endpoints, Error, ReadContext, Reply, Result, Seqno, Table, TxId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::App;
use crate::callers::{NOT_REGISTERED, PEOPLE, registered};
use crate::ids::ContractId;
use crate::platform;
use crate::proposals;

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .post("/contracts/{contractId}/cleanroompolicy", show)
        .auth(PEOPLE)
        .summary("Read the clean room policy of a contract and what is proposed for it")
        .reply::<Shown>()
        .refuses(NOT_REGISTERED)
}

/// The policy of a contract and where it comes from.
pub(crate) struct ContractPolicy {
    pub(crate) claims: ClaimPolicy,
    pub(crate) source: Source,
}

/// Which decision a policy is the result of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PolicySource")]
pub(crate) struct Source {
    /// The newest transaction that wrote what the policy now says; absent while there is no policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<TxId>,
    /// The proposal that made the last change, if governance noted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proposal_id: Option<String>,
}

/// The policy of a contract; empty when governance has set none.
pub(crate) fn of_contract<C: Context>(
    ctx: &mut C,
    contract: &ContractId,
) -> Result<ContractPolicy> {
    let table = claims_of(contract);
    let claims: BTreeMap<_, _> = ctx.read(&table).entries()?.into_iter().collect();
    let mut newest: Option<Seqno> = None;
    for claim in claims.keys() {
        newest = newest.max(ctx.read(&table).previous_write(claim)?);
    }
    let key = contract.as_str().to_owned();
    let proposal_id = match ctx.read(&ORIGINS).get(&key)? {
        Some(origin) => {
            // Taking a claim away leaves no trace but here.
            newest = newest.max(ctx.read(&ORIGINS).previous_write(&key)?);
            origin.proposal_id
        }
        None => None,
    };
    let version = match newest {
        Some(seqno) => ctx.view_of(seqno)?.map(|view| TxId { view, seqno }),
        None => None,
    };
    Ok(ContractPolicy {
        claims: ClaimPolicy(claims),
        source: Source {
            version,
            proposal_id,
        },
    })
}

/// Which decision set what a contract's policy says about one claim.
pub(crate) fn source_of_claim<C: Context>(
    ctx: &mut C,
    contract: &ContractId,
    claim: &str,
) -> Result<Source> {
    let seqno = ctx
        .read(&claims_of(contract))
        .previous_write(&claim.to_owned())?;
    let version = match seqno {
        Some(seqno) => ctx.view_of(seqno)?.map(|view| TxId { view, seqno }),
        None => None,
    };
    let origin = ctx.read(&ORIGINS).get(&contract.as_str().to_owned())?;
    let proposal_id = origin.and_then(|mut origin| origin.claims.remove(claim));
    Ok(Source {
        version,
        proposal_id,
    })
}

fn claims_of(contract: &ContractId) -> Table<String, Vec<Value>> {
    Table::named(format!("public:ccf.gov.policies.cleanroom-{contract}"))
}

static ORIGINS: Table<String, Origin> = Table::json("public:ccf.gov.policy_origins");

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Origin {
    proposal_id: Option<String>,
    /// The proposal that set each claim.
    #[serde(default)]
    claims: BTreeMap<String, String>,
}

fn show(app: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let contract: ContractId = ctx.path("contractId")?;
    let policy = of_contract(ctx, &contract)?;
    let proposals = proposals::concerning(app, ctx, &["set_clean_room_policy"], contract.as_str())?;
    Reply::json(&Shown {
        proposal_ids: proposals,
        warnings: warnings(&policy.claims),
        policy: policy.claims,
    })
}

/// The answer: claim names, each with the values that are accepted.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CleanRoomPolicy")]
struct Shown {
    /// Open proposals that would change it.
    proposal_ids: Vec<String>,
    #[schemars(with = "BTreeMap<String, Vec<Value>>")]
    policy: ClaimPolicy,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

/// A value that members should not have agreed to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PolicyWarning")]
struct Warning {
    code: &'static str,
    message: &'static str,
    claim: &'static str,
    value: Value,
}

fn warnings(policy: &ClaimPolicy) -> Vec<Warning> {
    policy
        .0
        .get(HOST_DATA)
        .into_iter()
        .flatten()
        .filter(|value| {
            value
                .as_str()
                .and_then(|text| text.parse::<HostData>().ok())
                .is_some_and(platform::is_well_known)
        })
        .map(|value| Warning {
            code: "WellKnownHostData",
            message: "This host data lets a host run any code.",
            claim: HOST_DATA,
            value: value.clone(),
        })
        .collect()
}

const HOST_DATA: &str = "x-ms-sevsnpvm-hostdata";

/// Changes a set of claims as proposals and clean rooms ask for it (application specification, section 3.3).
///
/// Adding to a claim whose first new value is a boolean replaces its values; otherwise new values are appended. Removing a
/// boolean removes the claim; other values must be there, and a claim without values left is gone.
///
/// # Errors
/// 400 `InvalidPolicy` when something is to be removed that is not there.
pub(crate) fn edit(
    claims: &mut BTreeMap<String, Vec<Value>>,
    change: Change,
    values: BTreeMap<String, Value>,
) -> Result<()> {
    for (name, value) in values {
        let new = match value {
            Value::Array(values) => values,
            one => vec![one],
        };
        let replaces = matches!(new.first(), Some(Value::Bool(_)));
        match change {
            Change::Add => {
                let stored = claims.entry(name).or_default();
                if replaces {
                    stored.clear();
                }
                for value in new {
                    if !stored.contains(&value) {
                        stored.push(value);
                    }
                }
            }
            Change::Remove => {
                let missing = || {
                    Error::bad_request("InvalidPolicy", "What is to be removed is not there.")
                        .with_detail(json!({ "claim": name }))
                };
                let stored = claims.get_mut(&name).ok_or_else(missing)?;
                if replaces {
                    stored.clear();
                }
                for value in new.iter().filter(|_| !replaces) {
                    let at = stored.iter().position(|v| v == value).ok_or_else(missing)?;
                    stored.remove(at);
                }
                if stored.is_empty() {
                    claims.remove(&name);
                }
            }
        }
    }
    Ok(())
}

/// Direction of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    Add,
    Remove,
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    type Claims = BTreeMap<String, Vec<Value>>;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            (0..4_u8).prop_map(|n| json!(n)),
            (0..4_u8).prop_map(|n| json!(n.to_string())),
            any::<bool>().prop_map(Value::from),
        ]
    }

    /// Values of one claim; several are no truth values.
    fn values() -> impl Strategy<Value = Value> {
        let others = value().prop_filter("no truth value", |value| !value.is_boolean());
        prop_oneof![
            value(),
            vec(others, 1..4).prop_map(Value::from),
            any::<bool>().prop_map(|truth| json!([truth])),
        ]
    }

    fn changes() -> impl Strategy<Value = BTreeMap<String, Value>> {
        btree_map("[abc]", values(), 0..4)
    }

    fn edits() -> impl Strategy<Value = Vec<(bool, BTreeMap<String, Value>)>> {
        vec((any::<bool>(), changes()), 0..8)
    }

    fn change(adds: bool) -> Change {
        if adds { Change::Add } else { Change::Remove }
    }

    /// What any sequence of edits leaves.
    fn reached(edits: Vec<(bool, BTreeMap<String, Value>)>) -> Claims {
        let mut claims = Claims::new();
        for (adds, values) in edits {
            let mut next = claims.clone();
            if edit(&mut next, change(adds), values).is_ok() {
                claims = next;
            }
        }
        claims
    }

    fn list(value: &Value) -> Vec<Value> {
        value
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![value.clone()])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        /// No claim without values, no value twice, no truth value beside another one.
        #[test]
        fn policies_stay_well_formed(edits in edits()) {
            for (name, values) in reached(edits) {
                prop_assert!(!values.is_empty(), "{name}");
                for (at, value) in values.iter().enumerate() {
                    prop_assert!(!values[..at].contains(value), "{name}: {value} twice");
                }
            }
        }

        #[test]
        fn adding_again_changes_nothing(edits in edits(), new in changes()) {
            let mut once = reached(edits);
            edit(&mut once, Change::Add, new.clone()).unwrap();
            let mut twice = once.clone();
            edit(&mut twice, Change::Add, new).unwrap();
            prop_assert_eq!(once, twice);
        }

        /// What was not there before and is added can be taken back, and then all is as it was.
        #[test]
        fn removing_what_was_added_restores(edits in edits(), new in changes()) {
            let before = reached(edits);
            let fresh: BTreeMap<_, _> = new
                .into_iter()
                .filter(|(name, _)| !before.contains_key(name))
                .map(|(name, value)| {
                    let mut distinct = Vec::new();
                    for value in list(&value) {
                        if !distinct.contains(&value) {
                            distinct.push(value);
                        }
                    }
                    (name, Value::from(distinct))
                })
                .collect();
            let mut claims = before.clone();
            edit(&mut claims, Change::Add, fresh.clone()).unwrap();
            edit(&mut claims, Change::Remove, fresh).unwrap();
            prop_assert_eq!(claims, before);
        }

        /// Claims that an edit does not name stay, and their order means nothing.
        #[test]
        fn edits_touch_what_they_name(edits in edits(), adds: bool, new in changes()) {
            let before = reached(edits);
            let mut claims = before.clone();
            let _ = edit(&mut claims, change(adds), new.clone());
            for (name, values) in before {
                if !new.contains_key(&name) {
                    prop_assert_eq!(claims.get(&name), Some(&values));
                }
            }
        }

        /// Adding values never takes in more than was named, removing never lets in anything.
        #[test]
        fn nothing_comes_in_that_was_not_named(edits in edits(), adds: bool, new in changes()) {
            let before = reached(edits);
            let mut claims = before.clone();
            let _ = edit(&mut claims, change(adds), new.clone());
            for (name, values) in claims {
                for value in values {
                    let was = before.get(&name).is_some_and(|old| old.contains(&value));
                    let named = adds && new.get(&name).is_some_and(|new| list(new).contains(&value));
                    prop_assert!(was || named, "{name}: {value}");
                }
            }
        }
    }
}
