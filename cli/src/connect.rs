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
    #[arg(long, value_name = "DIR", required_unless_present = "token")]
    identity: Option<PathBuf>,

    /// The file with the bearer token of a user who is known by token; - is standard input. Never an argument, which others could see.
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
}

impl As {
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        let certificate = read(&self.service.service_cert)?;
        let client = match &self.identity {
            Some(folder) => {
                let identity = Identity::load(folder)?;
                Client::with_identity(&self.service.url, &certificate, &identity)?
            }
            None => Client::new(&self.service.url, &certificate)?,
        };
        match &self.token {
            Some(file) => Ok(client.with_bearer_token(read(file)?.trim())?),
            None => Ok(client),
        }
    }

    pub(crate) fn member(&self) -> Result<Member, CliError> {
        let folder = self.identity.as_ref().ok_or_else(|| {
            CliError::input(
                "--identity",
                "members sign what they propose by a key of their own",
            )
        })?;
        let identity = Identity::load(folder)?;
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

/// Reads a file of bytes; `-` is standard input.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, CliError> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes)
            .map_err(CliError::file(path))?;
        return Ok(bytes);
    }
    fs::read(path).map_err(CliError::file(path))
}

/// Reads a JSON file; `-` is standard input.
pub(crate) fn read_json(path: &Path) -> Result<serde_json::Value, CliError> {
    serde_json::from_str(&read(path)?)
        .map_err(|error| CliError::input(path.display().to_string(), &error))
}
