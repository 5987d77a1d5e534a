//! The certificates inside an endorsement: leaf first, self-signed root last.

use crate::{
    certificate::{Certificate, Key},
    error::{Check, EvidenceError},
    time::UnixTime,
};

/// UVM-10 and UVM-11. Whether the root is trusted is decided by the issuer string, not here.
pub(super) fn check(certificates: &[Certificate]) -> Result<(), EvidenceError> {
    let pairs = || {
        let issuers = certificates.iter().skip(1).chain(certificates.last());
        certificates.iter().zip(issuers)
    };
    for certificate in certificates {
        if matches!(certificate.key, Key::Rsa { bits, exponent } if !(2048..=4096).contains(&bits) || exponent != 65537)
        {
            return Err(EvidenceError::new(
                Check::Uvm10,
                name(certificate),
                "RSA keys of 2048 to 4096 bits, exponent 65537",
            ));
        }
        if let Some(unknown) = certificate
            .extensions
            .iter()
            .find(|e| e.critical && !UNDERSTOOD.contains(&e.oid.as_str()))
        {
            return Err(EvidenceError::new(
                Check::Uvm10,
                &unknown.oid,
                "no critical extension that is not understood",
            ));
        }
    }
    // The number of intermediates between an issuer and the leaf is one less than its place.
    for (between, issuer) in certificates.iter().skip(1).enumerate() {
        let long = issuer
            .basic_constraints
            .and_then(|b| b.path_len)
            .and_then(|limit| usize::try_from(limit).ok())
            .is_some_and(|limit| between > limit);
        if !issuer.is_ca() || !issuer.key_cert_sign || long {
            return Err(EvidenceError::new(
                Check::Uvm10,
                name(issuer),
                "a certificate authority that may sign certificates",
            ));
        }
    }
    for (subject, issuer) in pairs() {
        if subject.issuer != issuer.subject {
            return Err(EvidenceError::new(
                Check::Uvm10,
                name(issuer),
                format_args!("the issuer of {}", name(subject)),
            ));
        }
    }
    for (subject, issuer) in pairs() {
        if !subject.is_signed_by(issuer) {
            return Err(EvidenceError::new(
                Check::Uvm11,
                format_args!("a signature on {} that does not verify", name(subject)),
                format_args!("a signature by {}", name(issuer)),
            ));
        }
    }
    Ok(())
}

/// UVM-12: at the signing time, not now. Leaves live for a year and utility VMs run longer. The time is the signer's word, so
/// this is a sanity check.
pub(super) fn check_signing_time(
    certificates: &[Certificate],
    time: UnixTime,
) -> Result<(), EvidenceError> {
    for certificate in certificates {
        if time < certificate.not_before || time > certificate.not_after {
            return Err(EvidenceError::new(
                Check::Uvm12,
                time,
                format_args!(
                    "{} valid {} to {}",
                    name(certificate),
                    certificate.not_before,
                    certificate.not_after
                ),
            ));
        }
    }
    Ok(())
}

/// Basic constraints, key usage, extended key usage, key identifiers, certificate policies.
const UNDERSTOOD: [&str; 6] = [
    "2.5.29.19",
    "2.5.29.15",
    "2.5.29.37",
    "2.5.29.14",
    "2.5.29.35",
    "2.5.29.32",
];

fn name(certificate: &Certificate) -> &str {
    certificate
        .common_name
        .as_deref()
        .unwrap_or("a certificate without one common name")
}
