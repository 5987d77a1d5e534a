//! X.509 certificates as CCF makes them: self-signed for the service and for a starting
//! node, and for a node endorsed by the service.

use std::net::IpAddr;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, DnValue, IsCa, Issuer, KeyUsagePurpose, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use time::format_description::{self, well_known::Rfc3339};
use time::{Duration, OffsetDateTime, PrimitiveDateTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::key::IdentityKey;

/// Subject and alternative names of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Distinguished name as CCF's configuration writes it: `CN=CCF Node`, parts separated by
    /// commas.
    pub name: String,
    /// Alternative names: `iPAddress:127.0.0.1`, `dNSName:example.org`.
    pub alternative_names: Vec<String>,
}

/// When a certificate is valid: from a time, for a number of days less one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub from: OffsetDateTime,
    /// Days.
    pub days: u32,
}

/// A certificate could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// A subject name is not of the form `CN=...`.
    #[error("subject name {got:?}: want parts of the form CN=..., O=... separated by commas")]
    SubjectName {
        /// The name as given.
        got: String,
    },
    /// An alternative name is not of a known form.
    #[error("subject alternative name {got:?}: want iPAddress:ADDRESS or dNSName:NAME")]
    AlternativeName {
        /// The name as given.
        got: String,
    },
    /// A start of validity is not a time.
    #[error(
        "{got:?} is not a time (want YYMMDDHHMMSSZ, YYYYMMDDHHMMSSZ, YYYY-MM-DD HH:MM:SS or RFC 3339)"
    )]
    ValidFrom {
        /// The text as given.
        got: String,
    },
    /// The validity does not fit a certificate.
    #[error("a validity of {days} days from {from} is out of range")]
    Validity {
        /// First second.
        from: OffsetDateTime,
        /// Days asked for.
        days: u32,
    },
    /// A certificate signing request is malformed or not signed by its own key.
    #[error("certificate signing request: {reason}")]
    Request {
        /// What the parser said.
        reason: String,
    },
    /// The library failed.
    #[error("certificate: {reason}")]
    Library {
        /// What it said.
        reason: String,
    },
}

/// The service's certificate, PEM.
pub fn self_signed_service(
    key: &IdentityKey,
    name: &str,
    validity: Validity,
) -> Result<String, CertificateError> {
    let params = service_params(name, validity)?;
    Ok(params
        .self_signed(key.for_certificates())
        .map_err(library)?
        .pem())
}

/// A node's certificate before the service endorses it, PEM.
pub fn self_signed_node(
    key: &IdentityKey,
    subject: &Subject,
    validity: Validity,
) -> Result<String, CertificateError> {
    let mut params = node_params(subject, validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(params
        .self_signed(key.for_certificates())
        .map_err(library)?
        .pem())
}

/// A node's request for endorsement, PEM.
pub fn signing_request(key: &IdentityKey, subject: &Subject) -> Result<String, CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(&subject.name)?;
    params.subject_alt_names = alternative_names(&subject.alternative_names)?;
    params
        .serialize_request(key.for_certificates())
        .and_then(|request| request.pem())
        .map_err(library)
}

/// A node's certificate endorsed by the service, PEM.
pub fn endorse_node(
    node: &IdentityKey,
    subject: &Subject,
    validity: Validity,
    service: &IdentityKey,
    service_name: &str,
) -> Result<String, CertificateError> {
    let params = node_params(subject, validity)?;
    let issuer = Issuer::new(
        service_params(service_name, validity)?,
        service.for_certificates(),
    );
    Ok(params
        .signed_by(node.for_certificates(), &issuer)
        .map_err(library)?
        .pem())
}

/// A node's certificate endorsed by the service from the node's own request, PEM.
pub fn endorse_request(
    request_pem: &str,
    validity: Validity,
    service: &IdentityKey,
    service_name: &str,
) -> Result<String, CertificateError> {
    let mut request = CertificateSigningRequestParams::from_pem(request_pem).map_err(|e| {
        CertificateError::Request {
            reason: e.to_string(),
        }
    })?;
    let asked = std::mem::replace(&mut request.params, base_params(validity)?);
    request.params.distinguished_name = asked.distinguished_name;
    request.params.subject_alt_names = asked.subject_alt_names;
    request.params.is_ca = IsCa::ExplicitNoCa;
    let issuer = Issuer::new(
        service_params(service_name, validity)?,
        service.for_certificates(),
    );
    Ok(request.signed_by(&issuer).map_err(library)?.pem())
}

/// A certificate over the key (SubjectPublicKeyInfo in DER) of an earlier service, issued by the current one, PEM.
pub fn endorse_service(
    earlier: &[u8],
    name: &str,
    validity: Validity,
    service: &IdentityKey,
) -> Result<String, CertificateError> {
    let params = service_params(name, validity)?;
    let issuer = Issuer::new(params.clone(), service.for_certificates());
    let earlier = SubjectPublicKeyInfo::from_der(earlier).map_err(library)?;
    Ok(params.signed_by(&earlier, &issuer).map_err(library)?.pem())
}

