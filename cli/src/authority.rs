//! `cleanroom authority`: the certificate authority of a contract, and certificates from it.

use std::path::PathBuf;

use clap::Subcommand;
use governance::authority::Authority;
use governance::clean_room::CertificateRequest;
use governance::member::Actions;
use serde_json::json;

use crate::connect::{As, read};
use crate::error::CliError;
use crate::output::{Output, enabled};
use crate::proposal;
use crate::room::Room;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows whether a contract has an authority, and its certificates.
    Show {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        contract: String,
    },
    /// Proposes that a contract have an authority.
    Enable {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        contract: String,
    },
    /// Proposes that a new key be made.
    Rotate {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        contract: String,
    },
    /// Has the key made that members voted for; any active member may.
    GenerateKey {
        #[command(flatten)]
        caller: As,
        /// The contract's id.
        contract: String,
    },
    /// Receives a certificate as a clean room; prints PEM.
    Certify {
        #[command(flatten)]
        room: Room,
        /// The contract's id.
        contract: String,
        /// The public key to certify, PEM.
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
        /// CN=NAME, more parts separated by commas.
        #[arg(long)]
        subject: String,
        /// A name that the certificate is for: dNSName:NAME or iPAddress:ADDRESS; may be repeated.
        #[arg(long = "name", value_name = "KIND:NAME")]
        names: Vec<String>,
        /// For how many days.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
        days: u32,
    },
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Show { caller, contract } => {
            output.show(&caller.client()?.authority(&contract)?, text)
        }
        Command::Enable { caller, contract } => {
            let actions = Actions::new().enable_authority(&contract);
            proposal::make(&caller, &actions, output)
        }
        Command::Rotate { caller, contract } => {
            let actions = Actions::new().rotate_authority_key(&contract);
            proposal::make(&caller, &actions, output)
        }
        Command::GenerateKey { caller, contract } => {
            let client = caller.client()?;
            client.generate_authority_key(&contract)?;
            output.show(&client.authority(&contract)?, text)
        }
        Command::Certify {
            room,
            contract,
            public_key,
            subject,
            names,
            days,
        } => {
            let wanted = CertificateRequest {
                public_key: read(&public_key)?,
                subject_name: subject,
                subject_alternate_names: names,
                validity_period_days: days,
            };
            let certificate = room.open()?.certificate(&contract, &wanted)?;
            output.show(&json!({ "cert": certificate }), |_| certificate.clone())
        }
    }
}

fn text(authority: &Authority) -> String {
    let mut text = enabled(authority.enabled);
    for proposal in &authority.proposal_ids {
        text.push_str(&format!("proposal {proposal} would enable it\n"));
    }
    if let Some(certificate) = &authority.ca_cert {
        text.push_str(certificate);
    }
    let newest = authority.ca_cert.as_ref();
    for one in &authority.ca_certs {
        if newest != Some(&one.ca_cert) {
            text.push_str(&format!(
                "replaced (request {})\n{}",
                one.request_id, one.ca_cert
            ));
        }
    }
    text
}
