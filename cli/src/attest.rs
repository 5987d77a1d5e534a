//! `cleanroom attest`: evidence, made and explained.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use attestation::{
    ClientKey, HostData, PlatformPolicy, QuoteNonce, ReportData, TrustAnchors, UnixTime,
    VerifiedEvidence, Verifier, simulated,
};
use clap::{Args, Subcommand};
use governance::clean_room::RoomEvidence;
use governance::explain::{AlternativeTried, Explanation};
use serde::Serialize;
use serde_json::Value;

use crate::connect::Service;
use crate::error::CliError;
use crate::evidence;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Asks a service for a challenge, which fresh evidence answers: a container group in the second half of its report data, by the SHA-256
    /// of the challenge's text; a virtual machine in its quote. It lives for five minutes.
    Challenge {
        #[command(flatten)]
        service: Service,
        /// The contract's id.
        contract: String,
    },
    /// Makes evidence of the simulated platform, with a fresh key. It proves nothing; only a node started for it accepts it.
    Simulate {
        #[command(flatten)]
        what: What,
        /// Evidence that answers this challenge.
        #[arg(long, value_name = "TEXT")]
        challenge: Option<String>,
        /// The folder to write to; existing files are kept and are an error.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Verifies evidence and prints what it proves. Exit code 4 when it does not verify.
    Verify {
        /// The folder: report.bin, endorsements.pem, uvm_endorsement.cose, or attestation.json of a virtual machine; if there,
        /// endorsed_tcb and pub_key.pem or priv_key.pem.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Trust the simulated platform, and nothing else, in place of AMD and Microsoft.
        #[arg(long)]
        simulated_platform: bool,
        /// Go on with hostData and keys that are known to prove nothing, for a look at published samples.
        #[arg(long)]
        allow_published: bool,
        /// The quote of a virtual machine has the constant nonce of existing clients: nothing then ties registers to the key.
        #[arg(long)]
        constant_nonce: bool,
    },
    /// Asks a service whether it would admit evidence under a contract, and why. Exit code 4 when it would not.
    Explain {
        #[command(flatten)]
        service: Service,
        /// The folder, as for verify.
        #[arg(long, value_name = "DIR")]
        evidence: PathBuf,
        /// For what, as TYPE/ID of a delegate policy, such as secrets/ID.
        #[arg(long = "for", value_name = "TYPE/ID")]
        purpose: Option<String>,
        /// The contract's id.
        contract: String,
    },
}

/// What evidence is made for.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct What {
    /// A container group with this hostData: the digest of its security policy.
    #[arg(long, value_name = "HEX")]
    host_data: Option<HostData>,
    /// A virtual machine.
    #[arg(long)]
    vm: bool,
}

impl What {
    fn evidence(&self, key: &ClientKey, challenge: Option<&str>) -> RoomEvidence {
        let pem = key.public_key_pem().as_bytes();
        let challenge = challenge.map(str::as_bytes);
        match self.host_data {
            Some(host_data) => {
                let mut guest = simulated::Guest::new(host_data, pem);
                if let Some(challenge) = challenge {
                    guest.report_data = ReportData::answering(pem, challenge);
                }
                simulated::Platform::default().evidence(&guest).into()
            }
            None => {
                let nonce = challenge.map_or(QuoteNonce::Key, QuoteNonce::Challenge);
                simulated::CvmGuest::new(pem).evidence_for(nonce).into()
            }
        }
    }
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
        Command::Challenge { service, contract } => {
            let challenge = service.anonymous()?.challenge(&contract)?;
            output.show(&challenge, |challenge| challenge.challenge.clone())
        }
        Command::Simulate {
            what,
            challenge,
            folder,
        } => {
            let key = ClientKey::generate().map_err(|error| CliError::input("key", &error))?;
            let evidence = what.evidence(&key, challenge.as_deref());
            evidence::save(&folder, &evidence, &key)?;
            if let Some(challenge) = challenge {
                evidence::save_challenge(&folder, &challenge)?;
            }
            output.note("note: anybody can make such evidence; it proves nothing");
            output.show(&folder, |folder| folder.display().to_string())
        }
        Command::Verify {
            folder,
            simulated_platform,
            allow_published,
            constant_nonce,
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
            let verifier = Verifier::new(anchors);
            let nonce = if constant_nonce {
                QuoteNonce::Constant
            } else {
                QuoteNonce::Key
            };
            let verified = match &evidence {
                RoomEvidence::Group(evidence) => verifier.verify(evidence, &policy, now())?,
                RoomEvidence::Machine(evidence) => {
                    verifier.verify_cvm(evidence, &policy, nonce, now())?
                }
            };
            let key = match evidence::load_public_key(&folder)? {
                Some(key) => Some(ReportData::binding(&key)),
                None => evidence::load_key(&folder)
                    .ok()
                    .map(|key| key.report_data()),
            };
            let key_bound = key.map(|binding| verified.bound() == Some(binding));
            warn(&verified, key_bound, output);
            let explained = Explained {
                simulated: verified.is_simulated(),
                key_bound,
                claims: verified.claims().iter().map(owned).collect(),
            };
            output.show(&explained, text)
        }
        Command::Explain {
            service,
            evidence: folder,
            purpose,
            contract,
        } => explain(&service, &folder, purpose.as_deref(), &contract, output),
    }
}

