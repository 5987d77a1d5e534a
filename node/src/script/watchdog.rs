//! Ends a worker process whose call takes too long.

use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use std::{io, mem};

/// One thread beside one process, for as long as there is a process. Killed when dropped.
pub(super) struct Watchdog {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    child: Child,
    /// When the call that runs now must be over.
    deadline: Option<Instant>,
    /// Whether it was not.
    fired: bool,
    /// Until when the thread sleeps; `None` until it is woken.
    wakes: Option<Instant>,
    ended: bool,
}

impl Watchdog {
    /// Watches `child`.
    ///
    /// # Errors
    /// When no thread can be started; the child is killed.
    pub(super) fn new(child: Child) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                child,
                deadline: None,
                fired: false,
                wakes: None,
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let watchdog = Self {
            shared: Arc::clone(&shared),
        };
        thread::Builder::new()
            .name("script-watchdog".to_owned())
            .spawn(move || shared.watch())?;
        Ok(watchdog)
    }

    /// Runs `call`, and kills the process if it has not returned after `most`. Whether that was necessary comes back, too.
    pub(super) fn within<T>(&self, most: Duration, call: impl FnOnce() -> T) -> (T, bool) {
        {
            let mut state = self.shared.state();
            state.deadline = Instant::now().checked_add(most);
            state.fired = false;
            // A thread that wakes before this deadline finds it then, so that most calls need not wake it.
            let sooner = |deadline| state.wakes.is_none_or(|at| deadline < at);
            if state.deadline.is_some_and(sooner) {
                self.shared.changed.notify_one();
            }
        }
        let result = call();
        let mut state = self.shared.state();
        // Under the lock, so that the kill cannot hit the next call.
        state.deadline = None;
        (result, mem::take(&mut state.fired))
    }

    /// Whether the process still runs.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.shared.state().child.try_wait(), Ok(None))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.ended = true;
        state.kill();
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        let mut state = self.state();
        while !state.ended {
            state.wakes = state.deadline;
            let Some(deadline) = state.deadline else {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.deadline = None;
                state.fired = true;
                state.kill();
                continue;
            }
            (state, _) = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    fn kill(&mut self) {
        // Neither fails in a way that matters: the process is gone, or going.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn sleeper() -> Watchdog {
        let child = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Watchdog::new(child).unwrap()
    }

    /// Returns when the process has ended.
    fn wait(watchdog: &Watchdog) {
        while watchdog.is_running() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn only_a_call_that_is_late_ends_the_process() {
        let watchdog = sleeper();
        for _ in 0..1000 {
            assert_eq!(watchdog.within(Duration::from_secs(60), || 7), (7, false));
        }
        assert!(watchdog.is_running());
        let late = watchdog.within(Duration::from_millis(20), || wait(&watchdog));
        assert_eq!(late, ((), true));
        // What comes after it is not late itself.
        assert_eq!(watchdog.within(Duration::from_secs(60), || ()), ((), false));
    }

    #[test]
    fn a_short_deadline_after_a_long_one_counts() {
        let watchdog = sleeper();
        watchdog.within(Duration::from_secs(600), || ());
        thread::sleep(Duration::from_millis(20));
        let late = watchdog.within(Duration::from_millis(20), || wait(&watchdog));
        assert_eq!(late, ((), true));
    }

    #[test]
    fn times_without_end_are_no_deadline() {
        let watchdog = sleeper();
        assert_eq!(watchdog.within(Duration::MAX, || 1), (1, false));
        assert!(watchdog.is_running());
    }
}
