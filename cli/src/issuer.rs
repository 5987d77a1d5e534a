//! `cleanroom issuer`: tokens for clean rooms, from the vote that enables the issuer to the token itself.

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;
use governance::Client;
use governance::clean_room::TokenRequest;
use governance::issuer::Issuer;
use governance::member::Actions;
use serde_json::json;

use crate::connect::{As, Service};
use crate::error::CliError;
use crate::key::{self, Key};
use crate::output::{Output, enabled};
use crate::proposal;
use crate::room::{self, Room};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows whether the issuer is enabled, and its URLs.
    Show {
        #[command(flatten)]
        caller: As,
    },
    #[command(flatten)]
    Key(key::Command),
    /// Sets the issuer URL of the caller's tenant; with --for-all, proposes the one of all tenants that have none.
    SetUrl {
        #[command(flatten)]
        caller: As,
        /// An https URL.
        issuer: String,
        /// For all tenants, by vote.
        #[arg(long)]
        for_all: bool,
    },
    /// Takes the issuer URL of the caller's tenant away.
    RemoveUrl {
        #[command(flatten)]
        caller: As,
    },
    /// Prints the issuer's documents, which somebody publishes at its URL.
    Documents {
        #[command(flatten)]
        service: Service,
        /// Writes them to this folder, at .well-known/openid-configuration and keys, instead of printing them.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Receives a token as a clean room.
    Token {
        #[command(flatten)]
        room: Room,
        /// The contract's id.
        contract: String,
        /// Who the bearer is to the audience.
        #[arg(long)]
        subject: String,
        /// For whom the token is.
        #[arg(long)]
        audience: String,
        /// The tenant whose issuer URL is meant.
        #[arg(long)]
        tenant: String,
        /// Another one of the configured issuer URLs.
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
        /// How long it lives, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        lifetime: u64,
    },
}

const KEY: Key = Key {
    enable: Actions::enable_issuer,
    rotate: Actions::rotate_issuer_key,
    generate: Client::generate_issuer_key,
};

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Show { caller } => output.show(&caller.client()?.issuer()?, text),
        Command::Key(command) => KEY.run(command, output),
        Command::SetUrl {
            caller,
            issuer,
            for_all: true,
        } => {
            let actions = Actions::new().set_issuer_url_for_all(&issuer);
            proposal::make(&caller, &actions, output)
        }
        Command::SetUrl { caller, issuer, .. } => {
            let client = caller.client()?;
            client.set_issuer_url(&issuer)?;
            output.show(&client.issuer()?, text)
        }
        Command::RemoveUrl { caller } => {
            let client = caller.client()?;
            client.remove_issuer_url()?;
            output.show(&client.issuer()?, text)
        }
        Command::Documents { service, out } => documents(&service, out, output),
        Command::Token {
            room,
            contract,
            subject,
            audience,
            tenant,
            issuer,
            lifetime,
        } => {
            let wanted = TokenRequest {
                subject,
                audience,
                tenant,
                issuer,
                lifetime,
            };
            room::show(&room.open()?.token(&contract, &wanted)?, output)
        }
    }
}

fn documents(
    service: &Service,
    out: Option<PathBuf>,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let (discovery, keys) = service.anonymous()?.issuer_documents()?;
    let Some(folder) = out else {
        let both = json!({ "discovery": discovery, "keys": keys });
        return output.show(&both, |both| format!("{both:#}"));
    };
    let well_known = folder.join(".well-known");
    fs::create_dir_all(&well_known).map_err(CliError::file(&well_known))?;
    for (file, document) in [
        (well_known.join("openid-configuration"), discovery),
        (folder.join("keys"), keys),
    ] {
        fs::write(&file, document.to_string()).map_err(CliError::file(&file))?;
    }
    output.show(&folder, |folder| folder.display().to_string())
}

fn text(issuer: &Issuer) -> String {
    let mut text = enabled(issuer.enabled);
    if let Some(url) = &issuer.issuer_url {
        text.push_str(&format!("for all: {url}\n"));
    }
    if let Some(tenant) = &issuer.tenant_data {
        text.push_str(&format!(
            "tenant {}: {}\n",
            tenant.tenant_id, tenant.issuer_url
        ));
    }
    text
}