/// The subject of a certificate in PEM, in the form that [`self_signed_service`] takes.
pub fn subject_of(pem: &str) -> Result<String, CertificateError> {
    let der = certificate_der(pem)?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(library)?;
    let name = certificate.subject().to_string();
    distinguished_name(&name)?;
    Ok(name)
}

/// DER of the first certificate in a PEM text.
pub fn certificate_der(pem: &str) -> Result<Vec<u8>, CertificateError> {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(library)?;
    Ok(block.contents)
}

/// When a certificate is valid, in whole days.
pub fn validity_of(pem: &str) -> Result<Validity, CertificateError> {
    let der = certificate_der(pem)?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(library)?;
    let validity = certificate.validity();
    let seconds = validity.not_after.timestamp() - validity.not_before.timestamp() + 1;
    Ok(Validity {
        from: validity.not_before.to_datetime(),
        days: u32::try_from(seconds / 86_400).unwrap_or(u32::MAX).max(1),
    })
}

/// A start of validity as governance writes it (CCF interface, section 4.9).
pub fn parse_valid_from(text: &str) -> Result<OffsetDateTime, CertificateError> {
    let error = || CertificateError::ValidFrom {
        got: text.chars().take(64).collect(),
    };
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(time);
    }
    // A two-digit year is of this century: certificates of the past one have expired.
    let century = if text.len() == 13 {
        format!("20{text}")
    } else {
        text.to_owned()
    };
    let forms = [
        "[year][month][day][hour][minute][second]Z",
        "[year]-[month]-[day] [hour]:[minute]:[second]",
    ];
    forms
        .iter()
        .filter_map(|form| format_description::parse_borrowed::<2>(form).ok())
        .find_map(|form| PrimitiveDateTime::parse(&century, &form).ok())
        .map(PrimitiveDateTime::assume_utc)
        .ok_or_else(error)
}

fn service_params(name: &str, validity: Validity) -> Result<CertificateParams, CertificateError> {
    let mut params = base_params(validity)?;
    params.distinguished_name = distinguished_name(name)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
    ];
    Ok(params)
}

fn node_params(
    subject: &Subject,
    validity: Validity,
) -> Result<CertificateParams, CertificateError> {
    let mut params = base_params(validity)?;
    params.distinguished_name = distinguished_name(&subject.name)?;
    params.subject_alt_names = alternative_names(&subject.alternative_names)?;
    params.is_ca = IsCa::ExplicitNoCa;
    Ok(params)
}

fn base_params(validity: Validity) -> Result<CertificateParams, CertificateError> {
    let Validity { from, days } = validity;
    let out_of_range = CertificateError::Validity { from, days };
    let length = Duration::days(i64::from(days))
        .checked_sub(Duration::SECOND)
        .filter(|d| d.is_positive());
    let until = length
        .and_then(|length| from.checked_add(length))
        .ok_or(out_of_range)?;
    let mut serial = [0; 16];
    SystemRandom::new()
        .fill(&mut serial)
        .map_err(|_| library("no randomness"))?;
    // The top bit would make the number negative.
    serial[0] &= 0x7f;
    let mut params = CertificateParams::default();
    params.not_before = from;
    params.not_after = until;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn distinguished_name(text: &str) -> Result<DistinguishedName, CertificateError> {
    let error = || CertificateError::SubjectName {
        got: text.to_owned(),
    };
    let mut name = DistinguishedName::new();
    for part in text.split(',') {
        let (kind, value) = part.trim().split_once('=').ok_or_else(error)?;
        let kind = match kind {
            "C" => DnType::CountryName,
            "CN" => DnType::CommonName,
            "L" => DnType::LocalityName,
            "O" => DnType::OrganizationName,
            "OU" => DnType::OrganizationalUnitName,
            "ST" => DnType::StateOrProvinceName,
            _ => return Err(error()),
        };
        if value.is_empty() {
            return Err(error());
        }
        name.push(kind, DnValue::Utf8String(value.to_owned()));
    }
    Ok(name)
}

fn alternative_names(names: &[String]) -> Result<Vec<SanType>, CertificateError> {
    names
        .iter()
        .map(|name| {
            let error = || CertificateError::AlternativeName { got: name.clone() };
            match name.split_once(':') {
                Some(("iPAddress", address)) => address
                    .parse::<IpAddr>()
                    .map(SanType::IpAddress)
                    .map_err(|_| error()),
                Some(("dNSName", name)) => name
                    .to_owned()
                    .try_into()
                    .map(SanType::DnsName)
                    .map_err(|_| error()),
                _ => Err(error()),
            }
        })
        .collect()
}

#[allow(clippy::needless_pass_by_value, reason = "used as an error mapper")]
fn library(error: impl ToString) -> CertificateError {
    CertificateError::Library {
        reason: error.to_string(),
    }
}
