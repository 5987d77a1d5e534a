//! CCF's own sample constitutions, unmodified, in this engine.
//!
//! Read where `CCF_SOURCE` names a checkout of CCF, or `CCF_DIR` (by default `/opt/ccf`) an
//! installation; without either the tests are reported as skipped.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::{Path, PathBuf};

use common::engines;
use constitution::{
    Case, Engine, EngineError, Kv, Limits, MemoryKv, NoEffects, Phase, ProposalState, Vote,
};
use serde_json::{Value, json};

fn folder(test: &str) -> Option<PathBuf> {
    let place = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let installed = place("CCF_DIR").unwrap_or_else(|| PathBuf::from("/opt/ccf"));
    let found = place("CCF_SOURCE")
        .into_iter()
        .chain([installed])
        .map(|place| place.join("samples/constitutions"))
        .find(|folder| folder.join("default/actions.js").is_file());
    if found.is_none() {
        println!("SKIPPED {test}: CCF_SOURCE names no checkout of CCF");
    }
    found
}

/// The default constitution with another way to resolve, and more actions before it.
fn sample(folder: &Path, resolve: &str, more: &[&str]) -> String {
    let first = std::iter::once(&"default/actions.js");
    let last = ["default/validate.js", resolve, "default/apply.js"];
    let texts: Vec<String> = first
        .chain(more)
        .chain(&last)
        .map(|part| std::fs::read_to_string(folder.join(part)).unwrap())
        .collect();
    texts.join("\n")
}

const RESOLVES: [&str; 6] = [
    "default/resolve.js",
    "sandbox/resolve.js",
    "veto/resolve.js",
    "operator/resolve.js",
    "operator_provisioner/resolve.js",
    "test/resolve.js",
];

fn consortium(count: usize, operators: &[usize]) -> MemoryKv {
    let mut kv = MemoryKv::default();
    for member in 0..count {
        let mut info = json!({ "status": "Active" });
        if operators.contains(&member) {
            info["member_data"] = json!({ "is_operator": true });
        } else {
            let table = "public:ccf.gov.members.encryption_public_keys";
            kv.put(table, format!("m{member}").as_bytes(), b"pem")
                .unwrap();
        }
        let key = format!("m{member}");
        let info = info.to_string();
        kv.put(
            "public:ccf.gov.members.info",
            key.as_bytes(),
            info.as_bytes(),
        )
        .unwrap();
    }
    kv
}

fn votes(list: &[(usize, bool)]) -> Vec<Vote> {
    list.iter()
        .map(|(member, vote)| Vote {
            member_id: format!("m{member}"),
            vote: *vote,
        })
        .collect()
}

fn proposal(name: &str, args: &Value) -> String {
    json!({ "actions": [{ "name": name, "args": args }] }).to_string()
}

#[test]
fn d32_every_sample_is_a_constitution() {
    let Some(folder) = folder("d32_every_sample_is_a_constitution") else {
        return;
    };
    let more = [
        &["test/test_actions.js"][..],
        &["roles/set_role_definition.js"],
        &["virtual/virtual_attestation_actions.js"],
        &[],
    ];
    for (name, mut engine) in engines(Limits::default()) {
        for resolve in RESOLVES {
            for more in more {
                let text = sample(&folder, resolve, more);
                engine
                    .validate_constitution(&text)
                    .unwrap_or_else(|error| panic!("{name} {resolve} {more:?}: {error}"));
            }
        }
    }
}

#[test]
fn d32_samples_resolve_by_their_rules() {
    use ProposalState::{Accepted, Open, Rejected};
    let Some(folder) = folder("d32_samples_resolve_by_their_rules") else {
        return;
    };
    let action = proposal("set_user", &json!({}));
    let lone = proposal("remove_user", &json!({}));
    let cases = [
        ("default/resolve.js", &action, &[][..], Open),
        ("default/resolve.js", &action, &[(1, true)], Open),
        (
            "default/resolve.js",
            &action,
            &[(1, true), (2, true)],
            Accepted,
        ),
        (
            "default/resolve.js",
            &action,
            &[(1, false), (2, false)],
            Open,
        ),
        ("sandbox/resolve.js", &action, &[], Accepted),
        ("veto/resolve.js", &action, &[(1, false)], Rejected),
        (
            "veto/resolve.js",
            &action,
            &[(1, true), (2, true)],
            Accepted,
        ),
        ("operator/resolve.js", &action, &[(1, true)], Open),
        ("operator/resolve.js", &lone, &[(1, true)], Open),
    ];
    for (name, mut engine) in engines(Limits::default()) {
        for (resolve, proposal, ballots, want) in &cases {
            let text = sample(&folder, resolve, &[]);
            let mut kv = consortium(3, &[]);
            let case = Case {
                proposal,
                proposer_id: "m0",
                votes: &votes(ballots),
                proposal_id: "id",
            };
            let got = engine.resolve(&text, &case, &mut kv).unwrap();
            assert_eq!(got, *want, "{name} {resolve} {ballots:?}");
        }
    }
}

