//! The clean room application as a CCF node runs it. `CMakeLists.txt` builds this library with feature `ccf` and links it with CCF.
#![cfg(feature = "ccf")]

use attestation::TrustAnchors;
use ccf_app::{Settings, application};
use ccf_rs::Application;
use ccf_rs::ccf::Startup;

ccf_rs::ccf_node!(start);

/// Trust the simulated platform in place of AMD and Microsoft: for tests.
const SIMULATED: &str = "--simulated-platform";

fn start(startup: Startup) -> Result<Application, String> {
    let mut anchors = TrustAnchors::production();
    for argument in startup.arguments {
        if argument != SIMULATED {
            return Err(format!("unknown argument {argument}"));
        }
        // Where the operator can read the node's memory anyway, this gives nothing away.
        if startup.confidential {
            return Err(format!("{SIMULATED} is for virtual nodes only"));
        }
        anchors = TrustAnchors::simulated();
    }
    Ok(application(Settings { anchors }))
}
