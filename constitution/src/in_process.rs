//! The engine on a thread of this process.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::engine::{ConsoleLevel, Engine};
use crate::error::EngineError;
use crate::host::{Answer, Ask, Bridge, Console, Host, Request, Returned};
use crate::limits::Limits;
use crate::runtime;
use crate::snp::VerifySnp;

/// Runs scripts on a thread of this process, one per call, with a stack of known size.
///
/// The calling thread serves the script's store requests meanwhile, so neither the store nor the effects need be `Send`.
///
/// A script can take the process down with it: the engine aborts when it runs out of memory in places that do not expect
/// it, and a long built-in function may outlast the time limit. Use this for scripts one would run anyway (rehearsal,
/// audit, tests), and [`worker`](crate::worker) in servers.
pub struct InProcess {
    limits: Limits,
    console: Console,
    verify_snp: Option<VerifySnp>,
}

impl InProcess {
    /// An engine whose console output goes nowhere.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            console: None,
            verify_snp: None,
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

    /// Lets scripts verify evidence; without it `snp_attestation.verifySnpAttestation` throws.
    #[must_use]
    pub fn with_snp(mut self, verify: VerifySnp) -> Self {
        self.verify_snp = Some(verify);
        self
    }
}

impl Engine for InProcess {
    fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    fn run(&mut self, request: Request, mut host: Host<'_>) -> Result<Returned, EngineError> {
        let (limits, verify_snp) = (self.limits, self.verify_snp);
        let (events, inbox) = channel();
        let (answers, outbox) = channel();
        let bridge = ChannelBridge {
            events: events.clone(),
            answers: outbox,
        };
        let script = thread::Builder::new()
            .name("constitution".to_owned())
            .stack_size(limits.thread_stack_bytes())
            .spawn(move || {
                runtime::run(&request, limits, verify_snp, Box::new(bridge), |result| {
                    // The receiver outlives this thread, unless the caller unwinds.
                    let _ = events.send(Event::Done(result));
                });
            })
            .map_err(|e| EngineError::Start {
                reason: e.to_string(),
            })?;
        let mut result = Err(EngineError::WorkerDied);
        // Ends when the script's thread has dropped its end, after `Done` and the teardown.
        for event in inbox {
            match event {
                Event::Ask(ask) if ask.is_one_way() => {
                    host.answer(ask, &mut self.console);
                }
                Event::Ask(ask) => {
                    let _ = answers.send(host.answer(ask, &mut self.console));
                }
                Event::Done(done) => result = done,
            }
        }
        if script.join().is_err() {
            result = Err(EngineError::WorkerDied);
        }
        host.finish(result)
    }
}

enum Event {
    Ask(Ask),
    Done(Result<Returned, EngineError>),
}

struct ChannelBridge {
    events: Sender<Event>,
    answers: Receiver<Answer>,
}

impl Bridge for ChannelBridge {
    fn ask(&mut self, ask: Ask) -> Option<Answer> {
        let one_way = ask.is_one_way();
        self.events.send(Event::Ask(ask)).ok()?;
        if one_way {
            return Some(Answer::Nothing);
        }
        self.answers.recv().ok()
    }
}