/// Arguments that each default action takes, and arguments that it refuses.
fn arguments(certificate: &str) -> Vec<(&'static str, Value, Value)> {
    let hex = |count: usize| "ab".repeat(count);
    vec![
        (
            "set_constitution",
            json!({"constitution": "export function validate(input) {} export function resolve(a, b, c) {} export function apply(a, b) {}"}),
            json!({"constitution": "x"}),
        ),
        (
            "set_member",
            json!({"cert": certificate}),
            json!({"cert": "x"}),
        ),
        (
            "remove_member",
            json!({"member_id": hex(32)}),
            json!({"member_id": 7}),
        ),
        (
            "set_member_data",
            json!({"member_id": hex(32), "member_data": {}}),
            json!({"member_id": hex(32)}),
        ),
        ("set_user", json!({"cert": certificate}), json!({"cert": 7})),
        (
            "remove_user",
            json!({"user_id": hex(32)}),
            json!({"user_id": ""}),
        ),
        (
            "set_user_data",
            json!({"user_id": hex(32), "user_data": {}}),
            json!({"user_id": 1}),
        ),
        (
            "set_recovery_threshold",
            json!({"recovery_threshold": 2}),
            json!({"recovery_threshold": 0}),
        ),
        (
            "set_js_app",
            json!({"bundle": {"metadata": {"endpoints": {}}, "modules": []}}),
            json!({"bundle": 7}),
        ),
        (
            "set_js_runtime_options",
            json!({"max_heap_bytes": 1, "max_stack_bytes": 1, "max_execution_time_ms": 1}),
            json!({"max_heap_bytes": "x"}),
        ),
        (
            "set_ca_cert_bundle",
            json!({"name": "n", "cert_bundle": certificate}),
            json!({"name": "n", "cert_bundle": "x"}),
        ),
        (
            "remove_ca_cert_bundle",
            json!({"name": "n"}),
            json!({"name": 7}),
        ),
        (
            "set_jwt_issuer",
            json!({"issuer": "https://x", "auto_refresh": false}),
            json!({"issuer": "https://x", "auto_refresh": true}),
        ),
        (
            "remove_jwt_issuer",
            json!({"issuer": "https://x"}),
            json!({"issuer": 7}),
        ),
        (
            "add_snp_measurement",
            json!({"measurement": hex(48)}),
            json!({"measurement": 7}),
        ),
        (
            "add_snp_host_data",
            json!({"host_data": hex(32), "security_policy": ""}),
            json!({"host_data": hex(32), "security_policy": "other"}),
        ),
        (
            "add_snp_uvm_endorsement",
            json!({"did": "did:x509:x", "feed": "f", "svn": "1"}),
            json!({"did": 7}),
        ),
        (
            "set_snp_minimum_tcb_version_hex",
            json!({"cpuid": "00a00f11", "tcb_version": "db18000000000004"}),
            json!({"cpuid": "00A00F11", "tcb_version": "x"}),
        ),
        (
            "transition_service_to_open",
            json!({"next_service_identity": certificate}),
            json!({"next_service_identity": "x"}),
        ),
        (
            "transition_node_to_trusted",
            json!({"node_id": hex(32), "valid_from": "220101120000Z"}),
            json!({"node_id": 7}),
        ),
        (
            "set_service_configuration",
            json!({"recent_cose_proposals_window_size": 10}),
            json!({"other": 1}),
        ),
    ]
}

