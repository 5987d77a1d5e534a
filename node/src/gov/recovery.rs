//! Recovery shares as members see them (CCF interface, section 1.8).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{Context, Error, MemberId, ReadContext, Reply, Result, Singleton, WriteContext};
use ledger::{
    ENCRYPTED_SECRETS_MAP, LedgerSecret, RecoverySharesRow, SINGLE_KEY, Share, canonical,
};
use serde::Deserialize;
use serde_json::json;

use super::Governance;
use super::recovery_terms;
use super::request::{self, failed, same_member};
use super::services::Restoring;
use super::submitted::{Combined, Submitted, combine};
use super::tables::{
    ENCRYPTED_SUBMITTED_SHARES, RECOVERIES, RECOVERY_POLICY, RECOVERY_ROLLBACKS, RECOVERY_SHARES,
    SERVICE_CONFIG, SERVICE_INFO,
};

/// GET `/recovery/encrypted-shares/{memberId}`
pub(super) fn encrypted_share(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let member = request::id(ctx, "memberId", "member")?;
    let row = ctx
        .read(&RECOVERY_SHARES)
        .get(&Singleton)?
        .ok_or_else(|| failed("Failed to retrieve current recovery shares info."))?;
    let share = row
        .get("encrypted_shares")
        .and_then(|shares| shares.get(&member))
        .ok_or_else(|| {
            Error::not_found(
                "ResourceNotFound",
                format!("Recovery share not found for member m[{member}]."),
            )
        })?;
    Reply::json(&json!({ "memberId": member, "encryptedShare": share }))
}

/// POST `/recovery/members/{memberId}:recover`
///
/// Differs from CCF in what happens to shares that do not fit: they are kept, because with one share more the wrong ones
/// can be told; a member who submits again replaces the share.
pub(super) fn recover(gov: &Governance, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    #[derive(Deserialize)]
    struct Body {
        share: String,
    }
    request::version(ctx)?;
    let restoring = waiting_for_shares(gov, ctx)?;
    let member = request::id(ctx, "memberId", "member")?;
    let (signer, message) = request::signed(ctx)?;
    same_member(
        &signer,
        &MemberId(member.clone()).0,
        "InvalidAuthenticationInfo",
    )?;
    recovery_terms::check_holder(ctx, &member)?;
    let row = shares_row(ctx)?;
    if !row.encrypted_shares.contains_key(&member) {
        return Err(Error::not_found(
            "ResourceNotFound",
            format!("Recovery share not found for member m[{member}]."),
        ));
    }
    let Body { share } = serde_json::from_slice(&message.payload).map_err(|e| {
        invalid(
            &member,
            &format!("the signed payload is not an object with a text member share: {e}"),
        )
    })?;
    let share = STANDARD
        .decode(share)
        .map_err(|_| invalid(&member, "it is not base64"))?;
    let share = Share::from_bytes(&share).map_err(|e| invalid(&member, &e.to_string()))?;
    let secret = restoring.secret();
    let mut submitted = read_submitted(ctx, &secret)?;
    let same = submitted
        .iter()
        .find(|(other, known)| **other != member && known.x() == share.x() && !share.is_full());
    if let Some((other, _)) = same {
        return Err(invalid(
            &member,
            &format!(
                "share number {} was submitted by member {other} already",
                share.x()
            ),
        ));
    }
    store(ctx, &member, &share, &secret)?;
    submitted.insert(member.clone(), share);
    let threshold = ctx
        .table(&SERVICE_CONFIG)
        .get(&Singleton)?
        .map_or(1, |config| config.recovery_threshold.max(1));
    let full = submitted.get(&member).is_some_and(Share::is_full);
    // A whole key that was wrong counts for nothing.
    let counted = submitted.values().filter(|share| full || !share.is_full());
    let count = counted.count();
    match combine(&row, &submitted, &member, threshold) {
        Combined::TooFew => progress(count, threshold, false, &[], ""),
        Combined::Secret(newest, wrong) => {
            let secrets = restoring
                .restore(*newest)
                .map_err(|e| failed(format!("The ledger secrets cannot be recovered: {e}")))?;
            let secrets = canonical(&secrets).map_err(|e| Error::Internal(e.to_string()))?;
            ctx.writer()
                .put(ENCRYPTED_SECRETS_MAP, &SINGLE_KEY, &secrets)?;
            let end = "\nEnd of recovery procedure initiated.";
            progress(count, threshold, full, &wrong, end)
        }
        Combined::Mismatch => Ok(mismatch(&member, &submitted)),
    }
}

