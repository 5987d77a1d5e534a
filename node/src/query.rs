//! Query parameters as CCF reads them (CCF interface, section 0.2): the query is decoded as a whole and then split, so an
//! encoded `&` splits a value, and the first of several parameters of one name counts.
//!
//! For the framework's endpoints. Applications have [`Context::query`](ccf_rs::Context::query), which reads as theirs did.

use ccf_rs::{Context, Error, Result, percent_decode};

/// The parameter of this name; `None` when absent.
///
/// # Errors
/// 400 `InvalidQueryParameterValue` when the query is not UTF-8 once decoded.
pub(crate) fn parameter(ctx: &impl Context, name: &str) -> Result<Option<String>> {
    let query = percent_decode(&ctx.request().query).ok_or_else(|| {
        Error::bad_request("InvalidQueryParameterValue", "The query is not text.")
    })?;
    Ok(query
        .split('&')
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned()))
}
