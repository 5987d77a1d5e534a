//! Why a call failed.

use crate::store::KvError;

/// The reason given for a call that ran out of time (CCF interface, section 4.2).
pub const TIMED_OUT: &str = "Operation took too long to complete.";

/// What a failed script reports: CCF's `{reason, trace}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exception as text, e.g. `Error: text`.
    pub reason: String,
    /// The stack at the throw, when an `Error` was thrown.
    pub trace: Option<String>,
}

/// Which function of a constitution failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `resolve`.
    Resolve,
    /// `apply`.
    Apply,
    /// `vote` of a ballot, whose failures carry no prefix.
    Vote,
}

/// Why a call failed.
///
/// Scripts fail with [`Threw`](Self::Threw), [`TimedOut`](Self::TimedOut), [`OutOfMemory`](Self::OutOfMemory) and
/// [`BadReturn`](Self::BadReturn); see [`EngineError::failure`]. [`BadModule`](Self::BadModule) is what CCF answers with
/// a plain 500: the text cannot be called at all. The rest is the host's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The text does not compile, does not link, or does not export the function.
    #[error("{}", .0.reason)]
    BadModule(Failure),
    /// The script threw.
    #[error("{}", .0.reason)]
    Threw(Failure),
    /// The script ran out of time, even if it caught that.
    #[error("{TIMED_OUT}")]
    TimedOut {
        /// The stack where it was stopped, when known.
        trace: Option<String>,
    },
    /// The script ran out of memory.
    #[error("{}", .0.reason)]
    OutOfMemory(Failure),
    /// The function returned something else than it must.
    #[error("{reason}")]
    BadReturn {
        /// What was returned and what is allowed, in CCF's words.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] KvError),
    /// The worker process ended in the middle of a call: it crashed, was killed, or closed its pipe.
    #[error("the script worker died")]
    WorkerDied,
    /// The worker sent something that is no message, or asked for what the call does not allow.
    #[error("the script worker broke protocol: {reason}")]
    WorkerProtocol {
        /// What was wrong.
        reason: String,
    },
    /// The engine could not be started.
    #[error("cannot start the script engine: {reason}")]
    Start {
        /// What the platform said.
        reason: String,
    },
}

impl EngineError {
    /// The failure to record for the proposal or ballot, if the script is to blame for it; `None` when the request fails
    /// without a script having failed (CCF interface, sections 4.2 and 4.3).
    #[must_use]
    pub fn failure(&self, phase: Phase) -> Option<Failure> {
        let (reason, trace) = match self {
            Self::Threw(f) | Self::OutOfMemory(f) => (f.reason.clone(), f.trace.clone()),
            Self::TimedOut { trace } => (TIMED_OUT.to_owned(), trace.clone()),
            Self::BadReturn { reason } => {
                return Some(Failure {
                    reason: reason.clone(),
                    trace: None,
                });
            }
            _ => return None,
        };
        let reason = match phase {
            Phase::Resolve => format!("Failed to resolve(): {reason}"),
            Phase::Apply => format!("Failed to apply(): {reason}"),
            Phase::Vote => reason,
        };
        Some(Failure { reason, trace })
    }

    /// The stack of the exception, if there is one.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        match self {
            Self::BadModule(f) | Self::Threw(f) | Self::OutOfMemory(f) => f.trace.as_deref(),
            Self::TimedOut { trace } => trace.as_deref(),
            _ => None,
        }
    }

    /// A stable name of the kind of error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadModule(_) => "BadModule",
            Self::Threw(_) => "Threw",
            Self::TimedOut { .. } => "TimedOut",
            Self::OutOfMemory(_) => "OutOfMemory",
            Self::BadReturn { .. } => "BadReturn",
            Self::Store(_) => "Store",
            Self::WorkerDied => "WorkerDied",
            Self::WorkerProtocol { .. } => "WorkerProtocol",
            Self::Start { .. } => "Start",
        }
    }
}
