//! `cleanroom recovery`: what members do for a service that is recovered from its ledger, and how all of it is practised.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::node::pipeline::RealDisk;
use ::node::recovery::{DrillReport, LedgerSource, drill};
use clap::{Args, Subcommand, ValueEnum};
use governance::Identity;
use governance::member::Actions;
use governance::recovery::RecoveryKind;
use ledger_tools::PublicKey;
use serde_json::{Value, json};

use crate::connect::{As, Service, read};
use crate::error::CliError;
use crate::output::Output;
use crate::proposal;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Proposes to acknowledge the last recovery: releases that are held until members have go on.
    Acknowledge {
        #[command(flatten)]
        caller: As,
    },
    /// Keeps the last signature of the service's ledger, as evidence against older files being put in its place.
    Checkpoint {
        #[command(flatten)]
        service: Service,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Recovers a copy of a ledger in a scratch directory, and tells what came back, how long it took and whose shares are needed.
    Drill(Drill),
    /// Proposes to open the recovered service as the one that its ledger is of.
    Open {
        #[command(flatten)]
        caller: As,
        /// By whose shares: needed if the recovery policy allows both.
        #[arg(long, value_enum)]
        kind: Option<Kind>,
        /// Why, if the recovery policy asks for a reason.
        #[arg(long, value_name = "TEXT", requires = "kind")]
        reason: Option<String>,
    },
    /// Shows where the service and its node are.
    Status {
        #[command(flatten)]
        service: Service,
    },
    /// Fetches this member's recovery share, decrypts it and submits it.
    Submit {
        #[command(flatten)]
        caller: As,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// Of people or organisations.
    BreakGlass,
    /// Of members whose keys stay in an attested recovery service.
    Confidential,
}

impl From<Kind> for RecoveryKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::BreakGlass => Self::BreakGlass,
            Kind::Confidential => Self::Confidential,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Drill {
    /// The directory with the ledger's files. It is not changed.
    #[arg(value_name = "LEDGER_DIR")]
    ledger: PathBuf,
    /// Certificate of the service that wrote the ledger (PEM).
    #[arg(long, value_name = "FILE")]
    service_cert: PathBuf,
    /// A directory with snapshots.
    #[arg(long, value_name = "DIR")]
    snapshots: Option<PathBuf>,
    /// Checkpoints that the ledger must hold.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Folders of recovery members' identities (with enc_privk.pem): with enough of them the private tables are read too.
    #[arg(long, value_name = "DIR")]
    identity: Vec<PathBuf>,
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        Command::Acknowledge { caller } => {
            let member = caller.member()?;
            let count = member.client().service_info()?.recovery_count;
            let actions = Actions::new().acknowledge_recovery(count);
            output.show(&member.propose(&actions)?, proposal::line)
        }
        Command::Checkpoint { service, out } => {
            let certificate = read(&service.service_cert)?;
            let checkpoint = service.anonymous()?.checkpoint(&certificate)?;
            let text = serde_json::to_string(&checkpoint)
                .map_err(|error| CliError::input("checkpoint", &error))?;
            std::fs::write(&out, text).map_err(CliError::file(&out))?;
            output.show(&checkpoint, |kept| {
                format!("{} is kept in {}", kept.txid, out.display())
            })
        }
        Command::Drill(arguments) => {
            let report = practise(&arguments)?;
            output.show(&report, text)
        }
        Command::Open {
            caller,
            kind,
            reason,
        } => {
            let member = caller.member()?;
            let previous = member.client().previous_identity()?;
            let next = member.client().service_info()?.certificate;
            let actions = match kind {
                None => Actions::new().open_recovered_service(&previous, &next),
                Some(kind) => {
                    let (kind, reason) = (kind.into(), reason.as_deref());
                    Actions::new().open_recovered_service_as(&previous, &next, kind, reason)
                }
            };
            output.show(&member.propose(&actions)?, proposal::line)
        }
        Command::Status { service } => {
            let client = service.anonymous()?;
            let (network, node) = (client.network()?, client.node_state()?);
            // A CCF node has no such endpoint.
            let latest = client.latest_recovery().ok();
            let mut result = json!({
                "serviceStatus": network.service_status,
                "recoveryCount": network.recovery_count,
                "nodeState": node.state,
                "lastSignedSeqno": node.last_signed_seqno,
            });
            if let Some(latest) = &latest {
                result["record"] = json!(latest.record);
                result["rollback"] = json!(latest.rollback);
            }
            let rollback = latest.and_then(|latest| latest.rollback);
            output.show(&result, |_| {
                let warning = rollback
                    .map(|record: Value| format!("\nrecovered from OLDER files: {record}"))
                    .unwrap_or_default();
                format!(
                    "service {}, recovered {} times; node {}, signed to {}{warning}",
                    network.service_status,
                    network.recovery_count,
                    node.state,
                    node.last_signed_seqno
                )
            })
        }
        Command::Submit { caller } => {
            let progress = caller.member()?.give_share()?;
            output.show(&progress, |progress| progress.message.clone())
        }
    }
}

