//! The node frontend, and the endpoints all frontends have in common
//! (CCF interface, section 6).

mod common;
mod negotiation;
mod node;
mod snapshots;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ccf_rs::{Endpoint, ReadContext, Result, openapi};

use crate::gov::{NodeServices, request};

/// What these handlers share.
pub(crate) struct NodeEndpoints {
    services: Arc<dyn NodeServices>,
}

/// `endpoints` with the common ones, `/commit`, `/tx`, `/receipt` and `/api`, before them: how
/// each frontend is made. `title` and `version` are those of its OpenAPI document.
pub fn with_common(
    services: Arc<dyn NodeServices>,
    prefix: &'static str,
    title: &'static str,
    version: &'static str,
    endpoints: Vec<Endpoint>,
) -> Vec<Endpoint> {
    let mut all = negotiation::json_only(common::endpoints(services, Vec::new()));
    all.extend(endpoints);
    let document = openapi::document(prefix, title, version, &all);
    let check: fn(&ReadContext<'_>) -> Result<()> = match prefix {
        "/gov" => |ctx| request::optional_version(ctx),
        _ => |_| Ok(()),
    };
    all.extend(negotiation::json_only(common::api(document, check)));
    all
}

/// The endpoints of the node frontend, without the common ones.
pub fn node_endpoints(services: Arc<dyn NodeServices>) -> Vec<Endpoint> {
    node::list(&Arc::new(NodeEndpoints { services }))
}
