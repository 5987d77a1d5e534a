//! State digests: how a member becomes active (CCF interface, section 1.7).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{Context, Error, MemberId, ReadContext, Reply, Result, Singleton, WriteContext};
use serde::Deserialize;
use serde_json::{Value as JsonValue, json};

use super::kv::HostKv;
use super::request::{self, failed, same_member};
use super::tables::{MEMBER_ACKS, MEMBER_ENCRYPTION_KEYS, MEMBER_INFO, SERVICE_INFO, SIGNATURES};
use super::{Governance, shares};

/// GET `/members/state-digests/{memberId}`
pub(super) fn show(_: &Governance, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let member: String = ctx.path("memberId")?;
    let ack = ctx
        .read(&MEMBER_ACKS)
        .get(&MemberId(member.clone()))?
        .ok_or_else(|| {
            Error::not_found(
                "ResourceNotFound",
                format!("No state digest is recorded for member {member}."),
            )
        })?;
    Reply::json(&shown(&member, &ack.state_digest))
}

/// POST `/members/state-digests/{memberId}:update`
pub(super) fn update(_: &Governance, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    request::version(ctx)?;
    let member: String = ctx.path("memberId")?;
    let (signer, _) = request::signed(ctx)?;
    same_member(&signer, &member, "InvalidAuthenticationInfo")?;
    let root = ctx
        .table(&SIGNATURES)
        .get(&Singleton)?
        .ok_or_else(|| failed("Service has no signatures to ack yet - try again soon."))?
        .root;
    let mut ack = ctx.table(&MEMBER_ACKS).get(&signer)?.unwrap_or_default();
    ack.state_digest.clone_from(&root);
    ctx.table(&MEMBER_ACKS).put(&signer, &ack)?;
    Reply::json(&shown(&member, &root))
}

/// POST `/members/state-digests/{memberId}:ack`
pub(super) fn ack(gov: &Governance, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "stateDigest")]
        state_digest: String,
    }
    request::version(ctx)?;
    let member: String = ctx.path("memberId")?;
    let (signer, message) = request::signed(ctx)?;
    same_member(&signer, &member, "InvalidAuthenticationInfo")?;
    let mut ack = ctx.table(&MEMBER_ACKS).get(&signer)?.ok_or_else(|| {
        Error::refused(
            403,
            "AuthorizationFailed",
            format!("No state digest is recorded for member {member}."),
        )
    })?;
    let Body { state_digest } = serde_json::from_slice(&message.payload).map_err(|e| {
        Error::bad_request(
            "InvalidInput",
            format!("The signed payload is not an object with a text member stateDigest: {e}"),
        )
    })?;
    if state_digest != ack.state_digest {
        return Err(Error::bad_request(
            "StateDigestMismatch",
            "The acknowledged state digest is not the one recorded for this member.",
        )
        .with_detail(json!({ "got": state_digest, "want": ack.state_digest })));
    }
    ack.cose_sign1_req = Some(STANDARD.encode(&message.envelope));
    ctx.table(&MEMBER_ACKS).put(&signer, &ack)?;
    let mut info = ctx
        .table(&MEMBER_INFO)
        .get(&signer)?
        .ok_or_else(|| failed(format!("Member {member} has no record.")))?;
    if info.status != "Active" {
        "Active".clone_into(&mut info.status);
        ctx.table(&MEMBER_INFO).put(&signer, &info)?;
        let open = ctx
            .table(&SERVICE_INFO)
            .get(&Singleton)?
            .is_some_and(|service| service.status == "Open");
        if open && ctx.table(&MEMBER_ENCRYPTION_KEYS).has(&signer)? {
            let mut kv = HostKv::new(ctx.writer());
            let issued = shares::reissue(&mut kv, gov.services.as_ref());
            kv.finish(issued)?
                .map_err(|reason| failed(format!("Error issuing new recovery shares: {reason}")))?;
        }
    }
    Ok(Reply::no_content())
}

fn shown(member: &str, digest: &str) -> JsonValue {
    json!({ "memberId": member, "stateDigest": digest })
}
