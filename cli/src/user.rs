//! `cleanroom user`: people who are known by token, from the invitation to the registration.

use std::path::PathBuf;

use clap::Subcommand;
use governance::member::Actions;
use governance::users::{Invitation, UserIdentity};
use serde_json::json;

use crate::connect::{As, read_json};
use crate::error::CliError;
use crate::output::Output;
use crate::proposal;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the registered users.
    List {
        #[command(flatten)]
        caller: As,
    },
    /// Shows a registered user.
    Show {
        #[command(flatten)]
        caller: As,
        /// The object id in the user's tokens.
        id: String,
    },
    /// Asks whether the caller's token is of a registered user. Exit code 3 when it is not.
    Status {
        #[command(flatten)]
        caller: As,
    },
    /// Proposes to invite whoever holds a token with these claims.
    Invite {
        #[command(flatten)]
        caller: As,
        /// The invitation's id, of the proposer's choice.
        invitation: String,
        /// {"claim": ["value"]}, such as preferred_username and tid; - is standard input.
        #[arg(value_name = "FILE")]
        claims: PathBuf,
    },
    /// Lists the invitations that the caller may see.
    Invitations {
        #[command(flatten)]
        caller: As,
    },
    /// Accepts an invitation, with the caller's token.
    Accept {
        #[command(flatten)]
        caller: As,
        /// The invitation's id.
        invitation: String,
    },
    /// Proposes to register whoever accepted an invitation, as the accepting token says.
    Register {
        #[command(flatten)]
        caller: As,
        /// The invitation's id.
        invitation: String,
        /// A name for people to read.
        #[arg(long)]
        identifier: Option<String>,
    },
    /// Proposes to take a registration back.
    Remove {
        #[command(flatten)]
        caller: As,
        /// The object id.
        id: String,
    },
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::List { caller } => {
            let users = caller.client()?.user_identities()?;
            output.show(&users, |users| lines(users, line))
        }
        Command::Show { caller, id } => output.show(&caller.client()?.user_identity(&id)?, line),
        Command::Status { caller } => {
            let active = caller.client()?.is_registered()?;
            output.show(&json!({ "active": active }), |_| "registered".to_owned())
        }
        Command::Invite {
            caller,
            invitation,
            claims: file,
        } => {
            let claims = serde_json::from_value(read_json(&file)?)
                .map_err(|error| CliError::input(file.display().to_string(), &error))?;
            let actions = Actions::new().invite_user(&invitation, &claims);
            proposal::make(&caller, &actions, output)
        }
        Command::Invitations { caller } => {
            let invitations = caller.client()?.invitations()?;
            output.show(&invitations, |list| lines(list, invited))
        }
        Command::Accept { caller, invitation } => {
            let client = caller.client()?;
            client.accept_invitation(&invitation)?;
            output.show(&client.invitation(&invitation)?, invited)
        }
        Command::Register {
            caller,
            invitation,
            identifier,
        } => register(&caller, &invitation, identifier, output),
        Command::Remove { caller, id } => {
            let actions = Actions::new().remove_user_identity(&id);
            proposal::make(&caller, &actions, output)
        }
    }
}

fn register(
    caller: &As,
    invitation: &str,
    identifier: Option<String>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let member = caller.member()?;
    let found = member.client().invitation(invitation)?;
    let Some(user) = found.user_info else {
        let reason = format!("nobody has accepted it: it is {}", found.status);
        return Err(CliError::input(invitation, &reason));
    };
    let mut data = user.data;
    if let Some(identifier) = identifier {
        data["identifier"] = identifier.into();
    }
    let actions = Actions::new().set_user_identity(&user.user_id, Some(invitation), &data);
    output.show(&member.propose(&actions)?, proposal::line)
}

fn lines<T>(list: &[T], line: impl Fn(&T) -> String) -> String {
    list.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line(user: &UserIdentity) -> String {
    let from = user.invitation_id.as_ref();
    let from = from.map_or_else(String::new, |id| format!("  by invitation {id}"));
    format!("{}  {}{from}", user.id, user.data)
}

fn invited(invitation: &Invitation) -> String {
    let who = invitation.user_info.as_ref();
    let who = who.map_or_else(String::new, |who| format!("  by {}", who.user_id));
    format!(
        "{}  {}{who}  {}",
        invitation.invitation_id,
        invitation.status,
        json!(invitation.claims)
    )
}
