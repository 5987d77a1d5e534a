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
    module(
        pool,
        limits,
        &format!("export function vote() {{ {body} }}"),
    )
}

fn module(pool: &ScriptPool, limits: Limits, ballot: &str) -> Result<bool, EngineError> {
    let mut lease = pool.lease(limits)?;
    lease
        .call(|engine| engine.vote(ballot, "{}", "p", "id", "m", &mut MemoryKv::default()))
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

/// Built-in functions that do not look at the clock, and engine states that have ended processes: the worker goes, the pool
/// stays, and whoever else runs scripts meanwhile is not kept.
#[test]
fn nothing_a_script_does_reaches_the_others() {
    let pool = pool();
    let before = "export function vote() { return true }";
    let hostile = [
        // The top level, and what is loaded from it, is within the limits too.
        format!("for (;;) {{}} {before}"),
        format!("await new Promise(() => {{}}); {before}"),
        format!("import('x').then(() => {{ for (;;) {{}} }}); for (;;) {{}} {before}"),
        format!("export const a = {}1{};", "[".repeat(50_000), "]".repeat(50_000)),
        // One call of the engine's own code that takes long.
        "export function vote() { return 3n ** (1n << 26n) > 0n }".to_owned(),
        "export function vote() { return 'x'.repeat(1 << 27).split('').length > 0 }".to_owned(),
        "export function vote() { return Array(1 << 29).fill(0).toSorted().length > 0 }".to_owned(),
        "export function vote() { return Array.from({length: 2 ** 40}).length > 0 }".to_owned(),
        "export function vote() { const a = []; a.length = 2 ** 32 - 1; return a.indexOf(1) < 0 && a.reverse() }".to_owned(),
        "export function vote() { return new RegExp('(?:a?){4000}'.repeat(20)).test('a'.repeat(9000)) }".to_owned(),
        "export function vote() { return JSON.parse('['.repeat(1 << 24)) }".to_owned(),
        // Memory that ends in the middle of the engine's own work.
        "export function vote() { const o = {}; for (let i = 0; ; i++) o['k' + i] = [i]; }".to_owned(),
        "export function vote() { const f = (n) => { try { return f(n + 'x'.repeat(n.length)) } finally { return f(n) } }; return f('x') }".to_owned(),
        "export function vote() { let s = Symbol(); const w = new WeakMap(); for (;;) { const k = {}; w.set(k, new ArrayBuffer(1 << 20)); s = k } }".to_owned(),
    ];
    for script in &hostile {
        let start = script.chars().take(90).collect::<String>();
        std::thread::scope(|scope| {
            let bad = scope.spawn(|| module(&pool, short(), script));
            // With one of the two workers busy or dying, the other serves.
            for _ in 0..3 {
                assert!(
                    vote(&pool, Limits::default(), "return true;").unwrap(),
                    "{start}"
                );
            }
            if let Ok(answer) = bad.join().unwrap() {
                // Whatever ended well within the limits did no harm either.
                assert!(
                    vote(&pool, Limits::default(), "return true;").unwrap(),
                    "{start} {answer}"
                );
            }
        });
    }
    assert!(!vote(&pool, Limits::default(), "return false;").unwrap());
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
