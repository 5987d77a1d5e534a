//! What nodes write without a vote: their joining, recoveries, and keys of token issuers (CCF interface, sections 3.2, 7.2 to
//! 7.4; ledger format, sections 16.3 and 16.4).

use std::collections::BTreeMap;

use ledger::{
    Digest, ENCRYPTED_SECRETS_MAP, ENDORSEMENT_MAP, HISTORICAL_SECRET_MAP, LAST_SIGNED_ROOT_MAP,
    PublicKey, RECOVERY_SHARES_MAP, RecoverySharesRow, SINGLE_KEY, SUBMITTED_SHARES_MAP, TxId,
};
use serde::Deserialize;
use serde_json::Value;

use super::actual::Actual;
use super::draft::Draft;
use super::effects::{node_secrets, shares};
use super::join_policy::own_rows;
use super::members::service;
use super::names::{
    JWT_ISSUERS, JWT_KEY, JWT_KEY_ISSUER, JWT_KEYS, LAST_RECOVERY_TYPE, NODE_CERTS, NODE_INFO,
    NODES, NodeInfo, PREVIOUS_IDENTITY, RECOVERIES, ROLLBACKS, SERVICE_CONFIG, SERVICE_INFO,
    ServiceConfig, ServiceInfo, TOKEN_TABLES, name, only, row,
};
use super::proposals::active;
use super::rule::{Breach, Rule};
use crate::tables::Tables;

/// LEG-18: a node joins, or a retirement is complete.
pub(super) fn node(tables: &Tables, actual: &Actual<'_>) -> Result<(), Breach> {
    actual.only(&[NODE_INFO, NODE_CERTS], Rule::Unexplained)?;
    let open = service(tables)?.is_some_and(|service| service.status == "Open");
    let mut joined = Vec::new();
    for (id, value) in actual.rows(NODE_INFO) {
        let before = tables.value(NODE_INFO, id);
        match (before, value) {
            (None, Some(value)) => {
                let info: Option<NodeInfo> = row(Some(value), NODE_INFO, Rule::Node)?;
                let status = info.map(|info| info.status).unwrap_or_default();
                if status != "Pending" && (status != "Trusted" || open) {
                    let got = format!("node {} joins as {status}", name(id));
                    return Err(Rule::Node.broken(got, "Pending, until members vote"));
                }
                joined.push(id);
            }
            (Some(before), Some(value)) => retired(id, before, value)?,
            (Some(before), None) => {
                let info: Option<NodeInfo> = row(Some(before), NODE_INFO, Rule::Node)?;
                if info.is_none_or(|info| info.status == "Trusted") {
                    let got = format!("node {} removed", name(id));
                    return Err(Rule::Node.broken(got, "a vote"));
                }
            }
            (None, None) => {}
        }
    }
    for (id, value) in actual.rows(NODE_CERTS) {
        let known = tables.value(NODE_INFO, id).is_some();
        if value.is_some() && (known || !joined.contains(&id)) {
            let got = format!("a certificate for node {}", name(id));
            return Err(Rule::Node.broken(got, "one for the node that joins"));
        }
    }
    Ok(())
}

/// Only the mark of completion is new.
fn retired(id: &[u8], before: &[u8], value: &[u8]) -> Result<(), Breach> {
    let parse = |bytes: &[u8]| serde_json::from_slice::<BTreeMap<String, Value>>(bytes).ok();
    let (Some(before), Some(mut after)) = (parse(before), parse(value)) else {
        return Err(Rule::Node.broken("a row that does not parse", "a row of a node"));
    };
    if !before.contains_key("retired_committed") {
        after.remove("retired_committed");
    }
    let was_retired = before.get("status").and_then(Value::as_str) == Some("Retired");
    if was_retired && before == after {
        return Ok(());
    }
    let got = format!("node {} changed", name(id));
    Err(Rule::Node.broken(got, "a vote"))
}

