//! Keys of token issuers (CCF interface, section 3.2, "Populating keys"): what a host does when a constitution sets or
//! removes them.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicKeyComponents;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::store::{Kv, KvError};

/// The table that holds them: key id to a list of [`JwtKey`].
pub const TABLE: &str = "public:ccf.gov.jwt.public_signing_keys_metadata_v2";

/// An element of a row of [`TABLE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwtKey {
    /// What the issuer of a token must be, besides coming from the issuer the key is registered under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// The issuer the key is registered under.
    pub issuer: String,
    /// Base64 of the DER SubjectPublicKeyInfo.
    pub public_key: String,
}

/// Host of a URL with a scheme, without user information and port.
#[must_use]
pub fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    Some(host.split_once(':').map_or(host, |(name, _)| name))
}

/// Keys of one set; more are refused.
const MAX_KEYS: usize = 1000;

/// A JSON Web Key Set (RFC 7517); members not named here are not looked at.
#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    crv: Option<String>,
    x5c: Option<Vec<String>>,
    issuer: Option<String>,
}

/// Replaces all keys of `issuer` by those of `jwks`; of two with one kid the first counts.
/// Entries that stay as they are, are not written again.
///
/// # Errors
/// Why the set is refused, as the script is told.
pub fn replace(kv: &mut dyn Kv, issuer: &str, jwks: &str) -> Result<(), String> {
    let set: Jwks =
        serde_json::from_str(jwks).map_err(|e| format!("JWKS for issuer {issuer}: {e}"))?;
    if set.keys.is_empty() {
        return Err(format!("JWKS for issuer {issuer} has no keys"));
    }
    if set.keys.len() > MAX_KEYS {
        return Err(format!("JWKS for issuer {issuer} has too many keys"));
    }
    let mut wanted: BTreeMap<String, JwtKey> = BTreeMap::new();
    for key in &set.keys {
        let kid = key
            .kid
            .as_deref()
            .filter(|kid| !kid.is_empty())
            .ok_or_else(|| format!("JWKS for issuer {issuer} has a key without kid"))?;
        let public_key = key
            .spki()
            .map_err(|reason| format!("JWKS for issuer {issuer}, key {kid}: {reason}"))?;
        if let Some(constraint) = &key.issuer
            && !constraint_fits(issuer, constraint)
        {
            return Err(format!(
                "JWKS for issuer {issuer}, key {kid}: its issuer {constraint} is of another host"
            ));
        }
        wanted.entry(kid.to_owned()).or_insert(JwtKey {
            constraint: key.issuer.clone(),
            issuer: issuer.to_owned(),
            public_key: STANDARD.encode(public_key),
        });
    }
    let mut stored = rows(kv)?;
    let kids: BTreeSet<String> = stored.keys().chain(wanted.keys()).cloned().collect();
    for kid in kids {
        let before = stored.remove(&kid).unwrap_or_default();
        let mut after: Vec<JwtKey> = before.clone();
        match wanted.get(&kid) {
            Some(key) if before.contains(key) => after.retain(|k| k.issuer != issuer || k == key),
            Some(key) => {
                after.retain(|k| k.issuer != issuer);
                after.push(key.clone());
            }
            None => after.retain(|k| k.issuer != issuer),
        }
        write(kv, &kid, &before, &after)?;
    }
    Ok(())
}

/// Removes all keys of `issuer`.
///
/// # Errors
/// When the table cannot be read.
pub fn remove(kv: &mut dyn Kv, issuer: &str) -> Result<(), String> {
    for (kid, before) in rows(kv)? {
        let after: Vec<JwtKey> = before
            .iter()
            .filter(|k| k.issuer != issuer)
            .cloned()
            .collect();
        write(kv, &kid, &before, &after)?;
    }
    Ok(())
}

fn rows(kv: &mut dyn Kv) -> Result<BTreeMap<String, Vec<JwtKey>>, String> {
    let mut rows = BTreeMap::new();
    let mut broken = false;
    kv.for_each(TABLE, &mut |kid, value| match (
        String::from_utf8(kid.to_vec()),
        serde_json::from_slice(value),
    ) {
        (Ok(kid), Ok(keys)) => {
            rows.insert(kid, keys);
        }
        _ => broken = true,
    })
    .map_err(text)?;
    if broken {
        return Err("a stored token key cannot be read".to_owned());
    }
    Ok(rows)
}

