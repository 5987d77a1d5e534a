//! Bearer tokens as credentials (CCF interface, section 3.2).

use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ccf_rs::{Caller, Error, Headers, JwtClaims, ReadHost};
use constitution::jwt_keys::host_of;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as JsonValue};
use x509_parser::oid_registry;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use super::Outcome;
use super::tables::{self, JWT_KEY_ISSUER_V0, JWT_KEY_V0, JWT_KEYS, JWT_KEYS_V1};

const ENTRA_HOST: &str = "login.microsoftonline.com";
const MAX_KID: usize = 1024;

/// A key under which tokens may be verified, as stored: DER in base64.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredKey {
    /// SubjectPublicKeyInfo (version 2 of the table).
    #[serde(default)]
    public_key: Option<String>,
    /// Certificate (version 1 of the table).
    #[serde(default)]
    cert: Option<String>,
    issuer: String,
    #[serde(default)]
    constraint: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Rs256,
    Es256,
}

/// A token taken apart, nothing verified.
struct Token<'t> {
    header: Map<String, JsonValue>,
    payload: Map<String, JsonValue>,
    algorithm: Algorithm,
    kid: String,
    issuer: String,
    tenant: Option<String>,
    not_before: Option<u64>,
    expires: u64,
    signed: &'t [u8],
    signature: Vec<u8>,
}

/// Policy `jwt`.
pub(super) fn bearer(
    headers: &Headers,
    host: &mut dyn ReadHost,
    now: Duration,
) -> Result<Outcome, Error> {
    let token = match headers.first("authorization") {
        None => return Ok(Outcome::refuse("Missing authorization header")),
        Some(value) => match value.strip_prefix("Bearer ") {
            None => {
                return Ok(Outcome::refuse(
                    "Authorization header does not have the scheme Bearer",
                ));
            }
            Some(token) => token.trim_matches(' '),
        },
    };
    let token = match Token::parse(token) {
        Ok(token) => token,
        Err(reason) => return Ok(Outcome::refuse(reason)),
    };
    let mut reason = format!("JWT signing key not found for kid {}", token.kid);
    for key in keys(host, &token.kid)? {
        match token.check(&key, now.as_secs()) {
            Ok(()) => {
                return Ok(Outcome::accept(Caller::Jwt(Box::new(JwtClaims {
                    key_issuer: key.issuer,
                    header: token.header,
                    payload: token.payload,
                }))));
            }
            Err(why) => reason = why,
        }
    }
    Ok(Outcome::Refused(reason))
}

/// The keys registered under `kid`: the current table, else those of older services.
fn keys(host: &mut dyn ReadHost, kid: &str) -> Result<Vec<StoredKey>, Error> {
    for table in [JWT_KEYS, JWT_KEYS_V1] {
        if let Some(keys) = tables::json(host, table, kid.as_bytes())? {
            return Ok(keys);
        }
    }
    let Some(certificate) = host.get(JWT_KEY_V0, kid.as_bytes())? else {
        return Ok(Vec::new());
    };
    let issuer = tables::text(host, JWT_KEY_ISSUER_V0, kid.as_bytes())?;
    Ok(vec![StoredKey {
        public_key: None,
        cert: Some(STANDARD.encode(certificate)),
        issuer: issuer.unwrap_or_default(),
        constraint: None,
    }])
}