#[test]
fn d32_default_actions_check_their_arguments() {
    let Some(folder) = folder("d32_default_actions_check_their_arguments") else {
        return;
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![])
        .unwrap()
        .self_signed(&key)
        .unwrap()
        .pem();
    let text = sample(&folder, "default/resolve.js", &[]);
    for (name, mut engine) in engines(Limits::default()) {
        for (action, good, bad) in arguments(&certificate) {
            for (args, valid) in [(good, true), (bad, false)] {
                let got = engine
                    .validate(&text, &proposal(action, &args), &mut MemoryKv::default())
                    .unwrap();
                assert_eq!(
                    got.valid, valid,
                    "{name} {action} {args}: {:?}",
                    got.description
                );
            }
        }
        let unknown = proposal("no_such_action", &json!({}));
        let got = engine.validate(&text, &unknown, &mut MemoryKv::default());
        assert!(!got.unwrap().valid, "{name}");
    }
}

#[test]
fn d32_default_actions_write_ccfs_tables() {
    let Some(folder) = folder("d32_default_actions_write_ccfs_tables") else {
        return;
    };
    let text = sample(&folder, "default/resolve.js", &[]);
    for (name, mut engine) in engines(Limits::default()) {
        let mut kv = MemoryKv::default();
        let run = |engine: &mut dyn Engine, kv: &mut MemoryKv, action: &str, args: Value| {
            engine.apply(&text, &proposal(action, &args), "id", kv, &mut NoEffects)
        };
        run(
            &mut *engine,
            &mut kv,
            "add_snp_measurement",
            json!({"measurement": "aa"}),
        )
        .unwrap();
        let stored = kv
            .get("public:ccf.gov.nodes.snp.measurements", b"aa")
            .unwrap();
        assert_eq!(
            stored.as_deref(),
            Some(b"\"AllowedToJoin\"".as_slice()),
            "{name}"
        );
        run(
            &mut *engine,
            &mut kv,
            "remove_snp_measurement",
            json!({"measurement": "aa"}),
        )
        .unwrap();
        let size = kv.size("public:ccf.gov.nodes.snp.measurements").unwrap();
        assert_eq!(size, 0, "{name}");
        let bundle = json!({"name": "n", "cert_bundle": "pem"});
        run(&mut *engine, &mut kv, "set_ca_cert_bundle", bundle).unwrap();
        let stored = kv.get("public:ccf.gov.tls.ca_cert_bundles", b"n").unwrap();
        assert_eq!(stored.as_deref(), Some(b"\"pem\"".as_slice()), "{name}");
        // Unknown members are told by throwing, in CCF's words.
        let data = json!({"member_id": "x", "member_data": {}});
        let error = run(&mut *engine, &mut kv, "set_member_data", data).unwrap_err();
        assert!(matches!(error, EngineError::Threw(_)), "{name}: {error:?}");
        let reason = error.failure(Phase::Apply).unwrap().reason;
        assert!(
            reason.starts_with("Failed to apply(): Error: "),
            "{name}: {reason}"
        );
    }
}

/// What the samples may notice of the younger engine: nothing that decides. Each row was looked up in QuickJS 2024-01-13.
#[test]
fn differences_between_the_engines_are_these() {
    // A script, and what it gives here; the older engine lacks each of these.
    let newer = [
        ("return typeof Uint8Array.prototype.toBase64", "function"),
        ("return typeof Object.groupBy", "function"),
        ("return typeof Iterator", "function"),
    ];
    // The same in both.
    let same = [
        (
            "try { null.x } catch (e) { return e.message }",
            "cannot read property 'x' of null",
        ),
        (
            "try { x } catch (e) { return e.message }",
            "x is not defined",
        ),
        (
            "try { JSON.parse('{') } catch (e) { return e.name }",
            "SyntaxError",
        ),
        ("return [1, 2, 3].at(-1)", "3"),
        ("return typeof BigInt(1)", "bigint"),
        (
            "return typeof std + typeof os + typeof print",
            "undefinedundefinedundefined",
        ),
        (
            "return Intl === undefined",
            "ReferenceError: Intl is not defined",
        ),
    ];
    for (name, mut engine) in engines(Limits::default()) {
        for (body, want) in newer.iter().chain(&same) {
            let module = format!(
                "function body() {{ {body} }}
                 export function validate(input) {{ return {{valid: true, description: String(body())}}; }}"
            );
            let got = engine
                .validate(&module, "{}", &mut MemoryKv::default())
                .map_or_else(
                    |e| e.failure(Phase::Vote).unwrap().reason,
                    |v| v.description.unwrap(),
                );
            assert_eq!(got, *want, "{name}: {body}");
        }
    }
}
