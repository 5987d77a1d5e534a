//! Invitations by claims of a token. Governance makes them; whoever holds a token with these claims accepts.
//!
//! An acceptance belongs to the invitation as it was: when members change or renew the invitation afterwards, it is open again
//! (W34). Invitations name people, so a token that is not of a registered user sees only those it matches (W9, H13).

use std::collections::BTreeMap;

use ccf_rs::{Caller, Context, Error, ReadContext, Reply, Result, Table, WriteContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::App;
use crate::callers::{Token, registered};
use crate::ids::InvitationId;
use crate::paging::Paging;

static INVITATIONS: Table<String, Invitation> = Table::json("public:ccf.gov.user_invitations");
static FINALIZED: Table<String, Value> = Table::json("public:ccf.gov.accepted_user_invitations");
static ACCEPTED: Table<String, Acceptance> = Table::json("public:user_invitations_info");

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Invitation {
    #[serde(skip_serializing_if = "Option::is_none")]
    account_type: Option<String>,
}

/// Permitted values by claim. All claims must match.
type Claims = BTreeMap<String, Vec<Value>>;

/// How an invitation was accepted.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Acceptance {
    status: String,
    user_info: UserInfo,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "InvitedUser")]
struct UserInfo {
    user_id: String,
    data: UserData,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "InvitedUserData")]
struct UserData {
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<String>,
    /// Earlier software recorded none.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
}

impl Acceptance {
    /// Whether the holder of this token accepted.
    pub(crate) fn is_by(&self, oid: &str, token: &Token) -> bool {
        let UserInfo { user_id, data } = &self.user_info;
        user_id == oid
            && data.tenant_id.as_deref() == token.text("tid")
            && data
                .issuer
                .as_deref()
                .is_none_or(|issuer| issuer == token.issuer())
    }
}

/// How an invitation was accepted; one that nobody accepted is accepted by nobody's token.
pub(crate) fn acceptance<C: Context>(ctx: &mut C, invitation: &str) -> Result<Acceptance> {
    let accepted = ctx.read(&ACCEPTED).get(&invitation.to_owned())?;
    Ok(accepted.unwrap_or(Acceptance {
        status: OPEN.to_owned(),
        user_info: UserInfo {
            user_id: String::new(),
            data: UserData {
                tenant_id: None,
                issuer: None,
            },
        },
    }))
}