/// GET `/recovery/latest`: what members should know of the last recovery. Not of CCF's interface.
pub(super) fn latest(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let service = ctx
        .read(&SERVICE_INFO)
        .get(&Singleton)?
        .ok_or_else(|| failed("There is no service."))?;
    let key = service.recovery_count.to_string();
    Reply::json(&json!({
        "recoveryCount": service.recovery_count,
        "status": service.status,
        "policy": ctx.read(&RECOVERY_POLICY).get(&Singleton)?,
        "record": ctx.read(&RECOVERIES).get(&key)?,
        "rollback": ctx.read(&RECOVERY_ROLLBACKS).get(&key)?,
    }))
}

/// What restores secrets, if this is the time to submit shares.
fn waiting_for_shares(
    gov: &Governance,
    ctx: &mut WriteContext<'_>,
) -> Result<std::sync::Arc<dyn Restoring>> {
    let service = ctx
        .table(&SERVICE_INFO)
        .get(&Singleton)?
        .ok_or_else(|| failed("There is no service."))?;
    let not_waiting = || {
        Error::refused(
            403,
            "ServiceNotWaitingForRecoveryShares",
            "Service is not waiting for recovery shares.",
        )
    };
    if service.status != "WaitingForRecoveryShares" {
        return Err(not_waiting());
    }
    if gov.services.state().name == "ReadingPrivateLedger" {
        return Err(Error::refused(
            403,
            "NodeAlreadyRecovering",
            "Node is already recovering private ledger.",
        ));
    }
    gov.services.restoring().ok_or_else(not_waiting)
}

fn shares_row(ctx: &mut WriteContext<'_>) -> Result<RecoverySharesRow> {
    let row = ctx
        .table(&RECOVERY_SHARES)
        .get(&Singleton)?
        .ok_or_else(|| failed("Failed to retrieve current recovery shares info."))?;
    serde_json::from_value(row).map_err(|e| Error::Stored {
        table: RECOVERY_SHARES.name().to_owned(),
        reason: e.to_string(),
    })
}

/// Shares submitted so far. One that was written in the clear of another secret is of an earlier attempt and does not count.
fn read_submitted(ctx: &mut WriteContext<'_>, secret: &LedgerSecret) -> Result<Submitted> {
    let mut submitted = BTreeMap::new();
    for (member, sealed) in ctx.table(&ENCRYPTED_SUBMITTED_SHARES).entries()? {
        let share = STANDARD
            .decode(&sealed)
            .ok()
            .and_then(|sealed| secret.open_box(&sealed).ok())
            .and_then(|share| Share::from_bytes(&share).ok());
        submitted.extend(share.map(|share| (member.0, share)));
    }
    Ok(submitted)
}

fn store(
    ctx: &mut WriteContext<'_>,
    member: &str,
    share: &Share,
    secret: &LedgerSecret,
) -> Result<()> {
    let rng = aws_lc_rs::rand::SystemRandom::new();
    let sealed = secret
        .seal_box(share.to_bytes().as_ref(), &rng)
        .map_err(|e| failed(format!("Error submitting recovery share: {e}")))?;
    ctx.table(&ENCRYPTED_SUBMITTED_SHARES)
        .put(&MemberId(member.to_owned()), &STANDARD.encode(sealed))
}

fn progress(
    count: usize,
    threshold: usize,
    full: bool,
    wrong: &[String],
    end: &str,
) -> Result<Reply> {
    let what = if full {
        "Full recovery key successfully submitted".to_owned()
    } else {
        format!("{count}/{threshold} recovery shares successfully submitted")
    };
    let mut body = json!({
        "message": format!("{what}{end}"),
        "submittedCount": count,
        "recoveryThreshold": threshold,
        "fullKeySubmitted": full,
    });
    if !wrong.is_empty() {
        body["wrongShares"] = json!(wrong);
    }
    Reply::json(&body)
}

/// Enough shares, and no combination of them opens the secret.
fn mismatch(member: &str, submitted: &Submitted) -> Reply {
    let others = submitted.keys().filter(|other| *other != member);
    let mut all: Vec<&str> = others.map(String::as_str).collect();
    all.insert(0, member);
    let full = submitted.get(member).is_some_and(Share::is_full);
    let text = if full {
        format!(
            "Failed to initiate private recovery: the recovery key of member {member} is not that of this ledger."
        )
    } else {
        format!(
            "Failed to initiate private recovery: the shares submitted do not fit together. At least one is wrong of those of members {}. Submit it again, or one more.",
            all.join(", ")
        )
    };
    let detail = json!({ "members": if full { vec![member] } else { all } });
    // The share stays, so that the wrong one can be told when another comes.
    Reply::error(&failed(text).with_detail(detail)).keeping_writes()
}

fn invalid(member: &str, reason: &str) -> Error {
    Error::bad_request(
        "InvalidInput",
        format!("The recovery share of member {member} cannot be used: {reason}."),
    )
    .with_detail(json!({ "member": member }))
}
