//! Registered users. Only governance registers and removes them.

use ccf_rs::{Context, Error, ReadContext, Reply, Result, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::invitations::{Acceptance, acceptance};
use crate::App;
use crate::callers::registered;
use crate::ids::IdentityId;
use crate::paging::Paging;

/// The identity of an object id.
pub(crate) fn identity<C: Context>(ctx: &mut C, id: &str) -> Result<Option<Identity>> {
    ctx.read(&IDENTITIES).get(&id.to_owned())
}

static IDENTITIES: Table<String, Identity> = Table::json("public:ccf.gov.user_identities");

/// An identity as governance stores it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    #[serde(skip_serializing_if = "Option::is_none")]
    account_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invitation_id: Option<String>,
    /// `tenantId`, and where governance gave them `identifier`, `issuer` and `audience`.
    #[serde(default)]
    data: Value,
}

impl Identity {
    /// The tenant it belongs to.
    pub(crate) fn tenant(&self) -> Option<&str> {
        self.data.get("tenantId")?.as_str()
    }

    /// The only issuer whose tokens are of this identity, where governance recorded one.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.data.get("issuer")?.as_str()
    }

    /// Whether tokens for this audience are accepted: any, unless governance recorded one.
    pub(crate) fn accepts_audience(&self, audience: Option<&Value>) -> bool {
        let Some(want) = self.data.get("audience") else {
            return true;
        };
        // RFC 7519, section 4.1.3: one text, or a list of which one must be meant.
        match audience {
            Some(Value::Array(list)) => list.contains(want),
            Some(one) => one == want,
            None => false,
        }
    }

    /// How the invitation it came from was accepted; `None` for an identity without invitation.
    pub(crate) fn acceptance<C: Context>(&self, ctx: &mut C) -> Result<Option<Acceptance>> {
        match &self.invitation_id {
            None => Ok(None),
            Some(invitation) => acceptance(ctx, invitation).map(Some),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UserIdentity")]
pub(super) struct Shown {
    id: String,
    #[serde(flatten)]
    identity: Identity,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UserIdentities")]
pub(super) struct List {
    value: Vec<Shown>,
    #[serde(rename = "nextLink", skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UserStatus")]
pub(super) struct Status {
    active: bool,
}

/// Query: see [`Paging`].
pub(super) fn list(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let paging = Paging::of(ctx)?;
    let mut value: Vec<Shown> = ctx
        .read(&IDENTITIES)
        .range(paging.start().as_deref(), None, paging.wanted())?
        .into_iter()
        .map(|(id, identity)| Shown { id, identity })
        .collect();
    let next = paging.cut(&mut value, |shown| &shown.id);
    Reply::json(&List {
        value,
        next_link: next.map(|next| format!("/app/users/identities?{next}")),
    })
}

pub(super) fn status(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    Reply::json(&Status { active: true })
}

pub(super) fn show(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let id: IdentityId = ctx.path("identityId")?;
    match identity(ctx, id.as_str())? {
        Some(identity) => Reply::json(&Shown {
            id: id.to_string(),
            identity,
        }),
        None => Err(Error::not_found(
            "UserIdentityNotFound",
            "There is no such user.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_identity_without_an_audience_takes_any_and_one_with_takes_that() {
        let identity =
            |data: Value| serde_json::from_value::<Identity>(json!({ "data": data })).unwrap();
        let any = identity(json!({ "tenantId": "t" }));
        let one = identity(json!({ "tenantId": "t", "audience": "here" }));
        for (audience, want) in [
            (Some(json!("here")), true),
            (Some(json!(["there", "here"])), true),
            (Some(json!("there")), false),
            (Some(json!([])), false),
            (None, false),
        ] {
            assert!(any.accepts_audience(audience.as_ref()));
            assert_eq!(
                one.accepts_audience(audience.as_ref()),
                want,
                "{audience:?}"
            );
        }
    }
}
