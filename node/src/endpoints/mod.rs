//! The node frontend, and the endpoints all frontends have in common
//! (CCF interface, section 6).

mod common;
mod node;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ccf_rs::{Endpoint, Endpoints, openapi};

use crate::gov::NodeServices;

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
    let mut all = common::endpoints(services, Vec::new());
    all.extend(endpoints);
    let document = openapi::document(prefix, title, version, &all);
    all.extend(common::api(document));
    all
}

/// The endpoints of the node frontend, without the common ones.
pub fn node_endpoints(services: Arc<dyn NodeServices>) -> Vec<Endpoint> {
    node::list(Endpoints::new(Arc::new(NodeEndpoints { services })))
}
