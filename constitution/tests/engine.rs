//! The engine against CCF's execution model (CCF interface, sections 4.1 to 4.7), in process and through a worker.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{engines, tight};
use constitution::{
    Case, Effects, Engine, EngineError, Failure, Irregularity, Kv, Limits, MemoryKv, NoEffects,
    Phase, ProposalState, TIMED_OUT, Vote,
};

/// Runs `body` as `validate` and gives back its description.
fn evaluate(engine: &mut dyn Engine, body: &str, kv: &mut dyn Kv) -> Result<String, EngineError> {
    let module = format!(
        "function body() {{ {body} }}
         export function validate(input) {{ return {{valid: true, description: String(body())}}; }}"
    );
    let validation = engine.validate(&module, "{}", kv)?;
    Ok(validation.description.unwrap())
}

/// Runs `body` as `apply`.
fn apply(
    engine: &mut dyn Engine,
    body: &str,
    kv: &mut dyn Kv,
    effects: &mut dyn Effects,
) -> Result<(), EngineError> {
    let module = format!("export function apply(proposal, proposalId) {{ {body} }}");
    engine.apply(&module, "{}", "id", kv, effects)
}

fn vote(engine: &mut dyn Engine, ballot: &str) -> Result<constitution::Ballot, EngineError> {
    let mut kv = MemoryKv::default();
    engine.vote(ballot, "{}", "proposer", "PID", "MID", &mut kv)
}

fn reason(error: &EngineError) -> String {
    error.failure(Phase::Vote).unwrap().reason
}

#[test]
fn validate_reads_valid_by_truthiness_and_description_if_text() {
    for (name, mut engine) in engines(Limits::default()) {
        let cases = [
            ("{valid: true}", true, None),
            ("{valid: 1, description: 'd'}", true, Some("d")),
            ("{valid: '', description: 7}", false, None),
            ("{}", false, None),
            ("[]", false, None),
        ];
        for (value, valid, description) in cases {
            let module = format!("export function validate(input) {{ return {value}; }}");
            let got = engine
                .validate(&module, "{}", &mut MemoryKv::default())
                .unwrap();
            assert_eq!(got.valid, valid, "{name} {value}");
            assert_eq!(got.description.as_deref(), description, "{name} {value}");
        }
        for value in ["undefined", "null", "true", "'text'"] {
            let module = format!("export function validate(input) {{ return {value}; }}");
            let error = engine
                .validate(&module, "{}", &mut MemoryKv::default())
                .unwrap_err();
            assert_eq!(error.code(), "BadReturn", "{name} {value}");
        }
    }
}

#[test]
fn validation_that_throws_says_why() {
    for (name, mut engine) in engines(Limits::default()) {
        let module = "export function validate(input) { return JSON.parse(input); }";
        let error = engine
            .validate(module, "{not json", &mut MemoryKv::default())
            .unwrap_err();
        assert!(
            error.to_string().starts_with("SyntaxError:"),
            "{name} {error}"
        );
        assert!(error.trace().unwrap().contains("constitution[0]"), "{name}");
    }
}

fn case(votes: &[Vote]) -> Case<'_> {
    Case {
        proposal: "p",
        proposer_id: "m0",
        votes,
        proposal_id: "id",
    }
}

#[test]
fn resolve_gets_its_arguments_and_answers_a_state() {
    let module = "export function resolve(proposal, proposerId, votes, proposalId) {
        const text = [proposal, proposerId, proposalId, ...votes.map((v) => v.member_id + v.vote)];
        if (text.join() !== 'p,m0,id,m1true,m2false') throw new Error(text.join());
        return 'Accepted';
    }";
    let votes = [("m1", true), ("m2", false)].map(|(id, vote)| Vote {
        member_id: id.to_owned(),
        vote,
    });
    for (name, mut engine) in engines(Limits::default()) {
        let mut kv = MemoryKv::default();
        let state = engine.resolve(module, &case(&votes), &mut kv);
        assert_eq!(state.unwrap(), ProposalState::Accepted, "{name}");
        for (value, state) in [
            ("Open", ProposalState::Open),
            ("Rejected", ProposalState::Rejected),
        ] {
            let module = format!("export function resolve() {{ return '{value}'; }}");
            let got = engine.resolve(&module, &case(&[]), &mut kv);
            assert_eq!(got.unwrap(), state, "{name}");
            assert_eq!(state.as_str(), value);
        }
    }
}

