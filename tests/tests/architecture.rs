//! Who may depend on whom.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Each crate of the house and the crates of the house it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("attestation", &[]),
    ("ccf-app", &["attestation", "ccf-rs"]),
    ("ccf-node", &["attestation", "ccf-app", "ccf-rs"]),
    ("ccf-rs", &[]),
    (
        "cli",
        &[
            "attestation",
            "ccf-app",
            "constitution",
            "governance",
            "ledger-tools",
            "node",
        ],
    ),
    ("constitution", &[]),
    ("governance", &["attestation", "constitution", "ledger"]),
    ("ledger", &[]),
    ("ledger-tools", &["constitution", "ledger"]),
    ("node", &["attestation", "ccf-rs", "constitution", "ledger"]),
    ("probe", &["ccf-rs"]),
    (
        "tests",
        &[
            "attestation",
            "constitution",
            "governance",
            "ledger",
            "node",
            "probe",
        ],
    ),
];

/// Crates that compute and do nothing else: no sockets, no runtime.
const PURE: &[&str] = &["attestation", "constitution", "ledger"];

#[test]
fn dependencies_follow_the_arrows() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let house: BTreeSet<&str> = metadata
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    assert_eq!(
        house,
        arrows.keys().copied().collect(),
        "every crate of the workspace has its arrows here"
    );
    for package in &metadata.packages {
        let allowed = arrows[package.name.as_str()];
        for dependency in package
            .dependencies
            .iter()
            .filter(|d| d.kind == DependencyKind::Normal)
        {
            let name = dependency.name.as_str();
            assert!(
                !house.contains(name) || allowed.contains(&name),
                "{} may not depend on {name}; allowed: {allowed:?}",
                package.name
            );
        }
    }
}

#[test]
fn pure_crates_have_no_runtime_and_no_sockets() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    for package in metadata
        .packages
        .iter()
        .filter(|package| PURE.contains(&package.name.as_str()))
    {
        for dependency in package
            .dependencies
            .iter()
            .filter(|d| d.kind == DependencyKind::Normal)
        {
            let effects = [
                "hyper",
                "reqwest",
                "rustls",
                "tokio",
                "tokio-rustls",
                "ureq",
            ];
            assert!(
                !effects.contains(&dependency.name.as_str()),
                "{} uses {}",
                package.name,
                dependency.name
            );
        }
    }
}
