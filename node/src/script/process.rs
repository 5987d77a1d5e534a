//! One worker process.

use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use constitution::worker::Client;
use constitution::{ConsoleLevel, Engine, EngineError, Limits};

use super::WorkerOptions;
use super::watchdog::Watchdog;

/// Longest line of a worker's standard error that is logged in one piece.
const LINE: u64 = 4096;

/// A child process and the client that talks to it. Killed when dropped.
pub(super) struct Process {
    watchdog: Watchdog,
    client: Client<ChildStdout, ChildStdin>,
}

impl Process {
    pub(super) fn start(
        options: &WorkerOptions,
        console: fn(ConsoleLevel, &str),
    ) -> Result<Self, EngineError> {
        let failed = |reason: String| EngineError::Start { reason };
        let mut child = Command::new(&options.program)
            .args(&options.arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| failed(format!("{}: {e}", options.program.display())))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = pipes else {
            return Err(failed("the worker has no pipes".to_owned()));
        };
        forward(errors);
        Ok(Self {
            watchdog: Watchdog::new(child).map_err(|e| failed(e.to_string()))?,
            client: Client::new(output, input, Limits::default()).with_console(console),
        })
    }

    /// One call, after which the process is killed if it takes too long.
    pub(super) fn call<T>(
        &mut self,
        limits: Limits,
        margin: Duration,
        run: impl FnOnce(&mut dyn Engine) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        self.client.set_limits(limits);
        let most = limits.time.saturating_add(margin);
        match self.watchdog.within(most, || run(&mut self.client)) {
            (Err(EngineError::WorkerDied), true) => {
                tracing::warn!("a script exceeded its time; its worker was killed");
                Err(EngineError::TimedOut { trace: None })
            }
            (result, _) => result,
        }
    }

    /// Whether it can serve another call.
    pub(super) fn is_usable(&self) -> bool {
        !self.client.is_dead() && self.watchdog.is_running()
    }
}

/// Logs what the worker writes to standard error.
fn forward(errors: ChildStderr) {
    let reader = thread::Builder::new().name("script-stderr".to_owned());
    let spawned = reader.spawn(move || {
        let mut errors = BufReader::new(errors);
        let mut line = Vec::new();
        while let Ok(1..) = errors.by_ref().take(LINE).read_until(b'\n', &mut line) {
            let text = String::from_utf8_lossy(&line);
            tracing::warn!(target: "script", "{}", text.trim_end());
            line.clear();
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "a script worker's messages are not logged");
    }
}
