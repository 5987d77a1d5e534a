//! `cleanroom member`: identities and their activation.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use governance::Identity;
use serde_json::json;

use crate::connect::{As, Service};
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a key and its certificate, for a member or a user.
    New {
        /// The folder to write to; existing files are kept and are an error.
        #[arg(long, value_name = "DIR")]
        identity: PathBuf,
        /// The name in the certificate.
        #[arg(long)]
        name: String,
        /// Also make an RSA key, to hold a recovery share.
        #[arg(long)]
        recovery: bool,
        /// For how many days the certificate is valid.
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=36500))]
        days: u64,
    },
    /// Prints the id of an identity.
    Id {
        /// The folder of the identity.
        #[arg(long, value_name = "DIR")]
        identity: PathBuf,
    },
    /// Acknowledges the state of the service, which makes an accepted member active.
    Activate {
        #[command(flatten)]
        caller: As,
    },
    /// Lists the members.
    List {
        #[command(flatten)]
        service: Service,
    },
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::New {
            identity: folder,
            name,
            recovery,
            days,
        } => {
            let mut identity = Identity::generate(&name, Duration::from_secs(days * 24 * 3600))?;
            if recovery {
                identity = identity.with_encryption_key()?;
            }
            identity.save(&folder)?;
            let result = json!({ "id": identity.id(), "folder": folder });
            output.show(&result, |_| {
                format!("{}  in {}", identity.id(), folder.display())
            })
        }
        Command::Id { identity } => {
            let id = Identity::load(&identity)?.id();
            output.show(&json!({ "id": id }), |_| id.to_string())
        }
        Command::Activate { caller } => {
            let member = caller.member()?;
            let digest = member.activate()?;
            output.show(&digest, |digest| {
                format!(
                    "member {} is active; acknowledged {}",
                    digest.member_id, digest.state_digest
                )
            })
        }
        Command::List { service } => {
            let members = service.anonymous()?.members()?;
            output.show(&members, |members| {
                let line = |member: &governance::service::MemberInfo| {
                    let data = if member.member_data.is_null() {
                        String::new()
                    } else {
                        member.member_data.to_string()
                    };
                    format!("{}  {:<8}  {data}\n", member.member_id, member.status)
                };
                members.iter().map(line).collect()
            })
        }
    }
}
