//! Who calls: authentication policies over headers, body and client certificate
//! (CCF interface, sections 2 and 3).
//!
//! Two rules are stricter than CCF's, and no honest client notices: a COSE or token header
//! that names an algorithm which does not fit the registered key is refused, and so is a
//! token segment that is not base64url (401 where CCF answers 500).

mod certificate;
mod cose;
mod jwt;
mod tables;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use ccf_rs::{Auth, Caller, Error, Headers, HostError, ReadHost, Reply};
use serde_json::{Value as JsonValue, json};

use crate::frontend::{Authenticate, Credentials, Unauthenticated};

pub use certificate::{certificate_id, pem_to_der};

/// Authentication as the dispatcher calls it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policies;

impl Authenticate for Policies {
    fn authenticate(
        &self,
        policies: &[Auth],
        credentials: &Credentials<'_>,
        host: &mut dyn ReadHost,
    ) -> Result<Caller, Unauthenticated> {
        let input = AuthInput {
            headers: credentials.headers,
            body: credentials.body,
            certificate: credentials.certificate.map(|der| der.as_ref()),
        };
        authenticate(policies, &input, host, credentials.now).map_err(|failure| match failure {
            AuthFailure::Failed(Error::Host(HostError::Retry)) => Unauthenticated::Retry,
            failure => Unauthenticated::Refused(Box::new(failure.reply())),
        })
    }
}

/// What a caller presented.
pub struct AuthInput<'a> {
    /// Request headers.
    pub headers: &'a Headers,
    /// Request body.
    pub body: &'a Bytes,
    /// Leaf of the TLS client certificate, DER, if one was sent.
    pub certificate: Option<&'a [u8]>,
}

/// Why nobody was authenticated.
#[derive(Debug)]
pub enum AuthFailure {
    /// Every policy refused: 401.
    Unauthorized {
        /// Policy name and reason, in the order tried.
        details: Vec<(&'static str, String)>,
        /// `www-authenticate` of the last policy.
        challenge: Option<&'static str>,
    },
    /// A policy could not come to a conclusion, which ends the request: undecodable COSE
    /// (CCF interface, section 2.4), or a failure of the host.
    Failed(Error),
}

/// One policy's answer.
enum Outcome {
    Accepted(Box<Caller>),
    Refused(String),
}

/// Tries `policies` in order; the first that succeeds names the caller. An empty list looks at
/// no credential. `now` is the time since the Unix epoch.
///
/// # Errors
/// [`AuthFailure`]; a [`ccf_rs::HostError::Retry`] comes back untouched inside
/// [`AuthFailure::Failed`].
pub fn authenticate(
    policies: &[Auth],
    input: &AuthInput<'_>,
    host: &mut dyn ReadHost,
    now: Duration,
) -> Result<Caller, AuthFailure> {
    if policies.is_empty() {
        return Ok(Caller::Unasked);
    }
    let mut details = Vec::new();
    for policy in policies {
        match attempt(policy, input, host, now).map_err(AuthFailure::Failed)? {
            Outcome::Accepted(caller) => return Ok(*caller),
            Outcome::Refused(reason) => details.push((policy.name(), reason)),
        }
    }
    Err(AuthFailure::Unauthorized {
        details,
        challenge: policies.last().and_then(challenge),
    })
}

fn attempt(
    policy: &Auth,
    input: &AuthInput<'_>,
    host: &mut dyn ReadHost,
    now: Duration,
) -> Result<Outcome, Error> {
    match policy {
        Auth::Anonymous => Ok(Outcome::accept(Caller::Anonymous)),
        Auth::MemberCert => certificate::member(input.certificate, host),
        Auth::UserCert => certificate::user(input.certificate, host, now),
        Auth::AnyCert => Ok(certificate::any(input.certificate, now)),
        Auth::Jwt => jwt::bearer(input.headers, host, now),
        Auth::MemberCose {
            active,
            message_type,
        } => cose::member(input, host, *active, *message_type),
        Auth::UserCose { message_type } => cose::user(input, host, *message_type),
    }
}

const fn challenge(policy: &Auth) -> Option<&'static str> {
    match policy {
        Auth::Jwt => Some("Bearer realm=\"JWT bearer token access\", error=\"invalid_token\""),
        Auth::MemberCose { .. } | Auth::UserCose { .. } => {
            Some("COSE-SIGN1 realm=\"Signed request access\"")
        }
        _ => None,
    }
}

impl Outcome {
    fn accept(caller: Caller) -> Self {
        Self::Accepted(Box::new(caller))
    }

    fn refuse(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }
}

impl AuthFailure {
    /// The answer to the caller (CCF interface, section 3.1).
    pub fn reply(&self) -> Reply {
        match self {
            Self::Unauthorized { details, challenge } => {
                let details: Vec<JsonValue> = details
                    .iter()
                    .map(|(policy, reason)| {
                        json!({
                            "auth_policy": policy,
                            "code": "InvalidAuthenticationInfo",
                            "message": reason,
                        })
                    })
                    .collect();
                let mut error = Error::refused(
                    401,
                    "InvalidAuthenticationInfo",
                    "Invalid authentication credentials.",
                );
                for detail in details {
                    error = error.with_detail(detail);
                }
                let reply = Reply::error(&error);
                match challenge {
                    Some(challenge) => reply.with_header("www-authenticate", *challenge),
                    None => reply,
                }
            }
            Self::Failed(error) => Reply::error(error),
        }
    }
}
