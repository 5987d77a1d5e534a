//! Issuing recovery shares: who gets one, under which threshold. The sharing itself is the
//! ledger format's ([`ledger::RecoverySharesRow`]).

use std::collections::BTreeMap;

use aws_lc_rs::rand::SystemRandom;
use constitution::Kv;
use ledger::{
    HISTORICAL_SECRET_MAP, LedgerSecret, RecoveryMembers, RecoverySharesRow, RsaPublicKey,
    SINGLE_KEY, Seqno, canonical,
};

use super::NodeServices;
use super::rows::text;
use super::tables::{
    MEMBER_ENCRYPTION_KEYS, MEMBER_INFO, MemberInfo, RECOVERY_SHARES, SERVICE_CONFIG, ServiceConfig,
};

/// New shares of the ledger secret in force.
pub(super) fn reissue(kv: &mut dyn Kv, services: &dyn NodeServices) -> Result<(), String> {
    let (_, secret) = services
        .ledger_secret()
        .ok_or("the ledger secret is not available")?;
    // The row that describes this secret was written before.
    let described_at = kv
        .version_of_previous_write(HISTORICAL_SECRET_MAP, &SINGLE_KEY)
        .map_err(text)?;
    write_row(kv, &secret, described_at.map(Seqno))
}

/// Shares of a secret that the same transaction takes into use; older ones are void with the row they stood in.
pub(super) fn issue(kv: &mut dyn Kv, secret: &LedgerSecret) -> Result<(), String> {
    write_row(kv, secret, None)
}

fn write_row(
    kv: &mut dyn Kv,
    secret: &LedgerSecret,
    described_at: Option<Seqno>,
) -> Result<(), String> {
    const REFUSED: &str = "Cannot issue new recovery shares";
    let members = active_members(kv)?;
    let threshold = threshold(kv)?;
    let (participants, owners) = (members.participants.len(), members.owners.len());
    if participants + owners == 0 {
        return Err(format!("{REFUSED} as there are no active recovery members"));
    }
    if participants == 0 && threshold > 1 {
        return Err(format!(
            "{REFUSED}: there are only recovery owners, and the threshold is {threshold}"
        ));
    }
    if participants > 0 && !(1..=participants).contains(&threshold) {
        return Err(format!(
            "{REFUSED}: the recovery threshold is {threshold}, and there are {participants} active recovery participants"
        ));
    }
    let row = RecoverySharesRow::issue(
        secret,
        &members,
        threshold.max(1),
        described_at,
        &SystemRandom::new(),
    )
    .map_err(|e| format!("{REFUSED}: {e}"))?;
    let row = canonical(&row).map_err(|e| e.to_string())?;
    kv.put(RECOVERY_SHARES.name(), &SINGLE_KEY, &row)
        .map_err(text)
}

/// How many shares are needed.
pub(super) fn threshold(kv: &mut dyn Kv) -> Result<usize, String> {
    let row = kv
        .get(SERVICE_CONFIG.name(), &SINGLE_KEY)
        .map_err(text)?
        .ok_or("the service has no configuration")?;
    let config: ServiceConfig =
        serde_json::from_slice(&row).map_err(|_| "service.config cannot be read")?;
    Ok(config.recovery_threshold)
}

/// Active members with an encryption key.
fn active_members(kv: &mut dyn Kv) -> Result<RecoveryMembers, String> {
    let mut keys = BTreeMap::new();
    kv.for_each(MEMBER_ENCRYPTION_KEYS.name(), &mut |id, pem| {
        keys.insert(id.to_vec(), pem.to_vec());
    })
    .map_err(text)?;
    let mut members = RecoveryMembers::default();
    for (id, pem) in keys {
        let Some(row) = kv.get(MEMBER_INFO.name(), &id).map_err(text)? else {
            continue;
        };
        let id = String::from_utf8(id).map_err(|_| "a member id is not text")?;
        let info: MemberInfo = serde_json::from_slice(&row)
            .map_err(|_| format!("the record of member {id} cannot be read"))?;
        if info.status != "Active" {
            continue;
        }
        let list = match info.recovery_role.as_deref() {
            Some("Owner") => &mut members.owners,
            None | Some("Participant") => &mut members.participants,
            _ => continue,
        };
        let key = String::from_utf8(pem)
            .ok()
            .and_then(|pem| RsaPublicKey::from_pem(&pem).ok())
            .ok_or_else(|| format!("the encryption key of member {id} cannot be used"))?;
        list.insert(id, key);
    }
    Ok(members)
}
