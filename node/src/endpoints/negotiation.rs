//! Endpoints that answer JSON to whoever takes it (CCF interface, section 0.4).

use std::sync::Arc;

use ccf_rs::{Context, Endpoint, Error, Handler, Request, Result};

/// These endpoints, refusing callers whose `accept` header does not admit JSON.
pub(super) fn json_only(list: Vec<Endpoint>) -> Vec<Endpoint> {
    list.into_iter()
        .map(|mut endpoint| {
            if let Handler::Read(run) = endpoint.handler {
                endpoint.handler = Handler::Read(Arc::new(move |ctx| {
                    acceptable(ctx.request())?;
                    run(ctx)
                }));
            }
            endpoint
        })
        .collect()
}

fn acceptable(request: &Request) -> Result<()> {
    let Some(accept) = request.headers.first("accept") else {
        return Ok(());
    };
    if admits_json(accept) {
        return Ok(());
    }
    Err(Error::refused(
        406,
        "UnsupportedContentType",
        format!(
            "No matching content type in accept header: {}; only application/json is offered.",
            accept.chars().take(200).collect::<String>()
        ),
    ))
}

/// Whether one of the media ranges is that of JSON (RFC 9110, section 12.5.1). Weights are not looked at.
pub(super) fn admits_json(accept: &str) -> bool {
    accept
        .split(',')
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .any(|range| {
            ["*/*", "application/*", "application/json"]
                .iter()
                .any(|json| range.eq_ignore_ascii_case(json))
        })
}
