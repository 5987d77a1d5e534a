//! Keys that members vote for and the service makes: the issuer's and that of signing.

use clap::Subcommand;
use governance::Client;
use governance::client::ClientError;
use governance::issuer::GeneratedKey;
use governance::member::Actions;

use crate::connect::As;
use crate::error::CliError;
use crate::output::Output;
use crate::proposal;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Proposes to enable it.
    Enable {
        #[command(flatten)]
        caller: As,
        /// How the ids of its keys begin.
        #[arg(long)]
        kid: String,
    },
    /// Proposes that a new key be made.
    Rotate {
        #[command(flatten)]
        caller: As,
    },
    /// Has the key made that members voted for; any active member may.
    GenerateKey {
        #[command(flatten)]
        caller: As,
    },
}

/// Whose key it is: the actions and the call that are about it.
pub(crate) struct Key {
    pub(crate) enable: fn(Actions, &str) -> Actions,
    pub(crate) rotate: fn(Actions) -> Actions,
    pub(crate) generate: fn(&Client) -> Result<GeneratedKey, ClientError>,
}

impl Key {
    pub(crate) fn run(&self, command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
        match command {
            Command::Enable { caller, kid } => {
                proposal::make(&caller, &(self.enable)(Actions::new(), &kid), output)
            }
            Command::Rotate { caller } => {
                proposal::make(&caller, &(self.rotate)(Actions::new()), output)
            }
            Command::GenerateKey { caller } => {
                let key = (self.generate)(&caller.client()?)?;
                output.show(&key, |key| {
                    format!("key {} (request {})", key.kid, key.req_id)
                })
            }
        }
    }
}
