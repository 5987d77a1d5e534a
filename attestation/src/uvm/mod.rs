//! Endorsements of utility VMs: signed statements "this launch measurement is release *n*".
//!
//! Without one, host data means nothing: whoever owns any SNP machine can start a VM of their own with any host data they like
//! (attestation specification, section 3).

mod chain;
mod cose;
mod did;
mod statement;

use serde::{Deserialize, Serialize};

use crate::{
    anchors::TrustAnchors,
    bytes::{Measurement, Sha256Digest},
    error::{Check, EvidenceError},
    policy::{PlatformPolicy, UvmIssuer},
};

/// A form of UVM endorsement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UvmForm {
    /// Text headers `iss` and `feed`, JSON payload (attestation specification, section 3.1).
    Legacy,
    /// CWT claims, payload is the bare measurement (section 3.2).
    Cwt,
}

/// What a UVM endorsement says, once its signature and certificates hold. Whether its issuer may say so is governance's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UvmStatement {
    /// Issuer, a did:x509 that resolves to the chain in the endorsement.
    pub did: String,
    /// Feed: which product line.
    pub feed: String,
    /// Release number of the utility VM.
    pub svn: u64,
    /// Launch measurement of that release.
    pub measurement: Measurement,
    /// How it was written.
    pub form: UvmForm,
    /// SHA-256 of the keys in the chain, leaf first.
    pub(crate) keys: Vec<Sha256Digest>,
}

/// UVM-02 to UVM-17: everything that depends only on the bytes, and on which forms are allowed.
///
/// The order is that of the attestation specification, section 9.1.
pub(crate) fn verify(bytes: &[u8], policy: &PlatformPolicy) -> Result<UvmStatement, EvidenceError> {
    let envelope = cose::Envelope::read(bytes)?;
    let algorithm = envelope.algorithm()?;
    let certificates = envelope.certificates()?;
    let header = statement::Header::read(&envelope)?;
    check_form(header.form, policy)?;
    chain::check(&certificates)?;
    if let Some(time) = header.signing_time {
        chain::check_signing_time(&certificates, time)?;
    }
    let did = did::DidX509::parse(&header.did)?;
    did.check(&certificates)?;
    algorithm.check(&certificates, &envelope)?;
    let (measurement, svn) = header.statement(&envelope)?;
    Ok(UvmStatement {
        did: header.did,
        feed: header.feed,
        svn,
        measurement,
        form: header.form,
        keys: certificates.iter().map(|c| c.spki_digest()).collect(),
    })
}

/// The governed part of UVM-09.
pub(crate) fn check_form(form: UvmForm, policy: &PlatformPolicy) -> Result<(), EvidenceError> {
    if policy.uvm_forms.contains(&form) {
        return Ok(());
    }
    Err(EvidenceError::new(
        Check::Uvm09,
        format_args!("{form:?}"),
        format_args!("{:?}", policy.uvm_forms),
    ))
}

/// UVM-18 to UVM-20: may this issuer say so?
pub(crate) fn check_governed(
    statement: &UvmStatement,
    policy: &PlatformPolicy,
    anchors: &TrustAnchors,
) -> Result<(), EvidenceError> {
    let issued: Vec<&UvmIssuer> = policy
        .uvm
        .iter()
        .filter(|i| i.did == statement.did)
        .collect();
    if issued.is_empty() || !anchors.trusts_uvm(&statement.keys) {
        return Err(EvidenceError::new(
            Check::Uvm18,
            &statement.did,
            list(policy.uvm.iter().map(|i| i.did.as_str())),
        ));
    }
    let minimum = issued
        .iter()
        .filter(|i| i.feed == statement.feed)
        .map(|i| i.min_svn)
        .min();
    let Some(minimum) = minimum else {
        return Err(EvidenceError::new(
            Check::Uvm19,
            &statement.feed,
            list(issued.iter().map(|i| i.feed.as_str())),
        ));
    };
    if statement.svn < minimum {
        return Err(EvidenceError::new(
            Check::Uvm20,
            statement.svn,
            format_args!("at least {minimum}"),
        ));
    }
    Ok(())
}

/// UVM-21.
pub(crate) fn check_measurement(
    statement: &UvmStatement,
    measurement: Measurement,
) -> Result<(), EvidenceError> {
    if statement.measurement == measurement {
        return Ok(());
    }
    Err(EvidenceError::new(
        Check::Uvm21,
        measurement,
        statement.measurement,
    ))
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    items.collect::<Vec<_>>().join(" or ")
}
