//! Writing events: signed by an attested key, or sent with a token that the contract's policy admits.

use attestation::{Alternative, Sha256Digest, verify_payload};
use ccf_rs::{Caller, Context, Error, Raw, Reply, Result, Table, WriteContext};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{EVENTS, Event, Place, Writer};
use crate::App;
use crate::callers::{self, Token};
use crate::delegates;
use crate::envelope::{self, Envelope, SignedPayload};
use crate::ids::ContractId;
use crate::policies::{self, ContractPolicy};
use crate::replays::{self, Seen, Signer};

static ROWS: Table<String, Vec<u8>, Raw> = Table::raw(EVENTS);

/// A delegate policy for this purpose admits other writers.
const DELEGATE: (&str, &str) = ("events", "writer");

/// Largest timestamp: 13 digits, the year 2286.
const LARGEST: u64 = 9_999_999_999_999;

pub(super) fn write(app: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    let place = Place::of(ctx, &contract)?;
    if place.id.is_empty() {
        return Err(Error::bad_request("InvalidInput", "The event has no id."));
    }
    let envelope = Envelope::from_body(ctx)?;
    let token = match ctx.caller() {
        Caller::Jwt(claims) => Some(Token::of(claims.as_ref())?),
        _ => {
            envelope.require_attestation()?;
            None
        }
    };
    envelope.require_signature()?;
    let timestamp = timestamp(&envelope.timestamp)?;
    let written = match &token {
        Some(token) => by_token(app, ctx, &contract, &envelope, token)?,
        None => by_evidence(app, ctx, &contract, &envelope)?,
    };
    let Written {
        payload, signer, ..
    } = written;
    let data: Box<RawValue> = payload.json("InvalidInput")?;

    let key = place.key(&contract);
    let target = format!("event {key}");
    if replays::check(ctx, &contract, signer, &target, &payload.signature)? == Seen::Again {
        return Ok(Reply::no_content());
    }
    let event = Event {
        timestamp,
        data,
        received_at: u64::try_from(ctx.untrusted_time().as_millis()).unwrap_or(u64::MAX),
        timestamp_signed: written.timestamp_signed,
        writer: written.writer,
    };
    let row = serde_json::to_vec(&event).map_err(|e| Error::Internal(e.to_string()))?;
    ctx.table(&ROWS).put(&key, &row)?;
    ctx.set_claims_digest(*Sha256Digest::of(&row).as_bytes())?;
    Ok(Reply::no_content())
}

/// What was written, and by whom.
struct Written {
    payload: SignedPayload,
    signer: Signer,
    writer: Writer,
    timestamp_signed: bool,
}

fn by_evidence(
    app: &App,
    ctx: &mut WriteContext<'_>,
    contract: &ContractId,
    envelope: &Envelope,
) -> Result<Written> {
    let verified = envelope.verify(app, ctx)?;
    let policy = policies::of_contract(ctx, contract)?;
    let (kind, id) = DELEGATE;
    let delegate = delegates::installed(ctx, contract, kind, id)?;
    let delegate = delegate.as_ref();
    let alternative = delegate.map(|delegate| &delegate.claims);
    let (claims, timestamp_signed) =
        envelope.appraise_event(ctx, &verified, &policy, alternative)?;
    delegates::check_admitted(app, ctx, contract, &policy, delegate, claims.alternative())?;
    let payload = envelope.signed_payload(&claims)?;
    let alternative = match claims.alternative() {
        Alternative::Contract => "contract",
        Alternative::Delegate => "delegate",
    };
    let writer = Writer::Code {
        host_data: claims.host_data().to_string(),
        key: claims.key_digest().to_string(),
        evidence: claims.evidence_digest().to_string(),
        alternative: alternative.to_owned(),
    };
    Ok(Written {
        payload,
        signer: claims.alternative().into(),
        writer,
        timestamp_signed,
    })
}

/// A token instead of evidence: only what a policy says about tokens counts, and it must say something (W7). The key that
/// signs is then the caller's choice.
fn by_token(
    app: &App,
    ctx: &mut WriteContext<'_>,
    contract: &ContractId,
    envelope: &Envelope,
    token: &Token,
) -> Result<Written> {
    let policy: ContractPolicy = policies::of_contract(ctx, contract)?;
    let (kind, id) = DELEGATE;
    let delegate = delegates::installed(ctx, contract, kind, id)?;
    let delegate = delegate.filter(|delegate| callers::admits(&delegate.claims, token));
    let by_contract = callers::admits(&policy.claims, token);
    if policy.claims.is_empty() || !(by_contract || delegate.is_some()) {
        return Err(Error::bad_request(
            "VerifyJwtAttestationFailed",
            "The policy does not admit the token.",
        ));
    }
    if let (false, Some(delegate)) = (by_contract, &delegate) {
        delegate.check_counts(app, ctx, contract, &policy)?;
    }
    let payload = envelope.unverified_payload()?;
    verify_payload(&envelope.signing_key(), &payload.data, &payload.signature)
        .map_err(|error| envelope::signature_mismatch(Some(error.check())))?;
    let claim = |name: &str| token.text(name).map(str::to_owned);
    let writer = Writer::Token {
        issuer: token.issuer().to_owned(),
        oid: claim("oid"),
        sub: claim("sub"),
    };
    Ok(Written {
        payload,
        signer: Signer::Token,
        writer,
        timestamp_signed: false,
    })
}

/// Up to 13 digits, as text or as a number; stored as 13 digits.
fn timestamp(given: &Value) -> Result<String> {
    if !crate::json::given(given) {
        return Err(Error::bad_request(
            "TimestampMissing",
            "The event has no timestamp.",
        ));
    }
    let digits = match given {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let digits = digits
        .filter(|text| text.len() <= 64 && text.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| {
            Error::bad_request(
                "TimestampInvalid",
                "The timestamp is not a number of milliseconds in digits.",
            )
        })?;
    match digits.parse::<u64>() {
        Ok(millis) if millis <= LARGEST => Ok(format!("{millis:013}")),
        _ => Err(Error::bad_request(
            "TimestampTooLarge",
            "The timestamp has more than 13 digits.",
        )
        .with_detail(json!({ "got": digits, "want": LARGEST }))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_up_to_thirteen_digits() {
        for (given, want) in [
            (json!("5"), Ok("0000000000005")),
            (json!(1_700_000_000_000_u64), Ok("1700000000000")),
            (json!("9999999999999"), Ok("9999999999999")),
            (json!("00000000000000001"), Ok("0000000000001")),
            (json!("10000000000000"), Err("TimestampTooLarge")),
            (json!("99999999999999999999999"), Err("TimestampTooLarge")),
            (json!(null), Err("TimestampMissing")),
            (json!(""), Err("TimestampMissing")),
            (json!(0), Err("TimestampMissing")),
            (json!("abc"), Err("TimestampInvalid")),
            (json!("-5"), Err("TimestampInvalid")),
            (json!(" 5 "), Err("TimestampInvalid")),
            (json!(1.5), Err("TimestampInvalid")),
            (json!([5]), Err("TimestampInvalid")),
        ] {
            let got = timestamp(&given);
            let got = got.as_deref().map_err(Error::code);
            assert_eq!(got, want, "{given}");
        }
    }
}
