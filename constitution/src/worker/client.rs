//! The host's side.

use std::io::{BufReader, Read, Write};
use std::time::{Duration, Instant};

use crate::engine::{ConsoleLevel, Engine};
use crate::error::EngineError;
use crate::host::{Answer, Console, Host, Request, Returned};
use crate::limits::Limits;
use crate::worker::frame;
use crate::worker::messages::{self, FromWorker};

/// Time a worker gets beyond the script's own limit before this side stops listening.
const GRACE: Duration = Duration::from_secs(1);

/// An [`Engine`] in another process, reached through `R` and `W`.
///
/// After [`WorkerDied`](EngineError::WorkerDied) or [`WorkerProtocol`](EngineError::WorkerProtocol) the client is
/// [dead](Self::is_dead), and so should be the process; start another one. Reading blocks: whoever owns the process must
/// kill it when a call exceeds its time limit by more than a little, which ends the call with `WorkerDied`.
pub struct Client<R, W> {
    reader: BufReader<R>,
    writer: W,
    limits: Limits,
    console: Console,
    dead: bool,
}

impl<R: Read, W: Write> Client<R, W> {
    /// A client of the worker that writes to `reader` and reads from `writer`.
    pub fn new(reader: R, writer: W, limits: Limits) -> Self {
        Self {
            reader: BufReader::new(reader),
            writer,
            limits,
            console: None,
            dead: false,
        }
    }

    /// Sends `console.*` output to `console`.
    #[must_use]
    pub fn with_console(
        mut self,
        console: impl FnMut(ConsoleLevel, &str) + Send + 'static,
    ) -> Self {
        self.console = Some(Box::new(console));
        self
    }

    /// Whether the worker is lost and every further call fails.
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    fn exchange(
        reader: &mut BufReader<R>,
        writer: &mut W,
        limits: Limits,
        request: &Request,
        host: &mut Host<'_>,
        console: &mut Console,
    ) -> Result<Result<Returned, EngineError>, EngineError> {
        let died = |_| EngineError::WorkerDied;
        let call = messages::encode_call(limits, request);
        frame::write(writer, &call).map_err(died)?;
        let started = Instant::now();
        loop {
            let payload = match frame::read(reader) {
                Ok(Some(payload)) => payload,
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                    return Err(protocol(&error));
                }
                Ok(None) | Err(_) => return Err(EngineError::WorkerDied),
            };
            match messages::decode_from_worker(&payload).map_err(|e| protocol(&e))? {
                FromWorker::Done(result) => return Ok(result),
                FromWorker::Ask(_) if started.elapsed() > limits.time.saturating_add(GRACE) => {
                    return Err(EngineError::WorkerDied);
                }
                FromWorker::Ask(ask) if ask.is_one_way() => {
                    host.answer(ask, console);
                }
                FromWorker::Ask(ask) => {
                    let answer = host.answer(ask, console);
                    let mut bytes = messages::encode_answer(&answer);
                    if bytes.len() > frame::MAX_FRAME_BYTES {
                        bytes = messages::encode_answer(&Answer::Refused(
                            "the answer is too large".to_owned(),
                        ));
                    }
                    frame::write(writer, &bytes).map_err(died)?;
                }
            }
        }
    }
}

fn protocol(error: &dyn std::error::Error) -> EngineError {
    EngineError::WorkerProtocol {
        reason: error.to_string(),
    }
}

impl<R: Read, W: Write> Engine for Client<R, W> {
    fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    fn run(&mut self, request: Request, mut host: Host<'_>) -> Result<Returned, EngineError> {
        if self.dead {
            return Err(EngineError::WorkerDied);
        }
        let exchanged = Self::exchange(
            &mut self.reader,
            &mut self.writer,
            self.limits,
            &request,
            &mut host,
            &mut self.console,
        );
        self.dead = exchanged.is_err();
        let result = host.finish(exchanged.and_then(|result| result));
        // A worker that asked for what it may not have is not to be trusted with another call.
        self.dead |= matches!(result, Err(EngineError::WorkerProtocol { .. }));
        result
    }
}
