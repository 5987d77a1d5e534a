//! Who calls: members and users by certificate, users by token (application specification, section 1.1).

mod members;
mod tenant;
mod token;

use ccf_rs::{Auth, Caller, Context, Error, JwtClaims, MemberId, Raw, Result, Table, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::users::{Identity, identity};

pub(crate) use members::{active_member, counted_members, is_member};
pub(crate) use tenant::tenant;
pub(crate) use token::{Token, admits};

use crate::membership;

/// People: whoever is registered.
pub(crate) const PEOPLE: [Auth; 3] = [Auth::MemberCert, Auth::UserCert, Auth::Jwt];

/// People, or anybody, such as a clean room that presents evidence.
pub(crate) const PEOPLE_OR_ANYONE: [Auth; 4] =
    [Auth::MemberCert, Auth::UserCert, Auth::Jwt, Auth::Anonymous];

/// How a caller who is not [`registered`] is refused.
pub(crate) const NOT_REGISTERED: [(u16, &str); 5] = [
    (403, "CallerNotAuthorized"),
    (403, "CallerTenantNotAuthorized"),
    (403, "CallerIssuerNotAuthorized"),
    (403, "CallerAudienceNotAuthorized"),
    membership::NO_PART,
];

/// How a caller who is no [`active_member`] is refused.
pub(crate) const NOT_ACTIVE: [(u16, &str); 2] = [(403, "CallerNotAuthorized"), membership::NO_PART];

/// A registered caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) kind: Kind,
    /// Member id, user id, or the token's `oid`.
    pub(crate) id: String,
}

/// How a caller is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    Member,
    User,
    TokenUser,
}

/// The caller, if registered and, for what is about a contract, one who takes part in it (H14). Members and users are registered; a token must be
/// of a registered identity: one of its object id, of its tenant, and of its issuer where the issuer is recorded (W7, H13).
///
/// # Errors
/// 403 `CallerNotAuthorized`, 403 `CallerTenantNotAuthorized`, 403 `CallerIssuerNotAuthorized`, 403
/// `CallerAudienceNotAuthorized`, 403 `NotInContract`, 400 `UnknownAuthenticationPolicy`.
pub(crate) fn registered<C: Context>(ctx: &mut C) -> Result<Person> {
    let person = identified(ctx)?;
    membership::check_path(ctx, &person)?;
    Ok(person)
}

/// The same without a look at who takes part in the contract of the path.
fn identified<C: Context>(ctx: &mut C) -> Result<Person> {
    let person = |kind, id: &str| Person {
        kind,
        id: id.to_owned(),
    };
    let claims = match ctx.caller() {
        Caller::Member(id) => return Ok(person(Kind::Member, id.as_ref())),
        Caller::User(id) => return Ok(person(Kind::User, id.as_ref())),
        Caller::Jwt(claims) => claims.clone(),
        _ => {
            return Err(Error::bad_request(
                "UnknownAuthenticationPolicy",
                "Callers of this kind are not known.",
            ));
        }
    };
    Ok(person(Kind::TokenUser, &token_user(ctx, &claims)?))
}

/// The same for a request that changes something: a member must be Active (W16).
///
/// # Errors
/// As [`registered`].
pub(crate) fn acting<C: Context>(ctx: &mut C) -> Result<Person> {
    let person = registered(ctx)?;
    if person.kind == Kind::Member {
        active_member(ctx)?;
    }
    Ok(person)
}

/// Whether somebody of this id, whatever their kind, is registered now.
pub(crate) fn is_known<C: Context>(ctx: &mut C, id: &str) -> Result<bool> {
    Ok(is_certificate_holder(ctx, id)? || identity(ctx, id)?.is_some())
}

static USERS: Table<UserId, Vec<u8>, Raw> = Table::raw("public:ccf.gov.users.certs");

fn is_certificate_holder<C: Context>(ctx: &mut C, id: &str) -> Result<bool> {
    Ok(is_member(ctx, id)? || ctx.read(&USERS).has(&UserId(id.to_owned()))?)
}

/// Object id of a token's registered user.
fn token_user<C: Context>(ctx: &mut C, claims: &JwtClaims) -> Result<String> {
    let token = Token::of(claims)?;
    let Some(oid) = token.text("oid").filter(|oid| !oid.is_empty()) else {
        return Err(refused("The token has no object id."));
    };
    let Some(known) = identity(ctx, oid)? else {
        return Err(refused("The caller is not registered."));
    };
    // An issuer chooses object ids. One that is the id of a certificate holder would speak for somebody else.
    if is_certificate_holder(ctx, oid)? {
        return Err(refused("The object id is that of a member or user."));
    }
    matches(ctx, oid, &known, &token)?;
    Ok(oid.to_owned())
}

fn matches<C: Context>(ctx: &mut C, oid: &str, known: &Identity, token: &Token) -> Result<()> {
    if known.tenant().is_none() || known.tenant() != token.text("tid") {
        return Err(Error::refused(
            403,
            "CallerTenantNotAuthorized",
            "The caller is registered in another tenant.",
        ));
    }
    if known.issuer().is_some_and(|want| want != token.issuer()) {
        return Err(token::other_issuer(token.issuer()));
    }
    let audience = token.claim("aud");
    if !known.accepts_audience(audience) {
        return Err(Error::refused(
            403,
            "CallerAudienceNotAuthorized",
            "The token was issued for another audience.",
        )
        .with_detail(json!({ "got": audience })));
    }
    match known.acceptance(ctx)? {
        Some(accepted) if !accepted.is_by(oid, token) => Err(refused(
            "The identity is registered by an invitation that somebody else took up.",
        )),
        _ => Ok(()),
    }
}

fn refused(message: &str) -> Error {
    Error::refused(403, "CallerNotAuthorized", message)
}

/// A member's id from its text.
fn member_id(id: &str) -> MemberId {
    MemberId(id.to_owned())
}
