//! COSE_Sign1 request bodies as credentials (CCF interface, sections 2 and 2.7): [`ledger::Envelope`] by a member or a user.

use bytes::Bytes;
use ccf_rs::{Caller, CoseMessage, Error, MemberId, ReadHost, UserId};
use ledger::{Envelope, HeaderNames};

use super::tables::{self, MEMBER_CERTS, MEMBER_INFO, MemberStatus, USER_CERTS};
use super::{AuthInput, Outcome};

/// A key id is 64 hex digits.
const MAX_KID: usize = 128;

/// Policies `member_cose_sign1` and `active_member_cose_sign1`.
pub(super) fn member(
    input: &AuthInput<'_>,
    host: &mut dyn ReadHost,
    active: bool,
    want: Option<&'static str>,
) -> Result<Outcome, Error> {
    let checked = verify(
        input,
        host,
        MEMBER_CERTS,
        &HeaderNames::MEMBER,
        "Signer is not a known member",
    )?;
    let (id, message) = match checked {
        Ok(signed) => signed,
        Err(reason) => return Ok(Outcome::Refused(reason)),
    };
    if let Some(reason) = wrong_type(&message, &HeaderNames::MEMBER, want) {
        return Ok(Outcome::Refused(reason));
    }
    if active {
        let info: Option<MemberStatus> = tables::json(host, MEMBER_INFO, id.as_bytes())?;
        if info.is_none_or(|info| info.status != "Active") {
            return Ok(Outcome::refuse("Signer is not an ACTIVE member"));
        }
    }
    Ok(Outcome::accept(Caller::MemberCose(
        MemberId(id),
        Box::new(message),
    )))
}

/// Policies `user_cose_sign1` and `typed_user_cose_sign1`.
pub(super) fn user(
    input: &AuthInput<'_>,
    host: &mut dyn ReadHost,
    want: Option<&'static str>,
) -> Result<Outcome, Error> {
    let checked = verify(
        input,
        host,
        USER_CERTS,
        &HeaderNames::USER,
        "Signer is not a known user",
    )?;
    let (id, message) = match checked {
        Ok(signed) => signed,
        Err(reason) => return Ok(Outcome::Refused(reason)),
    };
    if let Some(reason) = wrong_type(&message, &HeaderNames::USER, want) {
        return Ok(Outcome::Refused(reason));
    }
    Ok(Outcome::accept(Caller::UserCose(
        UserId(id),
        Box::new(message),
    )))
}

/// The reason in CCF's words, which its clients compare.
fn wrong_type(
    message: &CoseMessage,
    names: &HeaderNames,
    want: Option<&'static str>,
) -> Option<String> {
    let (want, name) = (want?, names.message_type);
    match message.message_type.as_deref() {
        Some(got) if got == want => None,
        Some(got) => Some(format!(
            "Found {name} set to {}, expected {name} to be {want}",
            got.chars().take(64).collect::<String>()
        )),
        None => Some(format!("Missing {name}, expected {name} to be {want}")),
    }
}

/// The checks of section 2.2, steps 1 to 5, in that order. The inner error is a 401 reason.
fn verify(
    input: &AuthInput<'_>,
    host: &mut dyn ReadHost,
    certificates: &'static str,
    names: &HeaderNames,
    unknown: &str,
) -> Result<Result<(String, CoseMessage), String>, Error> {
    match input.headers.first("content-type") {
        Some("application/cose") => {}
        Some(_) => return Ok(Err("Unsupported content type".to_owned())),
        None => return Ok(Err("Missing content-type header".to_owned())),
    }
    let envelope = Envelope::decode(input.body, names)
        .map_err(|error| Error::refused(500, "InternalError", error.to_string()))?;
    if !matches!(envelope.algorithm, -7 | -35 | -36) {
        return Ok(Err(format!(
            "Unsupported algorithm: {}",
            envelope.algorithm
        )));
    }
    let kid = std::str::from_utf8(&envelope.kid)
        .ok()
        .filter(|kid| kid.len() <= MAX_KID);
    let Some(id) = kid else {
        return Ok(Err(unknown.to_owned()));
    };
    let Some(certificate) = tables::text(host, certificates, id.as_bytes())? else {
        return Ok(Err(unknown.to_owned()));
    };
    let Ok(payload) = envelope.verify(&certificate) else {
        return Ok(Err("Failed to validate COSE Sign1".to_owned()));
    };
    let message = CoseMessage {
        payload: Bytes::copy_from_slice(payload),
        envelope: input.body.clone(),
        signature: Bytes::copy_from_slice(&envelope.signature),
        message_type: envelope.message_type.clone(),
        proposal_id: envelope.proposal_id.clone(),
        created_at: envelope.created_at,
    };
    Ok(Ok((id.to_owned(), message)))
}
