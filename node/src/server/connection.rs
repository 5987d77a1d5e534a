//! One connection: handshake, requests, answers.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use ccf_rs::{Error, Headers, Reply};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming as Body;
use hyper::ext::ReasonPhrase;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::conversation::{Answer, Conversation, Progress, Underway, header_too_large};
use super::limits::{Handshakes, Limits, Place, Sessions};
use crate::frontend::{AcceptedEndpoints, Dispatcher, Incoming};

/// What all connections of an interface share.
pub(super) struct Shared {
    pub(super) acceptor: TlsAcceptor,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) accepted: AcceptedEndpoints,
    pub(super) limits: Limits,
    pub(super) sessions: Arc<Sessions>,
    pub(super) handshakes: Arc<Handshakes>,
}

/// Serves a connection to its end, or until `stop` turns true and its open requests are
/// answered. Whatever goes wrong with it ends it alone.
pub(super) async fn serve(
    shared: Arc<Shared>,
    tcp: TcpStream,
    mut place: Place,
    mut stop: watch::Receiver<bool>,
) {
    let limits = shared.limits;
    // Without it an answer waits for the acknowledgement of the one before.
    let _ = tcp.set_nodelay(true);
    let tls = tokio::select! {
        accepted = timeout(limits.handshake, shared.acceptor.accept(tcp)) => match accepted {
            Ok(Ok(tls)) => tls,
            Ok(Err(_)) | Err(_) => return,
        },
        _ = &mut place.lost => return,
        () = stopped(&mut stop) => return,
    };
    drop(place);
    let session = shared.sessions.begin();
    if session.number > limits.sessions_hard {
        return;
    }
    let (_, handshake) = tls.get_ref();
    let certificate = handshake
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|leaf| Bytes::copy_from_slice(leaf));
    let is_http2 = handshake.alpn_protocol() == Some(b"h2");
    let crowded = session.number > limits.sessions_soft;

    let progress = Arc::new(Progress::default());
    let watched = (!is_http2).then(|| Arc::clone(&progress));
    let sessions = Arc::clone(&shared.sessions);
    let service = service_fn(move |request| {
        let (shared, certificate) = (Arc::clone(&shared), certificate.clone());
        let underway = progress.begin();
        async move {
            let answer = answer(&shared, request, certificate, crowded, underway).await;
            Ok::<_, Infallible>(answer)
        }
    });
    let builder = protocol(&limits, is_http2);
    let tls = Conversation::new(tls, watched, limits.request);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(tls), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        count(&sessions, error.as_ref());
    }
    drop(session);
}

/// The protocol that was agreed on, with its limits.
fn protocol(limits: &Limits, is_http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(limits.head.max(8 << 10))
        // A few more than allowed are read, so that they can be answered with words.
        .max_headers(limits.headers.saturating_mul(2));
    builder
        .http2()
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.idle)
        .keep_alive_timeout(limits.handshake);
    if is_http2 {
        builder.http2_only()
    } else {
        builder.http1_only()
    }
}

/// Resolves when the server stops.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Without its sender the server is gone too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Notes why a connection ended early.
fn count(sessions: &Sessions, error: &(dyn std::error::Error + 'static)) {
    let Some(error) = error.downcast_ref::<hyper::Error>() else {
        return;
    };
    if error.is_parse_too_large() {
        sessions.header_too_large.fetch_add(1, Ordering::Relaxed);
    } else if error.is_parse() {
        sessions.parsing.fetch_add(1, Ordering::Relaxed);
    }
}

async fn answer(
    shared: &Shared,
    request: Request<Body>,
    certificate: Option<Bytes>,
    crowded: bool,
    underway: Underway,
) -> Response<Answer> {
    let version = request.version();
    let (reply, close) = match replied(shared, request, certificate, crowded).await {
        Ok(reply) => (reply, false),
        Err(refusal) => (Reply::error(&refusal), true),
    };
    response(reply, version, close, underway)
}

/// The answer; an error ends the connection too.
async fn replied(
    shared: &Shared,
    request: Request<Body>,
    certificate: Option<Bytes>,
    crowded: bool,
) -> ccf_rs::Result<Reply> {
    if crowded {
        let text = "Too many sessions are open.";
        return Err(Error::refused(503, "SessionCapExhausted", text));
    }
    let (head, body) = request.into_parts();
    if let Some(error) = too_large(&head.headers, &shared.limits) {
        let counter = &shared.sessions.header_too_large;
        counter.fetch_add(1, Ordering::Relaxed);
        return Err(error);
    }
    let body = Limited::new(body, shared.limits.body).collect();
    let body = match timeout(shared.limits.request, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Err(_) => {
            let text = "The request body took too long.";
            return Err(Error::refused(408, "RequestTimeout", text));
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            shared
                .sessions
                .body_too_large
                .fetch_add(1, Ordering::Relaxed);
            let text = format!(
                "The request body is larger than {} bytes.",
                shared.limits.body
            );
            return Err(Error::refused(413, "RequestBodyTooLarge", text));
        }
        // The client went away or broke the framing: nobody may be listening.
        Ok(Err(_)) => {
            let text = "The request body is incomplete.";
            return Err(Error::bad_request("InvalidInput", text));
        }
    };
    // Values that are not text are no values an endpoint reads.
    let headers = head.headers.iter().filter_map(|(name, value)| {
        value
            .to_str()
            .ok()
            .map(|value| (name.as_str().to_owned(), value.to_owned()))
    });
    let incoming = Incoming {
        verb: head.method.as_str().to_owned(),
        target: head
            .uri
            .path_and_query()
            .map_or_else(|| "/".to_owned(), |target| target.as_str().to_owned()),
        headers: Headers::new(headers),
        body,
        certificate,
        accepted: shared.accepted.clone(),
    };
    Ok(shared.dispatcher.call(incoming).await)
}

/// Why these headers are refused, if they are (CCF interface, section 0.2).
fn too_large(headers: &HeaderMap, limits: &Limits) -> Option<Error> {
    if headers.len() > limits.headers {
        let text = format!("The request has more than {} headers.", limits.headers);
        return Some(header_too_large(&text));
    }
    let large = headers
        .iter()
        .find(|(name, value)| name.as_str().len().max(value.len()) > limits.header)?;
    let text = format!(
        "The request's header {} is larger than {} bytes.",
        large.0.as_str().chars().take(64).collect::<String>(),
        limits.header
    );
    Some(header_too_large(&text))
}

fn response(reply: Reply, version: Version, close: bool, underway: Underway) -> Response<Answer> {
    let length = reply.body.len();
    let mut response = Response::new(Answer {
        body: Full::new(Bytes::from(reply.body)),
        _underway: underway,
    });
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.status_mut() = status;
    if let Some(phrase) = reason_phrase(status) {
        response.extensions_mut().insert(phrase);
    }
    let headers = response.headers_mut();
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if close && version < Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The status as a symbol, `BAD_REQUEST`, which is how CCF's status lines read.
fn reason_phrase(status: StatusCode) -> Option<ReasonPhrase> {
    let symbol = status.canonical_reason()?.to_uppercase();
    ReasonPhrase::try_from(symbol.replace([' ', '-'], "_")).ok()
}
