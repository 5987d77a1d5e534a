//! The command line: what it takes, what it refuses, and with which exit code.

use std::process::ExitCode;

use clap::CommandFactory as _;

use super::*;

/// Runs the program; returns exit code, data and messages.
fn cleanroom(arguments: &[&str]) -> (ExitCode, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = std::iter::once("cleanroom").chain(arguments.iter().copied());
    let code = run(arguments, &mut out, &mut err);
    (
        code,
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

#[test]
fn the_definition_of_the_arguments_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn help_goes_to_standard_output_and_wrong_usage_to_standard_error() {
    let (code, out, err) = cleanroom(&["--help"]);
    assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""));
    assert!(out.contains("Usage: cleanroom"));
    for wrong in [
        &["nonsense"][..],
        &["member", "new"],
        &[
            "proposal",
            "show",
            "--url",
            "https://h",
            "--service-cert",
            "f",
            "not-an-id",
        ],
        &[
            "contract",
            "put",
            "--url",
            "https://h",
            "--service-cert",
            "f",
            "--identity",
            "d",
            "c",
            "f",
            "--version",
            "2",
        ],
        &[
            "policy",
            "propose",
            "--url",
            "https://h",
            "--service-cert",
            "f",
            "--identity",
            "d",
            "c",
        ],
    ] {
        let (code, out, err) = cleanroom(wrong);
        assert_eq!((code, out.as_str()), (ExitCode::from(2), ""), "{wrong:?}");
        assert!(err.contains("error:"), "{wrong:?}: {err}");
    }
}

#[test]
fn a_vote_is_for_against_or_a_script_and_only_one_of_them() {
    let id = "ab".repeat(32);
    let vote = |choice: &[&str]| {
        let common = [
            "cleanroom",
            "proposal",
            "vote",
            "--url",
            "u",
            "--service-cert",
            "f",
            "--identity",
            "d",
            &id,
        ];
        Arguments::try_parse_from(common.iter().chain(choice)).is_ok()
    };
    assert!(vote(&["--accept"]) && vote(&["--reject"]) && vote(&["--ballot", "f"]));
    assert!(!vote(&[]) && !vote(&["--accept", "--reject"]));
}

#[test]
fn a_new_member_can_be_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("alice");
    let folder = folder.to_str().unwrap();
    let (code, out, _) = cleanroom(&[
        "member",
        "new",
        "--identity",
        folder,
        "--name",
        "alice",
        "--recovery",
        "--json",
    ]);
    assert_eq!(code, ExitCode::SUCCESS);
    let made: serde_json::Value = serde_json::from_str(&out).unwrap();
    let (_, out, _) = cleanroom(&["member", "id", "--identity", folder]);
    assert_eq!(made["id"], out.trim());
    let (code, out, err) = cleanroom(&["member", "new", "--identity", folder, "--name", "alice"]);
    assert_eq!((code, out.as_str()), (ExitCode::from(1), ""));
    assert!(
        err.starts_with("error: ") && err.contains("cert.pem"),
        "{err}"
    );
}

#[test]
fn failures_are_json_when_asked_for() {
    let (code, out, err) = cleanroom(&["--json", "member", "id", "--identity", "/nonexistent"]);
    assert_eq!((code, out.as_str()), (ExitCode::from(1), ""));
    let error: serde_json::Value = serde_json::from_str(&err).unwrap();
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("/nonexistent")
    );
}

#[test]
fn a_directory_without_a_ledger_fails_verification() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = cleanroom(&["ledger", "verify", folder.path().to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (ExitCode::from(4), ""));
    assert!(err.contains("no ledger chunks"), "{err}");
    let (code, _, _) = cleanroom(&["ledger", "verify", "/nonexistent"]);
    assert_eq!(code, ExitCode::from(1));
}

#[test]
fn simulated_evidence_verifies_on_the_simulated_platform_only() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("room");
    let folder = folder.to_str().unwrap();
    let host_data = "ab".repeat(32);
    let (code, _, err) = cleanroom(&["attest", "simulate", "--host-data", &host_data, folder]);
    assert_eq!(code, ExitCode::SUCCESS, "{err}");
    let (code, out, err) =
        cleanroom(&["--json", "attest", "verify", "--simulated-platform", folder]);
    assert_eq!(code, ExitCode::SUCCESS, "{err}");
    assert!(err.contains("WARNING: simulated platform"), "{err}");
    let explained: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(explained["claims"]["x-ms-sevsnpvm-hostdata"], host_data);
    assert_eq!(
        (&explained["simulated"], &explained["keyBound"]),
        (&true.into(), &true.into())
    );
    let (code, out, err) = cleanroom(&["attest", "verify", folder]);
    assert_eq!((code, out.as_str()), (ExitCode::from(4), ""));
    assert!(err.starts_with("error: SNP-"), "{err}");
    let (code, _, err) = cleanroom(&["attest", "simulate", "--host-data", &host_data, folder]);
    assert_eq!(code, ExitCode::from(1), "{err}");
}

#[test]
fn simulated_machines_are_written_read_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("vm");
    let folder = folder.to_str().unwrap();
    let (code, _, err) = cleanroom(&["attest", "simulate", "--vm", folder]);
    assert_eq!(code, ExitCode::SUCCESS, "{err}");
    let verify = ["--json", "attest", "verify", "--simulated-platform", folder];
    let (code, out, err) = cleanroom(&verify);
    assert_eq!(code, ExitCode::SUCCESS, "{err}");
    let explained: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(explained["keyBound"], true);
    assert!(explained["claims"]["pcr4"].is_string());
    let (code, _, err) = cleanroom(&[verify.as_slice(), &["--constant-nonce"]].concat());
    assert_eq!(code, ExitCode::from(4));
    assert!(err.contains("CVM-17"), "{err}");
    let both = ["attest", "simulate", "--vm", "--host-data", "ab", folder];
    assert_eq!(cleanroom(&both).0, ExitCode::from(2));
}