/// LEG-19.
pub(super) fn recovery_start(
    tables: &Tables,
    actual: &Actual<'_>,
    id: TxId,
    last_root: Option<&Digest>,
) -> Result<(), Breach> {
    let rule = Rule::RecoveryStart;
    let named = [
        SERVICE_INFO,
        PREVIOUS_IDENTITY,
        LAST_SIGNED_ROOT_MAP,
        ROLLBACKS,
    ];
    let other = actual
        .tables()
        .into_iter()
        .find(|table| !named.contains(table) && !table.starts_with(NODES));
    if let Some(table) = other {
        return Err(rule.broken(format!("a write to {table}"), "service and nodes only"));
    }
    let before = service(tables)?.ok_or_else(|| rule.broken("no service", "one to recover"))?;
    let value = actual.value(SERVICE_INFO, &SINGLE_KEY);
    let after: ServiceInfo = row(value, SERVICE_INFO, rule)?
        .ok_or_else(|| rule.broken("no service", "a recovering one"))?;
    let key = |cert: &str| PublicKey::of_certificate(cert).ok();
    if key(&after.cert).is_none() || key(&after.cert) == key(&before.cert) {
        return Err(rule.broken("the same identity", "a new one"));
    }
    if after.recovery_count != before.recovery_count + 1 {
        let want = (before.recovery_count + 1).to_string();
        return Err(rule.broken(format!("recovery {}", after.recovery_count), want));
    }
    if after
        .current_service_create_txid
        .is_some_and(|created| created != id)
    {
        let got = after.current_service_create_txid.unwrap_or_default();
        return Err(rule.broken(format!("created at {got}"), id.to_string()));
    }
    stated(actual, PREVIOUS_IDENTITY, &before.cert)?;
    if let Some(root) = last_root {
        stated(actual, LAST_SIGNED_ROOT_MAP, &root.to_hex())?;
    }
    rollback(actual, id, after.recovery_count)?;
    others_retire(tables, actual)?;
    own_rows(tables, actual)
}

/// A recovery from files that are older than a checkpoint says so, of itself and of no other.
fn rollback(actual: &Actual<'_>, id: TxId, recovery: u64) -> Result<(), Breach> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Announced {
        #[serde(rename = "checkpoints")]
        _checkpoints: Vec<TxId>,
        #[serde(rename = "findings")]
        _findings: Vec<String>,
        #[serde(rename = "reason")]
        _reason: String,
        recovered_until: TxId,
    }
    let rule = Rule::RecoveryStart;
    if !actual.touches(ROLLBACKS) {
        return Ok(());
    }
    let want = format!("the roll-back of recovery {recovery} alone");
    let Some((key, Some(value))) = actual.one(ROLLBACKS) else {
        return Err(rule.broken("several roll-backs, or one removed", want));
    };
    if key != recovery.to_string().as_bytes() {
        return Err(rule.broken(format!("the roll-back of recovery {}", name(key)), want));
    }
    let announced: Option<Announced> = row(Some(value), ROLLBACKS, rule)?;
    let until = TxId::new(id.view.0.saturating_sub(2), id.seqno.0.saturating_sub(1));
    match announced.map(|announced| announced.recovered_until) {
        Some(got) if got != until => {
            Err(rule.broken(format!("recovered until {got}"), until.to_string()))
        }
        _ => Ok(()),
    }
}

/// A row of text, if it is there, says this. Older versions do not write it.
fn stated(actual: &Actual<'_>, table: &str, want: &str) -> Result<(), Breach> {
    let got: Option<String> = row(actual.value(table, &SINGLE_KEY), table, Rule::RecoveryStart)?;
    match got {
        Some(got) if got != want => Err(Rule::RecoveryStart.broken(got, want)),
        _ => Ok(()),
    }
}

