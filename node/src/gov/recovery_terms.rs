//! What members agreed about recoveries, as far as it is about shares (`docs/constitution.md`, "Recovery").

use ccf_rs::{Error, Result, Singleton, Table, WriteContext};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::tables::SERVICE_INFO;

/// GOV-09: while a recovery policy is in force, a share is taken only from who the policy names for the kind of recovery that
/// members opened. Else 403 `RecoveryShareNotAllowed`.
pub(super) fn check_holder(ctx: &mut WriteContext<'_>, member: &str) -> Result<()> {
    let Some(policy) = ctx.table(&POLICY).get(&Singleton)? else {
        return Ok(());
    };
    let count = ctx
        .table(&SERVICE_INFO)
        .get(&Singleton)?
        .map_or(0, |service| service.recovery_count);
    let opened = ctx.table(&RECOVERIES).get(&count.to_string())?;
    let kind = opened.and_then(|recovery| recovery.kind);
    if policy.names(member, kind.as_deref()) {
        return Ok(());
    }
    let (mode, opened) = (&policy.mode, kind.as_deref().unwrap_or("unknown"));
    Err(Error::refused(
        403,
        "RecoveryShareNotAllowed",
        format!(
            "The recovery policy does not name member {member} for a recovery of kind {opened}."
        ),
    )
    .with_detail(json!({ "member": member, "mode": mode, "kind": kind })))
}

static POLICY: Table<Singleton, Policy> = Table::json("public:ccf.gov.recovery_policy");
static RECOVERIES: Table<String, Recovery> = Table::json("public:ccf.gov.recoveries");

#[derive(Serialize, Deserialize)]
struct Policy {
    mode: String,
    #[serde(default)]
    confidential: Vec<Holder>,
    #[serde(default)]
    break_glass: Vec<Holder>,
}

#[derive(Serialize, Deserialize)]
struct Holder {
    member_id: String,
}

#[derive(Serialize, Deserialize)]
struct Recovery {
    kind: Option<String>,
}

impl Policy {
    fn names(&self, member: &str, kind: Option<&str>) -> bool {
        let holders = match kind {
            Some("confidential") => &self.confidential,
            Some("break_glass") => &self.break_glass,
            _ => return false,
        };
        holders.iter().any(|holder| holder.member_id == member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_holders_of_the_kind_that_was_opened_are_named() {
        let policy: Policy = serde_json::from_value(json!({
            "mode": "confidential_or_break_glass",
            "confidential": [{"member_id": "a", "service_host_data": "", "key_store_id": ""}],
            "break_glass": [{"member_id": "b", "holder": "us"}],
        }))
        .unwrap();
        for (member, kind, named) in [
            ("a", Some("confidential"), true),
            ("b", Some("confidential"), false),
            ("b", Some("break_glass"), true),
            ("a", Some("break_glass"), false),
            ("a", None, false),
            ("a", Some("other"), false),
        ] {
            assert_eq!(policy.names(member, kind), named, "{member} {kind:?}");
        }
    }
}
