//! TLS client certificates as credentials (CCF interface, section 3.1).

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use ccf_rs::{Caller, Error, MemberId, ReadHost, UserId};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Outcome;
use super::tables::{MEMBER_CERTS, USER_CERTS};

/// Id of a member or user: lower-case hex SHA-256 of the certificate's DER.
pub fn certificate_id(der: &[u8]) -> String {
    hex::encode(digest(&SHA256, der))
}

/// DER of the first certificate in PEM text; `None` when there is none.
pub fn pem_to_der(pem: &str) -> Option<Vec<u8>> {
    Pem::iter_from_buffer(pem.as_bytes())
        .map_while(Result::ok)
        .find(|block| block.label == "CERTIFICATE")
        .map(|block| block.contents)
}

/// Policy `member_cert`: known, whatever the status and the certificate's dates.
pub(super) fn member(
    certificate: Option<&[u8]>,
    host: &mut dyn ReadHost,
) -> Result<Outcome, Error> {
    let Some(der) = certificate else {
        return Ok(Outcome::refuse("No caller member certificate"));
    };
    let id = certificate_id(der);
    Ok(if host.has(MEMBER_CERTS, id.as_bytes())? {
        Outcome::accept(Caller::Member(MemberId(id)))
    } else {
        Outcome::refuse("Could not find matching member certificate")
    })
}

/// Policy `user_cert`: valid now, and known.
pub(super) fn user(
    certificate: Option<&[u8]>,
    host: &mut dyn ReadHost,
    now: Duration,
) -> Result<Outcome, Error> {
    let Some(der) = certificate else {
        return Ok(Outcome::refuse("No caller user certificate"));
    };
    if let Err(reason) = valid_at(der, now) {
        return Ok(Outcome::Refused(reason));
    }
    let id = certificate_id(der);
    Ok(if host.has(USER_CERTS, id.as_bytes())? {
        Outcome::accept(Caller::User(UserId(id)))
    } else {
        Outcome::refuse("Could not find matching user certificate")
    })
}

/// Policy `any_cert`: valid now.
pub(super) fn any(certificate: Option<&[u8]>, now: Duration) -> Outcome {
    let Some(der) = certificate else {
        return Outcome::refuse("No caller certificate");
    };
    match valid_at(der, now) {
        Ok(()) => Outcome::accept(Caller::Certificate(Bytes::copy_from_slice(der))),
        Err(reason) => Outcome::Refused(reason),
    }
}

fn valid_at(der: &[u8], now: Duration) -> Result<(), String> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| "Caller certificate cannot be read")?;
    let validity = certificate.validity();
    let (from, to) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < from || now > to {
        return Err(format!(
            "Current time {now} is outside the certificate's validity (Not Before {from}, Not After {to})"
        ));
    }
    Ok(())
}
