//! How members become active (CCF interface, section 1.7), and who the first ones are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::{Digest, RECOVERY_SHARES_MAP, SINGLE_KEY};
use serde::Deserialize;
use serde_json::Value;

use super::actual::Actual;
use super::draft::Draft;
use super::effects::shares;
use super::names::{
    CONSTITUTION, MEMBER_ACKS, MEMBER_CERTS, MEMBER_INFO, MEMBER_KEYS, MemberAck, MemberInfo,
    NODES, OLD_VALUES, SERVICE_CONFIG, SERVICE_INFO, ServiceInfo, name, only, row,
};
use super::proposals::verified;
use super::rule::{Breach, Rule};
use crate::tables::Tables;

/// What a foundation is written in, beside what nodes are. Every other table holds what members decide, or records.
const FOUNDING: [&str; 8] = [
    CONSTITUTION,
    MEMBER_ACKS,
    MEMBER_CERTS,
    MEMBER_KEYS,
    MEMBER_INFO,
    SERVICE_CONFIG,
    SERVICE_INFO,
    OLD_VALUES,
];

/// What a transaction that touches acknowledgements was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AckAct {
    /// A digest was recorded for a member. The request was signed, but is not kept.
    Update,
    /// The member acknowledged it.
    Ack,
    /// The same, in a form of CCF 1.x or 2.x that is not verified here.
    OldAck,
}

/// LEG-01.
pub(super) fn genesis(actual: &Actual<'_>) -> Result<(), Breach> {
    let wrong = |got: String, want: &str| Rule::Genesis.broken(got, want);
    let value = |table| actual.value(table, &SINGLE_KEY);
    let service: Option<ServiceInfo> = row(value(SERVICE_INFO), SERVICE_INFO, Rule::Genesis)?;
    let status = service.map_or_else(|| "no service".to_owned(), |service| service.status);
    if status != "Opening" {
        return Err(wrong(status, "Opening"));
    }
    let constitution: Option<String> = row(value(CONSTITUTION), CONSTITUTION, Rule::Genesis)?;
    if constitution.is_none_or(|text| text.is_empty()) {
        return Err(wrong("no constitution".to_owned(), "a constitution"));
    }
    let founding = |table: &str| FOUNDING.contains(&table) || table.starts_with(NODES);
    if let Some(table) = actual.tables().into_iter().find(|table| !founding(table)) {
        return Err(wrong(format!("a write to {table}"), "nothing decided yet"));
    }
    for (id, info) in actual.rows(MEMBER_INFO) {
        let info: Option<MemberInfo> = row(info, MEMBER_INFO, Rule::Genesis)?;
        if info.is_none_or(|info| info.status != "Accepted") {
            return Err(wrong(format!("member {} has acted", name(id)), "Accepted"));
        }
    }
    actual
        .rows(MEMBER_CERTS)
        .try_for_each(|(id, pem)| named_after(&name(id), pem))
}

/// Members are named after their certificate.
fn named_after(id: &str, pem: Option<&[u8]>) -> Result<(), Breach> {
    let text = pem
        .and_then(|pem| std::str::from_utf8(pem).ok())
        .unwrap_or_default();
    let digest = ledger::pem::decode(text, &["CERTIFICATE"])
        .map(|(_, der)| Digest::of(&der).to_hex())
        .map_err(|e| Rule::Genesis.broken(e.to_string(), "a certificate"))?;
    if digest == id {
        return Ok(());
    }
    Err(Rule::Genesis.broken(format!("member {id}"), digest))
}

/// Judges a transaction that touches acknowledgements. `roots`: those of the latest signatures.
pub(super) fn ack<'r>(
    tables: &Tables,
    actual: &Actual<'_>,
    roots: impl Iterator<Item = &'r Digest>,
) -> Result<AckAct, Breach> {
    let Some((key, Some(value))) = actual.one(MEMBER_ACKS) else {
        return Err(Rule::Ack.broken("several, or a removal", "one acknowledgement"));
    };
    let member = name(key);
    let got: MemberAck = row(Some(value), MEMBER_ACKS, Rule::Ack)?.unwrap_or_default();
    let before: Option<MemberAck> = row(tables.value(MEMBER_ACKS, key), MEMBER_ACKS, Rule::Ack)?;
    let before = before.unwrap_or_default();
    if got.cose_sign1_req.is_none() && got.signed_req != before.signed_req {
        actual.only(&[MEMBER_ACKS, MEMBER_INFO, RECOVERY_SHARES_MAP], Rule::Ack)?;
        return Ok(AckAct::OldAck);
    }
    if got.cose_sign1_req.is_none() || got.cose_sign1_req == before.cose_sign1_req {
        let repeated = actual.touches(MEMBER_INFO);
        if !repeated {
            update(tables, actual, &member, &got, roots)?;
            return Ok(AckAct::Update);
        }
    }
    acknowledged(tables, actual, &member, &got, &before)?;
    Ok(AckAct::Ack)
}

