//! Bearer tokens: that the issuer a token names is the one whose key signed it, and what a policy admits.

use attestation::ClaimPolicy;
use ccf_rs::{Error, JwtClaims, Result};
use serde_json::{Map, Value, json};

/// A token whose `iss` is the issuer under which members registered the key, and whose tenant is the one its issuer speaks for.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    issuer: String,
    claims: Map<String, Value>,
}

impl Token {
    /// Checks who issued a token that the host verified.
    ///
    /// The host holds a token to the constraint stored with a key, which not every key has. Without this check a token could name
    /// any issuer whatever (W7).
    ///
    /// # Errors
    /// 403 `CallerIssuerNotAuthorized`.
    pub(crate) fn of(claims: &JwtClaims) -> Result<Self> {
        let text = |name: &str| claims.payload.get(name).and_then(Value::as_str);
        let issuer = text("iss").unwrap_or_default();
        if !speaks(&claims.key_issuer, issuer, text("tid")) {
            return Err(other_issuer(issuer));
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            claims: claims.payload.clone(),
        })
    }

    /// Who issued it.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A claim.
    pub(crate) fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// A claim that is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.claim(name)?.as_str()
    }
}

pub(super) fn other_issuer(got: &str) -> Error {
    Error::refused(
        403,
        "CallerIssuerNotAuthorized",
        "The token names an issuer that is not the one of its key, or not the one the caller is registered with.",
    )
    .with_detail(json!({ "got": got }))
}

/// Whether what a policy says about tokens admits this one. What it says about attestation is no matter of tokens: a token may
/// carry claims of any name.
pub(crate) fn admits(policy: &ClaimPolicy, token: &Token) -> bool {
    let mut about_tokens = policy
        .0
        .iter()
        .filter(|(name, _)| CLAIMS.contains(&name.as_str()))
        .peekable();
    about_tokens.peek().is_some()
        && about_tokens.all(|(name, values)| {
            token
                .claim(name)
                .is_some_and(|value| values.contains(value))
        })
}

/// Claims that a policy for tokens may name (application specification, section 5.4).
const CLAIMS: [&str; 5] = ["oid", "appid", "tid", "sub", "iss"];

/// Hosts of issuers that serve many tenants and name the tenant in the first segment of the path.
const MULTI_TENANT: [&str; 2] = ["login.microsoftonline.com", "sts.windows.net"];

/// Segments of issuers whose keys are those of every tenant.
const EVERY_TENANT: [&str; 3] = ["common", "organizations", "{tenantid}"];

/// Whether a key registered under `registered` speaks for `issuer` and, there, for `tenant`.
fn speaks(registered: &str, issuer: &str, tenant: Option<&str>) -> bool {
    let Some(segment) = tenant_segment(issuer) else {
        return !issuer.is_empty() && issuer == registered;
    };
    Some(segment) == tenant
        && (issuer == registered
            || tenant_segment(registered).is_some_and(|segment| EVERY_TENANT.contains(&segment)))
}

/// First segment of the path of a multi-tenant issuer's URL.
fn tenant_segment(url: &str) -> Option<&str> {
    let (host, path) = url.strip_prefix("https://")?.split_once('/')?;
    let segment = path.split('/').next()?;
    MULTI_TENANT.contains(&host).then_some(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_speaks_for_its_issuer_and_tenant_only() {
        let entra = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
        let sts = |tenant: &str| format!("https://sts.windows.net/{tenant}/");
        for (registered, issuer, tenant, want) in [
            ("https://idp".into(), "https://idp".into(), None, true),
            ("https://idp".into(), "https://idp".into(), Some("t"), true),
            (
                "https://idp".into(),
                "https://other".into(),
                Some("t"),
                false,
            ),
            ("https://idp".into(), String::new(), None, false),
            (String::new(), String::new(), None, false),
            (entra("t"), entra("t"), Some("t"), true),
            (entra("t"), entra("t"), Some("u"), false),
            (entra("t"), entra("t"), None, false),
            (entra("t"), entra("u"), Some("u"), false),
            (entra("common"), entra("t"), Some("t"), true),
            (entra("common"), sts("t"), Some("t"), true),
            (entra("{tenantid}"), entra("t"), Some("t"), true),
            (entra("common"), entra("t"), Some("u"), false),
            (entra("common"), entra("common"), Some("t"), false),
            ("https://idp".into(), entra("t"), Some("t"), false),
            (entra("common"), "https://idp".into(), Some("t"), false),
            (
                entra("common"),
                "https://login.microsoftonline.com.evil/t/".into(),
                Some("t"),
                false,
            ),
        ] {
            let (registered, issuer): (String, String) = (registered, issuer);
            assert_eq!(
                speaks(&registered, &issuer, tenant),
                want,
                "{registered} {issuer} {tenant:?}"
            );
        }
    }

    #[test]
    fn tokens_are_held_against_what_a_policy_says_about_tokens_only() {
        let policy = |value: Value| serde_json::from_value::<ClaimPolicy>(value).unwrap();
        let payload = json!({ "iss": "https://idp", "oid": "o", "x-ms-sevsnpvm-hostdata": "aa" });
        let token = Token::of(&JwtClaims {
            key_issuer: "https://idp".into(),
            header: Map::new(),
            payload: payload.as_object().unwrap().clone(),
        })
        .unwrap();
        for (claims, want) in [
            (json!({ "oid": ["n", "o"] }), true),
            (json!({ "oid": ["o"], "iss": ["https://idp"] }), true),
            (json!({ "oid": ["o"], "sub": ["s"] }), false),
            (json!({ "oid": ["n"] }), false),
            (json!({ "oid": [] }), false),
            (json!({}), false),
            (json!({ "x-ms-sevsnpvm-hostdata": ["aa"] }), false),
            (
                json!({ "oid": ["o"], "x-ms-sevsnpvm-hostdata": ["bb"] }),
                true,
            ),
        ] {
            assert_eq!(admits(&policy(claims.clone()), &token), want, "{claims}");
        }
    }
}
