//! What one client, and all together, may take.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Bounds of an interface. The defaults are CCF's where CCF has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request body (`max_body_size`).
    pub body: usize,
    /// Bytes of the name or value of one header (`max_header_size`).
    pub header: usize,
    /// Bytes of a request's head: its first line and all its headers.
    pub head: usize,
    /// Headers of a request (`max_headers_count`).
    pub headers: usize,
    /// From accepting a connection to the end of its TLS handshake.
    pub handshake: Duration,
    /// Handshakes under way at once. One more ends the oldest, so that silent connections
    /// cannot shut others out.
    pub handshakes: usize,
    /// From the first byte of a request's head to its end, and again from there to the end of its body.
    pub request: Duration,
    /// From an idle connection to the end of the next request's headers
    /// (`idle_connection_timeout`).
    pub idle: Duration,
    /// Sessions from which on requests are refused (`max_open_sessions_soft`).
    pub sessions_soft: usize,
    /// Sessions from which on connections are dropped (`max_open_sessions_hard`).
    pub sessions_hard: usize,
    /// Concurrent requests of an HTTP/2 connection (`max_concurrent_streams_count`).
    pub streams: u32,
    /// How long open requests may take when the node stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1 << 20,
            header: 16 << 10,
            head: 64 << 10,
            headers: 256,
            handshake: Duration::from_secs(10),
            handshakes: 256,
            request: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            sessions_soft: 1000,
            sessions_hard: 1010,
            streams: 100,
            drain: Duration::from_secs(5),
        }
    }
}

/// Counters of an interface's sessions and of requests it could not take.
#[derive(Debug, Default)]
pub struct Sessions {
    soft_cap: usize,
    hard_cap: usize,
    active: AtomicUsize,
    peak: AtomicUsize,
    pub(super) parsing: AtomicUsize,
    pub(super) body_too_large: AtomicUsize,
    pub(super) header_too_large: AtomicUsize,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionsReport {
    /// Sessions from which on requests are refused.
    pub soft_cap: usize,
    /// Sessions from which on connections are dropped.
    pub hard_cap: usize,
    /// Sessions open now.
    pub active: usize,
    /// Most sessions open at once.
    pub peak: usize,
    /// Requests that were not HTTP.
    pub parsing: usize,
    /// Requests with too large a body.
    pub body_too_large: usize,
    /// Requests with too large or too many headers.
    pub header_too_large: usize,
}

/// An open session. Ends when dropped.
pub(super) struct Session {
    sessions: Arc<Sessions>,
    /// Sessions open when this one began, itself included.
    pub(super) number: usize,
}

impl Sessions {
    /// No sessions yet, of as many as these limits allow.
    pub(super) fn within(limits: &Limits) -> Self {
        Self {
            soft_cap: limits.sessions_soft,
            hard_cap: limits.sessions_hard,
            ..Self::default()
        }
    }

    /// The counters now.
    pub fn report(&self) -> SessionsReport {
        let load = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        SessionsReport {
            soft_cap: self.soft_cap,
            hard_cap: self.hard_cap,
            active: load(&self.active),
            peak: load(&self.peak),
            parsing: load(&self.parsing),
            body_too_large: load(&self.body_too_large),
            header_too_large: load(&self.header_too_large),
        }
    }

    pub(super) fn begin(self: &Arc<Self>) -> Session {
        let number = self.active.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(number, Ordering::Relaxed);
        Session {
            sessions: Arc::clone(self),
            number,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sessions.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Handshakes under way, oldest first.
pub(super) struct Handshakes {
    most: usize,
    list: Mutex<Ongoing>,
}

#[derive(Default)]
struct Ongoing {
    next: u64,
    /// Dropping the sender tells a handshake to give up.
    list: VecDeque<(u64, oneshot::Sender<()>)>,
}

/// One handshake's place among them. Gives it up when dropped.
pub(super) struct Place {
    handshakes: Arc<Handshakes>,
    number: u64,
    /// Resolves when the place was given to a newer handshake.
    pub(super) lost: oneshot::Receiver<()>,
}

impl Handshakes {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most: most.max(1),
            list: Mutex::default(),
        })
    }

    pub(super) fn begin(self: &Arc<Self>) -> Place {
        let (keep, lost) = oneshot::channel();
        let mut ongoing = self.lock();
        let number = ongoing.next;
        ongoing.next += 1;
        if ongoing.list.len() >= self.most {
            ongoing.list.pop_front();
        }
        ongoing.list.push_back((number, keep));
        Place {
            handshakes: Arc::clone(self),
            number,
            lost,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ongoing> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.handshakes
            .lock()
            .list
            .retain(|(number, _)| *number != self.number);
    }
}
