//! `cleanroom signing`: the service signs what agreed code asks for.

use std::path::PathBuf;

use clap::Subcommand;
use governance::Client;
use governance::member::Actions;
use governance::signing::Signing;

use crate::connect::{As, read_bytes};
use crate::error::CliError;
use crate::key::{self, Key};
use crate::output::{Output, enabled};
use crate::room::{self, Room};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows whether signing is enabled, and the public keys.
    Show {
        #[command(flatten)]
        caller: As,
    },
    #[command(flatten)]
    Key(key::Command),
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

const KEY: Key = Key {
    enable: Actions::enable_signing,
    rotate: Actions::rotate_signing_key,
    generate: Client::generate_signing_key,
};

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Show { caller } => output.show(&caller.client()?.signing()?, text),
        Command::Key(command) => KEY.run(command, output),
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
    let mut text = enabled(signing.enabled);
    if let Some(kid) = &signing.kid {
        text.push_str(&format!("key {kid}\n{}", signing.public_key_pem));
    }
    for key in &signing.previous {
        text.push_str(&format!("replaced {}\n{}", key.kid, key.public_key_pem));
    }
    text
}
