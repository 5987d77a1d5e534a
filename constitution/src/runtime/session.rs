//! What the native functions of one call share.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use rquickjs::{Ctx, Exception, Function, Object, Persistent};

use crate::access::Access;
use crate::host::{Answer, Ask, Bridge};
use crate::limits::Limits;
use crate::runtime::cache::Cache;
use crate::snp::VerifySnp;

/// Why a script is being interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    TimedOut,
    /// The host is gone, or has decided that the call must fail.
    HostGone,
}

pub(crate) struct Session {
    /// Gone once the call is over, even if the realm has to be leaked.
    bridge: RefCell<Option<Cache>>,
    pub(crate) access: Access,
    pub(crate) limits: Limits,
    pub(crate) verify_snp: Option<VerifySnp>,
    started: Instant,
    stop: Cell<Option<Stop>>,
    /// The engine's own `Uint8Array.prototype.toBase64`: the way to read a buffer without unsafe code. It keeps the realm
    /// alive, hence [`Session::close`].
    to_base64: RefCell<Option<Persistent<Function<'static>>>>,
    console_lines: Cell<u32>,
    /// The result stands; what still runs cannot change it.
    settled: Cell<bool>,
    /// The engine ran out of memory in what cannot change the result.
    exhausted: Cell<bool>,
}

impl Session {
    pub(crate) fn new(
        bridge: Box<dyn Bridge>,
        access: Access,
        limits: Limits,
        verify_snp: Option<VerifySnp>,
        started: Instant,
    ) -> Self {
        Self {
            bridge: RefCell::new(Some(Cache::new(bridge))),
            access,
            limits,
            verify_snp,
            started,
            stop: Cell::new(None),
            to_base64: RefCell::new(None),
            console_lines: Cell::new(0),
            settled: Cell::new(false),
            exhausted: Cell::new(false),
        }
    }

    /// A session for code that may ask nothing, within the time left to this one.
    pub(crate) fn nested(&self) -> Self {
        struct Nobody;
        impl Bridge for Nobody {
            fn ask(&mut self, _: Ask) -> Option<Answer> {
                None
            }
        }
        Self::new(
            Box::new(Nobody),
            self.access,
            self.limits,
            None,
            self.started,
        )
    }

    /// To be called in the realm before any script.
    pub(crate) fn prepare(&self, ctx: &Ctx<'_>) -> rquickjs::Result<()> {
        let class: Object<'_> = ctx.globals().get("Uint8Array")?;
        let prototype: Object<'_> = class.get("prototype")?;
        let to_base64: Function<'_> = prototype.get("toBase64")?;
        *self.to_base64.borrow_mut() = Some(Persistent::save(ctx, to_base64));
        Ok(())
    }

    /// Ends the call: drops what keeps the realm alive, and lets go of the host.
    pub(crate) fn close(&self) {
        self.to_base64.borrow_mut().take();
        self.bridge.borrow_mut().take();
    }

    pub(crate) fn to_base64<'js>(&self, ctx: &Ctx<'js>) -> rquickjs::Result<Function<'js>> {
        match self.to_base64.borrow().clone() {
            Some(function) => function.restore(ctx),
            None => Err(Exception::throw_internal(ctx, "realm is closing")),
        }
    }

    /// The interrupt handler.
    pub(crate) fn must_stop(&self) -> bool {
        if self.stop.get().is_none() && self.started.elapsed() >= self.limits.time {
            self.stop.set(Some(Stop::TimedOut));
        }
        self.stop.get().is_some()
    }

    pub(crate) fn stop(&self) -> Option<Stop> {
        self.stop.get()
    }

    /// From here on the result stands, even if time runs out.
    pub(crate) fn settle(&self) {
        self.settled.set(true);
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.settled.get()
    }

    pub(crate) fn exhaust(&self) {
        self.exhausted.set(true);
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted.get()
    }

    /// Marks this session stopped if a nested one was.
    pub(crate) fn inherit(&self, nested: &Self) {
        if self.stop.get().is_none() {
            self.stop.set(nested.stop.get());
        }
    }

    /// Counts a console line; `None` when there were too many.
    pub(crate) fn next_console_line(&self) -> Option<u32> {
        let line = self.console_lines.get();
        self.console_lines.set(line.saturating_add(1));
        (line <= crate::runtime::console::MAX_LINES).then_some(line)
    }

    /// Asks the host; when it has none to give, the script is stopped.
    pub(crate) fn ask(&self, ctx: &Ctx<'_>, ask: Ask) -> rquickjs::Result<Answer> {
        let answer = self
            .bridge
            .borrow_mut()
            .as_mut()
            .and_then(|bridge| bridge.ask(ask));
        match answer {
            Some(Answer::Failed) | None => {
                self.stop.set(Some(Stop::HostGone));
                Err(Exception::throw_internal(ctx, "the host ended the call"))
            }
            Some(answer) => Ok(answer),
        }
    }
}
