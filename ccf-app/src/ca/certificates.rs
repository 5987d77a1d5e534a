//! X.509 certificates of authorities and clean rooms (application specification, section 2.10).
//!
//! An authority certifies itself for 100 days with a P-384 key. What it signs is for servers and clients, never for another authority, and never
//! outlives the authority's own certificate.

use std::time::Duration;

use attestation::AppraisedClaims;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use ccf_rs::{Error, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384,
    PublicKeyData, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use time::OffsetDateTime;
use x509_parser::pem::parse_x509_pem;
use zeroize::Zeroizing;

/// A new authority, everything in PEM.
pub(super) struct NewAuthority {
    pub(super) public_key: String,
    pub(super) private_key: Zeroizing<String>,
    pub(super) certificate: String,
}

/// A stored authority, both in PEM.
pub(super) struct Authority<'a> {
    pub(super) certificate: &'a str,
    pub(super) private_key: &'a str,
}

/// What is to be certified.
pub(super) struct Leaf<'a> {
    /// PEM.
    pub(super) public_key: &'a str,
    pub(super) subject: DistinguishedName,
    pub(super) alternative_names: Vec<SanType>,
    pub(super) days: u32,
}

/// What was certified.
pub(super) struct Made {
    /// PEM.
    pub(super) certificate: String,
    pub(super) serial: [u8; 16],
    /// Seconds since 1970.
    pub(super) not_after: i64,
    /// SubjectPublicKeyInfo in DER.
    pub(super) public_key: Vec<u8>,
}

const NAME: &str = "Azure Clean Room CA";
const DAYS: u32 = 100;

/// Makes an authority.
pub(super) fn authority(now: Duration) -> Result<NewAuthority> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).map_err(library)?;
    let (mut params, _) = base(now, DAYS, None)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, DnValue::Utf8String(NAME.to_owned()));
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(library)?;
    Ok(NewAuthority {
        public_key: key.public_key_pem(),
        private_key: Zeroizing::new(key.serialize_pem()),
        certificate: certificate.pem(),
    })
}

/// Certifies what appraised code asks for.
///
/// # Errors
/// 400 `InvalidInput` when the key is none; 405 `CACertificateExpired`.
pub(super) fn certify(
    _: &AppraisedClaims,
    authority: &Authority<'_>,
    leaf: Leaf<'_>,
    now: Duration,
) -> Result<Made> {
    let public_key = SubjectPublicKeyInfo::from_pem(leaf.public_key).map_err(|_| {
        Error::bad_request(
            "InvalidInput",
            "The public key is none that can be certified.",
        )
    })?;
    let ends = end_of(authority.certificate)?;
    let (mut params, serial) = base(now, leaf.days, Some(ends))?;
    if params.not_after <= at(now)? {
        return Err(Error::refused(
            405,
            "CACertificateExpired",
            "The authority's certificate has expired: members have to rotate its key.",
        ));
    }
    params.distinguished_name = leaf.subject;
    params.subject_alt_names = leaf.alternative_names;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::from_pem(authority.private_key).map_err(|_| unreadable("key"))?;
    let issuer = Issuer::from_ca_cert_pem(authority.certificate, key)
        .map_err(|_| unreadable("certificate"))?;
    let certificate = params.signed_by(&public_key, &issuer).map_err(library)?;
    Ok(Made {
        certificate: certificate.pem(),
        serial,
        not_after: params.not_after.unix_timestamp(),
        public_key: public_key.subject_public_key_info(),
    })
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Valid from a day ago, because clocks differ, for so many days from now, less a second, but not beyond `ends`.
fn base(
    now: Duration,
    days: u32,
    ends: Option<OffsetDateTime>,
) -> Result<(CertificateParams, [u8; 16])> {
    let mut serial = [0; 16];
    SystemRandom::new()
        .fill(&mut serial)
        .map_err(|_| library("no randomness"))?;
    // The top bit would make the number negative, and a zero in front would not be written.
    serial[0] = (serial[0] & 0x7f) | 0x40;
    let until = now + DAY.saturating_mul(days) - Duration::from_secs(1);
    let until = at(until)?;
    let mut params = CertificateParams::default();
    params.not_before = at(now.saturating_sub(DAY))?;
    params.not_after = ends.map_or(until, |ends| until.min(ends));
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.use_authority_key_identifier_extension = true;
    Ok((params, serial))
}

/// The time; the last of year 9999 for what no certificate can say.
fn at(time: Duration) -> Result<OffsetDateTime> {
    const LAST: i64 = 253_402_300_799;
    let seconds = i64::try_from(time.as_secs()).unwrap_or(LAST).min(LAST);
    OffsetDateTime::from_unix_timestamp(seconds).map_err(library)
}

fn end_of(certificate: &str) -> Result<OffsetDateTime> {
    let (_, pem) = parse_x509_pem(certificate.as_bytes()).map_err(|_| unreadable("certificate"))?;
    let certificate = pem.parse_x509().map_err(|_| unreadable("certificate"))?;
    Ok(certificate.validity().not_after.to_datetime())
}

fn unreadable(what: &str) -> Error {
    Error::Stored {
        table: "ca.signing_keys".to_owned(),
        reason: format!("the {what} of the authority cannot be read"),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "used as an error mapper")]
fn library(error: impl ToString) -> Error {
    Error::Internal(format!("certificate: {}", error.to_string()))
}