#[test]
fn resolve_with_another_value_fails_the_proposal() {
    for (name, mut engine) in engines(Limits::default()) {
        for (value, text) in [("'open'", "open"), ("undefined", "undefined"), ("7", "7")] {
            let module = format!("export function resolve() {{ return {value}; }}");
            let error = engine
                .resolve(&module, &case(&[]), &mut MemoryKv::default())
                .unwrap_err();
            let failure = error.failure(Phase::Resolve).unwrap();
            assert_eq!(
                failure,
                Failure {
                    reason: format!("resolve() returned invalid status value: \"{text}\""),
                    trace: None
                },
                "{name}"
            );
        }
    }
}

#[test]
fn failures_carry_ccf_prefixes() {
    for (name, mut engine) in engines(Limits::default()) {
        let module = "export function resolve() { throw new Error('Resolve message'); }";
        let error = engine
            .resolve(module, &case(&[]), &mut MemoryKv::default())
            .unwrap_err();
        let failure = error.failure(Phase::Resolve).unwrap();
        assert_eq!(
            failure.reason, "Failed to resolve(): Error: Resolve message",
            "{name}"
        );
        assert!(failure.trace.unwrap().contains("at resolve"), "{name}");

        let error = apply(
            &mut *engine,
            "throw new Error('Error message')",
            &mut MemoryKv::default(),
            &mut NoEffects,
        )
        .unwrap_err();
        let failure = error.failure(Phase::Apply).unwrap();
        assert_eq!(
            failure.reason, "Failed to apply(): Error: Error message",
            "{name}"
        );
    }
}

#[test]
fn thrown_values_become_text() {
    for (name, mut engine) in engines(Limits::default()) {
        let cases = [
            ("throw 'text'", "text"),
            ("throw {a: 1}", "{\"a\":1}"),
            ("throw 7", "7"),
            ("throw undefined", "undefined"),
            ("throw new TypeError('t')", "TypeError: t"),
            ("throw {toJSON() { throw 1; }}", ""),
            ("null.x", "TypeError: cannot read property 'x' of null"),
        ];
        for (body, want) in cases {
            let error = evaluate(&mut *engine, body, &mut MemoryKv::default()).unwrap_err();
            assert_eq!(reason(&error), want, "{name} {body}");
        }
    }
}

#[test]
fn ballots_count_by_truthiness() {
    use Irregularity::{NotBoolean, Promise, TopLevelThrew};
    let cases = [
        (
            "export function vote(proposal, proposerId) { return true }",
            true,
            None,
        ),
        (
            "export function vote(proposal, proposerId) { return false }",
            false,
            None,
        ),
        (
            "export function vote() { return 1 }",
            true,
            Some(NotBoolean),
        ),
        (
            "export function vote() { return 'no' }",
            true,
            Some(NotBoolean),
        ),
        (
            "export function vote() { return {} }",
            true,
            Some(NotBoolean),
        ),
        (
            "export function vote() { return 0 }",
            false,
            Some(NotBoolean),
        ),
        ("export function vote() { }", false, Some(NotBoolean)),
        (
            "export async function vote() { return false }",
            true,
            Some(Promise),
        ),
        (
            "throw 1; export function vote() { return true }",
            true,
            Some(TopLevelThrew),
        ),
        ("export const vote = () => false;", false, None),
    ];
    for (name, mut engine) in engines(Limits::default()) {
        for (ballot, value, irregularity) in cases {
            let got = vote(&mut *engine, ballot).unwrap();
            assert_eq!(got.vote, value, "{name} {ballot}");
            assert_eq!(got.irregularity, irregularity, "{name} {ballot}");
        }
    }
}

