//! The frontends of a node, and the interfaces they are served on.

use std::net::SocketAddr;
use std::sync::Arc;

use ccf_rs::{Application, Handler, Router};

use super::core::Core;
use super::launch::machine;
use super::node::StartError;
use super::settings::Settings;
use crate::endpoints::{node_endpoints, with_common};
use crate::frontend::{Frontend, app_is_open, gov_is_open, node_is_open};
use crate::gov::{self, NodeServices};
use crate::identity::Subject;
use crate::server::Server;
use crate::store::{Access, State};

/// The three frontends of a node.
pub(super) fn frontends(core: &Arc<Core>, application: Application) -> Vec<Frontend> {
    let services = || Arc::clone(core) as Arc<dyn NodeServices>;
    let Application {
        title,
        version,
        endpoints,
        indexed: _,
    } = application;
    let frontend = |name, title, version, endpoints, access, is_open, blocking| Frontend {
        name,
        router: Router::new(with_common(
            services(),
            prefix(name),
            title,
            version,
            endpoints,
        )),
        access,
        is_open,
        blocking,
    };
    let ours = env!("CARGO_PKG_VERSION");
    vec![
        frontend(
            "app",
            title,
            version,
            endpoints,
            Access::Application,
            app_is_open as fn(&State) -> bool,
            false,
        ),
        frontend(
            "gov",
            "Governance",
            ours,
            gov::endpoints(services()),
            Access::Framework,
            gov_is_open,
            true,
        ),
        frontend(
            "node",
            "Node",
            ours,
            node_endpoints(services()),
            Access::Framework,
            node_is_open,
            false,
        ),
    ]
}

/// The frontends of a node that has no tables yet: it says of itself what it can, and the others are not open.
pub(super) fn frontends_while_reading(core: &Arc<Core>) -> Vec<Frontend> {
    let mut reads = node_endpoints(Arc::clone(core) as Arc<dyn NodeServices>);
    reads.retain(|endpoint| matches!(endpoint.handler, Handler::Read(_)));
    let frontend = |name, endpoints, is_open| Frontend {
        name,
        router: Router::new(endpoints),
        access: Access::Framework,
        is_open,
        blocking: false,
    };
    vec![
        frontend("app", vec![], (|_| false) as fn(&State) -> bool),
        frontend("gov", vec![], |_| false),
        frontend("node", reads, node_is_open),
    ]
}

const fn prefix(name: &str) -> &'static str {
    match name.as_bytes() {
        b"gov" => "/gov",
        b"node" => "/node",
        _ => "/app",
    }
}

/// Binds the configured interfaces.
pub(super) async fn bind(
    settings: &Settings,
) -> Result<(Vec<Server>, Vec<(String, SocketAddr)>), StartError> {
    let (mut servers, mut addresses) = (Vec::new(), Vec::new());
    for interface in &settings.interfaces {
        let server = Server::bind(&interface.bind_address, interface.limits)
            .await?
            .accepting(interface.accepted()?);
        let address = server
            .address()
            .map_err(|e| machine("the bound address", e))?;
        addresses.push((interface.name.clone(), address));
        servers.push(server);
    }
    Ok((servers, addresses))
}

/// Without configured names the node is named after the hosts of its interfaces.
pub(super) fn with_names(mut settings: Settings, addresses: &[(String, SocketAddr)]) -> Settings {
    if !settings.node_subject.alternative_names.is_empty() {
        return settings;
    }
    let mut names: Vec<String> = settings
        .interfaces
        .iter()
        .zip(addresses)
        .map(|(interface, (_, bound))| {
            let published = interface
                .published_address
                .clone()
                .unwrap_or_else(|| bound.to_string());
            let host = published
                .rsplit_once(':')
                .map_or(published.as_str(), |(host, _)| host);
            let host = host.trim_matches(['[', ']']);
            let kind = if host.parse::<std::net::IpAddr>().is_ok() {
                "iPAddress"
            } else {
                "dNSName"
            };
            format!("{kind}:{host}")
        })
        .collect();
    names.sort();
    names.dedup();
    settings.node_subject = Subject {
        alternative_names: names,
        ..settings.node_subject
    };
    settings
}
