//! `cleanroom signing`: the service signs what agreed code asks for.

use std::path::PathBuf;

use clap::Subcommand;
use governance::member::Actions;
use governance::signing::Signing;

use crate::connect::{As, read_bytes};
use crate::error::CliError;
use crate::issuer::key;
use crate::output::Output;
use crate::proposal;
use crate::room::{self, Room};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows whether signing is enabled, and the public keys.
    Show {
        #[command(flatten)]
        caller: As,
    },
    /// Proposes to enable signing.
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
    /// Has a file signed, as a clean room: RSASSA-PSS, SHA-256, salt 32; prints base64.
    Sign {
        #[command(flatten)]
        room: Room,
        /// The contract's id.
        contract: String,
        /// What to sign.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Show { caller } => output.show(&caller.client()?.signing()?, text),
        Command::Enable { caller, kid } => {
            let actions = Actions::new().enable_signing(&kid);
            output.show(&caller.member()?.propose(&actions)?, proposal::line)
        }
        Command::Rotate { caller } => {
            let actions = Actions::new().rotate_signing_key();
            output.show(&caller.member()?.propose(&actions)?, proposal::line)
        }
        Command::GenerateKey { caller } => {
            output.show(&caller.client()?.generate_signing_key()?, key)
        }
        Command::Sign {
            room,
            contract,
            file,
        } => {
            let payload = read_bytes(&file)?;
            room::show(&room.open()?.signature(&contract, &payload)?, output)
        }
    }
}

fn text(signing: &Signing) -> String {
    let mut text = String::from(if signing.enabled {
        "enabled\n"
    } else {
        "not enabled\n"
    });
    if let Some(kid) = &signing.kid {
        text.push_str(&format!("key {kid}\n{}", signing.public_key_pem));
    }
    for key in &signing.previous {
        text.push_str(&format!("replaced {}\n{}", key.kid, key.public_key_pem));
    }
    text
}
