//! What all governance requests have in common: version, identifiers, signer.

use crate::query::parameter;
use ccf_rs::{Caller, Context, CoseMessage, Error, MemberId, Result};

/// The versions of the interface, oldest first.
const VERSIONS: [&str; 2] = ["2023-06-01-preview", "2024-07-01"];
const NEW_VERSION: &str = "2024-07-01";

/// Checks `api-version` (CCF interface, section 1.1).
pub(super) fn version(ctx: &impl Context) -> Result<()> {
    check(ctx, &VERSIONS)
}

/// Checks `api-version` for operations that came with the newer version.
pub(super) fn new_version(ctx: &impl Context) -> Result<()> {
    check(ctx, &[NEW_VERSION])
}

/// Checks `api-version` where it may be left out: `/gov/api`.
pub(crate) fn optional_version(ctx: &impl Context) -> Result<()> {
    match parameter(ctx, "api-version")? {
        None => Ok(()),
        Some(_) => version(ctx),
    }
}

fn check(ctx: &impl Context, accepted: &[&str]) -> Result<()> {
    match parameter(ctx, "api-version")? {
        None => Err(Error::bad_request(
            "MissingApiVersionParameter",
            format!(
                "The api-version query parameter (?api-version=) is required for all requests. Supported versions: {}",
                accepted.join(", ")
            ),
        )),
        Some(version) if accepted.contains(&version.as_str()) => Ok(()),
        Some(version) => Err(Error::bad_request(
            "UnsupportedApiVersionValue",
            format!(
                "Unsupported api-version '{}'. Supported versions: {}",
                version.chars().take(64).collect::<String>(),
                accepted.join(", ")
            ),
        )),
    }
}

/// A path component that is an identifier: 64 hex digits, used as given.
pub(super) fn id(ctx: &impl Context, name: &str, kind: &str) -> Result<String> {
    let text: String = ctx.path(name)?;
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text);
    }
    Err(Error::bad_request(
        "InvalidResourceName",
        format!("'{text}' is not a {kind} id: want 64 hexadecimal digits."),
    ))
}

/// Who signed, and what.
pub(super) fn signed(ctx: &impl Context) -> Result<(MemberId, CoseMessage)> {
    match ctx.caller() {
        Caller::MemberCose(id, message) => Ok((id.clone(), (**message).clone())),
        _ => Err(Error::Internal(
            "a governance message without its signer".into(),
        )),
    }
}

/// Refuses a message whose signer is not the member in the path.
pub(super) fn same_member(signer: &MemberId, path: &str, code: &'static str) -> Result<()> {
    if signer.0 == path {
        return Ok(());
    }
    Err(Error::bad_request(
        code,
        format!("Signed by member {signer}, not by the member {path} that the path names."),
    ))
}

/// 500 whose text the caller may see, where CCF tells what a script did.
pub(super) fn failed(message: impl Into<String>) -> Error {
    Error::refused(500, "InternalError", message)
}
