//! Freshness of attested requests (W5, H8): challenges, and signatures over the request itself.
//!
//! Evidence by itself never ages. A clean room may ask for a challenge and answer it: a container group in the second half of its report
//! data, which is then the SHA-256 of the challenge's text; a confidential VM in its quote. It may also sign the request: what it asks
//! for, when, and what it sends. Both are verified whenever they are there. Members of a contract can ask for either
//! (`requireChallenge`, `requireRequestSignature`).
//!
//! A challenge is a time and a code over contract and time, by a key that this process made for itself. Nothing is stored, so nobody can fill
//! a table by asking; a challenge ends with its five minutes, by the host's clock, or with the process that issued it.

use attestation::{AppraisedClaims, Sha256Digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use ccf_rs::{Context, Endpoints, Error, Forwarding, ReadContext, Reply, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::App;
use crate::evidence::decode;
use crate::governed;
use crate::ids::{ContractId, composite};
use crate::json::given;

/// Only the node that issued a challenge knows it again. That is the primary, as long as it is one: whatever takes a challenge goes there.
pub(crate) const WHERE_ISSUED: Forwarding = Forwarding::Always;

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .post("/contracts/{contractId}/challenge", issue)
        .forwarding(WHERE_ISSUED)
        .summary("Ask for a challenge that fresh evidence answers")
        .reply::<Challenge>()
        .refuses([(503, "ChallengesNotAvailable")])
}

/// A challenge.
#[derive(Serialize, JsonSchema)]
struct Challenge {
    /// Text whose SHA-256 is the second half of the report data, or goes into the nonce of a quote.
    challenge: String,
    /// When it ends, by the host's clock: milliseconds since 1970.
    expires: u64,
}

fn issue(app: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    let expires = now(ctx).saturating_add(LIFETIME);
    let challenge = app.challenges.text(&contract, expires)?;
    Reply::json(&Challenge { challenge, expires })
}

/// Milliseconds that a challenge lives, and that a signed request may be away from the host's clock.
const LIFETIME: u64 = 5 * 60 * 1000;

fn now<C: Context>(ctx: &mut C) -> u64 {
    u64::try_from(ctx.untrusted_time().as_millis()).unwrap_or(u64::MAX)
}

/// Issues challenges and knows them again.
pub(crate) struct Challenges {
    /// `None` when the system had no randomness at the start.
    key: Option<hmac::Key>,
}

impl Challenges {
    pub(crate) fn new() -> Self {
        Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
        }
    }

    fn text(&self, contract: &ContractId, expires: u64) -> Result<String> {
        let key = self.key.as_ref().ok_or_else(|| {
            Error::refused(
                503,
                "ChallengesNotAvailable",
                "This node has no randomness for challenges.",
            )
        })?;
        let code = hmac::sign(key, message(contract, expires).as_bytes());
        Ok(format!("{expires}.{}", hex::encode(code)))
    }

    fn knows(&self, contract: &ContractId, text: &str, now: u64) -> bool {
        let read = || {
            let (expires, code) = text.split_once('.')?;
            Some((expires.parse::<u64>().ok()?, hex::decode(code).ok()?))
        };
        let (Some(key), Some((expires, code))) = (&self.key, read()) else {
            return false;
        };
        // The text is hashed by the caller, so it must have one spelling.
        let same = self
            .text(contract, expires)
            .is_ok_and(|issued| issued == text);
        same && now < expires
            && hmac::verify(key, message(contract, expires).as_bytes(), &code).is_ok()
    }
}

fn message(contract: &ContractId, expires: u64) -> String {
    composite(&[contract.as_str(), &expires.to_string()])
}

/// The challenge in an envelope, if it is one of this service, for this contract, and still lives.
///
/// # Errors
/// 400 `ChallengeInvalid`; 400 `ChallengeMissing` when members of the contract ask for one.
pub(crate) fn challenge<C: Context>(
    app: &App,
    ctx: &mut C,
    contract: &ContractId,
    challenge: &Value,
) -> Result<()> {
    if !given(challenge) {
        if governed::is_on(ctx, contract, "requireChallenge")? {
            return Err(Error::bad_request(
                "ChallengeMissing",
                "Members of the contract ask for evidence that answers a challenge.",
            ));
        }
        return Ok(());
    }
    let now = now(ctx);
    if challenge
        .as_str()
        .is_some_and(|text| app.challenges.knows(contract, text, now))
    {
        return Ok(());
    }
    Err(Error::bad_request(
        "ChallengeInvalid",
        "The challenge was not issued here for this contract, or it has expired.",
    ))
}