/// LEG-17.
fn update<'r>(
    tables: &Tables,
    actual: &Actual<'_>,
    member: &str,
    got: &MemberAck,
    mut roots: impl Iterator<Item = &'r Digest>,
) -> Result<(), Breach> {
    actual.only(&[MEMBER_ACKS], Rule::Unexplained)?;
    if tables.row(MEMBER_CERTS, member.as_bytes()).is_none() {
        return Err(Rule::StateDigest.broken(format!("no member {member}"), "a member"));
    }
    if roots.any(|root| root.to_hex() == got.state_digest) {
        return Ok(());
    }
    Err(Rule::StateDigest.broken(got.state_digest.as_str(), "the root of a recent signature"))
}

/// LEG-16.
fn acknowledged(
    tables: &Tables,
    actual: &Actual<'_>,
    member: &str,
    got: &MemberAck,
    before: &MemberAck,
) -> Result<(), Breach> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "stateDigest", alias = "state_digest")]
        state_digest: String,
    }
    actual.only(&[MEMBER_ACKS, MEMBER_INFO, RECOVERY_SHARES_MAP], Rule::Ack)?;
    let envelope = got
        .cose_sign1_req
        .as_ref()
        .and_then(|text| STANDARD.decode(text).ok())
        .ok_or_else(|| Rule::Ack.broken("no envelope", "a signed acknowledgement"))?;
    let message = verified(tables, member, &envelope)?;
    if message.kind != "ack" {
        return Err(Rule::Envelope.broken(message.kind, "an acknowledgement"));
    }
    let body: Body = serde_json::from_slice(&message.payload)
        .map_err(|e| Rule::Ack.broken(e.to_string(), "a state digest"))?;
    if body.state_digest != got.state_digest || got.state_digest != before.state_digest {
        return Err(Rule::Ack.broken(body.state_digest, before.state_digest.as_str()));
    }
    let activated = activation(tables, actual, member)?;
    if !actual.touches(RECOVERY_SHARES_MAP) {
        return Ok(());
    }
    if !activated || tables.row(MEMBER_KEYS, member.as_bytes()).is_none() {
        return Err(Rule::Made.broken("new recovery shares", "none for this acknowledgement"));
    }
    let mut draft = Draft::new(tables);
    let info = actual
        .value(MEMBER_INFO, member.as_bytes())
        .map(<[u8]>::to_vec);
    draft.set(MEMBER_INFO, member.as_bytes(), info);
    shares(actual, &draft)
}

/// The member becomes Active, and nothing else of any member changes.
fn activation(tables: &Tables, actual: &Actual<'_>, member: &str) -> Result<bool, Breach> {
    if !actual.touches(MEMBER_INFO) {
        return Ok(false);
    }
    let wrong = |got: String| Rule::Ack.broken(got, format!("{member} becomes Active"));
    let Some((key, Some(value))) = actual.one(MEMBER_INFO) else {
        return Err(wrong("several members, or a removal".to_owned()));
    };
    let before = tables.value(MEMBER_INFO, key);
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    let (Some(got), Some(mut want)) = (parse(value), before.and_then(parse)) else {
        return Err(wrong("a row that does not parse".to_owned()));
    };
    if let Some(row) = want.as_object_mut() {
        row.insert("status".to_owned(), "Active".into());
    }
    if name(key) != member || got != want {
        return Err(wrong(format!("{} {got}", name(key))));
    }
    Ok(true)
}

/// The status of the service before the transaction.
pub(super) fn service(tables: &Tables) -> Result<Option<ServiceInfo>, Breach> {
    only(tables, SERVICE_INFO, Rule::RecoveryStart)
}
