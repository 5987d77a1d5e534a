//! Recovery shares as members see them (CCF interface, section 1.8).

use ccf_rs::{Context, Error, MemberId, ReadContext, Reply, Result, Singleton, WriteContext};
use serde_json::json;

use super::Governance;
use super::request::{self, failed, same_member};
use super::tables::{RECOVERY_SHARES, SERVICE_INFO};

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
/// Shares are accepted by a node that recovers a service; this one answers what CCF answers
/// while none is being recovered.
pub(super) fn recover(gov: &Governance, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let service = ctx
        .table(&SERVICE_INFO)
        .get(&Singleton)?
        .ok_or_else(|| failed("There is no service."))?;
    if service.status != "WaitingForRecoveryShares" {
        return Err(Error::refused(
            403,
            "ServiceNotWaitingForRecoveryShares",
            "Service is not waiting for recovery shares.",
        ));
    }
    if gov.services.state().name == "ReadingPrivateLedger" {
        return Err(Error::refused(
            403,
            "NodeAlreadyRecovering",
            "Node is already recovering private ledger.",
        ));
    }
    let member = request::id(ctx, "memberId", "member")?;
    let (signer, _) = request::signed(ctx)?;
    same_member(&signer, &MemberId(member).0, "InvalidAuthenticationInfo")?;
    Err(Error::refused(
        501,
        "NotImplemented",
        "This node cannot recover a service from shares.",
    ))
}
