//! Tests of CCF's own suite against our node: its clients, its sample and test constitutions, its expectations.
//!
//! They run where `CCF_SOURCE` names a checkout of CCF, and `CLEANROOM_CCF_PYTHON` names an interpreter
//! (Python 3.12 or newer) with CCF's package and what `tests/ccf_suite/requirements.txt` lists.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::service::program;

/// The checkout of CCF.
fn source(test: &str) -> Option<PathBuf> {
    let source = std::env::var_os("CCF_SOURCE").map(PathBuf::from);
    let source = source.filter(|source| source.join("tests/governance_js.py").is_file());
    if source.is_none() {
        println!("SKIPPED {test}: CCF_SOURCE names no checkout of CCF");
    }
    source
}

/// An interpreter that can import what the suite imports.
fn python(test: &str) -> Option<PathBuf> {
    let python = std::env::var_os("CLEANROOM_CCF_PYTHON").map(PathBuf::from);
    let modules = "import sys; assert sys.version_info >= (3, 12)\n\
                   import ccf.cose, ccf.ledger, httpx, loguru, jinja2, git, cwt";
    let fit = python.filter(|python| {
        let output = Command::new(python).args(["-c", modules]).output();
        output.is_ok_and(|output| output.status.success())
    });
    if fit.is_none() {
        println!("SKIPPED {test}: CLEANROOM_CCF_PYTHON names no interpreter for CCF's suite");
    }
    fit
}

#[test]
fn ccfs_own_governance_tests_pass() {
    let test = "ccfs_own_governance_tests_pass";
    let (Some(source), Some(python)) = (source(test), python(test)) else {
        return;
    };
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("ccf_suite/run.py");
    let output = Command::new(python)
        .arg(driver)
        .arg(source)
        .arg(program())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let verdicts = String::from_utf8_lossy(&output.stderr);
    let with = |start: &str| -> Vec<String> {
        let lines = verdicts.lines().filter_map(|line| line.strip_prefix(start));
        lines.map(str::to_owned).collect()
    };
    let failed = with("FAILED ");
    assert!(failed.is_empty(), "{failed:#?}");
    // As many as are listed: a driver that ends early has not run them.
    assert!(with("PASSED ").len() >= 38, "{verdicts}");
}
