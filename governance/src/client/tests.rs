//! The client against a small TLS server with a service certificate of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384, SanType,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig, ServerConnection, SignatureScheme,
    StreamOwned,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};

use super::*;

/// Takes any client certificate, as a CCF node does.
#[derive(Debug)]
struct AnyClient;

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms =
            rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

struct Server {
    url: String,
    certificate: String,
    connections: Arc<AtomicUsize>,
}

/// A service certificate and a node certificate issued by it, for 127.0.0.1.
fn certificates() -> Certificates {
    let service_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let mut service = CertificateParams::default();
    service.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    let service_certificate = service.self_signed(&service_key).unwrap();
    let node_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let mut node = CertificateParams::default();
    node.subject_alt_names = vec![SanType::IpAddress("127.0.0.1".parse().unwrap())];
    let node_certificate = node
        .signed_by(&node_key, &Issuer::new(service, service_key))
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(node_key.serialize_der()));
    (
        service_certificate.pem(),
        node_certificate.der().clone(),
        key,
    )
}

/// A server with certificates of its own, as [`serve_as`].
fn serve(requests: usize, answer: impl Fn(&str, &str) -> String + Send + 'static) -> Server {
    serve_as(certificates(), requests, answer)
}

/// What a node of a service has: the service certificate, and its own with the key.
type Certificates = (String, CertificateDer<'static>, PrivateKeyDer<'static>);

