//! Members as the application looks at them.

use ccf_rs::{Caller, Context, MemberId, Result, Table};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Kind, Person, member_id, refused};
use crate::membership;

/// The calling member, who must be Active: joining is not enough to decide about a contract; and take part in the contract of the path.
///
/// # Errors
/// 403 `CallerNotAuthorized`, 403 `NotInContract`.
pub(crate) fn active_member<C: Context>(ctx: &mut C) -> Result<MemberId> {
    let Caller::Member(id) = ctx.caller().clone() else {
        return Err(refused("The caller is not a member."));
    };
    match ctx.read(&MEMBERS).get(&id)? {
        Some(info) if info.is_active() => {
            let member = Person {
                kind: Kind::Member,
                id: id.0.clone(),
            };
            membership::check_path(ctx, &member)?;
            Ok(id)
        }
        _ => Err(refused(
            "The member is not active: acknowledge the state digest first.",
        )),
    }
}

/// Whether somebody of this id is a member now.
pub(crate) fn is_member<C: Context>(ctx: &mut C, id: &str) -> Result<bool> {
    ctx.read(&MEMBERS).has(&member_id(id))
}

/// Active members without a role that keeps them from being counted in votes (docs/constitution.md, "Who decides").
pub(crate) fn counted_members<C: Context>(ctx: &mut C) -> Result<Vec<String>> {
    let mut counted: Vec<String> = ctx
        .read(&MEMBERS)
        .entries()?
        .into_iter()
        .filter(|(_, info)| info.is_active() && info.is_counted())
        .map(|(id, _)| id.0)
        .collect();
    counted.sort();
    Ok(counted)
}

static MEMBERS: Table<MemberId, MemberInfo> = Table::json("public:ccf.gov.members.info");

#[derive(Serialize, Deserialize)]
struct MemberInfo {
    status: String,
    #[serde(default)]
    member_data: Value,
}

impl MemberInfo {
    fn is_active(&self) -> bool {
        self.status == "Active"
    }

    fn is_counted(&self) -> bool {
        let text = |value: &Value| value.as_str() == Some("true");
        let flag = |name: &str| {
            let value = &self.member_data[name];
            value == &Value::Bool(true) || text(value)
        };
        let role = |name: &str| text(&self.member_data["cgsRoles"][name]);
        !(flag("isOperator")
            || flag("isRecoveryOperator")
            || role("cgsOperator")
            || role("contractOperator"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn roles_keep_members_from_being_counted_as_the_constitution_reads_them() {
        for (data, counted) in [
            (json!(null), true),
            (json!({ "tenantId": "t" }), true),
            (json!({ "isOperator": true }), false),
            (json!({ "isOperator": "true" }), false),
            (json!({ "isOperator": "false" }), true),
            (json!({ "isRecoveryOperator": true }), false),
            (json!({ "cgsRoles": { "cgsOperator": "true" } }), false),
            (json!({ "cgsRoles": { "cgsOperator": true } }), true),
            (json!({ "cgsRoles": { "contractOperator": "true" } }), false),
        ] {
            let info = MemberInfo {
                status: "Active".into(),
                member_data: data.clone(),
            };
            assert_eq!(info.is_counted(), counted, "{data}");
        }
    }
}