impl<'t> Token<'t> {
    fn parse(text: &'t str) -> Result<Self, &'static str> {
        let malformed = "Malformed JWT";
        let (signed, signature) = text.rsplit_once('.').ok_or(malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(malformed)?;
        if payload.contains('.') {
            return Err(malformed);
        }
        let header = object(header).ok_or("Malformed JWT header")?;
        let payload = object(payload).ok_or("Malformed JWT payload")?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed)?;
        let text_of =
            |map: &Map<_, JsonValue>, name: &str| map.get(name)?.as_str().map(str::to_owned);
        let algorithm = match header.get("alg").and_then(JsonValue::as_str) {
            Some("RS256") => Algorithm::Rs256,
            Some("ES256") => Algorithm::Es256,
            _ => return Err("JWT header has no supported alg (RS256, ES256)"),
        };
        let kid = text_of(&header, "kid")
            .filter(|kid| kid.len() <= MAX_KID)
            .ok_or("JWT header has no kid")?;
        if header.contains_key("crit") {
            // RFC 7515, section 4.1.11: an extension that is not understood must be refused.
            return Err("JWT header names critical extensions");
        }
        let expires = payload
            .get("exp")
            .and_then(JsonValue::as_u64)
            .ok_or("JWT payload has no exp")?;
        let issuer = text_of(&payload, "iss").ok_or("JWT payload has no iss")?;
        let not_before = match payload.get("nbf") {
            None => None,
            Some(value) => Some(value.as_u64().ok_or("JWT payload has an invalid nbf")?),
        };
        let tenant = match payload.get("tid") {
            None => None,
            Some(value) => Some(
                value
                    .as_str()
                    .ok_or("JWT payload has an invalid tid")?
                    .to_owned(),
            ),
        };
        Ok(Self {
            algorithm,
            kid,
            issuer,
            tenant,
            not_before,
            expires,
            signed: signed.as_bytes(),
            signature,
            header,
            payload,
        })
    }

    fn check(&self, key: &StoredKey, now: u64) -> Result<(), String> {
        if !self.verifies(key).unwrap_or(false) {
            return Err("Signature verification failed".to_owned());
        }
        if self.not_before.is_some_and(|from| now < from) {
            return Err(format!(
                "Current time {now} is before token's Not Before (nbf) claim {}",
                self.not_before.unwrap_or_default()
            ));
        }
        if now > self.expires {
            return Err(format!(
                "Current time {now} is after token's Expiration Time (exp) claim {}",
                self.expires
            ));
        }
        match &key.constraint {
            Some(constraint) if !self.satisfies(constraint) => Err(format!(
                "Kid {} failed issuer constraint validation {constraint}",
                self.kid
            )),
            _ => Ok(()),
        }
    }

    /// `None` when the stored key cannot be used.
    fn verifies(&self, key: &StoredKey) -> Option<bool> {
        let der = match (&key.public_key, &key.cert) {
            (Some(spki), _) => STANDARD.decode(spki).ok()?,
            (None, Some(cert)) => {
                let cert = STANDARD.decode(cert).ok()?;
                let (_, parsed) = X509Certificate::from_der(&cert).ok()?;
                parsed.public_key().raw.to_vec()
            }
            (None, None) => return None,
        };
        let (_, spki) = SubjectPublicKeyInfo::from_der(&der).ok()?;
        let kind = &spki.algorithm.algorithm;
        // The key decides the algorithm; a header that says otherwise is refused.
        let algorithm: &dyn VerificationAlgorithm = match self.algorithm {
            Algorithm::Rs256 if *kind == oid_registry::OID_PKCS1_RSAENCRYPTION => {
                &RSA_PKCS1_2048_8192_SHA256
            }
            Algorithm::Es256
                if *kind == oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY
                    && spki.algorithm.parameters.as_ref()?.as_oid().ok()?
                        == oid_registry::OID_EC_P256 =>
            {
                &ECDSA_P256_SHA256_FIXED
            }
            _ => return Some(false),
        };
        Some(
            UnparsedPublicKey::new(algorithm, &spki.subject_public_key.data)
                .verify(self.signed, &self.signature)
                .is_ok(),
        )
    }

    /// Whether issuer and tenant fit the constraint stored with the key.
    fn satisfies(&self, constraint: &str) -> bool {
        if host_of(constraint) != Some(ENTRA_HOST) {
            return self.tenant.is_none() && self.issuer == constraint;
        }
        let Some(tenant) = &self.tenant else {
            return false;
        };
        let first_segment = self
            .issuer
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .and_then(|(_, path)| path.split('/').find(|segment| !segment.is_empty()));
        self.issuer == constraint.replace("{tenantid}", tenant)
            && first_segment == Some(tenant.as_str())
    }
}

fn object(segment: &str) -> Option<Map<String, JsonValue>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(segment).ok()?).ok()
}