/// One new node is trusted, every other one is retired.
fn others_retire(tables: &Tables, actual: &Actual<'_>) -> Result<(), Breach> {
    let rule = Rule::RecoveryStart;
    let mut new = 0;
    for (id, value) in actual.rows(NODE_INFO) {
        let info: Option<NodeInfo> = row(value, NODE_INFO, rule)?;
        let Some(info) = info else { continue };
        if tables.row(NODE_INFO, id).is_none() {
            new += 1;
        } else if info.status != "Retired" {
            let got = format!("node {} is {}", name(id), info.status);
            return Err(rule.broken(got, "Retired"));
        }
    }
    let kept = tables.rows(NODE_INFO).find(|(id, row)| {
        let info = serde_json::from_slice::<NodeInfo>(&row.value);
        info.is_ok_and(|info| info.status != "Retired") && actual.value(NODE_INFO, id).is_none()
    });
    match kept {
        Some((id, _)) => Err(rule.broken(format!("node {} stays", name(id)), "Retired")),
        None if new != 1 => Err(rule.broken(format!("{new} new nodes"), "one")),
        None => Ok(()),
    }
}

/// LEG-21.
pub(super) fn share_submission(tables: &Tables, actual: &Actual<'_>) -> Result<(), Breach> {
    let rule = Rule::ShareSubmission;
    actual.only(&[SUBMITTED_SHARES_MAP, ENCRYPTED_SECRETS_MAP], rule)?;
    let status = service(tables)?
        .map(|service| service.status)
        .unwrap_or_default();
    if status != "WaitingForRecoveryShares" {
        return Err(rule.broken(status, "WaitingForRecoveryShares"));
    }
    let value = tables.value(RECOVERY_SHARES_MAP, &SINGLE_KEY);
    let shares: Option<RecoverySharesRow> = row(value, RECOVERY_SHARES_MAP, rule)?;
    for (id, value) in actual.rows(SUBMITTED_SHARES_MAP) {
        let member = name(id);
        if value.is_none() {
            continue;
        }
        active(tables, &member)?;
        let holds = shares
            .as_ref()
            .is_some_and(|row| row.encrypted_shares.contains_key(&member));
        if !holds {
            return Err(rule.broken(
                format!("a share of {member}"),
                "one of a member who holds one",
            ));
        }
    }
    if actual.touches(ENCRYPTED_SECRETS_MAP) {
        node_secrets(actual, &Draft::new(tables))?;
    }
    Ok(())
}

/// LEG-20.
pub(super) fn recovery_end(tables: &Tables, actual: &Actual<'_>) -> Result<(), Breach> {
    let rule = Rule::RecoveryEnd;
    actual.only(
        &[
            SERVICE_INFO,
            SUBMITTED_SHARES_MAP,
            RECOVERY_SHARES_MAP,
            HISTORICAL_SECRET_MAP,
            ENDORSEMENT_MAP,
            ENCRYPTED_SECRETS_MAP,
            LAST_RECOVERY_TYPE,
            RECOVERIES,
        ],
        rule,
    )?;
    recovery_record(tables, actual)?;
    let before = service(tables)?.ok_or_else(|| rule.broken("no service", "one"))?;
    let value = actual.value(SERVICE_INFO, &SINGLE_KEY);
    let after: Option<ServiceInfo> = row(value, SERVICE_INFO, rule)?;
    if after.is_none_or(|after| after.cert != before.cert) {
        return Err(rule.broken("another identity", "the one members agreed to"));
    }
    let kind: Option<String> = only(tables, LAST_RECOVERY_TYPE, rule)?;
    if kind.as_deref() != Some("LOCAL_UNSEALING") {
        let config: ServiceConfig = only(tables, SERVICE_CONFIG, rule)?.unwrap_or_default();
        let submitted = tables.rows(SUBMITTED_SHARES_MAP).count();
        // One share that is the whole secret is enough; which those are is not written.
        let owners = tables.rows(super::names::MEMBER_INFO).any(|(_, row)| {
            let info = serde_json::from_slice::<super::names::MemberInfo>(&row.value);
            info.is_ok_and(|info| info.recovery_role.as_deref() == Some("Owner"))
        });
        let enough = if owners { 1 } else { config.recovery_threshold };
        if submitted < enough.max(1) {
            return Err(rule.broken(format!("{submitted} shares"), enough.to_string()));
        }
    }
    shares(actual, &Draft::new(tables))
}

