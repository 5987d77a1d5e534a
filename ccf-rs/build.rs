//! With feature `ccf`: writes the C++ half of the bridge. It is compiled by the CMake project that links the node, because only that knows CCF's
//! headers and options; `CCF_RS_BRIDGE_DIR` says where the project looks for it.

fn main() {
    #[cfg(feature = "ccf")]
    bridge::write();
}

#[cfg(feature = "ccf")]
mod bridge {
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    const BRIDGE: &str = "src/ccf/bridge.rs";

    pub(crate) fn write() {
        println!("cargo::rerun-if-changed={BRIDGE}");
        println!("cargo::rerun-if-env-changed=CCF_RS_BRIDGE_DIR");
        // Generates, and compiles nothing unless asked to.
        drop(cxx_build::bridge(BRIDGE));
        let Some(target) = env::var_os("CCF_RS_BRIDGE_DIR").map(PathBuf::from) else {
            return;
        };
        let generated = env::var_os("OUT_DIR").map(|dir| PathBuf::from(dir).join("cxxbridge"));
        let generated = generated.unwrap_or_default();
        for (from, to) in [
            ("include/rust/cxx.h", "rust/cxx.h"),
            (
                "include/ccf-rs/src/ccf/bridge.rs.h",
                "ccf-rs/src/ccf/bridge.rs.h",
            ),
            ("sources/ccf-rs/src/ccf/bridge.rs.cc", "bridge.rs.cc"),
        ] {
            copy(&generated.join(from), &target.join(to));
        }
    }

    /// Copies a file; one that is up to date is not touched, so nothing is compiled again for it.
    fn copy(from: &Path, to: &Path) {
        let text = fs::read(from).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        if fs::read(to).is_ok_and(|old| old == text) {
            return;
        }
        let written =
            fs::create_dir_all(to.parent().unwrap_or(to)).and_then(|()| fs::write(to, text));
        written.unwrap_or_else(|e| panic!("{}: {e}", to.display()));
    }
}