#[test]
fn bad_modules_are_told_apart_from_scripts_that_throw() {
    let cases = [
        "export function vote( { return true }",
        "function vote() { return true }",
        "export const vote = 1;",
        "throw 1; export const vote = () => true;",
        "import x from 'other'; export function vote() { return true }",
        "import 'std'; export function vote() { return true }",
        "",
    ];
    for (name, mut engine) in engines(Limits::default()) {
        for ballot in cases {
            let error = vote(&mut *engine, ballot).unwrap_err();
            assert_eq!(error.code(), "BadModule", "{name} {ballot}: {error:?}");
            assert_eq!(error.failure(Phase::Vote), None, "{name} {ballot}");
        }
        let error = vote(
            &mut *engine,
            "export function vote() { throw new Error('x') }",
        )
        .unwrap_err();
        assert_eq!(reason(&error), "Error: x", "{name}");
        let trace = error.trace().unwrap();
        assert!(
            trace.contains("public:ccf.gov.proposals_info[PID].ballots[m[MID]]"),
            "{name} {trace}"
        );
    }
}

#[test]
fn a_dynamic_import_finds_nothing() {
    for (name, mut engine) in engines(Limits::default()) {
        let ballot = "let m; import('x').then((x) => { m = x; });
                      export function vote() { return m !== undefined }";
        assert!(!vote(&mut *engine, ballot).unwrap().vote, "{name}");
    }
}

#[test]
fn nothing_survives_a_call() {
    for (name, mut engine) in engines(Limits::default()) {
        let ballot = "globalThis.count = (globalThis.count ?? 0) + 1; Object.prototype.seen ??= 0;
                      Object.prototype.seen++;
                      export function vote() { return count === 1 && ({}).seen === 1 }";
        for _ in 0..2 {
            assert!(vote(&mut *engine, ballot).unwrap().vote, "{name}");
        }
    }
}

#[test]
fn endless_loops_time_out_wherever_they_are() {
    let cases = [
        "export function vote() { while (true) {} }",
        "while (true) {} export function vote() { return true }",
        "export function vote() { try { while (true) {} } catch { return true } }",
        "export function vote() { try { while (true) {} } finally { return true } }",
        "export async function vote() { while (true) {} }",
        "export function vote() { throw {toJSON() { while (true) {} }} }",
        "export function vote() { throw Object.assign(new Error(), {toString() { while (true) {} }}) }",
        "export function vote() { return /^(a+)+$/.test('a'.repeat(40) + '!') }",
        "export function vote() { return [...Array(1e4).keys()].sort((a, b) => { while (true) {} }) }",
    ];
    for (name, mut engine) in engines(tight()) {
        for ballot in cases {
            let error = vote(&mut *engine, ballot).unwrap_err();
            assert_eq!(error.code(), "TimedOut", "{name} {ballot}: {error:?}");
            assert_eq!(reason(&error), TIMED_OUT, "{name} {ballot}");
        }
    }
}

#[test]
fn memory_is_bounded() {
    let cases = [
        "export function vote() { const a = []; while (true) a.push(new ArrayBuffer(100000)); }",
        "export function vote() { let s = 'x'; while (true) s += s; }",
        "export function vote() { return 'x'.repeat(1 << 28).length }",
        "export function vote() { return new ArrayBuffer(1 << 30) }",
        "export function vote() { return new Array(1 << 24).fill({}).join('----------------') }",
        "export function vote() { const a = []; while (true) a.push({}); }",
        "const a = []; while (true) a.push([]); export function vote() { return true }",
    ];
    for (name, mut engine) in engines(Limits {
        time: std::time::Duration::from_secs(20),
        ..tight()
    }) {
        for ballot in cases {
            match vote(&mut *engine, ballot) {
                Ok(ballot) => assert!(ballot.irregularity.is_some(), "{name}"),
                Err(
                    EngineError::OutOfMemory(_)
                    | EngineError::Threw(_)
                    | EngineError::TimedOut { .. },
                ) => {}
                Err(other) => panic!("{name} {ballot}: {other:?}"),
            }
        }
        assert!(
            vote(&mut *engine, "export function vote() { return true }")
                .unwrap()
                .vote,
            "{name}"
        );
    }
}

