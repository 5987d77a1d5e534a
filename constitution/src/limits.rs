//! Bounds of one call.

use std::time::Duration;

use serde::Deserialize;

/// Bounds on one call, from the first byte compiled to the value returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes the script's heap may hold.
    pub heap_bytes: usize,
    /// Bytes of native stack the script may use; values above [`Limits::MAX_STACK_BYTES`] count as that.
    pub stack_bytes: usize,
    /// Wall-clock time.
    pub time: Duration,
}

impl Limits {
    /// Largest stack the engine grants.
    pub const MAX_STACK_BYTES: usize = 8 << 20;
    const MIN_HEAP_BYTES: usize = 1 << 20;
    const MIN_STACK_BYTES: usize = 64 << 10;

    /// Limits for governance scripts, from the JSON stored in `public:ccf.gov.js_runtime_options`: never lower than the
    /// defaults (CCF interface, section 4.2). Absent, unreadable or oversized values count as the default.
    #[must_use]
    pub fn governance(js_runtime_options: Option<&[u8]>) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Stored {
            max_heap_bytes: u64,
            max_stack_bytes: u64,
            max_execution_time_ms: u64,
        }
        let stored: Stored = js_runtime_options
            .and_then(|json| serde_json::from_slice(json).ok())
            .unwrap_or_default();
        let floor = Self::default();
        let size = |value: u64| usize::try_from(value).unwrap_or(0);
        Self {
            heap_bytes: floor.heap_bytes.max(size(stored.max_heap_bytes)),
            stack_bytes: floor.stack_bytes.max(size(stored.max_stack_bytes)),
            time: floor
                .time
                .max(Duration::from_millis(stored.max_execution_time_ms)),
        }
    }

    /// The same limits, within what the engine itself needs and can grant.
    pub(crate) fn clamped(self) -> Self {
        Self {
            heap_bytes: self.heap_bytes.max(Self::MIN_HEAP_BYTES),
            stack_bytes: self
                .stack_bytes
                .clamp(Self::MIN_STACK_BYTES, Self::MAX_STACK_BYTES),
            time: self.time,
        }
    }

    /// Native stack of a thread that runs scripts: the script's, the one of a constitution checked by a script, and room
    /// for the engine's own frames.
    pub(crate) fn thread_stack_bytes(self) -> usize {
        2 * self.clamped().stack_bytes + (4 << 20)
    }
}

/// CCF's defaults: 100 MiB heap, 1 MiB stack, 5 s.
impl Default for Limits {
    fn default() -> Self {
        Self {
            heap_bytes: 100 << 20,
            stack_bytes: 1 << 20,
            time: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_options_only_raise() {
        assert_eq!(Limits::governance(None), Limits::default());
        assert_eq!(Limits::governance(Some(b"nonsense")), Limits::default());
        let raised = Limits::governance(Some(
            br#"{"max_heap_bytes":1,"max_stack_bytes":2097152,"max_execution_time_ms":6000}"#,
        ));
        assert_eq!(raised.heap_bytes, Limits::default().heap_bytes);
        assert_eq!(raised.stack_bytes, 2 << 20);
        assert_eq!(raised.time, Duration::from_secs(6));
    }
}
