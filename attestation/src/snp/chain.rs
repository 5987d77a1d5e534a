//! The endorsement chain: VCEK under ASK under ARK.
//!
//! Written by hand because AMD's certificates break general path validation: serial number 0, no key identifiers, and PSS
//! parameters in two spellings (attestation specification, section 2.1).

use crate::{
    anchors::TrustAnchors,
    bytes::Sha256Digest,
    certificate::{Certificate, Key},
    crypto::{self, Curve, Hash},
    error::{Check, EvidenceError},
    pem,
    time::UnixTime,
};

use super::Product;

/// Largest endorsement text; real ones have 6.5 KB.
const ENDORSEMENTS_LIMIT: usize = 16 * 1024;

/// RSASSA-PSS, SHA-384, MGF1-SHA-384, salt 48, without trailer field.
pub(crate) const PSS_SHA384: [u8; 67] = pss_without_trailer();
/// The same with the default trailer field spelled out.
pub(crate) const PSS_SHA384_TRAILER: [u8; 72] = pss_with_trailer();

/// A chain whose signatures hold up to the pinned root of a product. Holds no matter what time it is and what governance
/// says; both are checked at each use.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) vcek: Certificate,
    pub(crate) ask: Certificate,
    pub(crate) ark: Certificate,
    /// SHA-256 of the intermediate key.
    pub(crate) ask_digest: Sha256Digest,
}

impl Chain {
    /// SNP-05 to SNP-10.
    pub(crate) fn verify(
        endorsements: &[u8],
        product: Product,
        anchors: &TrustAnchors,
    ) -> Result<Self, EvidenceError> {
        let [vcek, ask, ark] = read(endorsements)?;
        if !anchors.trusts_ark(product, ark.spki_digest()) {
            return Err(EvidenceError::new(
                Check::Snp07,
                ark.spki_digest(),
                format_args!("the pinned {product} root"),
            ));
        }
        for certificate in [&ark, &ask, &vcek] {
            check_algorithm(certificate)?;
        }
        for (subject, issuer) in [(&ark, &ark), (&ask, &ark), (&vcek, &ask)] {
            check_issuer(subject, issuer)?;
        }
        for (subject, issuer) in [(&ark, &ark), (&ask, &ark), (&vcek, &ask)] {
            if !crypto::rsa_pss(Hash::Sha384, &issuer.spki, &subject.tbs, &subject.signature) {
                return Err(EvidenceError::new(
                    Check::Snp10,
                    format_args!("a signature on {} that does not verify", name(subject)),
                    format_args!("a signature by {}", name(issuer)),
                ));
            }
        }
        let ask_digest = ask.spki_digest();
        Ok(Self {
            vcek,
            ask,
            ark,
            ask_digest,
        })
    }

    /// SNP-11 and SNP-12, leaf first.
    pub(crate) fn check_validity(&self, now: UnixTime) -> Result<(), EvidenceError> {
        for certificate in [&self.vcek, &self.ask, &self.ark] {
            if now > certificate.not_after {
                return Err(EvidenceError::new(
                    Check::Snp11,
                    now,
                    format_args!("{} valid to {}", name(certificate), certificate.not_after),
                ));
            }
            if now < certificate.not_before {
                return Err(EvidenceError::new(
                    Check::Snp12,
                    now,
                    format_args!(
                        "{} valid from {}",
                        name(certificate),
                        certificate.not_before
                    ),
                ));
            }
        }
        Ok(())
    }

    /// SNP-13: the chip key as an uncompressed point.
    pub(crate) fn chip_key(&self) -> Result<&[u8], EvidenceError> {
        match &self.vcek.key {
            Key::Ec {
                curve: Curve::P384,
                point,
            } => Ok(point),
            _ => Err(EvidenceError::new(Check::Snp13, "another key", "EC P-384")),
        }
    }
}

fn read(endorsements: &[u8]) -> Result<[Certificate; 3], EvidenceError> {
    if endorsements.len() > ENDORSEMENTS_LIMIT {
        return Err(EvidenceError::new(
            Check::Snp05,
            format_args!("{} bytes", endorsements.len()),
            format_args!("at most {ENDORSEMENTS_LIMIT} bytes"),
        ));
    }
    let blocks = pem::read(endorsements, "CERTIFICATE", 3)
        .map_err(|error| EvidenceError::new(Check::Snp05, error, "three PEM certificates"))?;
    let mut certificates = Vec::with_capacity(3);
    let found = blocks.len();
    if found == 3 {
        for der in &blocks {
            certificates.push(Certificate::parse(der).map_err(|error| {
                EvidenceError::new(Check::Snp06, error, "an X.509 certificate in DER")
            })?);
        }
    }
    certificates.try_into().map_err(|_| {
        EvidenceError::new(
            Check::Snp05,
            format_args!("{found} certificates"),
            "three PEM certificates",
        )
    })
}

/// SNP-08. A comparison of bytes is the simplest defence against confusion of parameters.
fn check_algorithm(certificate: &Certificate) -> Result<(), EvidenceError> {
    let inner = certificate.inner_algorithm.as_slice();
    if inner == certificate.outer_algorithm && (inner == PSS_SHA384 || inner == PSS_SHA384_TRAILER)
    {
        return Ok(());
    }
    Err(EvidenceError::new(
        Check::Snp08,
        format_args!("{}: {}", name(certificate), hex::encode(inner)),
        "RSASSA-PSS with SHA-384 and salt 48, inside and outside",
    ))
}

/// SNP-09.
fn check_issuer(subject: &Certificate, issuer: &Certificate) -> Result<(), EvidenceError> {
    let rsa = matches!(
        issuer.key,
        Key::Rsa {
            bits: 4096,
            exponent: 65537
        }
    );
    if subject.issuer == issuer.subject && issuer.is_ca() && rsa {
        return Ok(());
    }
    Err(EvidenceError::new(
        Check::Snp09,
        format_args!("{} under {}", name(subject), name(issuer)),
        "an issuer of that name that is a certificate authority with an RSA-4096 key",
    ))
}

fn name(certificate: &Certificate) -> &str {
    certificate
        .common_name
        .as_deref()
        .unwrap_or("a certificate without one common name")
}

/// `SEQUENCE { id-RSASSA-PSS, SEQUENCE { [0] sha384, [1] mgf1(sha384), [2] 48 } }`
const fn pss_without_trailer() -> [u8; 67] {
    *b"\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\
       \x02\x02\x05\x00\xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\
       \x03\x04\x02\x02\x05\x00\xa2\x03\x02\x01\x30"
}

/// The same with `[3] 1`.
const fn pss_with_trailer() -> [u8; 72] {
    *b"\x30\x46\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x39\xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\
       \x02\x02\x05\x00\xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\
       \x03\x04\x02\x02\x05\x00\xa2\x03\x02\x01\x30\xa3\x03\x02\x01\x01"
}