/// The record of the recovery that members opened says how the secrets came back and whose shares they were; nothing else of it
/// changes.
fn recovery_record(tables: &Tables, actual: &Actual<'_>) -> Result<(), Breach> {
    type Record = serde_json::Map<String, Value>;
    let rule = Rule::RecoveryEnd;
    for (key, value) in actual.rows(RECOVERIES) {
        let agreed = tables.value(RECOVERIES, key);
        let mut agreed: Record = row(agreed, RECOVERIES, rule)?
            .ok_or_else(|| rule.broken("a record of another recovery", "the one members opened"))?;
        let mut record: Record = row(value, RECOVERIES, rule)?
            .ok_or_else(|| rule.broken("a record removed", "a record that stays"))?;
        let submitted = tables.rows(SUBMITTED_SHARES_MAP);
        let members: Vec<_> = submitted
            .map(|(member, _)| String::from_utf8_lossy(member).into_owned())
            .collect();
        let shares_of = record.remove("shares_of").unwrap_or_default();
        if shares_of != serde_json::json!(members) {
            return Err(rule.broken(format!("shares of {shares_of}"), members.join(", ")));
        }
        for own in ["opened_by", "shares_of"] {
            agreed.remove(own);
            record.remove(own);
        }
        if record != agreed {
            return Err(rule.broken("other terms of the recovery", "those members agreed to"));
        }
    }
    Ok(())
}

/// LEG-22.
pub(super) fn token_keys(tables: &Tables, actual: &Actual<'_>) -> Result<(), Breach> {
    actual.only(TOKEN_TABLES, Rule::Unexplained)?;
    for table in TOKEN_TABLES {
        for (kid, value) in actual.rows(table) {
            let (before, after) = (tables.value(table, kid), value);
            match *table {
                JWT_KEY => {
                    // Whose key it is stands beside it.
                    let rows = [
                        tables.value(JWT_KEY_ISSUER, kid),
                        actual.value(JWT_KEY_ISSUER, kid),
                    ];
                    let issuers = rows.into_iter().flatten().map(name);
                    refreshed(tables, issuers, kid)?;
                }
                JWT_KEY_ISSUER => {
                    let issuers = [before, after].into_iter().flatten().map(name);
                    refreshed(tables, issuers, kid)?;
                }
                _ => {
                    let changed = changed_issuers(before, after)?;
                    refreshed(tables, changed.into_iter(), kid)?;
                }
            }
        }
    }
    Ok(())
}

/// Every issuer whose keys change, and at least one, is one whose keys the service fetches.
fn refreshed(
    tables: &Tables,
    issuers: impl Iterator<Item = String>,
    kid: &[u8],
) -> Result<(), Breach> {
    #[derive(Deserialize)]
    struct Issuer {
        #[serde(default)]
        auto_refresh: bool,
    }
    let mut any = false;
    for issuer in issuers {
        any = true;
        let value = tables.value(JWT_ISSUERS, issuer.as_bytes());
        let known: Option<Issuer> = row(value, JWT_ISSUERS, Rule::TokenKeys)?;
        if !known.is_some_and(|known| known.auto_refresh) {
            return Err(Rule::TokenKeys.broken(format!("keys of {issuer}"), "a vote"));
        }
    }
    if any {
        return Ok(());
    }
    let got = format!("key {} of no issuer", name(kid));
    Err(Rule::TokenKeys.broken(got, "a key of an issuer that members have set"))
}

/// Issuers of the keys of one id that come or go.
fn changed_issuers(before: Option<&[u8]>, after: Option<&[u8]>) -> Result<Vec<String>, Breach> {
    let keys = |value| -> Result<Vec<Value>, Breach> {
        Ok(row(value, JWT_KEYS, Rule::TokenKeys)?.unwrap_or_default())
    };
    let (before, after) = (keys(before)?, keys(after)?);
    let gone = before.iter().filter(|key| !after.contains(key));
    let come = after.iter().filter(|key| !before.contains(key));
    let issuer = |key: &Value| {
        let issuer = key.get("issuer").and_then(Value::as_str);
        issuer.unwrap_or_default().to_owned()
    };
    Ok(gone.chain(come).map(issuer).collect())
}
