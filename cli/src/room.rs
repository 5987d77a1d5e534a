//! A clean room at the command line: evidence in a folder, and the service to show it to.

use std::path::PathBuf;

use clap::Args;
use governance::clean_room::{CleanRoom, Released};
use serde::Serialize;

use crate::connect::Service;
use crate::error::CliError;
use crate::evidence;
use crate::output::Output;

/// The service, and the evidence to show there.
#[derive(Clone, Debug, Args)]
pub(crate) struct Room {
    #[command(flatten)]
    service: Service,

    /// The folder with the evidence (see attest verify) and the key it vouches for, priv_key.pem; in `challenge` the challenge that the
    /// evidence answers, if it answers one.
    #[arg(long, value_name = "DIR")]
    evidence: PathBuf,
}

impl Room {
    pub(crate) fn open(&self) -> Result<CleanRoom, CliError> {
        let folder = &self.evidence;
        let room = CleanRoom::new(
            self.service.anonymous()?,
            evidence::load_key(folder)?,
            evidence::load(folder)?,
        );
        Ok(match evidence::load_challenge(folder)? {
            Some(challenge) => room.answering(challenge),
            None => room,
        })
    }
}

/// What was released, as text, or with `--json` as the member `value`.
pub(crate) fn show(released: &Released, output: &mut Output<'_>) -> Result<(), CliError> {
    #[derive(Serialize)]
    struct Value<'a> {
        value: &'a str,
    }
    if let Some(transaction) = released.transaction {
        output.note(&format!(
            "note: the release is recorded as transaction {transaction}"
        ));
    }
    let value = Value {
        value: released.secret.expose(),
    };
    output.show(&value, |shown| shown.value.to_owned())
}
