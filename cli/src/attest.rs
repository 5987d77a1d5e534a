//! `cleanroom attest`: evidence, made and explained.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use attestation::{
    ClientKey, HostData, PlatformPolicy, ReportData, TrustAnchors, UnixTime, VerifiedEvidence,
    Verifier, simulated,
};
use clap::Subcommand;
use serde::Serialize;
use serde_json::Value;

use crate::error::CliError;
use crate::evidence;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes evidence of the simulated platform, with a fresh key. It proves nothing; only a node started for it accepts it.
    Simulate {
        /// The hostData: the digest of the container group's security policy.
        #[arg(long, value_name = "HEX")]
        host_data: HostData,
        /// The folder to write to; existing files are kept and are an error.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Verifies evidence and prints what it proves. Exit code 4 when it does not verify.
    Verify {
        /// The folder: report.bin, endorsements.pem, uvm_endorsement.cose; if there, endorsed_tcb and pub_key.pem or priv_key.pem.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Trust the simulated platform, and nothing else, in place of AMD and Microsoft.
        #[arg(long)]
        simulated_platform: bool,
        /// Go on with hostData and keys that are known to prove nothing, for a look at published samples.
        #[arg(long)]
        allow_published: bool,
    },
}

/// What evidence proves.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    /// Whether the simulated platform made it: then it proves nothing.
    simulated: bool,
    /// Whether it vouches for the key in the folder; absent without one.
    key_bound: Option<bool>,
    /// The claims a policy may name.
    claims: BTreeMap<&'static str, Value>,
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Simulate { host_data, folder } => {
            let key = ClientKey::generate().map_err(|error| CliError::input("key", &error))?;
            let guest = simulated::Guest::new(host_data, key.public_key_pem().as_bytes());
            evidence::save(
                &folder,
                &simulated::Platform::default().evidence(&guest),
                &key,
            )?;
            output.note("note: anybody can make such evidence; it proves nothing");
            output.show(&folder, |folder| folder.display().to_string())
        }
        Command::Verify {
            folder,
            simulated_platform,
            allow_published,
        } => {
            let evidence = evidence::load(&folder)?;
            let anchors = if simulated_platform {
                TrustAnchors::simulated()
            } else {
                TrustAnchors::production()
            };
            let mut policy = PlatformPolicy::for_anchors(&anchors);
            if allow_published {
                policy.denied_host_data.clear();
                policy.denied_keys.clear();
            }
            let verified = Verifier::new(anchors).verify(&evidence, &policy, now())?;
            let key = match evidence::load_public_key(&folder)? {
                Some(key) => Some(ReportData::binding(&key)),
                None => evidence::load_key(&folder)
                    .ok()
                    .map(|key| key.report_data()),
            };
            let key_bound = key.map(|binding| binding == verified.report().report_data);
            warn(&verified, key_bound, output);
            let explained = Explained {
                simulated: verified.is_simulated(),
                key_bound,
                claims: verified.claims().iter().map(owned).collect(),
            };
            output.show(&explained, text)
        }
    }
}

fn warn(verified: &VerifiedEvidence, key_bound: Option<bool>, output: &mut Output<'_>) {
    if verified.is_simulated() {
        output
            .note("WARNING: simulated platform: anybody can make such evidence; it proves nothing");
    }
    if proves_nothing(verified.host_data()) {
        output.note("WARNING: this hostData is of a published policy that allows everything: the host can run any code");
    }
    if key_bound == Some(false) {
        output.note("WARNING: the evidence does not vouch for the key in this folder");
    }
}

/// Whether this hostData is known to let the host run anything.
pub(crate) fn proves_nothing(host_data: HostData) -> bool {
    PlatformPolicy::production()
        .denied_host_data
        .contains(&host_data)
}

fn owned((name, value): (&'static str, &Value)) -> (&'static str, Value) {
    (name, value.clone())
}

fn text(explained: &Explained) -> String {
    let mut text = String::from("verified\n");
    if let Some(bound) = explained.key_bound {
        text.push_str(if bound {
            "vouches for the key in this folder\n"
        } else {
            "does not vouch for the key in this folder\n"
        });
    }
    for (name, value) in &explained.claims {
        text.push_str(&format!("{name:<34} {value}\n"));
    }
    text
}

/// The time now. A clock before 1970 counts as 1970, at which no certificate is valid.
pub(crate) fn now() -> UnixTime {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs());
    UnixTime::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
}
