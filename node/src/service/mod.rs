//! A service with one node: its settings, its first transaction or that of its recovery, its parts put together.

mod certificates;
mod core;
mod endorser;
mod frontends;
mod genesis;
mod launch;
mod node;
mod node_rows;
mod restore;
mod sealer;
mod settings;

pub use genesis::{GenesisError, GenesisInputs, genesis};
pub use node::{Node, Reached, StartError};
pub use node_rows::NodeInputs;
pub use settings::{
    GenesisMember, Interface, NewService, Recovery, RecoveryRole, ServiceConfiguration, Settings,
    SettingsError,
};

#[cfg(test)]
mod tests;
