//! The governance frontend: everything under `/gov` (CCF interface, sections 1 and 4).
//!
//! Handlers over the framework's tables; scripts run in workers of their own, and what neither
//! gives is [`NodeServices`].
mod digests;
mod effects;
mod kv;
mod opening;
mod proposals;
mod recovery;
mod recovery_terms;
mod replay;
pub(crate) mod request;
mod resolve;
mod rows;
mod service;
pub mod services;
mod shares;
pub(crate) mod submitted;
pub(crate) mod tables;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use ccf_rs::Auth;
use ccf_rs::{Endpoint, Endpoints};
use std::sync::Arc;

use crate::script::ScriptPool;
pub use opening::open_recovered;
pub use services::{NodeServices, NodeState, Restoring};

/// What governance handlers share.
pub(crate) struct Governance {
    services: Arc<dyn NodeServices>,
    scripts: Arc<ScriptPool>,
}

/// The endpoints of the governance frontend, without the common ones. Scripts run in child
/// processes of this program, started as `PROGRAM script-worker`.
pub fn endpoints(services: Arc<dyn NodeServices>) -> Vec<Endpoint> {
    endpoints_with_scripts(services, Arc::new(ScriptPool::of_this_program()))
}

/// The same, with scripts running in `scripts`.
pub fn endpoints_with_scripts(
    services: Arc<dyn NodeServices>,
    scripts: Arc<ScriptPool>,
) -> Vec<Endpoint> {
    let active = |message_type| {
        [Auth::MemberCose {
            active: true,
            message_type: Some(message_type),
        }]
    };
    let known = |message_type| {
        [Auth::MemberCose {
            active: false,
            message_type: Some(message_type),
        }]
    };
    let list = Endpoints::new(Arc::new(Governance { services, scripts }))
        .post("/members/proposals:create", proposals::create)
        .auth(active("proposal"))
        .needs_root()
        .summary("Create a proposal")
        .post(
            "/members/proposals/{proposalId}:withdraw",
            proposals::withdraw,
        )
        .auth(active("withdrawal"))
        .summary("Withdraw a proposal")
        .get("/members/proposals", proposals::list)
        .summary("All proposals")
        .get("/members/proposals/{proposalId}", proposals::show)
        .summary("One proposal")
        .get(
            "/members/proposals/{proposalId}/actions",
            proposals::actions,
        )
        .summary("The text of a proposal")
        .post(
            "/members/proposals/{proposalId}/ballots/{memberId}:submit",
            proposals::submit,
        )
        .auth(active("ballot"))
        .summary("Vote on a proposal")
        .get(
            "/members/proposals/{proposalId}/ballots/{memberId}",
            proposals::ballot,
        )
        .summary("The ballot of a member")
        .get("/members/state-digests/{memberId}", digests::show)
        .summary("The state digest a member is to acknowledge")
        .post("/members/state-digests/{memberId}:update", digests::update)
        .auth(known("state_digest"))
        .summary("Record the current state digest for a member")
        .post("/members/state-digests/{memberId}:ack", digests::ack)
        .auth(known("ack"))
        .summary("Acknowledge the recorded state digest")
        .get(
            "/recovery/encrypted-shares/{memberId}",
            recovery::encrypted_share,
        )
        .summary("A member's recovery share, encrypted to the member")
        .get("/recovery/latest", recovery::latest)
        .summary("The last recovery: its record, the policy in force, what was rolled back")
        .post("/recovery/members/{memberId}:recover", recovery::recover)
        .auth(active("recovery_share"))
        .summary("Submit a recovery share");
    state_endpoints(list)
}

/// The endpoints that show the state of the service.
fn state_endpoints(list: Endpoints<Governance>) -> Vec<Endpoint> {
    list.get("/service/constitution", service::constitution)
        .summary("The constitution")
        .get("/service/info", service::info)
        .summary("Status, certificate and configuration of the service")
        .get("/service/javascript-app", service::javascript_app)
        .summary("Endpoints of the JavaScript application")
        .get("/service/javascript-modules", service::modules)
        .summary("Modules of the JavaScript application")
        .get("/service/javascript-modules/{moduleName}", service::module)
        .summary("One module")
        .get("/service/join-policy", service::join_policy)
        .summary("What may join the service as a node")
        .get("/service/jwk", service::jwk)
        .summary("Token issuers and their keys")
        .get("/service/members", service::members)
        .summary("All members")
        .get("/service/members/{memberId}", service::member)
        .summary("One member")
        .get("/service/users", service::users)
        .summary("All users")
        .get("/service/users/{userId}", service::user)
        .summary("One user")
        .get("/service/nodes", service::nodes)
        .summary("All nodes")
        .get("/service/nodes/{nodeId}", service::node)
        .summary("One node")
        .get("/service/transactions/commit", service::commit)
        .summary("The last committed transaction")
        .get(
            "/service/transactions/{transactionId}",
            service::transaction,
        )
        .summary("Status of a transaction")
        .build()
}
