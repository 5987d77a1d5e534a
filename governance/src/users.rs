//! Users known by token: who is registered, who is invited, and accepting an invitation.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Client, ClientError, Request, segment};
use crate::member::Actions;
use crate::policies::Claims;
use crate::service::Listed;

/// A registered user.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserIdentity {
    /// The object id in the user's tokens.
    pub id: String,
    /// `microsoft`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_type: Option<String>,
    /// The invitation it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation_id: Option<String>,
    /// `tenantId`, and where members gave them `identifier`, `issuer`, `audience`.
    #[serde(default)]
    pub data: Value,
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// Its id.
    pub invitation_id: String,
    /// `microsoft`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_type: Option<String>,
    /// What a token must say to accept it.
    pub claims: Claims,
    /// Who accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_info: Option<InvitedUser>,
    /// `Open`, `Accepted` or `Finalized`.
    pub status: String,
}

/// Who accepted an invitation, as the accepting token says.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InvitedUser {
    /// The object id.
    pub user_id: String,
    /// `tenantId` and `issuer`.
    #[serde(default)]
    pub data: Value,
}

/// # Errors
/// All return [`ClientError::Service`] when the service refuses.
impl Client {
    /// The registered users.
    pub fn user_identities(&self) -> Result<Vec<UserIdentity>, ClientError> {
        let list: Listed<UserIdentity> =
            self.send(Request::get("/app/users/identities"))?.json()?;
        Ok(list.value)
    }

    /// One registered user. Code `UserIdentityNotFound`.
    pub fn user_identity(&self, id: &str) -> Result<UserIdentity, ClientError> {
        let path = format!("/app/users/identities/{}", segment(id)?);
        self.send(Request::post(path).json(&json!({}))?)?.json()
    }

    /// Whether the caller's token is of a registered user. Codes `CallerNotAuthorized` and others say that it is not.
    pub fn is_registered(&self) -> Result<bool, ClientError> {
        #[derive(Deserialize)]
        struct Status {
            active: bool,
        }
        let path = "/app/users/identities/self/status";
        let status = self.send(Request::post(path).json(&json!({}))?)?;
        Ok(status.json::<Status>()?.active)
    }

    /// The invitations that the caller may see.
    pub fn invitations(&self) -> Result<Vec<Invitation>, ClientError> {
        let list: Listed<Invitation> = self.send(Request::get("/app/users/invitations"))?.json()?;
        Ok(list.value)
    }

    /// One invitation. Code `InvitationNotFound`.
    pub fn invitation(&self, id: &str) -> Result<Invitation, ClientError> {
        let path = format!("/app/users/invitations/{}", segment(id)?);
        self.send(Request::post(path).json(&json!({}))?)?.json()
    }

    /// Accepts an invitation with the token of this client. Codes `InvitationNotOpen`, `TokenClaimMissing`, `TokenClaimMismatch`.
    pub fn accept_invitation(&self, id: &str) -> Result<(), ClientError> {
        let path = format!("/app/users/invitations/{}/accept", segment(id)?);
        self.write(Request::post(path).json(&json!({}))?)?;
        Ok(())
    }
}

impl Actions {
    /// Invites whoever holds a token with these claims.
    #[must_use]
    pub fn invite_user(self, invitation: &str, claims: &Claims) -> Self {
        let args = json!({
            "invitationId": invitation, "type": "add", "accountType": "microsoft", "claims": claims,
        });
        self.action("set_user_invitation_by_jwt_claims", args)
    }

    /// Registers a user: by the object id and the tenant of the user's tokens. `data` has `tenantId`, and may have `identifier`, `issuer`, `audience`.
    #[must_use]
    pub fn set_user_identity(self, id: &str, invitation: Option<&str>, data: &Value) -> Self {
        let mut args = json!({ "id": id, "accountType": "microsoft", "data": data });
        if let Some(invitation) = invitation {
            args["invitationId"] = invitation.into();
        }
        self.action("set_user_identity", args)
    }

    /// Takes a user's registration back.
    #[must_use]
    pub fn remove_user_identity(self, id: &str) -> Self {
        self.action("remove_user_identity", json!({ "id": id }))
    }
}
