//! The last act: the machine stops, and the service comes back from its ledger files.

use std::path::Path;
use std::time::{Duration, Instant};

use ::node::config::Command;
use ::node::service::{Node, Recovery, Settings};
use governance::member::Actions;
use governance::receipt::UnverifiedReceipt;
use governance::service::ProposalState;
use governance::{Client, Identity, Member};
use tokio::runtime::Runtime;

use super::setting::clean_room;
use super::steps::Steps;
use super::story::{CONTRACT, Ending};
use crate::error::CliError;
use crate::node::{first_address, start_node};

/// What the service is called after it has come back.
pub(crate) struct Comeback {
    /// Its certificate, PEM.
    pub(crate) service_certificate: String,
}

/// Recovers the service that had this certificate from the files in `folder`, and stops it again.
pub(crate) fn play(
    folder: &Path,
    previous: &str,
    evidence: Option<&Path>,
    ending: &Ending,
    steps: &mut Steps<'_>,
) -> Result<Comeback, CliError> {
    steps.step("The machine was stopped. A node starts again, from the ledger files alone")?;
    let runtime = crate::node::runtime(None)?;
    let recovery = Recovery {
        previous_identity: previous.to_owned(),
        validity_days: 90,
        checkpoints: vec![],
        accept_rollback: None,
        previous_sealing_directory: None,
    };
    let begun = Instant::now();
    let settings = Settings::local(folder.join("ledger"));
    let node = start_node(
        &runtime,
        settings,
        Command::Recover(recovery),
        evidence.is_none(),
        |_| {},
        std::future::pending(),
    )?;
    let certificate = node.service_certificate().to_owned();
    let file = folder.join("recovered_service_cert.pem");
    std::fs::write(&file, &certificate).map_err(CliError::file(&file))?;
    steps.fact(&format!(
        "every signature verified and the public tables back after {:.2} s; it is another service, with a key of its own",
        begun.elapsed().as_secs_f64()
    ))?;
    let outcome = come_back(&node, folder, evidence, ending, steps);
    stop(&runtime, node);
    outcome.map(|()| Comeback {
        service_certificate: certificate,
    })
}

fn stop(runtime: &Runtime, node: Node) {
    runtime.block_on(node.stop());
}

fn come_back(
    node: &Node,
    folder: &Path,
    evidence: Option<&Path>,
    ending: &Ending,
    steps: &mut Steps<'_>,
) -> Result<(), CliError> {
    let url = format!("https://{}", first_address(node)?);
    let certificate = node.service_certificate();
    let member = |name: &str| -> Result<Member, CliError> {
        let identity = Identity::load(&folder.join("members").join(name))?;
        Ok(Member::new(&url, certificate, identity)?)
    };
    let (alba, bruno, operator) = (member("alba")?, member("bruno")?, member("operator")?);
    let client = Client::new(&url, certificate)?;
    let status = client.network()?.service_status;
    steps.expect(
        "it says that it is recovering",
        &status.as_str(),
        &"Recovering",
    )?;
    let ready = client.is_app_ready()?;
    steps.expect(
        "and serves no secrets: nobody holds the keys",
        &ready,
        &false,
    )?;

    open(&client, &alba, &bruno, &operator, steps)?;
    steps.step("Alba and Bruno give back their recovery shares; the operator has none")?;
    let none = operator.recovery_share().is_err();
    steps.expect("the operator has nothing to give", &none, &true)?;
    for (name, member) in [("Alba", &alba), ("Bruno", &bruno)] {
        let progress = member.give_share()?;
        steps.held(&format!(
            "{name}: {} of {} shares",
            progress.submitted_count, progress.recovery_threshold
        ))?;
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while !client.is_app_ready()? && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let status = client.network()?.service_status;
    steps.expect(
        "the ledger is decrypted and the service open",
        &status.as_str(),
        &"Open",
    )?;

    steps.step("Nothing is lost")?;
    let room = clean_room(Client::new(&url, certificate)?, evidence)?;
    let again = room.secret(CONTRACT, &ending.secret_id)?;
    // The texts are compared, not shown.
    steps.expect(
        "the agreed code receives Alba's secret again",
        &(again.secret == ending.secret),
        &true,
    )?;
    let receipt = UnverifiedReceipt::from_json(&client.receipt(ending.release)?)?;
    receipt.verify_for(ending.release, certificate)?;
    steps.held(&format!(
        "the release before the stop, {}, is still proven: the new identity endorses the old one",
        ending.release
    ))
}

/// The operator tries alone; then the members open it.
fn open(
    client: &Client,
    alba: &Member,
    bruno: &Member,
    operator: &Member,
    steps: &mut Steps<'_>,
) -> Result<(), CliError> {
    steps.step("Only the members can open it, naming the old identity and the new one")?;
    let previous = client.previous_identity()?;
    let next = client.service_info()?.certificate;
    let actions = Actions::new().open_recovered_service(&previous, &next);
    let mut proposal = operator.propose(&actions)?;
    if proposal.proposal_state == ProposalState::Open {
        proposal = operator.accept(&proposal.proposal_id)?;
    }
    let accepted = proposal.proposal_state == ProposalState::Accepted;
    steps.expect("the operator alone cannot", &accepted, &false)?;
    for member in [alba, bruno] {
        if proposal.proposal_state == ProposalState::Open {
            proposal = member.accept(&proposal.proposal_id)?;
        }
    }
    steps.expect(
        "Alba and Bruno vote for it: accepted",
        &proposal.proposal_state,
        &ProposalState::Accepted,
    )
}
