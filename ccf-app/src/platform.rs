//! The governed platform policy: what every platform must meet, whatever the contract.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use attestation::{HostData, PlatformPolicy, Sha256Digest, TrustAnchors, VerifiedEvidence};
use ccf_rs::{Context, Error, Result};

use crate::App;

/// The parsed policy and the text it was parsed from.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Option<(Vec<u8>, Arc<PlatformPolicy>)>>);

/// The policy in force.
///
/// Governance stores it as one JSON value; a member it leaves out has its production value, so a governed policy denies
/// well-known host data and published keys unless it says otherwise. While governance has stored none, everything is as in
/// production but for these two deny lists: the contract's own policy, which members voted, then decides alone, and records
/// carry a [warning](warnings).
///
/// # Errors
/// [`Error::Stored`] when the stored text is no such policy: then nothing is released.
pub(crate) fn policy<C: Context>(app: &App, ctx: &mut C) -> Result<Arc<PlatformPolicy>> {
    let stored = ctx.reader().get(TABLE, &SINGLETON)?.unwrap_or_default();
    let mut cached = app
        .platform
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some((text, policy)) = &*cached
        && *text == stored
    {
        return Ok(Arc::clone(policy));
    }
    let policy = Arc::new(if stored.is_empty() {
        ungoverned(app.verifier.anchors())
    } else {
        serde_json::from_slice(&stored).map_err(|e| Error::Stored {
            table: TABLE.to_owned(),
            reason: e.to_string(),
        })?
    });
    *cached = Some((stored, Arc::clone(&policy)));
    Ok(policy)
}

/// Host data under which a host may run anything.
pub(crate) fn is_well_known(host_data: HostData) -> bool {
    PRODUCTION.denied_host_data.contains(&host_data)
}

/// Whether evidence of a container group names such host data. That of a virtual machine means nothing.
pub(crate) fn has_well_known_host_data(verified: &VerifiedEvidence) -> bool {
    verified.vm().is_none() && is_well_known(verified.host_data())
}

/// What members should know of a release to this code and key.
pub(crate) fn warnings(verified: &VerifiedEvidence, key: Sha256Digest) -> Vec<&'static str> {
    let mut found = Vec::new();
    if has_well_known_host_data(verified) {
        found.push("wellKnownHostData");
    }
    if verified.vm().is_some_and(|vm| !vm.quote_binds_key) {
        found.push("registersNotBoundToKey");
    }
    if PRODUCTION.denied_keys.contains(&key) {
        found.push("publishedKey");
    }
    found
}

const TABLE: &str = "public:ccf.gov.platform_policy";
const SINGLETON: [u8; 8] = [0; 8];
static PRODUCTION: LazyLock<PlatformPolicy> = LazyLock::new(PlatformPolicy::production);

fn ungoverned(anchors: &TrustAnchors) -> PlatformPolicy {
    let mut policy = PlatformPolicy::for_anchors(anchors);
    policy.denied_host_data.clear();
    policy.denied_keys.clear();
    policy
}
