//! The scene: identities, a node of its own, clean rooms.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ::node::config::Command;
use ::node::service::{GenesisMember, Node, Settings};
use attestation::{ClientKey, HostData, PlatformPolicy, TrustAnchors, Verifier, simulated};
use governance::clean_room::{CleanRoom, RoomEvidence};
use governance::encryption::EncryptionKey;
use governance::{Client, Identity, Member};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::steps::Steps;
use super::story::Cast;
use crate::error::CliError;
use crate::evidence;
use crate::node::{first_address, new_service, start_node};

/// A running service and everybody who uses it.
pub(crate) struct Setting {
    pub(crate) cast: Cast,
    pub(crate) service_certificate: String,
    runtime: Runtime,
    node: Node,
}

/// hostData of the code that the simulated story agrees on, and of other code.
const AGREED: [u8; 32] = [0xa1; 32];
const OTHER: [u8; 32] = [0x0b; 32];

const A_DAY: Duration = Duration::from_secs(24 * 3600);

impl Setting {
    /// Makes identities, starts a node, prepares the clean rooms.
    pub(crate) fn prepare(
        folder: &Path,
        evidence: Option<&Path>,
        steps: &mut Steps<'_>,
    ) -> Result<Self, CliError> {
        steps.step("A service starts, with three members; one of them runs the machine")?;
        let alba = identity(folder, "alba", true)?;
        let bruno = identity(folder, "bruno", true)?;
        let operator = identity(folder, "operator", false)?;
        let members = vec![
            genesis(&alba, json!({ "identifier": "Alba" }))?,
            genesis(&bruno, json!({ "identifier": "Bruno" }))?,
            genesis(
                &operator,
                json!({ "identifier": "operator", "isOperator": true }),
            )?,
        ];
        let settings = Settings::local(folder.join("ledger"));
        let command = Command::Start(new_service(members));
        let runtime = crate::node::runtime(None)?;
        let node = start_node(
            &runtime,
            settings,
            command,
            evidence.is_none(),
            |_| {},
            std::future::pending(),
        )?;
        let url = format!("https://{}", first_address(&node)?);
        let service_certificate = node.service_certificate().to_owned();
        let file = folder.join("service_cert.pem");
        fs::write(&file, &service_certificate).map_err(CliError::file(&file))?;
        steps.fact(&format!(
            "at {url}, ledger in {}",
            folder.join("ledger").display()
        ))?;

        let member = |identity| -> Result<Member, CliError> {
            Ok(Member::new(&url, &service_certificate, identity)?)
        };
        let anonymous = || Client::new(&url, &service_certificate);
        let (room, host_data, intruder) = match evidence {
            Some(evidence) => {
                let (room, host_data) = real_room(anonymous()?, evidence, steps)?;
                (room, host_data, None)
            }
            None => {
                steps.warning("clean rooms are simulated: their evidence proves nothing, and the ledger says so")?;
                let room = simulated_room(anonymous()?, AGREED)?;
                let intruder = simulated_room(anonymous()?, OTHER)?;
                (room, hex(AGREED), Some((intruder, hex(OTHER))))
            }
        };
        let cast = Cast {
            alba: member(alba)?,
            bruno: member(bruno)?,
            operator: member(operator)?,
            room,
            host_data,
            intruder,
        };
        Ok(Self {
            cast,
            service_certificate,
            runtime,
            node,
        })
    }

    /// Stops the node when all it does is done.
    pub(crate) fn end(self) {
        self.runtime.block_on(self.node.stop());
    }
}

fn identity(folder: &Path, name: &str, recovery: bool) -> Result<Identity, CliError> {
    let mut identity = Identity::generate(name, A_DAY)?;
    if recovery {
        identity = identity.with_encryption_key()?;
    }
    identity.save(&folder.join("members").join(name))?;
    Ok(identity)
}

fn genesis(identity: &Identity, data: Value) -> Result<GenesisMember, CliError> {
    let encryption_key = identity
        .encryption_key()
        .map(EncryptionKey::public_key_pem)
        .transpose()
        .map_err(|error| CliError::input("encryption key", &error))?;
    Ok(GenesisMember {
        certificate: identity.certificate().to_pem(),
        encryption_key,
        data: Some(data),
        recovery_role: None,
    })
}

/// The clean room with the agreed code, at a service that came back.
pub(crate) fn clean_room(client: Client, evidence: Option<&Path>) -> Result<CleanRoom, CliError> {
    match evidence {
        Some(folder) => {
            let key = evidence::load_key(folder)?;
            Ok(CleanRoom::new(client, key, evidence::load(folder)?))
        }
        None => simulated_room(client, AGREED),
    }
}

fn simulated_room(client: Client, host_data: [u8; 32]) -> Result<CleanRoom, CliError> {
    let key = ClientKey::generate().map_err(|error| CliError::input("key", &error))?;
    let guest = simulated::Guest::new(host_data.into(), key.public_key_pem().as_bytes());
    let evidence = simulated::Platform::default().evidence(&guest);
    Ok(CleanRoom::new(client, key, evidence))
}

/// A clean room with the evidence of a folder; its hostData, as a member would read it from the evidence before voting for it.
fn real_room(
    client: Client,
    folder: &Path,
    steps: &mut Steps<'_>,
) -> Result<(CleanRoom, String), CliError> {
    let RoomEvidence::Group(evidence) = evidence::load(folder)? else {
        return Err(CliError::input(
            "evidence",
            "the demonstration is about a container group",
        ));
    };
    let key = evidence::load_key(folder)?;
    let mut policy = PlatformPolicy::production();
    let published_host_data = std::mem::take(&mut policy.denied_host_data);
    let published_keys = std::mem::take(&mut policy.denied_keys);
    let verifier = Verifier::new(TrustAnchors::production());
    let verified = verifier.verify(&evidence, &policy, crate::attest::now())?;
    let host_data: HostData = verified.host_data();
    steps.held("the clean room's evidence verifies to the AMD and Microsoft roots")?;
    if published_host_data.contains(&host_data) {
        steps.warning(
            "its hostData is that of a published policy which allows everything: never vote for it",
        )?;
    }
    let digest = attestation::Sha256Digest::of(key.public_key_pem().as_bytes());
    if published_keys.contains(&digest) {
        steps.warning("its private key is published: anybody could present this evidence")?;
    }
    let room = CleanRoom::new(client, key, *evidence);
    Ok((room, host_data.to_string()))
}

fn hex(host_data: [u8; 32]) -> String {
    HostData::from(host_data).to_string()
}
