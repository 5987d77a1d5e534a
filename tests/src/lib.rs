//! End-to-end scenarios, run against either host, and interoperability with CCF's own tools;
//! and here what tests of several crates need to find their data.

#![forbid(unsafe_code)]

pub mod ccf;
pub mod ledger_writer;
pub mod past;
pub mod scene;
pub mod service;

use std::path::{Path, PathBuf};

/// One scenario, a test on each host: for every `fn NAME(host: &Host)` the tests `NAME::embedded` and `NAME::ccf`. Both trust the simulated
/// platform.
#[macro_export]
macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn embedded() {
                super::$name(&$crate::service::Host::EMBEDDED);
            }

            #[test]
            fn ccf() {
                let test = concat!(stringify!($name), "::ccf");
                if let Some(host) = $crate::ccf::host(true, test) {
                    super::$name(&host);
                }
            }
        }
    )+};
}

/// One folder of the shared test data, `attestation` or `ledgers`: below the folder that
/// `CLEANROOM_VECTORS` names, else below `shared/vectors` beside the checkout or beside a
/// folder above it. Without it the test that asks is reported as skipped.
pub fn vectors(folder: &str, test: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let places = match std::env::var_os("CLEANROOM_VECTORS") {
        Some(place) => vec![PathBuf::from(place)],
        None => workspace
            .canonicalize()
            .iter()
            .flat_map(|workspace| workspace.ancestors().skip(1))
            .map(|above| above.join("shared/vectors"))
            .collect(),
    };
    let found = places
        .into_iter()
        .map(|place| place.join(folder))
        .find(|place| place.join("index.json").is_file());
    if found.is_none() {
        println!("SKIPPED {test}: vectors not found");
    }
    found
}
