//! An application whose endpoints do what a request asks of the host, and answer what the host said.

mod calls;
mod history;
mod rows;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use ccf_rs::{Application, Endpoints};

#[cfg(feature = "ccf")]
ccf_rs::ccf_node!(start);

/// The application.
#[must_use]
pub fn application() -> Application {
    let parts = [rows::endpoints, history::endpoints, calls::endpoints];
    let endpoints = parts
        .into_iter()
        .fold(Endpoints::new(Arc::new(Probe::default())), |all, add| {
            add(all)
        });
    Application {
        title: "Probe",
        version: env!("CARGO_PKG_VERSION"),
        endpoints: endpoints.build(),
        indexed: vec![],
    }
}

/// Counts executions, which a handler should not: the tests want to know how often it ran.
#[derive(Default)]
struct Probe {
    executions: AtomicUsize,
}

#[cfg(feature = "ccf")]
fn start(_: ccf_rs::ccf::Startup) -> Result<Application, String> {
    Ok(application())
}