/// Answers each request with `answer(caller id or "-", request line and body)`; closes a connection after `requests` of them.
fn serve_as(
    (certificate, node, key): Certificates,
    requests: usize,
    answer: impl Fn(&str, &str) -> String + Send + 'static,
) -> Server {
    let config = ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_protocol_versions(&[&rustls::version::TLS13])
    .unwrap()
    .with_client_cert_verifier(Arc::new(AnyClient))
    .with_single_cert(vec![node], key)
    .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let session = ServerConnection::new(config.clone()).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(session, stream.unwrap()));
            count.fetch_add(1, Ordering::SeqCst);
            for _ in 0..requests {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap_or(0) == 0 {
                    break;
                }
                let (mut length, mut authorization) = (0, String::new());
                loop {
                    let mut header = String::new();
                    stream.read_line(&mut header).unwrap();
                    let header = header.trim_end();
                    if header.is_empty() {
                        break;
                    }
                    let (name, value) = header.split_once(": ").unwrap();
                    match name.to_ascii_lowercase().as_str() {
                        "content-length" => length = value.parse().unwrap(),
                        "authorization" => value.clone_into(&mut authorization),
                        _ => {}
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let peer = stream
                    .get_ref()
                    .conn
                    .peer_certificates()
                    .and_then(<[_]>::first);
                let caller = peer.map_or("-".to_owned(), |der| {
                    crate::IdentityId::of_certificate(der).to_string()
                });
                let request = format!(
                    "{} {authorization}{}",
                    line.trim_end(),
                    String::from_utf8_lossy(&body)
                );
                let reply = answer(&caller, &request);
                stream.get_mut().write_all(reply.as_bytes()).unwrap();
            }
            let stream = stream.get_mut();
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    Server {
        url,
        certificate,
        connections,
    }
}

fn reply(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn echo(caller: &str, request: &str) -> String {
    reply("200 OK", "", &format!("{caller} {request}"))
}

#[test]
fn a_connection_is_kept_and_shows_the_identity() {
    let server = serve(100, echo);
    let identity = Identity::generate("party", Duration::from_secs(3600)).unwrap();
    let client = Client::with_identity(&server.url, &server.certificate, &identity).unwrap();
    for _ in 0..5 {
        let response = client
            .send(Request::post("/app/x").json(&[1]).unwrap())
            .unwrap();
        assert_eq!(
            response.text().unwrap(),
            format!("{} POST /app/x HTTP/1.1 [1]", identity.id())
        );
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_closed_connection_is_reopened() {
    let server = serve(1, echo);
    let client = Client::new(&server.url, &server.certificate).unwrap();
    for _ in 0..3 {
        assert_eq!(
            client.send(Request::get("/app/x")).unwrap().text().unwrap(),
            "- GET /app/x HTTP/1.1 "
        );
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 3);
}

#[test]
fn a_bearer_token_is_sent() {
    let server = serve(1, echo);
    let client = Client::new(&server.url, &server.certificate)
        .unwrap()
        .with_bearer_token("a.b.c")
        .unwrap();
    assert_eq!(
        client.send(Request::get("/")).unwrap().text().unwrap(),
        "- GET / HTTP/1.1 Bearer a.b.c"
    );
    assert!(matches!(
        Client::new(&server.url, &server.certificate)
            .unwrap()
            .with_bearer_token("a\nb"),
        Err(ClientError::Token)
    ));
}

#[test]
fn a_node_of_another_service_is_refused() {
    let server = serve(1, echo);
    let (other, _, _) = certificates();
    let client = Client::new(&server.url, &other).unwrap();
    assert!(matches!(
        client.send(Request::get("/")),
        Err(ClientError::Connect { .. })
    ));
}

/// Two nodes with the same certificates; the first sends everything on to where `to` says the second's address is.
fn two_nodes(to: impl Fn(&str) -> String) -> (Server, Server) {
    let (certificate, node, key) = certificates();
    let same = (certificate.clone(), node.clone(), key.clone_key());
    let primary = serve_as(same, 100, echo);
    let location = to(&primary.url);
    let backup = serve_as((certificate, node, key), 100, move |_, _| {
        reply(
            "307 TEMPORARY_REDIRECT",
            &format!("location: {location}\r\n"),
            "",
        )
    });
    (backup, primary)
}

#[test]
fn a_request_that_is_sent_on_reaches_the_other_node_as_it_was() {
    let (backup, primary) = two_nodes(|url| format!("{url}/app/x?a=1"));
    let identity = Identity::generate("party", Duration::from_secs(3600)).unwrap();
    let client = Client::with_identity(&backup.url, &backup.certificate, &identity)
        .unwrap()
        .with_bearer_token("a.b.c")
        .unwrap();
    for _ in 0..3 {
        let request = Request::put("/app/x?a=1").json(&[1]).unwrap();
        assert_eq!(
            client.send(request).unwrap().text().unwrap(),
            format!("{} PUT /app/x?a=1 HTTP/1.1 Bearer a.b.c[1]", identity.id())
        );
    }
    // Both connections are kept.
    assert_eq!(backup.connections.load(Ordering::SeqCst), 1);
    assert_eq!(primary.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn nothing_is_sent_on_to_who_is_not_of_the_service() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let stranger = serve(100, move |caller, request| {
        count.fetch_add(1, Ordering::SeqCst);
        echo(caller, request)
    });
    let location = format!("location: {}/app/x\r\n", stranger.url);
    let node = serve(100, move |_, _| {
        reply("307 TEMPORARY_REDIRECT", &location, "")
    });
    let client = Client::new(&node.url, &node.certificate)
        .unwrap()
        .with_bearer_token("a.b.c")
        .unwrap();
    let error = client.send(Request::get("/app/x")).unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn only_the_same_request_is_sent_on() {
    for to in [
        |url: &str| format!("{url}/app/y"),
        |url: &str| format!("{url}/app/x?a=1"),
        |url: &str| format!("{url}/other/app/x"),
        |url: &str| format!("{}/app/x", url.replace("https", "http")),
        |url: &str| format!("{}/app/x", url.replace("https://", "https://a@")),
        |_: &str| "/app/x".to_owned(),
        |_: &str| "https:///app/x".to_owned(),
    ] {
        let (backup, primary) = two_nodes(to);
        let client = Client::new(&backup.url, &backup.certificate).unwrap();
        let answer = client.exchange(Request::get("/app/x")).unwrap();
        assert_eq!(answer.status().as_u16(), 307, "{}", to(&primary.url));
        assert_eq!(primary.connections.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_request_is_not_sent_on_for_ever() {
    let url = Arc::new(std::sync::OnceLock::<String>::new());
    let itself = url.clone();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let node = serve(1, move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        // The end of a connection that nobody announced would race with the next request.
        let url = itself.get().unwrap();
        let headers = format!("location: {url}/app/x\r\nconnection: close\r\n");
        reply("307 TEMPORARY_REDIRECT", &headers, "")
    });
    url.set(node.url.clone()).unwrap();
    let client = Client::new(&node.url, &node.certificate).unwrap();
    let error = client.send(Request::get("/app/x")).unwrap_err();
    assert_eq!(error.service().unwrap().status.as_u16(), 307);
    assert_eq!(asked.load(Ordering::SeqCst), 1 + MAX_REDIRECTS);
}

#[test]
fn errors_carry_status_code_and_details() {
    let server = serve(9, |_, request| {
        if request.contains("/plain") {
            reply("503 SERVICE_UNAVAILABLE", "", "not now")
        } else {
            let body = r#"{"error":{"code":"SecretNotFound","message":"no such secret","details":[{"a":1}],"want":"x"}}"#;
            reply("404 NOT_FOUND", "", body)
        }
    });
    let client = Client::new(&server.url, &server.certificate).unwrap();
    let error = client.send(Request::get("/app/x")).unwrap_err();
    assert_eq!(error.code(), Some("SecretNotFound"));
    let error = error.service().unwrap().clone();
    assert_eq!(
        (error.status.as_u16(), error.message.as_str()),
        (404, "no such secret")
    );
    assert_eq!(error.details, [serde_json::json!({"a": 1})]);
    assert_eq!(error.more.get("want"), Some(&serde_json::json!("x")));
    let error = client
        .send(Request::get("/plain"))
        .unwrap_err()
        .service()
        .unwrap()
        .clone();
    assert_eq!(
        (
            error.status.as_u16(),
            error.code.as_str(),
            error.message.as_str()
        ),
        (503, "", "not now")
    );
}

#[test]
fn a_write_waits_for_its_commit() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = serve(100, move |_, request| {
        if request.starts_with("GET /app/tx?transaction_id=2.7 ") {
            let status = if count.fetch_add(1, Ordering::SeqCst) < 2 {
                "Pending"
            } else {
                "Committed"
            };
            reply(
                "200 OK",
                "",
                &format!(r#"{{"transaction_id":"2.7","status":"{status}"}}"#),
            )
        } else if request.starts_with("GET /gov/tx?transaction_id=2.8 ") {
            reply(
                "200 OK",
                "",
                r#"{"transaction_id":"2.8","status":"Invalid"}"#,
            )
        } else if request.starts_with("PUT /app/") {
            reply("200 OK", "x-ms-ccf-transaction-id: 2.7\r\n", "")
        } else {
            reply("204 NO_CONTENT", "x-ms-ccf-transaction-id: 2.8\r\n", "")
        }
    });
    let client = Client::new(&server.url, &server.certificate).unwrap();
    let response = client.write(Request::put("/app/x")).unwrap();
    assert_eq!(response.transaction(), Some(TxId::new(2, 7)));
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    let error = client.write(Request::post("/gov/x")).unwrap_err();
    assert!(matches!(error, ClientError::NotCommitted { status, .. } if status == "Invalid"));
}

#[test]
fn silence_is_a_timeout() {
    let server = serve(1, |_, _| {
        thread::sleep(Duration::from_secs(2));
        String::new()
    });
    let endpoint = Endpoint::new(&server.url, &server.certificate)
        .unwrap()
        .timeout(Duration::from_millis(200));
    let client = Client::with_endpoint(endpoint).unwrap();
    assert!(matches!(
        client.send(Request::get("/")),
        Err(ClientError::Timeout { .. })
    ));
}

#[test]
fn addresses_and_names_are_checked() {
    let (certificate, _, _) = certificates();
    for bad in [
        "",
        "http://127.0.0.1:1",
        "127.0.0.1:1",
        "https://",
        "https://127.0.0.1:1/app",
        "https://u@127.0.0.1:1",
    ] {
        assert!(
            matches!(Client::new(bad, &certificate), Err(ClientError::Url { .. })),
            "{bad:?}"
        );
    }
    assert!(Client::new("https://[::1]:8000", &certificate).is_ok());
    assert!(Client::new("https://localhost:8000/", &certificate).is_ok());
    assert!(matches!(
        Client::new("https://localhost", "x"),
        Err(ClientError::ServiceCertificate { .. })
    ));
    for bad in ["", ".", "..", "a/b", "a?b", "a b", "a%2fb", "a#b", "\u{e9}"] {
        assert!(segment(bad).is_err(), "{bad:?}");
    }
    assert_eq!(segment("a-1_b:c").unwrap(), "a-1_b:c");
}

/// Which members the requests of a clean room had, in order.
type Seen = Arc<Mutex<Vec<(bool, bool)>>>;

/// A service that refuses signed requests as too old if its clock is another, and wants challenges if it is `strict`.
fn strict_service(strict: bool, seen: &Seen) -> Server {
    let seen = Arc::clone(seen);
    serve(100, move |_, request| {
        let refuse = |code: &str| {
            let body = format!(r#"{{"error":{{"code":"{code}","message":""}}}}"#);
            reply("400 Bad Request", "", &body)
        };
        if request.starts_with("POST /app/contracts/c1/challenge ") {
            return reply("200 OK", "", r#"{"challenge":"7.ab","expires":7}"#);
        }
        let has = |member: &str| request.contains(&format!("\"{member}\":"));
        let (signed, answers) = (has("issuedAt"), has("challenge"));
        seen.lock().unwrap().push((signed, answers));
        match (strict, signed, answers) {
            (true, _, false) => refuse("ChallengeMissing"),
            (false, true, _) => refuse("RequestExpired"),
            _ => reply("200 OK", "", r#"{"status":"enabled"}"#),
        }
    })
}

/// The simulated platform, which notes what it was asked for.
struct Platform(Arc<Mutex<Vec<Option<String>>>>);

impl crate::clean_room::EvidenceSource for Platform {
    fn evidence(
        &self,
        key_pem: &str,
        challenge: Option<&str>,
    ) -> Result<crate::clean_room::RoomEvidence, Box<dyn std::error::Error + Send + Sync>> {
        self.0.lock().unwrap().push(challenge.map(str::to_owned));
        let guest = attestation::simulated::Guest::new([1; 32].into(), key_pem.as_bytes());
        Ok(attestation::simulated::Platform::default()
            .evidence(&guest)
            .into())
    }
}

#[test]
fn a_clean_room_gives_the_service_what_it_wants_and_no_more() {
    use crate::clean_room::CleanRoom;
    let key = || attestation::ClientKey::generate().unwrap();
    let asked = Arc::default();
    let seen = Seen::default();

    // A service whose clock is another gets the request without a signature over it.
    let server = strict_service(false, &seen);
    let client = Client::new(&server.url, &server.certificate).unwrap();
    let room = CleanRoom::on_platform(client, key(), Platform(Arc::clone(&asked))).unwrap();
    assert!(room.contract_execution("c1").unwrap().is_enabled());
    assert_eq!(*seen.lock().unwrap(), [(true, false), (false, false)]);
    assert_eq!(*asked.lock().unwrap(), [None]);

    // One that wants fresh evidence gets it, signed.
    seen.lock().unwrap().clear();
    let server = strict_service(true, &seen);
    let client = Client::new(&server.url, &server.certificate).unwrap();
    let room = CleanRoom::on_platform(client, key(), Platform(Arc::clone(&asked))).unwrap();
    assert!(room.contract_execution("c1").unwrap().is_enabled());
    assert_eq!(*seen.lock().unwrap(), [(true, false), (true, true)]);
    assert_eq!(asked.lock().unwrap().last(), Some(&Some("7.ab".to_owned())));

    // Evidence that is at hand cannot be made anew: the refusal stands.
    let recorded = room.evidence().clone();
    // The server takes one connection after the other.
    drop(room);
    let client = Client::new(&server.url, &server.certificate).unwrap();
    let room = CleanRoom::new(client, key(), recorded);
    let refused = room.contract_execution("c1").unwrap_err();
    assert_eq!(refused.code(), Some("ChallengeMissing"));
}
