//! Which tenant a caller belongs to.

use ccf_rs::{Caller, Context, Result, Table};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Kind, Person};

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
