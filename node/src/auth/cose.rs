//! COSE_Sign1 request bodies as credentials (CCF interface, sections 2 and 2.7).
//!
//! ```text
//! 18([ protected: bstr .cbor { 1: alg, 4: kid, ? message type, ? created_at, ? proposal id },
//!      unprotected: {}, payload: bstr, signature: bstr ])
//! Sig_structure = ["Signature1", protected, h'', payload]        (RFC 9052, section 4.4)
//! ```

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED,
    EcdsaVerificationAlgorithm, UnparsedPublicKey,
};
use bytes::Bytes;
use ccf_rs::{Caller, CoseMessage, Error, MemberId, ReadHost, UserId};
use coset::cbor::value::Value;
use x509_parser::oid_registry;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::tables::{self, MEMBER_CERTS, MEMBER_INFO, MemberStatus, USER_CERTS};
use super::{AuthInput, Outcome, pem_to_der};

/// More parameters than any governance tool sends in one header map.
const MAX_PARAMETERS: usize = 16;
/// A key id is 64 hex digits.
const MAX_KID: usize = 128;

/// Names of the header parameters that an endpoint reads.
struct Names {
    message_type: &'static str,
    created_at: &'static str,
    proposal_id: Option<&'static str>,
    created_at_required: bool,
}

const MEMBER: Names = Names {
    message_type: "ccf.gov.msg.type",
    created_at: "ccf.gov.msg.created_at",
    proposal_id: Some("ccf.gov.msg.proposal_id"),
    created_at_required: true,
};

const USER: Names = Names {
    message_type: "ccf.msg.type",
    created_at: "ccf.msg.created_at",
    proposal_id: None,
    created_at_required: false,
};

/// A decoded envelope, nothing verified.
struct Envelope {
    protected: Vec<u8>,
    algorithm: i64,
    kid: Vec<u8>,
    /// `None` when the payload is detached.
    payload: Option<Vec<u8>>,
    signature: Vec<u8>,
    message_type: Option<String>,
    proposal_id: Option<String>,
    created_at: Option<u64>,
    /// A combination of parameters that no verifier may accept (RFC 9052, sections 3 and 3.1).
    inadmissible: bool,
}

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
        &MEMBER,
        "Signer is not a known member",
    )?;
    let (id, message) = match checked {
        Ok(signed) => signed,
        Err(reason) => return Ok(Outcome::Refused(reason)),
    };
    if let Some(reason) = wrong_type(&message, &MEMBER, want) {
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
    let checked = verify(input, host, USER_CERTS, &USER, "Signer is not a known user")?;
    let (id, message) = match checked {
        Ok(signed) => signed,
        Err(reason) => return Ok(Outcome::Refused(reason)),
    };
    if let Some(reason) = wrong_type(&message, &USER, want) {
        return Ok(Outcome::Refused(reason));
    }
    Ok(Outcome::accept(Caller::UserCose(
        UserId(id),
        Box::new(message),
    )))
}

/// The reason in CCF's words, which its clients compare.
fn wrong_type(message: &CoseMessage, names: &Names, want: Option<&'static str>) -> Option<String> {
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
    names: &Names,
    unknown: &str,
) -> Result<Result<(String, CoseMessage), String>, Error> {
    match input.headers.first("content-type") {
        Some("application/cose") => {}
        Some(_) => return Ok(Err("Unsupported content type".to_owned())),
        None => return Ok(Err("Missing content-type header".to_owned())),
    }
    let envelope =
        decode(input.body, names).map_err(|text| Error::refused(500, "InternalError", text))?;
    if !matches!(envelope.algorithm, -7 | -35 | -36) {
        return Ok(Err(format!(
            "Unsupported algorithm: {}",
            envelope.algorithm
        )));
    }
    let kid = String::from_utf8(envelope.kid.clone())
        .ok()
        .filter(|kid| kid.len() <= MAX_KID);
    let Some(id) = kid else {
        return Ok(Err(unknown.to_owned()));
    };
    let Some(certificate) = tables::text(host, certificates, id.as_bytes())? else {
        return Ok(Err(unknown.to_owned()));
    };
    let Some(payload) = signed_payload(envelope.payload.as_deref(), &envelope, &certificate) else {
        return Ok(Err("Failed to validate COSE Sign1".to_owned()));
    };
    Ok(Ok((
        id,
        CoseMessage {
            payload: Bytes::copy_from_slice(payload),
            envelope: input.body.clone(),
            signature: Bytes::from(envelope.signature.clone()),
            message_type: envelope.message_type.clone(),
            proposal_id: envelope.proposal_id.clone(),
            created_at: envelope.created_at,
        },
    )))
}