#[test]
fn recursion_is_bounded() {
    let cases = [
        "export function vote() { return vote() }",
        "export function vote() { return JSON.parse('['.repeat(200000)) }",
        "export function vote() { let a = []; for (let i = 0; i < 200000; i++) a = [a]; return JSON.stringify(a) }",
        "export function vote() { return new RegExp('('.repeat(200000)) }",
        "export function vote() { const p = new Proxy({}, {get: (t, k, r) => r[k]}); return p.x }",
    ];
    for (name, mut engine) in engines(Limits::default()) {
        for ballot in cases {
            let error = vote(&mut *engine, ballot).unwrap_err();
            assert!(
                matches!(error.code(), "Threw" | "OutOfMemory" | "TimedOut"),
                "{name} {ballot}: {error:?}"
            );
        }
        let nested = format!(
            "export function vote() {{ return {}1{} }}",
            "(".repeat(200_000),
            ")".repeat(200_000)
        );
        assert_eq!(
            vote(&mut *engine, &nested).unwrap_err().code(),
            "BadModule",
            "{name}"
        );
    }
}

/// The explanation is asked for in the realm that resolved, and decides nothing.
#[test]
fn a_resolution_may_be_explained() {
    let with = |state: &str, explain: &str| {
        format!("export function resolve() {{ return '{state}'; }} {explain}")
    };
    let explain = "export function explain(proposal, proposerId, votes, proposalId) {
        return {rule: 'R-1', missing: votes.length, of: proposalId}; }";
    let said = Some(r#"{"rule":"R-1","missing":0,"of":"id"}"#);
    let cases = [
        (with("Open", explain), ProposalState::Open, said),
        (with("Rejected", explain), ProposalState::Rejected, said),
        (with("Accepted", explain), ProposalState::Accepted, None),
        (with("Open", ""), ProposalState::Open, None),
        (
            with("Open", "export const explain = 7;"),
            ProposalState::Open,
            None,
        ),
        (
            with("Open", "export function explain() { throw new Error('x') }"),
            ProposalState::Open,
            None,
        ),
        (
            with("Open", "export function explain() { while (true) {} }"),
            ProposalState::Open,
            None,
        ),
        (
            with(
                "Open",
                "export function explain() { const a = []; while (true) a.push({}) }",
            ),
            ProposalState::Open,
            None,
        ),
        (
            with("Open", "export function explain() { return explain() }"),
            ProposalState::Open,
            None,
        ),
    ];
    for (name, mut engine) in engines(tight()) {
        for (module, state, explanation) in &cases {
            let got = engine
                .resolve_explained(module, &case(&[]), &mut MemoryKv::default())
                .unwrap_or_else(|error| panic!("{name} {module}: {error:?}"));
            assert_eq!(got.state, *state, "{name} {module}");
            assert_eq!(got.explanation.as_deref(), *explanation, "{name} {module}");
        }
        // What `resolve` itself does not get done is a failure as ever.
        for (module, code) in [
            ("export function resolve() { while (true) {} }", "TimedOut"),
            ("export function resolve() { throw 1 }", "Threw"),
            ("export function resolve() { return 'open' }", "BadReturn"),
        ] {
            let error = engine
                .resolve_explained(module, &case(&[]), &mut MemoryKv::default())
                .unwrap_err();
            assert_eq!(error.code(), code, "{name} {module}");
        }
    }
}
