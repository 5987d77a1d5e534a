//! `cleanroom node`: the embedded node.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::node::config::{self, Config, LogFormat, OutputPaths, resolve};
use ::node::service::{
    GenesisMember, NewService, Node, Reached, ServiceConfiguration, Settings, StartError,
};
use attestation::TrustAnchors;
use clap::{Args, Subcommand};
use governance::member::Actions;
use governance::service::ProposalState;
use governance::{Client, Identity, Member};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts a new service, or recovers one from its ledger, as the configuration says, and serves it in the foreground until
    /// SIGTERM or SIGINT.
    Start(Start),
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    /// CCF's JSON configuration of the node. Relative paths in it count from the working directory.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "sandbox",
        conflicts_with = "sandbox"
    )]
    config: Option<PathBuf>,
    /// Wait so many seconds for the configuration to appear.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, requires = "config")]
    config_timeout: u64,
    /// No configuration: a service with one member, already open, everything in one folder.
    #[arg(long)]
    sandbox: bool,
    /// The folder of the sandbox, empty or absent; by default a temporary one that is removed at the end.
    #[arg(long, value_name = "DIR", requires = "sandbox")]
    dir: Option<PathBuf>,
    /// The port of the sandbox on 127.0.0.1; 0 takes any.
    #[arg(long, default_value_t = 8000, requires = "sandbox")]
    port: u16,
    /// Trust the simulated platform in place of AMD and Microsoft: for tests. Evidence then proves nothing, and the ledger says so.
    #[arg(long)]
    simulated_platform: bool,
}

pub(crate) fn run(command: Command, output: &mut Output<'_>) -> Result<(), CliError> {
    let Command::Start(start) = command;
    match &start.config {
        Some(file) => configured(file, &start, output),
        None => sandbox(&start, output),
    }
}

/// The constitution, members and first name of the service data that say what evidence is worth.
const SIMULATED: &str = "simulatedPlatform";

fn configured(file: &Path, start: &Start, output: &mut Output<'_>) -> Result<(), CliError> {
    let config = Config::load(file, Duration::from_secs(start.config_timeout))?;
    let launch = resolve(&config)?;
    log(launch.log_format)?;
    let pid = std::process::id().to_string();
    if let Some(path) = &launch.output.pid {
        create_new(path, &pid)?;
    }
    fs::create_dir_all(&launch.snapshots).map_err(CliError::file(&launch.snapshots))?;
    let runtime = runtime(launch.worker_threads)?;
    let write =
        |reached: &Reached| write_files(&launch.output, &launch.node_to_node_address, reached);
    // A recovering node is reached while it reads its ledger. Where its certificate takes the place of the one that it needs
    // to begin with, it is written once that is not needed any more.
    let mut written = None;
    let early = !replaces_previous_identity(&config);
    let serving = serve(
        &runtime,
        launch.settings,
        launch.command,
        start.simulated_platform,
        |reached| {
            if early {
                written = Some(write(reached));
            }
        },
    )?;
    let Some((node, stop)) = serving else {
        // A thread that reads the ledger is not waited for: it changes nothing.
        runtime.shutdown_background();
        return Ok(());
    };
    written.unwrap_or_else(|| write(&node.reached()))?;
    output.note("the node serves");
    runtime.block_on(stop.wait(node))
}

fn sandbox(start: &Start, output: &mut Output<'_>) -> Result<(), CliError> {
    log(LogFormat::Text)?;
    // Dropped, and with it removed, at the end.
    let scratch;
    let folder = match &start.dir {
        Some(folder) => folder.as_path(),
        None => {
            scratch = tempfile::tempdir().map_err(CliError::file(&std::env::temp_dir()))?;
            scratch.path()
        }
    };
    let identity_folder = folder.join("member0");
    let identity = Identity::generate("member0", Duration::from_secs(90 * 24 * 3600))?
        .with_encryption_key()?;
    identity.save(&identity_folder)?;
    let (settings, service) = sandbox_settings(folder, start.port, &identity)?;
    let runtime = runtime(None)?;
    let command = config::Command::Start(service);
    let serving = serve(
        &runtime,
        settings,
        command,
        start.simulated_platform,
        |_| {},
    )?;
    let Some((node, stop)) = serving else {
        return Ok(());
    };
    let certificate = node.service_certificate().to_owned();
    let certificate_file = folder.join("service_cert.pem");
    fs::write(&certificate_file, &certificate).map_err(CliError::file(&certificate_file))?;
    let url = format!("https://{}", first_address(&node)?);
    open(&url, &certificate, identity)?;
    let result = json!({
        "url": url,
        "serviceCertificate": certificate_file,
        "identity": identity_folder,
    });
    output.show(&result, |_| {
        format!(
            "{url}\nservice certificate  {}\nmember0              {}",
            certificate_file.display(),
            identity_folder.display()
        )
    })?;
    runtime.block_on(stop.wait(node))
}

fn sandbox_settings(
    folder: &Path,
    port: u16,
    identity: &Identity,
) -> Result<(Settings, NewService), CliError> {
    let encryption_key = identity
        .encryption_key()
        .map(governance::encryption::EncryptionKey::public_key_pem)
        .transpose()
        .map_err(|error| CliError::input("encryption key", &error))?;
    let member = GenesisMember {
        certificate: identity.certificate().to_pem(),
        encryption_key,
        data: Some(json!({ "identifier": "member0" })),
        recovery_role: None,
    };
    let mut settings = Settings::local(folder.join("ledger"));
    for interface in &mut settings.interfaces {
        interface.bind_address = format!("127.0.0.1:{port}");
    }
    Ok((settings, new_service(vec![member])))
}