/// Recovers a copy.
fn practise(arguments: &Drill) -> Result<DrillReport, CliError> {
    let scratch = tempfile::tempdir().map_err(CliError::file(&std::env::temp_dir()))?;
    let (ledger, snapshots) = (
        scratch.path().join("ledger"),
        scratch.path().join("snapshots"),
    );
    copy(&arguments.ledger, &ledger)?;
    if let Some(from) = &arguments.snapshots {
        copy(from, &snapshots)?;
    }
    let identity = PublicKey::of_certificate(&read(&arguments.service_cert)?)
        .map_err(|error| CliError::input("service certificate", &error))?;
    let members: Vec<Identity> = arguments
        .identity
        .iter()
        .map(|folder| Identity::load(folder))
        .collect::<Result<_, _>>()?;
    let mut checkpoints = Vec::new();
    for file in &arguments.checkpoint {
        let checkpoint = ledger_tools::Checkpoint::from_json(read(file)?.as_bytes());
        let checkpoint = checkpoint.and_then(|kept| kept.verify(None).map(|()| kept));
        checkpoints
            .push(checkpoint.map_err(|error| CliError::input(file.display().to_string(), &error))?);
    }
    let source = LedgerSource {
        disk: Arc::new(RealDisk),
        directory: ledger,
        read_only: vec![],
        snapshots: vec![snapshots],
        checkpoints,
    };
    let open = |member: &str, sealed: &[u8]| {
        let holder = members.iter().find(|known| known.id().as_str() == member)?;
        let share = holder.encryption_key()?.decrypt(sealed).ok()?;
        Some(share.to_vec())
    };
    drill(&source, &identity, &open)
        .map_err(|error| CliError::Node(::node::service::StartError::Recovery(error)))
}

fn copy(from: &Path, to: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(to).map_err(CliError::file(to))?;
    for item in std::fs::read_dir(from).map_err(CliError::file(from))? {
        let item = item.map_err(CliError::file(from))?;
        std::fs::copy(item.path(), to.join(item.file_name())).map_err(CliError::file(from))?;
    }
    Ok(())
}

fn text(report: &DrillReport) -> String {
    let mut lines = vec![
        format!(
            "recovered until {}, {} public tables in {:.3} s",
            report.recovered_until, report.public_tables, report.public_seconds
        ),
        match report.from_snapshot {
            Some(at) => format!("from the snapshot at {at}"),
            None => "from the first transaction".to_owned(),
        },
        format!("the service would go on at {}", report.would_continue_at),
        format!("identities, oldest first: {}", report.identities.join(", ")),
    ];
    if let Some(tail) = &report.tail {
        lines.push(format!(
            "to be set aside: {} bytes of {} from {} ({})",
            tail.bytes, tail.file, tail.offset, tail.reason
        ));
    }
    lines.extend(
        report
            .rollbacks
            .iter()
            .map(|found| format!("OLDER than a checkpoint: {found}")),
    );
    let shares = &report.shares;
    lines.push(format!(
        "shares: {} of {} participants, or one of {} owners; at hand: {}",
        shares.threshold,
        shares.participants.len(),
        shares.owners.len(),
        shares.opened.len()
    ));
    let holders = shares.participants.iter().chain(&shares.owners);
    lines.extend(holders.map(|member| format!("  {member}")));
    if !shares.wrong.is_empty() {
        lines.push(format!("wrong shares: {}", shares.wrong.join(", ")));
    }
    lines.push(match &report.private {
        Some(private) => format!(
            "{} private tables with {} rows in {:.3} s, {} ledger secrets",
            private.tables,
            private.rows,
            private.seconds,
            private.secrets_from.len()
        ),
        None => "private tables: not enough shares at hand".to_owned(),
    });
    lines.join("\n")
}
