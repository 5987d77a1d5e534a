//! The clean room application: contracts, the policies that say which code may act under them, secrets, consent, and a record of
//! every decision. One module per noun; [`application`] gives a host everything it serves.
//!
//! A handler sees [`ccf_rs`] only, so the same application runs on the embedded node and on a CCF node. What hands out a secret takes
//! an [`attestation::AppraisedClaims`], and nothing but an appraisal makes one.

mod ca;
mod callers;
mod contracts;
mod delegates;
mod deployment;
mod documents;
mod envelope;
mod events;
mod evidence;
mod explain;
mod flags;
mod freshness;
mod governed;
mod history;
mod ids;
mod json;
mod membership;
mod oidc;
mod options;
mod paging;
mod platform;
mod policies;
mod private;
mod proposal_history;
mod proposals;
mod recoveries;
mod releases;
mod replays;
mod schemas;
mod secrets;
mod service_keys;
mod signing;
#[cfg(test)]
mod tests;
mod user_proposals;
mod users;
mod versions;

use std::sync::Arc;

use attestation::{TrustAnchors, Verifier};
use ccf_rs::{Application, Endpoints};

/// What a host decides about the application: nothing that governance could decide.
#[derive(Debug)]
pub struct Settings {
    /// Whose signatures make evidence. [`TrustAnchors::simulated`] only where the service says so to everybody.
    pub anchors: TrustAnchors,
}

/// The application.
#[must_use]
pub fn application(settings: Settings) -> Application {
    let app = Arc::new(App {
        verifier: Verifier::new(settings.anchors),
        platform: platform::Cache::default(),
        denials: releases::Counters::default(),
        order: releases::Order::default(),
        keys: service_keys::Cache::default(),
        challenges: freshness::Challenges::new(),
        proposals: proposals::Cache::default(),
    });
    let nouns = [
        contracts::endpoints,
        policies::endpoints,
        delegates::endpoints,
        explain::endpoints,
        freshness::endpoints,
        secrets::endpoints,
        releases::endpoints,
        options::endpoints,
        deployment::endpoints,
        oidc::endpoints,
        signing::endpoints,
        ca::endpoints,
        events::endpoints,
        documents::endpoints,
        user_proposals::endpoints,
        users::endpoints,
        proposal_history::endpoints,
    ];
    let endpoints = nouns
        .into_iter()
        .fold(Endpoints::new(app), |endpoints, add| add(endpoints));
    schemas::with_schemas(Application {
        title: "Clean room governance",
        version: env!("CARGO_PKG_VERSION"),
        endpoints: endpoints.build(),
        indexed: vec![events::EVENTS, proposals::INFOS_NAME],
    })
}

/// State of the application beside the store: caches and counters that can be lost.
struct App {
    verifier: Verifier,
    platform: platform::Cache,
    denials: releases::Counters,
    order: releases::Order,
    keys: service_keys::Cache,
    challenges: freshness::Challenges,
    proposals: proposals::Cache,
}
