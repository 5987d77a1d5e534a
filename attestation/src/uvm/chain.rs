//! The certificates inside an endorsement: leaf first, self-signed root last.

use crate::{
    certificate::{Certificate, Key},
    crypto::{self, Hash},
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
        if !signed_by(subject, issuer) {
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

/// RSA PKCS #1 v1.5 or ECDSA; the algorithm inside and outside must be the same bytes.
fn signed_by(subject: &Certificate, issuer: &Certificate) -> bool {
    if subject.inner_algorithm != subject.outer_algorithm {
        return false;
    }
    let (tbs, signature) = (&subject.tbs, &subject.signature);
    match (&issuer.key, subject.inner_algorithm.as_slice()) {
        (Key::Rsa { .. }, algorithm) => hash_of(algorithm, PKCS1_HEAD, &[5, 0], [0x0b, 0x0c, 0x0d])
            .is_some_and(|hash| crypto::rsa_pkcs1(hash, &issuer.spki, tbs, signature)),
        (Key::Ec { curve, point }, algorithm) => {
            hash_of(algorithm, ECDSA_HEAD, &[], [0x02, 0x03, 0x04])
                .is_some_and(|hash| crypto::ecdsa_der(*curve, hash, point, tbs, signature))
        }
        (Key::Other, _) => false,
    }
}

/// `SEQUENCE { OID 1.2.840.113549.1.1.x, NULL }` without its last OID byte and the NULL.
const PKCS1_HEAD: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01";
/// `SEQUENCE { OID 1.2.840.10045.4.3.x }` without its last byte.
const ECDSA_HEAD: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03";

/// The hash of an AlgorithmIdentifier that is `head ‖ arc ‖ tail`; `arcs` are those of SHA-256, SHA-384 and SHA-512.
fn hash_of(algorithm: &[u8], head: &[u8], tail: &[u8], arcs: [u8; 3]) -> Option<Hash> {
    let rest = algorithm.strip_prefix(head)?.strip_suffix(tail)?;
    let [arc] = rest else {
        return None;
    };
    arcs.iter()
        .zip([Hash::Sha256, Hash::Sha384, Hash::Sha512])
        .find(|(a, _)| *a == arc)
        .map(|(_, hash)| hash)
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