fn write(kv: &mut dyn Kv, kid: &str, before: &[JwtKey], after: &[JwtKey]) -> Result<(), String> {
    if before == after {
        return Ok(());
    }
    if after.is_empty() {
        return kv.remove(TABLE, kid.as_bytes()).map_err(text);
    }
    let value = serde_json::to_vec(after).map_err(|e| e.to_string())?;
    kv.put(TABLE, kid.as_bytes(), &value).map_err(text)
}

fn text(error: KvError) -> String {
    error.0
}

/// The host of a key's own issuer equals that of the issuer it is registered under, or the
/// latter is a subdomain of it.
fn constraint_fits(issuer: &str, constraint: &str) -> bool {
    let (Some(issuer), Some(constraint)) = (host_of(issuer), host_of(constraint)) else {
        return false;
    };
    !constraint.is_empty()
        && (issuer == constraint
            || issuer
                .strip_suffix(constraint)
                .is_some_and(|rest| rest.ends_with('.')))
}

impl Jwk {
    /// SubjectPublicKeyInfo, DER: from `n` and `e`, else `x`, `y` and `crv`, else the first
    /// certificate of `x5c`.
    fn spki(&self) -> Result<Vec<u8>, String> {
        match (&self.n, &self.e, &self.x, &self.y, &self.crv, &self.x5c) {
            (Some(n), Some(e), ..) => rsa(n, e),
            (_, _, Some(x), Some(y), Some(crv), _) => ec(crv, x, y),
            (.., Some(chain)) => certificate(chain),
            _ => Err("neither n and e, nor x, y and crv, nor x5c".to_owned()),
        }
    }
}

fn rsa(n: &str, e: &str) -> Result<Vec<u8>, String> {
    let (n, e) = (base64url("n", n)?, base64url("e", e)?);
    let strip = |bytes: Vec<u8>| -> Vec<u8> { bytes.into_iter().skip_while(|b| *b == 0).collect() };
    let components = PublicKeyComponents {
        n: strip(n),
        e: strip(e),
    };
    let key: aws_lc_rs::rsa::PublicEncryptingKey = components
        .try_into()
        .map_err(|_| "not an RSA key of 2048 to 8192 bits")?;
    let der: PublicKeyX509Der<'_> = key.as_der().map_err(|_| "RSA key cannot be encoded")?;
    Ok(der.as_ref().to_vec())
}

/// `SEQUENCE { SEQUENCE { ecPublicKey, curve }, BIT STRING point }` (RFC 5480).
fn ec(curve: &str, x: &str, y: &str) -> Result<Vec<u8>, String> {
    const EC_PUBLIC_KEY: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    let (oid, size): (&[u8], usize) = match curve {
        "P-256" => (&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], 32),
        "P-384" => (&[6, 5, 0x2b, 0x81, 4, 0, 34], 48),
        "P-521" => (&[6, 5, 0x2b, 0x81, 4, 0, 35], 66),
        _ => return Err(format!("unknown curve {curve}")),
    };
    let (x, y) = (base64url("x", x)?, base64url("y", y)?);
    if x.len() != size || y.len() != size {
        return Err(format!("coordinates of {curve} have {size} bytes"));
    }
    let algorithm = der(0x30, &[EC_PUBLIC_KEY, oid]);
    let point = der(0x03, &[&[0, 4], &x, &y]);
    Ok(der(0x30, &[&algorithm, &point]))
}

/// One DER element of less than 256 bytes of content.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let len = body.len() as u8;
    let mut out = vec![tag];
    if len >= 0x80 {
        out.push(0x81);
    }
    out.push(len);
    out.extend(body);
    out
}

fn certificate(chain: &[String]) -> Result<Vec<u8>, String> {
    let first = chain.first().ok_or("x5c is empty")?;
    let der = STANDARD
        .decode(first)
        .map_err(|_| "x5c is not base64".to_owned())?;
    let (_, certificate) =
        X509Certificate::from_der(&der).map_err(|_| "x5c is not a certificate".to_owned())?;
    Ok(certificate.public_key().raw.to_vec())
}

fn base64url(name: &str, text: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|_| format!("{name} is not base64url"))
}
