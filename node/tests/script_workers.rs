//! The pool of script workers, with real child processes.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use constitution::{EngineError, Limits, MemoryKv};
use node::script::{ScriptPool, WorkerOptions};

/// The example beside this test; cargo builds it with `cargo test`.
fn worker() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples").join("script_worker")
}

fn pool() -> ScriptPool {
    let mut options = WorkerOptions::new(worker(), []);
    options.most = 2;
    options.idle = Duration::from_millis(200);
    options.margin = Duration::from_millis(500);
    ScriptPool::workers(options)
}

fn short() -> Limits {
    Limits {
        time: Duration::from_millis(300),
        ..Limits::default()
    }
}

fn vote(pool: &ScriptPool, limits: Limits, body: &str) -> Result<bool, EngineError> {
    let ballot = format!("export function vote() {{ {body} }}");
    let mut lease = pool.lease(limits)?;
    lease
        .call(|engine| engine.vote(&ballot, "{}", "p", "id", "m", &mut MemoryKv::default()))
        .map(|ballot| ballot.vote)
}

#[test]
fn a_script_that_exceeds_its_limits_fails_and_the_next_one_runs() {
    let pool = pool();
    assert!(vote(&pool, Limits::default(), "return true;").unwrap());
    let started = Instant::now();
    for hostile in [
        "for (;;) {}",
        "/(a*)*b/.test('a'.repeat(40)); for (;;) {}",
        "let a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1));",
        "let s = 'x'; for (;;) s += s;",
        "const f = () => f() + 1; return f();",
        "return 'x'.padEnd(1 << 30, 'ab').repeat(1 << 10).length > 0;",
    ] {
        let result = vote(&pool, short(), hostile);
        assert!(result.is_err(), "{hostile}: {result:?}");
        assert!(!vote(&pool, Limits::default(), "return false;").unwrap());
    }
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn workers_are_shared_and_ended_when_idle() {
    let pool = pool();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert!(vote(&pool, Limits::default(), "return true;").unwrap()));
        }
    });
    std::thread::sleep(Duration::from_millis(700));
    assert!(vote(&pool, Limits::default(), "return true;").unwrap());
}

#[test]
fn a_worker_that_cannot_be_started_is_an_error() {
    let pool = ScriptPool::workers(WorkerOptions::new("/nonexistent/program", []));
    let result = vote(&pool, Limits::default(), "return true;");
    assert!(
        matches!(result, Err(EngineError::Start { .. })),
        "{result:?}"
    );
}

#[test]
fn a_program_that_is_no_worker_is_an_error() {
    let pool = ScriptPool::workers(WorkerOptions::new("/bin/false", []));
    assert!(vote(&pool, Limits::default(), "return true;").is_err());
}