/// A signature over the request: over its verb, path and query, its time, its challenge, and the SHA-256 of its payload, each behind a
/// line feed but the first.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedRequest {
    /// Milliseconds since 1970, in decimal digits.
    issued_at: String,
    /// Base64 of the signature by the attested key: RSASSA-PSS, SHA-256, salt 32.
    signature: String,
}

/// Holds an attested request to its own signature.
///
/// # Errors
/// 400 `RequestSignatureMissing` when members of the contract ask for one; 400 `RequestSignatureInvalid`; 400 `RequestExpired`.
pub(crate) fn check_request<C: Context>(
    ctx: &mut C,
    signed: &Value,
    challenge: &Value,
    data: &[u8],
    claims: &AppraisedClaims,
) -> Result<()> {
    let contract: ContractId = ctx.path("contractId")?;
    if !given(signed) {
        if governed::is_on(ctx, &contract, "requireRequestSignature")? {
            return Err(Error::bad_request(
                "RequestSignatureMissing",
                "Members of the contract ask for a signature over the request.",
            ));
        }
        return Ok(());
    }
    let invalid = |what: &str| Error::bad_request("RequestSignatureInvalid", what);
    let signed = SignedRequest::deserialize(signed)
        .map_err(|_| invalid("The signature over the request has no time or no signature."))?;
    let request = ctx.request();
    let text = text(
        request.verb.as_str(),
        &request.path,
        &request.query,
        &signed.issued_at,
        challenge.as_str().unwrap_or_default(),
        data,
    );
    let signature = decode(&signed.signature).unwrap_or_default();
    claims
        .verify_signature(claims.key_pem(), text.as_bytes(), &signature)
        .map_err(|_| invalid("The request is not the one that the attested key signed."))?;
    let issued_at: u64 = signed
        .issued_at
        .parse()
        .map_err(|_| invalid("The time of the request is no number."))?;
    let now = now(ctx);
    if now.abs_diff(issued_at) > LIFETIME {
        return Err(
            Error::bad_request("RequestExpired", "The request was signed too long ago.")
                .with_detail(json!({ "got": issued_at, "now": now })),
        );
    }
    Ok(())
}

/// What is signed.
fn text(
    verb: &str,
    path: &str,
    query: &str,
    issued_at: &str,
    challenge: &str,
    data: &[u8],
) -> String {
    let digest = Sha256Digest::of(data);
    format!("{verb}\n{path}\n{query}\n{issued_at}\n{challenge}\n{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_randomness_no_challenge_is_given_out_and_none_is_known() {
        let contract: ContractId = "c1".parse().unwrap();
        let none = Challenges { key: None };
        let refused = none.text(&contract, 1000).unwrap_err();
        assert_eq!(refused.code(), "ChallengesNotAvailable");
        let text = Challenges::new().text(&contract, 1000).unwrap();
        assert!(!none.knows(&contract, &text, 0));
    }

    #[test]
    fn a_challenge_is_known_where_it_was_issued_while_it_lives() {
        let (here, elsewhere) = (Challenges::new(), Challenges::new());
        let contract: ContractId = "c1".parse().unwrap();
        let other: ContractId = "c11".parse().unwrap();
        let text = here.text(&contract, 1000).unwrap();
        assert!(here.knows(&contract, &text, 999));
        assert!(!here.knows(&contract, &text, 1000));
        assert!(!here.knows(&other, &text, 0));
        assert!(!elsewhere.knows(&contract, &text, 0));
        let later = text.replacen("1000", "9000", 1);
        for bad in [
            later.as_str(),
            "",
            ".",
            "1000.",
            &text.to_uppercase(),
            &format!("0{text}"),
            &format!("{text}00"),
        ] {
            // Digits have no upper case: only a code with letters is spelled otherwise.
            assert!(bad == text || !here.knows(&contract, bad, 0), "{bad}");
        }
    }
}
