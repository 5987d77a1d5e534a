//! Users known by token: identities that governance registers (endpoints E34 to E36), and invitations by which people become
//! known (E37 to E39).
//!
//! ```text
//! set_user_invitation_by_jwt_claims (members) -> Open
//! accept, with a token that matches           -> Accepted: object id, tenant and issuer of the token are recorded
//! set_user_identity with the invitation       -> Finalized: the user can call
//! ```
//!
//! An identity is of an object id within a tenant within an issuer. The issuer is recorded with the identity by governance
//! (`data.issuer`), or by the acceptance of the invitation it came from; an identity with neither is of any issuer whose keys members
//! registered, as existing services have it.

mod identities;
mod invitations;

use ccf_rs::{Auth, Endpoints};

use crate::App;
use crate::callers::{NOT_REGISTERED, PEOPLE};
use crate::paging::Paging;

pub(crate) use identities::{Identity, identity};

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .get("/users/identities", identities::list)
        .auth(PEOPLE)
        .summary("List the registered users")
        .query::<Paging>()
        .reply::<identities::List>()
        .refuses(NOT_REGISTERED)
        .post("/users/identities/self/status", identities::status)
        .auth([Auth::Jwt])
        .summary("Whether the caller's token is of a registered user")
        .reply::<identities::Status>()
        .refuses(NOT_REGISTERED)
        .post("/users/identities/{identityId}", identities::show)
        .auth(PEOPLE)
        .summary("Read a registered user")
        .reply::<identities::Shown>()
        .refuses(NOT_REGISTERED)
        .refuses([(404, "UserIdentityNotFound")])
        .get("/users/invitations", invitations::list)
        .auth(PEOPLE)
        .summary("List the invitations that the caller may see")
        .query::<Paging>()
        .reply::<invitations::List>()
        .refuses(NOT_REGISTERED)
        .post("/users/invitations/{invitationId}", invitations::show)
        .auth(PEOPLE)
        .summary("Read an invitation")
        .reply::<invitations::Shown>()
        .refuses(NOT_REGISTERED)
        .refuses([(404, "InvitationNotFound")])
        .post(
            "/users/invitations/{invitationId}/accept",
            invitations::accept,
        )
        .auth([Auth::Jwt])
        .summary("Accept an invitation with a token that matches it")
        .answers(200, "The invitation is accepted.")
        .refuses([
            (404, "InvitationNotFound"),
            (409, "InvitationNotOpen"),
            (404, "OidClaimMissing"),
            (403, "TokenClaimMissing"),
            (403, "TokenClaimMismatch"),
            (403, "CallerIssuerNotAuthorized"),
        ])
}
