//! An installed CCF, and the node built with it.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::service::Host;

/// The application on CCF, trusting the simulated platform if that is asked for. Where CCF is not installed, the test that asks is
/// reported as skipped.
pub fn host(simulated: bool, test: &str) -> Option<Host> {
    let program = node("cleanroom-ccf-node", test)?;
    Some(Host::Ccf { program, simulated })
}

/// The probe on CCF, as [`host`].
pub fn probe(test: &str) -> Option<Host> {
    let program = node("probe-ccf-node", test)?;
    Some(Host::Ccf {
        program,
        simulated: false,
    })
}

/// A program of the installed CCF. Without it the test that asks is reported as skipped.
pub fn program(name: &str, test: &str) -> Option<PathBuf> {
    let program = installed().join("bin").join(name);
    if program.is_file() {
        return Some(program);
    }
    println!("SKIPPED {test}: no {}", program.display());
    None
}

/// Where CCF is installed: `CCF_DIR`, by default `/opt/ccf`.
fn installed() -> PathBuf {
    std::env::var_os("CCF_DIR").map_or_else(|| "/opt/ccf".into(), PathBuf::from)
}

/// A node from the folder that `CLEANROOM_CCF_NODES` names, else built here from `ccf-app/ccf-node`.
fn node(name: &str, test: &str) -> Option<PathBuf> {
    if let Some(built) = std::env::var_os("CLEANROOM_CCF_NODES") {
        return Some(Path::new(&built).join(name));
    }
    let ccf = installed();
    if !ccf.join("cmake/ccf-config.cmake").is_file() {
        println!("SKIPPED {test}: no CCF in {}", ccf.display());
        return None;
    }
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    Some(BUILT.get_or_init(|| build(&ccf)).join(name))
}

/// Builds the nodes beside this test, with the same profile. The lock keeps test programs that run at the same time apart.
fn build(ccf: &Path) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let folder = target.join("ccf-node");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ccf-app/ccf-node");
    std::fs::create_dir_all(&folder).unwrap();
    let locked = |arguments: &[&str]| {
        let mut command = Command::new("flock");
        command
            .arg(folder.join("lock"))
            .arg("cmake")
            .args(arguments);
        command
    };
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    run(locked(&["-DCMAKE_BUILD_TYPE=Release", "-S"])
        .arg(&source)
        .arg("-B")
        .arg(&folder)
        .arg(format!("-DCMAKE_PREFIX_PATH={}", ccf.display()))
        .arg(format!("-DCARGO_TARGET={}", target.display()))
        .arg(format!("-DCARGO_PROFILE={profile}"))
        .arg("-DPROBE=ON"));
    run(locked(&["--build"]).arg(&folder));
    folder
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