fn explain(
    service: &Service,
    folder: &Path,
    purpose: Option<&str>,
    contract: &str,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let purpose = match purpose {
        None => None,
        Some(text) => Some(text.split_once('/').ok_or_else(|| {
            CliError::input("--for", "not a type and an id, with a slash between them")
        })?),
    };
    let key = match evidence::load_public_key(folder)? {
        Some(key) => Some(String::from_utf8(key).map_err(|error| CliError::input("key", &error))?),
        None => evidence::load_key(folder)
            .ok()
            .map(|key| key.public_key_pem().to_owned()),
    };
    let explained = service.anonymous()?.explain(
        contract,
        &evidence::load(folder)?,
        key.as_deref(),
        purpose,
    )?;
    output.show(&explained, explanation)?;
    if explained.admitted {
        return Ok(());
    }
    let refusal = explained.refusal.unwrap_or_default();
    let word = |name: &str| refusal[name].as_str().map(str::to_owned);
    Err(CliError::Expectation {
        what: "the evidence under this contract".to_owned(),
        got: word("check").or(word("code")).unwrap_or_default(),
        want: "admitted".to_owned(),
    })
}

fn explanation(explained: &Explanation) -> String {
    let mut text = String::from(if explained.admitted {
        "admitted\n"
    } else {
        "not admitted\n"
    });
    if let Some(refusal) = &explained.refusal {
        for name in ["check", "class", "rule", "got", "code"] {
            if !refusal[name].is_null() {
                text.push_str(&format!("{name}: {}\n", plain(&refusal[name])));
            }
        }
    }
    for tried in &explained.alternatives {
        text.push_str(&alternative(tried));
    }
    for member in &explained.disabled_by {
        text.push_str(&format!("disabled by member {member}\n"));
    }
    for warning in &explained.warnings {
        text.push_str(&format!("WARNING: {warning}\n"));
    }
    text
}

fn alternative(tried: &AlternativeTried) -> String {
    let mut text = format!("{} policy", tried.policy);
    if let (Some(kind), Some(id)) = (&tried.delegate_type, &tried.delegate_id) {
        text.push_str(&format!(" {kind}/{id}"));
    }
    let outcome = match tried.outcome.as_str() {
        "silent" => "says nothing about such evidence",
        "nothingPinned" => "pins nothing that says which software booted",
        other => other,
    };
    text.push_str(&format!(": {outcome}"));
    if let Some(proposal) = tried.source["proposalId"].as_str() {
        text.push_str(&format!(" (last changed by proposal {proposal})"));
    }
    text.push('\n');
    for mismatch in &tried.mismatches {
        let want: Vec<_> = mismatch.want.iter().map(plain).collect();
        let got = mismatch.got.as_ref().map_or("nothing".to_owned(), plain);
        text.push_str(&format!(
            "  {}: got {got}, want {}",
            mismatch.claim,
            want.join(" or ")
        ));
        if let Some(proposal) = mismatch.set["proposalId"].as_str() {
            text.push_str(&format!(", set by proposal {proposal}"));
        }
        text.push('\n');
    }
    text
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn warn(verified: &VerifiedEvidence, key_bound: Option<bool>, output: &mut Output<'_>) {
    if verified.is_simulated() {
        output
            .note("WARNING: simulated platform: anybody can make such evidence; it proves nothing");
    }
    if verified.vm().is_none() && proves_nothing(verified.host_data()) {
        output.note("WARNING: this hostData is of a published policy that allows everything: the host can run any code");
    }
    if verified.vm().is_some_and(|vm| !vm.quote_binds_key) {
        output.note(
            "WARNING: nothing ties the registers to the key: they can be of different moments",
        );
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
