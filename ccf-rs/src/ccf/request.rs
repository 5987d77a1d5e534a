//! The request of an exchange as plain data.

use std::pin::Pin;
use std::str::from_utf8;

use bytes::Bytes;
use serde_json::{Map, Value as JsonValue};

use super::bridge::ffi::{Exchange, Identity};
use super::visitor::visiting;
use crate::caller::{Caller, CoseMessage, JwtClaims};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::request::{Headers, Request};
use crate::types::{MemberId, UserId};

/// Copies the request.
///
/// # Errors
/// [`Error::Internal`] when the framework hands over what the interface does not foresee.
pub(super) fn read(endpoint: &Endpoint, exchange: Pin<&mut Exchange>) -> Result<Request, Error> {
    let exchange = exchange.into_ref().get_ref();
    // llhttp lets no byte through that is not ASCII.
    let url = text(exchange.url())?;
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    let mut headers = Vec::new();
    visiting(
        &mut |name, value| {
            if let (Ok(name), Ok(value)) = (from_utf8(name), from_utf8(value)) {
                headers.push((name.to_owned(), value.to_owned()));
            }
            true
        },
        |visitor| exchange.headers(visitor),
    );
    let mut params = Vec::new();
    visiting(
        &mut |name, value| {
            params.push((text(name), text(value)));
            true
        },
        |visitor| exchange.path_components(visitor),
    );
    let mut params = params
        .into_iter()
        .map(|(name, value)| Ok((name?, value?)))
        .collect::<Result<Vec<(String, String)>, Error>>()?;
    // They come in the order of their names.
    params.sort_by_key(|(name, _)| endpoint.template.find(&format!("{{{name}}}")));
    Ok(Request {
        verb: endpoint.verb,
        path: path.to_owned(),
        params,
        query: query.to_owned(),
        headers: Headers::new(headers),
        body: Bytes::copy_from_slice(exchange.body()),
        caller: caller(exchange)?,
    })
}

/// What the framework tells of a caller, by name.
struct Parts(Vec<(String, Vec<u8>)>);

fn caller(exchange: &Exchange) -> Result<Caller, Error> {
    let mut parts = Parts(Vec::new());
    let identity = visiting(
        &mut |name, value| {
            let name = String::from_utf8_lossy(name).into_owned();
            parts.0.push((name, value.to_vec()));
            true
        },
        |visitor| exchange.identity(visitor),
    );
    Ok(match identity {
        Identity::Unasked => Caller::Unasked,
        Identity::Anonymous => Caller::Anonymous,
        Identity::Member => Caller::Member(MemberId(parts.text("id")?)),
        Identity::User => Caller::User(UserId(parts.text("id")?)),
        Identity::Certificate => Caller::Certificate(parts.bytes("certificate")?),
        Identity::Jwt => Caller::Jwt(Box::new(JwtClaims {
            key_issuer: parts.text("issuer")?,
            header: parts.object("header")?,
            payload: parts.object("payload")?,
        })),
        Identity::MemberCose => {
            Caller::MemberCose(MemberId(parts.text("id")?), Box::new(parts.message()?))
        }
        Identity::UserCose => {
            Caller::UserCose(UserId(parts.text("id")?), Box::new(parts.message()?))
        }
        _ => {
            return Err(Error::Internal(
                "a caller of a kind no endpoint admits".into(),
            ));
        }
    })
}

impl Parts {
    fn optional(&self, name: &str) -> Option<&[u8]> {
        let found = self.0.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_slice())
    }

    fn required(&self, name: &'static str) -> Result<&[u8], Error> {
        self.optional(name)
            .ok_or_else(|| Error::Internal(format!("the caller has no {name}")))
    }

    fn bytes(&self, name: &'static str) -> Result<Bytes, Error> {
        self.required(name).map(Bytes::copy_from_slice)
    }

    fn text(&self, name: &'static str) -> Result<String, Error> {
        text(self.required(name)?)
    }

    fn object(&self, name: &'static str) -> Result<Map<String, JsonValue>, Error> {
        serde_json::from_slice(self.required(name)?)
            .map_err(|error| Error::Internal(format!("the caller's {name}: {error}")))
    }

    fn message(&self) -> Result<CoseMessage, Error> {
        let optional = |name| self.optional(name).map(text).transpose();
        Ok(CoseMessage {
            payload: self.bytes("payload")?,
            envelope: self.bytes("envelope")?,
            signature: self.bytes("signature")?,
            message_type: optional("message_type")?,
            proposal_id: optional("proposal_id")?,
            created_at: optional("created_at")?.and_then(|number| number.parse().ok()),
        })
    }
}

fn text(bytes: &[u8]) -> Result<String, Error> {
    from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| Error::Internal("the framework gave text that is not UTF-8".into()))
}
