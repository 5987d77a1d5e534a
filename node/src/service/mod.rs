//! A service with one node: its settings, its first transaction, its parts put together.

mod core;
mod genesis;
mod node;
mod settings;

pub use genesis::{GenesisError, GenesisInputs, genesis};
pub use node::{Node, StartError};
pub use settings::{
    GenesisMember, Interface, RecoveryRole, ServiceConfiguration, Settings, SettingsError,
};

#[cfg(test)]
mod tests;
