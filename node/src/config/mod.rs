//! CCF's JSON configuration of a node (CCF interface, section 8.2).
//!
//! [`Config`] is the text, parsed and checked: every key CCF knows, typed, with CCF's defaults.
//! [`resolve`] reads the files it names and gives a [`Launch`], which is all the node needs.
//!
//! | section | here |
//! |---|---|
//! | `network.rpc_interfaces` | addresses, limits, accepted endpoints in force; authorities other than `Service` refused |
//! | `command.start`, `command.recover` | in force; the object of another command is not looked at |
//! | `command.type`: `Join` | refused |
//! | `node_certificate`, `output_files`, `ledger`, `idle_connection_timeout` | in force |
//! | everything else | checked for its form, of no effect |
//!
//! Keys that CCF does not know are refused where CCF refuses them: everywhere but directly in
//! `command`, in an interface and in `cose_signatures`. One section is not CCF's:
//! `embedded_node` holds the bounds that CCF has no key for ([`EmbeddedNode`]).

mod decode;
mod error;
mod load;
mod resolve;
mod schema;
mod units;

pub use error::ConfigError;
pub use resolve::{Command, Launch, OutputPaths, resolve};
pub use schema::{
    AppProtocol, Attestation, Authority, CommandSection, CommandType, Config, Consensus,
    CoseSignatures, CurveId, EmbeddedNode, Endorsement, HttpConfiguration, LedgerSection,
    LedgerSignatures, LogFormat, Logging, Member, Memory, Network, NodeCertificate,
    NodeToNodeInterface, OutputFiles, Recover, RecoveryRole, RpcInterface, ServiceConfiguration,
    Snapshots, Start, Transport,
};
pub use units::{Period, Size};

#[cfg(test)]
mod tests;
