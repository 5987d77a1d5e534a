//! The OpenID Connect issuer: its documents and its key (endpoints E52 to E54), issuer URLs and tokens.
//!
//! A cloud that trusts the issuer exchanges the tokens of clean rooms for its own. It reads the issuer's documents at the issuer URL, where
//! somebody publishes what this service says here; so both documents keep the form existing clients copy.

mod policy;
mod tokens;
mod urls;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ccf_rs::{Auth, Endpoints, Error, ReadContext, Reply, Result, WriteContext};
use schemars::JsonSchema;
use serde::Serialize;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::App;
use crate::callers::{NOT_ACTIVE, active_member};
use crate::service_keys::{GeneratedKey, ISSUER, NO_KEY, PublicKey, no_key};
use policy::Algorithm;

pub(crate) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    let endpoints = endpoints
        .get("/oidc/.well-known/openid-configuration", discovery)
        .summary("The discovery document of the issuer")
        .reply::<Discovery>()
        .get("/oidc/keys", keys)
        .summary("The issuer's keys, and those it replaced while their tokens may be alive")
        .reply::<KeySet>()
        .refuses([NO_KEY])
        .post("/oidc/generateSigningKey", generate)
        .auth([Auth::MemberCert])
        .summary("Make the issuer's key that governance asks for")
        .reply::<GeneratedKey>()
        .refuses(NOT_ACTIVE)
        .refuses([(405, "OidcIssuerNotEnabled")]);
    tokens::endpoints(urls::endpoints(endpoints))
}

/// OpenID Connect Discovery 1.0, section 3.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OpenIdConfiguration")]
struct Discovery {
    issuer: String,
    jwks_uri: String,
    response_types_supported: [&'static str; 1],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: [&'static str; 1],
}

/// RFC 7517, section 5.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JsonWebKeySet")]
struct KeySet {
    keys: Vec<Key>,
}

/// RFC 7517, section 4, and RFC 7518, section 6.3.1.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JsonWebKey")]
struct Key {
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<&'static str>,
    #[serde(rename = "use")]
    usage: &'static str,
    kty: &'static str,
    kid: String,
    e: String,
    n: String,
}

/// Stands for the issuer's URL while there is none.
const PLACEHOLDER: &str = "{placeholder}";

fn discovery(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let issuer = urls::global(ctx)?.unwrap_or_else(|| PLACEHOLDER.to_owned());
    let algorithm = policy::published_algorithm(ctx)?;
    Reply::json(&Discovery {
        jwks_uri: format!("{issuer}/keys"),
        issuer,
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: [match algorithm {
            Algorithm::Rs256 => "RS256",
            Algorithm::Ps256 | Algorithm::None => "PS256",
        }],
    })
}

fn keys(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let algorithm = policy::published_algorithm(ctx)?;
    let newest = ISSUER.public(ctx)?.ok_or_else(no_key)?;
    let keys = std::iter::once(newest)
        .chain(ISSUER.retired(ctx)?)
        .map(|key| described(key, algorithm))
        .collect::<Result<_>>()?;
    Reply::json(&KeySet { keys })
}

fn generate(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    active_member(ctx)?;
    let grace = Duration::from_secs(policy::longest_lifetime(ctx)?) + RENEWAL;
    Reply::json(&ISSUER.generate(ctx, Some(grace))?)
}

/// A replaced key stays published while tokens by it may be alive, and so much longer for copies of the key document to be renewed.
const RENEWAL: Duration = Duration::from_secs(24 * 60 * 60);

fn described(key: PublicKey, algorithm: Algorithm) -> Result<Key> {
    let (n, e) = numbers(&key.pem).ok_or_else(|| Error::Stored {
        table: "oidc_issuer.signing_keys".to_owned(),
        reason: "the public key is no RSA key in PEM".to_owned(),
    })?;
    Ok(Key {
        alg: match algorithm {
            Algorithm::Rs256 => Some("RS256"),
            Algorithm::Ps256 => Some("PS256"),
            Algorithm::None => None,
        },
        usage: "sig",
        kty: "RSA",
        kid: key.kid,
        e,
        n,
    })
}

/// Modulus and exponent in base64url, without leading zeros (RFC 7518, section 2).
fn numbers(pem: &str) -> Option<(String, String)> {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;
    let (_, info) = SubjectPublicKeyInfo::from_der(&pem.contents).ok()?;
    let Parsed::RSA(key) = info.parsed().ok()? else {
        return None;
    };
    let number = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        URL_SAFE_NO_PAD.encode(bytes.get(zeros..).unwrap_or_default())
    };
    Some((number(key.modulus), number(key.exponent)))
}