const OPEN: &str = "Open";
const TAKEN: &str = "Accepted";
const DONE: &str = "Finalized";

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Invitations")]
pub(super) struct List {
    value: Vec<Shown>,
    #[serde(rename = "nextLink", skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UserInvitation")]
pub(super) struct Shown {
    invitation_id: String,
    #[serde(flatten)]
    invitation: Invitation,
    claims: Claims,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_info: Option<UserInfo>,
    /// `Open`, `Accepted` or `Finalized`.
    status: &'static str,
}

impl Shown {
    fn is_for(&self, token: &Token) -> bool {
        let own = self
            .user_info
            .as_ref()
            .is_some_and(|info| token.text("oid") == Some(&info.user_id));
        own || (!self.claims.is_empty() && check_claims(&self.claims, token).is_ok())
    }
}

/// Query: see [`Paging`].
pub(super) fn list(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let limited = viewer(ctx)?;
    let paging = Paging::of(ctx)?;
    let rows = ctx
        .read(&INVITATIONS)
        .range(paging.start().as_deref(), None, paging.wanted())?;
    let mut value = Vec::new();
    for (id, invitation) in rows {
        value.push(shown(ctx, id, invitation)?);
    }
    let next = paging.cut(&mut value, |shown| &shown.invitation_id);
    if let Some(token) = limited {
        value.retain(|shown| shown.is_for(&token));
    }
    Reply::json(&List {
        value,
        next_link: next.map(|next| format!("/app/users/invitations?{next}")),
    })
}

pub(super) fn show(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let limited = viewer(ctx)?;
    let id: InvitationId = ctx.path("invitationId")?;
    let found = find(ctx, &id)?;
    if let Some(token) = limited {
        // Who is not registered is told the same of an invitation for others as of one that does not exist.
        match found {
            Some(shown) if shown.is_for(&token) => return Reply::json(&shown),
            _ => return Err(not_for_caller()),
        }
    }
    Reply::json(&found.ok_or_else(not_found)?)
}

/// Who looks: `None` for registered callers, who see everything; otherwise the token whose invitations may be seen.
fn viewer<C: Context>(ctx: &mut C) -> Result<Option<Token>> {
    let refusal = match registered(ctx) {
        Ok(_) => return Ok(None),
        Err(refusal @ Error::Refused { status: 403, .. }) => refusal,
        Err(other) => return Err(other),
    };
    match ctx.caller() {
        Caller::Jwt(claims) => Token::of(claims).map(Some),
        _ => Err(refusal),
    }
}

pub(super) fn accept(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let id: InvitationId = ctx.path("invitationId")?;
    let invitation = find(ctx, &id)?.ok_or_else(not_found)?;
    if invitation.status != OPEN {
        return Err(Error::refused(
            409,
            "InvitationNotOpen",
            "The invitation was accepted already.",
        ));
    }
    let Caller::Jwt(claims) = ctx.caller().clone() else {
        return Err(Error::Internal("accepted without a token".to_owned()));
    };
    let oid = claims.payload.get("oid").and_then(Value::as_str);
    let Some(oid) = oid.filter(|oid| !oid.is_empty()) else {
        return Err(Error::not_found(
            "OidClaimMissing",
            "The token has no object id.",
        ));
    };
    if invitation.claims.is_empty() {
        return Err(Error::refused(
            409,
            "InvitationNotOpen",
            "The invitation has no claims, so it is for nobody.",
        ));
    }
    check_claims(&invitation.claims, &claims.payload)?;
    let token = Token::of(&claims)?;
    let acceptance = Acceptance {
        status: TAKEN.to_owned(),
        user_info: UserInfo {
            user_id: oid.to_owned(),
            data: UserData {
                tenant_id: token.text("tid").map(str::to_owned),
                issuer: Some(token.issuer().to_owned()),
            },
        },
    };
    ctx.table(&ACCEPTED).put(&id.to_string(), &acceptance)?;
    Ok(Reply::ok())
}

fn find<C: Context>(ctx: &mut C, id: &InvitationId) -> Result<Option<Shown>> {
    match ctx.read(&INVITATIONS).get(&id.to_string())? {
        Some(invitation) => shown(ctx, id.to_string(), invitation).map(Some),
        None => Ok(None),
    }
}

fn shown<C: Context>(ctx: &mut C, id: String, invitation: Invitation) -> Result<Shown> {
    let table: Table<String, Vec<Value>> =
        Table::named(format!("public:ccf.gov.user_invitations-{id}"));
    let claims = ctx.read(&table).entries()?.into_iter().collect();
    let finalized = ctx.read(&FINALIZED).has(&id)?;
    let accepted = match ctx.read(&ACCEPTED).get(&id)? {
        Some(accepted) if finalized || stands(ctx, &id)? => Some(accepted),
        _ => None,
    };
    let status = match (finalized, &accepted) {
        (true, _) => DONE,
        (false, Some(_)) => TAKEN,
        (false, None) => OPEN,
    };
    Ok(Shown {
        invitation_id: id,
        invitation,
        claims,
        user_info: accepted.map(|accepted| accepted.user_info),
        status,
    })
}

/// Whether the acceptance is of the invitation as it is now, not of an earlier one of the same id.
fn stands<C: Context>(ctx: &mut C, id: &String) -> Result<bool> {
    let made = ctx.read(&INVITATIONS).previous_write(id)?;
    let accepted = ctx.read(&ACCEPTED).previous_write(id)?;
    Ok(made < accepted)
}

/// # Errors
/// 403 `TokenClaimMissing`, 403 `TokenClaimMismatch`.
fn check_claims(claims: &Claims, token: &impl Payload) -> Result<()> {
    for (name, values) in claims {
        // Version 1 tokens of Entra have the user's name in another claim.
        let read = match name.as_str() {
            "preferred_username" if is_entra_v1(token) => "upn",
            name => name,
        };
        let Some(value) = token.get(read) else {
            return Err(Error::refused(
                403,
                "TokenClaimMissing",
                format!("The token has no claim {read}."),
            ));
        };
        if !values.contains(value) {
            return Err(Error::refused(
                403,
                "TokenClaimMismatch",
                format!("Claim {read} of the token is not the one invited."),
            ));
        }
    }
    Ok(())
}

/// Claims of a token, checked for its issuer or not yet.
trait Payload {
    fn get(&self, name: &str) -> Option<&Value>;
}

impl Payload for Token {
    fn get(&self, name: &str) -> Option<&Value> {
        self.claim(name)
    }
}

impl Payload for serde_json::Map<String, Value> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.get(name)
    }
}

fn is_entra_v1(token: &impl Payload) -> bool {
    let text = |name: &str| token.get(name).and_then(Value::as_str).unwrap_or_default();
    let (issuer, tenant) = (text("iss"), text("tid"));
    text("ver") == "1.0"
        && (["organizations", "common", tenant]
            .iter()
            .any(|segment| issuer == format!("https://login.microsoftonline.com/{segment}/v2.0"))
            || issuer == format!("https://sts.windows.net/{tenant}/"))
}

fn not_found() -> Error {
    Error::not_found("InvitationNotFound", "There is no such invitation.")
}

fn not_for_caller() -> Error {
    Error::refused(
        403,
        "CallerNotAuthorized",
        "The caller is not registered, and the invitation is not for the caller.",
    )
}