/// A new service governed by the constitution of this version.
pub(crate) fn new_service(members: Vec<GenesisMember>) -> NewService {
    NewService {
        constitution: ::constitution::default_module(),
        members,
        configuration: ServiceConfiguration::default(),
        subject: "CN=CCF Service".into(),
        validity_days: 90,
        cose_claims: (String::new(), String::new()),
    }
}

/// Starts a node with our application, on the platform that was asked for. `listening` is called as soon as it answers, which
/// is before a recovering node has read its ledger; when `stop` ends before that, it does not start.
pub(crate) fn start_node(
    runtime: &Runtime,
    mut settings: Settings,
    command: config::Command,
    simulated: bool,
    listening: impl FnOnce(&Reached),
    stop: impl Future<Output = ()>,
) -> Result<Node, StartError> {
    let anchors = if simulated {
        settings.service_data = Some(marked(settings.service_data.take()));
        TrustAnchors::simulated()
    } else {
        TrustAnchors::production()
    };
    let application = ccf_app::application(ccf_app::Settings { anchors });
    runtime.block_on(async {
        match command {
            config::Command::Recover(recovery) => {
                Node::recover(settings, recovery, application, listening, stop).await
            }
            config::Command::Start(service) => Node::start(settings, service, application)
                .await
                .inspect(|node| listening(&node.reached())),
        }
    })
}

/// Service data that says the platform is simulated, beside whatever else it says.
fn marked(data: Option<Value>) -> Value {
    let mut object = match data {
        Some(Value::Object(object)) => object,
        Some(other) => Map::from_iter([("data".to_owned(), other)]),
        None => Map::new(),
    };
    object.insert(SIMULATED.to_owned(), Value::Bool(true));
    Value::Object(object)
}

pub(crate) fn runtime(threads: Option<usize>) -> Result<Runtime, CliError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder
        .enable_all()
        .build()
        .map_err(|error| CliError::input("threads", &error))
}

/// The signals that end a node. Listened to from before it serves, so that none is missed.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        tracing::info!("stopping");
    }

    async fn wait(mut self, node: Node) -> Result<(), CliError> {
        self.told().await;
        node.stop().await;
        Ok(())
    }
}

/// A node that serves and what will end it; nothing when it was told to stop before it had read its ledger.
fn serve(
    runtime: &Runtime,
    settings: Settings,
    command: config::Command,
    simulated: bool,
    listening: impl FnOnce(&Reached),
) -> Result<Option<(Node, Stop)>, CliError> {
    let guard = runtime.enter();
    let listen = |kind| signal(kind).map_err(|error| CliError::input("signals", &error));
    let mut stop = Stop {
        terminate: listen(SignalKind::terminate())?,
        interrupt: listen(SignalKind::interrupt())?,
    };
    drop(guard);
    let listening = |reached: &Reached| {
        for (name, address) in &reached.addresses {
            tracing::info!(interface = %name, %address, "serving");
        }
        listening(reached);
    };
    let told = stop.told();
    let node = match start_node(runtime, settings, command, simulated, listening, told) {
        Err(StartError::Stopped) => return Ok(None),
        node => node?,
    };
    if simulated {
        tracing::warn!("the simulated platform is trusted: evidence proves nothing");
    }
    Ok(Some((node, stop)))
}

pub(crate) fn first_address(node: &Node) -> Result<SocketAddr, CliError> {
    node.addresses()
        .first()
        .map(|(_, address)| *address)
        .ok_or_else(|| CliError::input("node", "it listens nowhere"))
}

/// Activates the only member and opens the service.
fn open(url: &str, certificate: &str, identity: Identity) -> Result<(), CliError> {
    let member = Member::new(url, certificate, identity)?;
    member.activate()?;
    let current = Client::new(url, certificate)?.service_info()?.certificate;
    let proposal = member.propose(&Actions::new().open_service(&current))?;
    if proposal.proposal_state == ProposalState::Open {
        member.accept(&proposal.proposal_id)?;
    }
    Ok(())
}

/// The files that those who start a node wait for (CCF interface, section 8.3).
fn write_files(paths: &OutputPaths, peer: &str, reached: &Reached) -> Result<(), CliError> {
    let write = |path: &Option<PathBuf>, text: &str| match path {
        Some(path) => fs::write(path, text).map_err(CliError::file(path)),
        None => Ok(()),
    };
    let addresses: Map<String, Value> = reached
        .addresses
        .iter()
        .map(|(name, address)| (name.clone(), address.to_string().into()))
        .collect();
    write(&paths.node_certificate, &reached.self_signed_certificate)?;
    write(&paths.service_certificate, &reached.service_certificate)?;
    let peer = json!({ "node_to_node_interface": peer }).to_string();
    write(&paths.node_to_node_address, &peer)?;
    // Last: tools wait for it.
    write(&paths.rpc_addresses, &Value::Object(addresses).to_string())
}

/// Whether the certificate of the recovered service goes where that of the one before is read from.
fn replaces_previous_identity(config: &Config) -> bool {
    let previous = config.command.recover.as_ref();
    let previous = previous.map(|recover| recover.previous_service_identity_file.as_path());
    let next = config.command.service_certificate_file.as_path();
    previous.is_some_and(|previous| {
        previous == next
            || fs::canonicalize(previous)
                .ok()
                .zip(fs::canonicalize(next).ok())
                .is_some_and(|(previous, next)| previous == next)
    })
}

fn create_new(path: &Path, text: &str) -> Result<(), CliError> {
    use std::io::Write as _;
    let created = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path);
    created
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(CliError::file(path))
}

/// Logs to standard error; `RUST_LOG` chooses what.
fn log(format: LogFormat) -> Result<(), CliError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let set = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    set.map_err(|error| CliError::input("log", &error))
}
