//! Where governance scripts run: in child processes, so that a script which takes its engine
//! down takes nothing else with it.
//!
//! A worker is started when it is first needed, reused, killed when a call exceeds its time by
//! more than a margin, replaced when it dies, and ended when it was idle for a while. The child
//! limits its own address space ([`serve`]).

mod process;
mod snp;
mod watchdog;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use constitution::{ConsoleLevel, Engine, EngineError, InProcess, Limits};

use process::Process;
pub use snp::{verify_snp, verify_snp_at};

/// Address space of a worker: the largest heap in use, stacks, and the program itself.
const ADDRESS_SPACE: u64 = 2 << 30;

/// How workers are started and kept.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Workers at one time; further calls wait.
    pub most: usize,
    /// Time after which an idle worker is ended.
    pub idle: Duration,
    /// Time a call may take beyond its limit before its worker is killed.
    pub margin: Duration,
}

/// Runs scripts.
pub struct ScriptPool {
    place: Place,
}

enum Place {
    InProcess,
    Workers(Arc<Workers>),
}

struct Workers {
    options: WorkerOptions,
    state: Mutex<PoolState>,
    freed: Condvar,
}

#[derive(Default)]
struct PoolState {
    idle: Vec<(Process, Instant)>,
    leased: usize,
    reaper: bool,
}

/// The right to run scripts, one call after the other.
pub struct Lease<'p> {
    limits: Limits,
    held: Held<'p>,
}

enum Held<'p> {
    InProcess(InProcess),
    Worker {
        pool: &'p Arc<Workers>,
        process: Option<Process>,
    },
}

/// The child's side: serves calls on standard input and output until they are closed, within a
/// limited address space.
///
/// # Errors
/// When the limit cannot be set, or reading or writing fails.
pub fn serve() -> io::Result<()> {
    let (_, hard) = rlimit::Resource::AS.get()?;
    let limit = ADDRESS_SPACE.min(hard);
    rlimit::Resource::AS.set(limit, limit)?;
    constitution::worker::serve(io::stdin(), io::stdout(), Some(verify_snp))
}

impl WorkerOptions {
    /// A worker that is this program with these arguments; at most four, for a minute.
    pub fn new(program: impl Into<PathBuf>, arguments: impl IntoIterator<Item = OsString>) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().collect(),
            most: 4,
            idle: Duration::from_secs(60),
            margin: Duration::from_secs(1),
        }
    }
}

impl ScriptPool {
    /// Scripts run in child processes.
    pub fn workers(options: WorkerOptions) -> Self {
        Self {
            place: Place::Workers(Arc::new(Workers {
                options,
                state: Mutex::default(),
                freed: Condvar::new(),
            })),
        }
    }

    /// Scripts run in children of this program, which serves them when started with the one
    /// argument `script-worker` (see [`serve`]).
    pub fn of_this_program() -> Self {
        // Without the program's path no worker can be started, which each call then says.
        let program = std::env::current_exe().unwrap_or_default();
        Self::workers(WorkerOptions::new(program, ["script-worker".into()]))
    }

    /// Scripts run in this process, which they can take down: for tests only.
    pub const fn in_process() -> Self {
        Self {
            place: Place::InProcess,
        }
    }

    /// A turn at running scripts within these limits; waits for one.
    ///
    /// # Errors
    /// [`EngineError::Start`] when no worker becomes free.
    pub fn lease(&self, limits: Limits) -> Result<Lease<'_>, EngineError> {
        let held = match &self.place {
            Place::InProcess => Held::InProcess(
                InProcess::new(limits)
                    .with_console(log)
                    .with_snp(verify_snp),
            ),
            Place::Workers(pool) => Held::Worker {
                process: pool.take()?,
                pool,
            },
        };
        Ok(Lease { limits, held })
    }
}

impl Lease<'_> {
    /// Makes one call with the engine.
    ///
    /// # Errors
    /// What the call returns; [`EngineError::TimedOut`] when its worker had to be killed for
    /// it.
    pub fn call<T>(
        &mut self,
        run: impl FnOnce(&mut dyn Engine) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        match &mut self.held {
            Held::InProcess(engine) => run(engine),
            Held::Worker { pool, process } => {
                let mut worker = match process.take() {
                    Some(worker) => worker,
                    None => Process::start(&pool.options, log)?,
                };
                let result = worker.call(self.limits, pool.options.margin, run);
                // What a script that ran out of memory held may stay with its process, which therefore ends with it.
                let spent = matches!(result, Err(EngineError::OutOfMemory(_)));
                if worker.is_usable() && !spent {
                    *process = Some(worker);
                }
                result
            }
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Held::Worker { pool, process } = &mut self.held {
            pool.give_back(process.take());
        }
    }
}

impl Workers {
    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle worker, or leave to start one.
    fn take(&self) -> Result<Option<Process>, EngineError> {
        const PATIENCE: Duration = Duration::from_secs(30);
        let (mut state, waited) = self
            .freed
            .wait_timeout_while(self.state(), PATIENCE, |state| {
                state.leased >= self.options.most
            })
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(EngineError::Start {
                reason: "all script workers are busy".to_owned(),
            });
        }
        state.leased += 1;
        Ok(state.idle.pop().map(|(process, _)| process))
    }

    fn give_back(self: &Arc<Self>, process: Option<Process>) {
        let mut state = self.state();
        state.leased = state.leased.saturating_sub(1);
        if let Some(process) = process {
            state.idle.push((process, Instant::now()));
            if !state.reaper {
                let pool = Arc::downgrade(self);
                let pause = self.options.idle;
                let started = thread::Builder::new()
                    .name("script-reaper".to_owned())
                    .spawn(move || {
                        loop {
                            thread::sleep(pause);
                            match pool.upgrade() {
                                Some(pool) if pool.reap() => {}
                                _ => break,
                            }
                        }
                    });
                state.reaper = started.is_ok();
            }
        }
        drop(state);
        self.freed.notify_one();
    }

    /// Ends workers that were idle for long; false when none is left to watch.
    fn reap(&self) -> bool {
        let mut state = self.state();
        let idle = self.options.idle;
        let all = std::mem::take(&mut state.idle);
        let (old, kept): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|(_, since)| since.elapsed() >= idle);
        state.idle = kept;
        state.reaper = !state.idle.is_empty() || state.leased > 0;
        let more = state.reaper;
        drop(state);
        drop(old);
        more
    }
}

/// What scripts print goes to the node's log.
fn log(level: ConsoleLevel, text: &str) {
    match level {
        ConsoleLevel::Info => tracing::info!(target: "script", "{text}"),
        ConsoleLevel::Warn => tracing::warn!(target: "script", "{text}"),
        ConsoleLevel::Error => tracing::error!(target: "script", "{text}"),
    }
}
