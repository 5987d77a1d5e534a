//! `network`: where the node listens, and who may do what there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::defaults;
use crate::config::units::Size;

/// `network`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// For other nodes. There are none: the address is reserved and reported, nobody listens.
    pub node_to_node_interface: NodeToNodeInterface,
    /// For clients, by name.
    pub rpc_interfaces: BTreeMap<String, RpcInterface>,
}

/// `network.node_to_node_interface`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeToNodeInterface {
    /// `host:port`; port 0: any.
    pub bind_address: String,
    /// As others see it; by default as bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_address: Option<String>,
}

/// One of `network.rpc_interfaces`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RpcInterface {
    /// `host:port`; port 0: any.
    pub bind_address: String,
    /// As clients see it; by default as bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_address: Option<String>,
    /// `udp` (QUIC) is refused.
    #[serde(default)]
    pub protocol: Transport,
    /// Of no effect here: clients choose between both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<AppProtocol>,
    /// Sessions from which on requests are answered 503.
    #[serde(default = "defaults::max_open_sessions_soft")]
    pub max_open_sessions_soft: usize,
    /// Sessions from which on connections are dropped.
    #[serde(default = "defaults::max_open_sessions_hard")]
    pub max_open_sessions_hard: usize,
    /// Bounds of requests.
    #[serde(default)]
    pub http_configuration: HttpConfiguration,
    /// Which certificate is shown; another than `Service` is refused.
    #[serde(default)]
    pub endorsement: Endorsement,
    /// Regular expressions of endpoints served here; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_endpoints: Option<Vec<String>>,
    /// Of no effect here: nothing is forwarded.
    #[serde(default = "defaults::forwarding_timeout_ms")]
    pub forwarding_timeout_ms: u64,
    /// Of no effect here: nothing is redirected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirections: Option<Value>,
    /// Of no effect here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled_operator_features: Option<Vec<String>>,
}

/// `protocol` of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// `app_protocol` of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AppProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// `http_configuration` of an interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfiguration {
    /// Of a request's body.
    pub max_body_size: Size,
    /// Of one header's name or value. Here the bound is on all headers together, twice this or `max_head_size`.
    pub max_header_size: Size,
    /// Headers of a request.
    pub max_headers_count: usize,
    /// HTTP/2: requests at once on a connection.
    pub max_concurrent_streams_count: u32,
    /// Of no effect here.
    pub initial_window_size: Size,
    /// Of no effect here; 16KB to 16MB.
    pub max_frame_size: Size,
}

/// `endorsement` of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endorsement {
    /// Who signed the certificate.
    pub authority: Authority,
}

/// `authority` of an endorsement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authority {
    /// The node's certificate, endorsed by the service.
    #[default]
    Service,
    /// The node's certificate, signed by itself.
    Node,
    /// No certificate and no TLS.
    Unsecured,
}

impl Default for HttpConfiguration {
    fn default() -> Self {
        Self {
            max_body_size: Size::from_kib(1024),
            max_header_size: Size::from_kib(16),
            max_headers_count: 256,
            max_concurrent_streams_count: 100,
            initial_window_size: Size::from_kib(64),
            max_frame_size: Size::from_kib(16),
        }
    }
}
