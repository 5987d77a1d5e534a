//! Who calls: members and users by certificate, users by token (application specification, section 1.1).

use ccf_rs::{Auth, Caller, Context, Error, MemberId, Result, Table};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::membership;

/// People: whoever is registered.
pub(crate) const PEOPLE: [Auth; 3] = [Auth::MemberCert, Auth::UserCert, Auth::Jwt];

/// People, or anybody, such as a clean room that presents evidence.
pub(crate) const PEOPLE_OR_ANYONE: [Auth; 4] =
    [Auth::MemberCert, Auth::UserCert, Auth::Jwt, Auth::Anonymous];

/// How a caller who is not [`registered`] is refused.
pub(crate) const NOT_REGISTERED: [(u16, &str); 3] = [
    (403, "CallerNotAuthorized"),
    (403, "CallerTenantNotAuthorized"),
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

/// The caller, if registered and, for what is about a contract, one who takes part in it (H14): members and users are; a token's `oid` must be a registered identity of the token's tenant.
///
/// # Errors
/// 403 `CallerNotAuthorized`, 403 `CallerTenantNotAuthorized`, 403 `NotInContract`, 400 `UnknownAuthenticationPolicy`.
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
    let claim = |name: &str| claims.payload.get(name).and_then(Value::as_str);
    let refused = |code, message: &str| Err(Error::refused(403, code, message));
    let Some(oid) = claim("oid").filter(|oid| !oid.is_empty()) else {
        return refused("CallerNotAuthorized", "The token has no object id.");
    };
    let Some(identity) = ctx.read(&IDENTITIES).get(&oid.to_owned())? else {
        return refused("CallerNotAuthorized", "The caller is not registered.");
    };
    let tenant = identity.data.get("tenantId").and_then(Value::as_str);
    if tenant.is_none() || tenant != claim("tid") {
        return refused(
            "CallerTenantNotAuthorized",
            "The caller is registered in another tenant.",
        );
    }
    Ok(person(Kind::TokenUser, oid))
}

/// The calling member, who must be Active: joining is not enough to decide about a contract.
///
/// # Errors
/// 403 `CallerNotAuthorized`.
pub(crate) fn active_member<C: Context>(ctx: &mut C) -> Result<MemberId> {
    let refused = |message: &str| Err(Error::refused(403, "CallerNotAuthorized", message));
    let Caller::Member(id) = ctx.caller().clone() else {
        return refused("The caller is not a member.");
    };
    match ctx.read(&MEMBERS).get(&id)? {
        Some(info) if info.status == "Active" => {
            let member = Person {
                kind: Kind::Member,
                id: id.0.clone(),
            };
            membership::check_path(ctx, &member)?;
            Ok(id)
        }
        _ => refused("The member is not active: acknowledge the state digest first."),
    }
}

/// Whether somebody of this id is a member now.
pub(crate) fn is_member<C: Context>(ctx: &mut C, id: &str) -> Result<bool> {
    ctx.read(&MEMBERS).has(&MemberId(id.to_owned()))
}

static MEMBERS: Table<MemberId, MemberInfo> = Table::json("public:ccf.gov.members.info");
static IDENTITIES: Table<String, Identity> = Table::json("public:ccf.gov.user_identities");

#[derive(Serialize, Deserialize)]
struct MemberInfo {
    status: String,
}

#[derive(Serialize, Deserialize)]
struct Identity {
    #[serde(default)]
    data: Value,
}

/// The tenant a caller belongs to: what member or user data say, or the token.
pub(crate) fn tenant<C: Context>(ctx: &mut C, person: &Person) -> Result<Option<String>> {
    let data = match (person.kind, ctx.caller()) {
        (Kind::Member, _) => {
            let row = ctx.read(&MEMBER_DATA).get(&person.id)?;
            row.unwrap_or_default().member_data
        }
        (Kind::User, _) => {
            let row = ctx.read(&USER_DATA).get(&person.id)?;
            row.unwrap_or_default().user_data
        }
        (Kind::TokenUser, Caller::Jwt(claims)) => {
            let tenant = claims.payload.get("tid").and_then(Value::as_str);
            return Ok(tenant.map(str::to_owned));
        }
        (Kind::TokenUser, _) => return Ok(None),
    };
    let tenant = data.get("tenantId").and_then(Value::as_str);
    Ok(tenant
        .filter(|tenant| !tenant.is_empty())
        .map(str::to_owned))
}

static MEMBER_DATA: Table<String, MemberData> = Table::json("public:ccf.gov.members.info");
static USER_DATA: Table<String, UserData> = Table::json("public:ccf.gov.users.info");

#[derive(Default, Serialize, Deserialize)]
struct MemberData {
    #[serde(default)]
    member_data: Value,
}

#[derive(Default, Serialize, Deserialize)]
struct UserData {
    #[serde(default)]
    user_data: Value,
}