/// The payload, if the certificate's key signed it.
fn signed_payload<'p>(
    payload: Option<&'p [u8]>,
    envelope: &Envelope,
    certificate: &str,
) -> Option<&'p [u8]> {
    let payload = payload.filter(|_| !envelope.inadmissible)?;
    let der = pem_to_der(certificate)?;
    let (_, parsed) = X509Certificate::from_der(&der).ok()?;
    let key = parsed.public_key();
    let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
    let algorithm: &EcdsaVerificationAlgorithm = match envelope.algorithm {
        -7 if curve == oid_registry::OID_EC_P256 => &ECDSA_P256_SHA256_FIXED,
        -35 if curve == oid_registry::OID_NIST_EC_P384 => &ECDSA_P384_SHA384_FIXED,
        -36 if curve == oid_registry::OID_NIST_EC_P521 => &ECDSA_P521_SHA512_FIXED,
        _ => return None,
    };
    let mut signed = Vec::with_capacity(payload.len() + envelope.protected.len() + 32);
    signed.push(0x84);
    item(&mut signed, 0x60, b"Signature1");
    item(&mut signed, 0x40, &envelope.protected);
    item(&mut signed, 0x40, b"");
    item(&mut signed, 0x40, payload);
    UnparsedPublicKey::new(algorithm, &key.subject_public_key.data)
        .verify(&signed, &envelope.signature)
        .ok()?;
    Some(payload)
}

/// Appends a definite-length CBOR string of this major type, shortest head (RFC 8949, section 3).
fn item(out: &mut Vec<u8>, major: u8, bytes: &[u8]) {
    let len = bytes.len() as u64;
    match len {
        0..=23 => out.push(major | len as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, len as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

fn decode(body: &[u8], names: &Names) -> Result<Envelope, &'static str> {
    const OUTER: &str = "Failed to parse COSE_Sign1 outer array";
    const HEADER: &str = "Failed to decode protected header";
    let parts = match parse(body).ok_or(OUTER)? {
        Value::Tag(18, inner) => match *inner {
            Value::Array(parts) => parts,
            _ => return Err(OUTER),
        },
        Value::Tag(..) | Value::Array(_) => return Err("COSE_Sign1 is not tagged"),
        _ => return Err(OUTER),
    };
    let [protected, unprotected, payload, signature] =
        <[Value; 4]>::try_from(parts).map_err(|_| OUTER)?;
    let protected = protected.into_bytes().map_err(|_| HEADER)?;
    let unprotected = unprotected.into_map().map_err(|_| OUTER)?;
    let payload = match payload {
        Value::Null => None,
        Value::Bytes(bytes) => Some(bytes),
        _ => return Err(OUTER),
    };
    let signature = signature.into_bytes().map_err(|_| OUTER)?;
    let map = parse(&protected)
        .and_then(|value| value.into_map().ok())
        .ok_or(HEADER)?;
    let mut envelope = Envelope {
        protected,
        algorithm: 0,
        kid: Vec::new(),
        payload,
        signature,
        message_type: None,
        proposal_id: None,
        created_at: None,
        inadmissible: false,
    };
    envelope.inadmissible = inadmissible(&map, &unprotected);
    let (mut algorithm, mut kid) = (None, None);
    if map.len() <= MAX_PARAMETERS {
        for (label, value) in map {
            match label {
                Value::Integer(label) if label == 1.into() => {
                    let value = value.into_integer().map_err(|_| HEADER)?;
                    algorithm = Some(i64::try_from(value).map_err(|_| HEADER)?);
                }
                Value::Integer(label) if label == 4.into() => {
                    kid = Some(value.into_bytes().map_err(|_| HEADER)?);
                }
                Value::Text(name) if name == names.message_type => {
                    envelope.message_type = Some(value.into_text().map_err(|_| HEADER)?);
                }
                Value::Text(name) if Some(name.as_str()) == names.proposal_id => {
                    envelope.proposal_id = Some(value.into_text().map_err(|_| HEADER)?);
                }
                Value::Text(name) if name == names.created_at => {
                    let value = value.into_integer().map_err(|_| HEADER)?;
                    envelope.created_at = match u64::try_from(value) {
                        Ok(stamp) => Some(stamp),
                        Err(_) if names.created_at_required => {
                            return Err("Header parameter created_at must be positive");
                        }
                        Err(_) => None,
                    };
                }
                _ => {}
            }
        }
    } else {
        return Err(HEADER);
    }
    envelope.algorithm = algorithm.ok_or("Missing algorithm in protected header")?;
    envelope.kid = kid.ok_or("Missing kid in protected header")?;
    if names.created_at_required && envelope.created_at.is_none() {
        return Err("Missing created_at in protected header");
    }
    Ok(envelope)
}

/// One CBOR item and nothing behind it.
fn parse(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    let value = coset::cbor::de::from_reader(&mut rest).ok()?;
    rest.is_empty().then_some(value)
}

/// Whether the header maps break a rule of COSE: a label twice, or `crit` (2), which names
/// parameters that must be understood, while none beyond those read here is.
fn inadmissible(protected: &[(Value, Value)], unprotected: &[(Value, Value)]) -> bool {
    if protected.len() > MAX_PARAMETERS || unprotected.len() > MAX_PARAMETERS {
        return true;
    }
    let labels: Vec<&Value> = protected
        .iter()
        .chain(unprotected)
        .map(|(label, _)| label)
        .collect();
    let crit = Value::Integer(2.into());
    labels
        .iter()
        .enumerate()
        .any(|(at, label)| **label == crit || labels.iter().skip(at + 1).any(|l| l == label))
}
