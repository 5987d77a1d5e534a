//! The governance frontend: everything under `/gov` (CCF interface, sections 1 and 4).
//!
//! Handlers over the framework's tables; scripts run in the [`ScriptPool`], and what neither
//! gives is [`NodeServices`].

#[allow(dead_code, reason = "the script side lands next")]
mod request;
mod service;
pub mod services;
#[allow(dead_code, reason = "the script side lands next")]
pub(crate) mod tables;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ccf_rs::{Endpoint, Endpoints};

pub use services::{NodeServices, NodeState};

/// What governance handlers share.
#[allow(dead_code, reason = "the script side lands next")]
pub(crate) struct Governance {
    services: Arc<dyn NodeServices>,
}

/// The endpoints of the governance frontend, without the common ones.
pub fn endpoints(services: Arc<dyn NodeServices>) -> Vec<Endpoint> {
    Endpoints::new(Arc::new(Governance { services }))
        .get("/service/constitution", service::constitution)
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
