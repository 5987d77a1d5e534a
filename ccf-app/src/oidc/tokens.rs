//! Tokens for clean rooms (endpoint E18).
//!
//! A token is a JWS in compact form, PS256, with the claims `aud`, `exp`, `iss`, `jti`, `nbf`, `sub` and `iat` that the caller asks for, as far as
//! [policy] allows them, and `contractId`, which is not the caller's choice: whoever accepts tokens can tell by it under which
//! contract the code acts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ccf_rs::{Context, Endpoints, Error, Reply, Result, WriteContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::policy::{self, Wanted};
use super::urls;
use crate::App;
use crate::envelope::Envelope;
use crate::ids::ContractId;
use crate::releases::{self, Asked, Given, Issued, IssuedToken, Kind};
use crate::service_keys::{ISSUER, NO_KEY, SigningKey};

pub(super) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .post("/contracts/{contractId}/oauth/token", token)
        .summary("Issue a token to an attested clean room")
        .query::<Query>()
        .body::<Envelope>()
        .describe(releases::described)
        .refuses(policy::REFUSALS)
        .refuses([NO_KEY, (405, "IssuerUrlNotSet")])
}

/// What the token is to say. Times are seconds since 1970.
#[derive(Default, Deserialize, JsonSchema)]
struct Query {
    /// Required.
    exp: Option<String>,
    /// Required.
    iat: Option<String>,
    /// Required.
    jti: Option<String>,
    /// Required.
    sub: Option<String>,
    /// The tenant whose issuer URL is meant. Required; not part of the token.
    tid: Option<String>,
    /// Required.
    aud: Option<String>,
    nbf: Option<String>,
    /// One of the configured issuer URLs; the tenant's, or else the one for all, when absent.
    iss: Option<String>,
}

/// The query, checked.
struct Request {
    exp: u64,
    iat: u64,
    nbf: Option<u64>,
    jti: String,
    sub: String,
    tid: String,
    aud: String,
    iss: Option<String>,
}

/// What members allow of it.
struct Allowed {
    key: SigningKey,
    iss: String,
    /// Whether times are written as text.
    as_text: bool,
    warning: Option<&'static str>,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    kid: &'a str,
}

/// In the order existing tokens have.
#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: Time,
    iss: &'a str,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<Time>,
    sub: &'a str,
    iat: Time,
    #[serde(rename = "contractId")]
    contract_id: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Time {
    Number(u64),
    Text(String),
}

fn token(app: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let contract: ContractId = ctx.path("contractId")?;
    let envelope = Envelope::from_body(ctx)?;
    envelope.require_attestation()?;
    envelope.require_encryption()?;
    let request = Request::new(ctx.queries()?)?;
    let asked = Asked {
        contract: &contract,
        kind: Kind::Token,
        subject: &request.sub,
        delegate: Some(("oauth-federation-subjects", &request.sub)),
        made: |ctx, contract, subject| policy::is_listed(ctx, contract, subject),
    };
    let check = |ctx: &mut WriteContext<'_>, _: &_| {
        let key = ISSUER.signing(app, ctx)?;
        let policy = policy::of_contract(ctx, &contract)?;
        let issuers = policy.issuers()?;
        let asked = request.iss.as_deref();
        let iss = urls::issuer(ctx, &request.tid, asked, issuers.as_deref())?;
        let wanted = Wanted {
            sub: &request.sub,
            aud: &request.aud,
            iss: &iss,
            exp: request.exp,
            iat: request.iat,
            nbf: request.nbf,
        };
        let warning = policy.check(ctx, &contract, &wanted)?;
        Ok(Allowed {
            key,
            iss,
            as_text: policy.times_are_text()?,
            warning,
        })
    };
    releases::release(app, ctx, &envelope, &asked, check, |_, claims, allowed| {
        let Allowed {
            key,
            iss,
            as_text,
            warning,
        } = allowed;
        let time = |seconds: u64| {
            if as_text {
                Time::Text(seconds.to_string())
            } else {
                Time::Number(seconds)
            }
        };
        let header = part(&Header {
            alg: "PS256",
            typ: "JWT",
            kid: &key.kid,
        })?;
        let payload = part(&Claims {
            aud: &request.aud,
            exp: time(request.exp),
            iss: &iss,
            jti: &request.jti,
            nbf: request.nbf.map(time),
            sub: &request.sub,
            iat: time(request.iat),
            contract_id: contract.as_str(),
        })?;
        let signed = format!("{header}.{payload}");
        let signature = URL_SAFE_NO_PAD.encode(key.sign(claims, signed.as_bytes())?);
        let issued = IssuedToken {
            kid: key.kid,
            iss,
            aud: request.aud.clone(),
            jti: request.jti.clone(),
            exp: request.exp,
        };
        let issued = Issued {
            token: Some(issued),
            ..Issued::default()
        };
        Ok(Given::new(format!("{signed}.{signature}").into_bytes())
            .issued(issued)
            .warning(warning))
    })
}

impl Request {
    /// Members are looked at in the order existing clients are used to.
    fn new(query: Query) -> Result<Self> {
        Ok(Self {
            exp: seconds("exp", required("exp", query.exp)?)?,
            iat: seconds("iat", required("iat", query.iat)?)?,
            jti: required("jti", query.jti)?,
            sub: required("sub", query.sub)?,
            tid: required("tid", query.tid)?,
            aud: required("aud", query.aud)?,
            nbf: match query.nbf.filter(|text| !text.is_empty()) {
                Some(text) => Some(seconds("nbf", text)?),
                None => None,
            },
            iss: query.iss,
        })
    }
}

/// Longest claim.
const LONGEST: usize = 1024;

fn required(name: &str, value: Option<String>) -> Result<String> {
    let value = value.unwrap_or_default();
    if (1..=LONGEST).contains(&value.len()) {
        return Ok(value);
    }
    Err(invalid(name, "1 to 1024 bytes", value.len()))
}

fn seconds(name: &str, text: String) -> Result<u64> {
    let is_number = text.len() <= 11 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| is_number)
        .ok_or_else(|| invalid(name, "seconds since 1970", text))
}

fn invalid(name: &str, want: &str, got: impl Serialize) -> Error {
    let message = format!("Query parameter {name} is not valid.");
    let detail = json!({ "parameter": name, "want": want, "got": got });
    Error::bad_request("InvalidInput", message).with_detail(detail)
}

fn part(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_vec(value).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(text))
}
