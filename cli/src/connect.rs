//! Which service, and as whom.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use governance::{Client, Identity, Member};

use crate::error::CliError;

/// Where the service is and how it is recognised.
#[derive(Clone, Debug, Args)]
pub(crate) struct Service {
    /// The service's address: https://host:port.
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,

    /// The service certificate (PEM): the only one that is trusted.
    #[arg(long, value_name = "FILE")]
    pub(crate) service_cert: PathBuf,
}

impl Service {
    pub(crate) fn anonymous(&self) -> Result<Client, CliError> {
        Ok(Client::new(&self.url, &read(&self.service_cert)?)?)
    }
}

/// The service, and the identity to show there.
#[derive(Clone, Debug, Args)]
pub(crate) struct As {
    #[command(flatten)]
    service: Service,

    /// The folder of the identity (cert.pem, privk.pem).
    #[arg(long, value_name = "DIR")]
    identity: PathBuf,
}

impl As {
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        let identity = Identity::load(&self.identity)?;
        Ok(Client::with_identity(
            &self.service.url,
            &read(&self.service.service_cert)?,
            &identity,
        )?)
    }

    pub(crate) fn member(&self) -> Result<Member, CliError> {
        let identity = Identity::load(&self.identity)?;
        Ok(Member::new(
            &self.service.url,
            &read(&self.service.service_cert)?,
            identity,
        )?)
    }
}

/// Reads a text file; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<String, CliError> {
    if path == Path::new("-") {
        return std::io::read_to_string(std::io::stdin()).map_err(CliError::file(path));
    }
    fs::read_to_string(path).map_err(CliError::file(path))
}

/// Reads a JSON file; `-` is standard input.
pub(crate) fn read_json(path: &Path) -> Result<serde_json::Value, CliError> {
    serde_json::from_str(&read(path)?)
        .map_err(|error| CliError::input(path.display().to_string(), &error))
}
