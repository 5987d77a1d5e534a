//! When a frontend serves. Decided on committed state only, so that nobody is served on the
//! strength of something that may yet be lost.

use serde::Deserialize;

use crate::store::State;

/// Key of tables with a single row.
const SINGLE_ROW: [u8; 8] = [0; 8];

/// `/node` always serves.
pub const fn node_is_open(_: &State) -> bool {
    true
}

/// `/gov` serves once a node certificate endorsed by the service is committed.
pub fn gov_is_open(state: &State) -> bool {
    state.len("public:ccf.gov.nodes.endorsed_certificates") > 0
}

/// `/app` serves once the members have opened the service.
pub fn app_is_open(state: &State) -> bool {
    state
        .value("public:ccf.gov.service.info", &SINGLE_ROW)
        .is_some_and(|row| says_open(row))
}

/// Whether a row of `service.info` says that the service is open.
pub fn says_open(row: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct ServiceInfo<'a> {
        #[serde(borrow)]
        status: std::borrow::Cow<'a, str>,
    }
    serde_json::from_slice::<ServiceInfo<'_>>(row).is_ok_and(|info| info.status == "Open")
}
