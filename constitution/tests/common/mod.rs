//! Both engines, to run each test on.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::io::{PipeReader, PipeWriter};
use std::time::Duration;

use constitution::{Engine, InProcess, Limits, worker};

/// A worker on a thread of this process, behind pipes.
pub fn piped(limits: Limits) -> worker::Client<PipeReader, PipeWriter> {
    let (worker_reader, writer) = std::io::pipe().unwrap();
    let (reader, worker_writer) = std::io::pipe().unwrap();
    std::thread::spawn(move || worker::serve(worker_reader, worker_writer, None));
    worker::Client::new(reader, writer, limits)
}

/// Each engine under `limits`, with its name.
pub fn engines(limits: Limits) -> Vec<(&'static str, Box<dyn Engine>)> {
    vec![
        ("in process", Box::new(InProcess::new(limits))),
        ("worker", Box::new(piped(limits))),
    ]
}

/// Limits that a test can hit without taking long.
pub fn tight() -> Limits {
    Limits {
        heap_bytes: 16 << 20,
        stack_bytes: 256 << 10,
        time: Duration::from_millis(300),
    }
}
