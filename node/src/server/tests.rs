//! The server against real TLS clients, well and ill behaved.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ccf_rs::{Auth, Caller, Context, Endpoints, ReadContext, ReadHost, Reply, Result, Router};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use time::OffsetDateTime;
use tokio::sync::watch;

use super::*;
use crate::frontend::{
    Authenticate, Credentials, Dispatcher, Frontend, Parts, Unauthenticated, node_is_open,
};
use crate::identity::{
    IdentityKey, Subject, Validity, endorse_node, self_signed_node, self_signed_service,
};
use crate::pipeline::{History, Ledger, Views};
use crate::store::{Access, State, Store};

/// Told when a slow handler began, and waits to be let go.
#[derive(Default)]
struct App {
    slow: Option<(
        std::sync::mpsc::SyncSender<()>,
        std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
    )>,
}

/// Accepts everybody and names the certificate's length.
struct Open;

impl Authenticate for Open {
    fn authenticate(
        &self,
        _: &[Auth],
        credentials: &Credentials<'_>,
        _: &mut dyn ReadHost,
    ) -> std::result::Result<Caller, Unauthenticated> {
        Ok(credentials
            .certificate
            .map_or(Caller::Anonymous, |der| Caller::Certificate(der.clone())))
    }
}

fn echo(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let certificate = match ctx.caller() {
        Caller::Certificate(der) => der.len(),
        _ => 0,
    };
    Ok(Reply::text(
        "text/plain",
        format!("{} {certificate}", ctx.request().body.len()),
    ))
}

fn slow(app: &App, _: &mut ReadContext<'_>) -> Result<Reply> {
    let (began, go) = app.slow.as_ref().unwrap();
    began.send(()).unwrap();
    go.lock().unwrap().recv().unwrap();
    Ok(Reply::text("text/plain", "done"))
}

/// As the HTTP library refuses what it cannot read.
const CANNED: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

fn canned(_: &App, _: &mut ReadContext<'_>) -> Result<Reply> {
    Ok(Reply::text("text/plain", CANNED))
}

fn crash(_: &App, _: &mut ReadContext<'_>) -> Result<Reply> {
    panic!("as asked")
}

struct Rig {
    address: SocketAddr,
    roots: RootCertStore,
    sessions: Arc<Sessions>,
    stop: watch::Sender<bool>,
    runtime: tokio::runtime::Runtime,
    task: Option<tokio::task::JoinHandle<std::result::Result<(), ServerError>>>,
}

fn validity() -> Validity {
    Validity {
        from: OffsetDateTime::now_utc() - time::Duration::minutes(1),
        days: 1,
    }
}

impl Rig {
    fn new(limits: Limits) -> Self {
        Self::with(App::default(), limits)
    }

    fn with(app: App, limits: Limits) -> Self {
        let service_key = IdentityKey::generate().unwrap();
        let node_key = IdentityKey::generate().unwrap();
        let service = self_signed_service(&service_key, "CN=CCF Service", validity()).unwrap();
        let subject = Subject {
            name: "CN=CCF Node".into(),
            alternative_names: vec!["iPAddress:127.0.0.1".into()],
        };
        let node = endorse_node(
            &node_key,
            &subject,
            validity(),
            &service_key,
            "CN=CCF Service",
        )
        .unwrap();
        let certificate = Arc::new(ServerCertificate::new(&node, &node_key).unwrap());
        let endpoints = Endpoints::new(Arc::new(app))
            .post("/echo", echo)
            .auth([Auth::AnyCert])
            .get("/canned", canned)
            .get("/crash", crash)
            .get("/slow", slow)
            .build();
        let store = Arc::new(Store::new(State::default(), [0; 32]));
        let chain = Ledger::new(
            Arc::new(History::default()),
            Arc::downgrade(&store),
            Views::of_new_service(),
        );
        let frontend = Frontend {
            name: "app",
            router: Router::new(endpoints),
            access: Access::Application,
            is_open: node_is_open,
            blocking: false,
        };
        let dispatcher = Arc::new(Dispatcher::new(Parts {
            store,
            chain: Arc::new(chain),
            frontends: vec![frontend],
            authenticator: Box::new(Open),
            clock: Box::new(|| Duration::from_secs(1)),
            commit_patience: Duration::from_secs(60),
        }));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime
            .block_on(Server::bind("127.0.0.1:0", limits))
            .unwrap();
        let (address, sessions) = (server.address().unwrap(), server.sessions());
        let (stop, stopped) = watch::channel(false);
        let task = runtime.spawn(server.serve(certificate, dispatcher, stopped));
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(service.as_bytes()).unwrap())
            .unwrap();
        Self {
            address,
            roots,
            sessions,
            stop,
            runtime,
            task: Some(task),
        }
    }

    fn connect(
        &self,
        identity: Option<(&str, &IdentityKey)>,
        alpn: &[&str],
    ) -> StreamOwned<ClientConnection, TcpStream> {
        self.connect_over(rustls::ALL_VERSIONS, identity, alpn)
    }

    fn connect_over(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        identity: Option<(&str, &IdentityKey)>,
        alpn: &[&str],
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((pem, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
                let der =
                    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_pkcs8_der().to_vec()));
                let provider = rustls::crypto::aws_lc_rs::default_provider();
                let key = provider.key_provider.load_private_key(der).unwrap();
                // Not `with_client_auth_cert`, which refuses a key that does not fit.
                let certified = Arc::new(rustls::sign::CertifiedKey::new(chain, key));
                builder.with_client_cert_resolver(Arc::new(Fixed(certified)))
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let tcp = TcpStream::connect(self.address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        StreamOwned::new(connection, tcp)
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect(None, &[]);
        stream.write_all(request.as_bytes()).unwrap();
        answer(&mut stream).unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(task) = self.task.take() {
            assert!(matches!(self.runtime.block_on(task), Ok(Ok(()))));
        }
    }
}

#[derive(Debug)]
struct Fixed(Arc<rustls::sign::CertifiedKey>);

impl rustls::client::ResolvesClientCert for Fixed {
    fn resolve(
        &self,
        _: &[&[u8]],
        _: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// One answer with its body, by its content-length.
fn answer(stream: &mut impl Read) -> std::io::Result<String> {
    let mut text = Vec::new();
    let mut byte = [0; 1];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        text.push(byte[0]);
    }
    let head = String::from_utf8(text.clone()).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        // 204 has neither a body nor its length (RFC 9110, section 8.6).
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    text.extend(body);
    Ok(String::from_utf8(text).unwrap())
}

fn post(body: &str) -> String {
    format!(
        "POST /app/echo HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn requests_on_one_connection_are_answered_in_order() {
    let rig = Rig::new(Limits::default());
    let mut stream = rig.connect(None, &["http/1.1"]);
    stream
        .write_all(format!("{}{}", post("one"), post("three")).as_bytes())
        .unwrap();
    let first = answer(&mut stream).unwrap();
    assert!(
        first.starts_with("HTTP/1.1 200") && first.ends_with("3 0"),
        "{first}"
    );
    assert!(!first.to_lowercase().contains("\r\ndate:"), "{first}");
    assert!(answer(&mut stream).unwrap().ends_with("5 0"));
    let chunked = "POST /app/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n";
    stream.write_all(chunked.as_bytes()).unwrap();
    assert!(answer(&mut stream).unwrap().ends_with("4 0"));
}

#[test]
fn a_self_signed_client_certificate_is_handed_on() {
    let rig = Rig::new(Limits::default());
    let key = IdentityKey::generate().unwrap();
    let subject = Subject {
        name: "CN=member".into(),
        alternative_names: vec![],
    };
    let pem = self_signed_node(&key, &subject, validity()).unwrap();
    let length = crate::identity::certificate_der(&pem).unwrap().len();
    let mut stream = rig.connect(Some((&pem, &key)), &[]);
    stream.write_all(post("x").as_bytes()).unwrap();
    assert!(
        answer(&mut stream)
            .unwrap()
            .ends_with(&format!("1 {length}"))
    );
}

/// The certificate without what version 3 added: the version and the extensions. Nobody looks at its signature.
fn version_1(pem: &str) -> String {
    use x509_parser::asn1_rs::{Any, FromDer};
    fn elements(mut rest: &[u8]) -> Vec<&[u8]> {
        let mut all = Vec::new();
        while !rest.is_empty() {
            let (after, _) = Any::from_der(rest).unwrap();
            all.push(&rest[..rest.len() - after.len()]);
            rest = after;
        }
        all
    }
    fn sequence(content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[0x30, 0x82, length[0], length[1]], content].concat()
    }
    let der = crate::identity::certificate_der(pem).unwrap();
    let outer = elements(Any::from_der(&der).unwrap().1.data);
    let parts = elements(Any::from_der(outer[0]).unwrap().1.data);
    let old = sequence(&parts[1..7].concat());
    let der = sequence(&[&old, outer[1], outer[2]].concat());
    let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[test]
fn d01_certificates_of_version_1_are_as_good() {
    let rig = Rig::new(Limits::default());
    let (key, other) = (
        IdentityKey::generate().unwrap(),
        IdentityKey::generate().unwrap(),
    );
    let subject = Subject {
        name: "CN=member".into(),
        alternative_names: vec![],
    };
    let pem = version_1(&self_signed_node(&key, &subject, validity()).unwrap());
    let length = crate::identity::certificate_der(&pem).unwrap().len();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut stream = rig.connect_over(&[version], Some((&pem, &key)), &[]);
        stream.write_all(post("x").as_bytes()).unwrap();
        let text = answer(&mut stream).unwrap();
        assert!(text.ends_with(&format!("1 {length}")), "{text}");
        let mut stream = rig.connect_over(&[version], Some((&pem, &other)), &[]);
        let outcome = stream
            .write_all(post("x").as_bytes())
            .and_then(|()| answer(&mut stream));
        assert!(outcome.is_err(), "{outcome:?}");
    }
}

#[test]
fn a_certificate_without_its_key_does_not_connect() {
    let rig = Rig::new(Limits::default());
    let (key, other) = (
        IdentityKey::generate().unwrap(),
        IdentityKey::generate().unwrap(),
    );
    let subject = Subject {
        name: "CN=member".into(),
        alternative_names: vec![],
    };
    let pem = self_signed_node(&key, &subject, validity()).unwrap();
    let mut stream = rig.connect(Some((&pem, &other)), &[]);
    let outcome = stream
        .write_all(post("x").as_bytes())
        .and_then(|()| answer(&mut stream));
    assert!(outcome.is_err(), "{outcome:?}");
}

/// Whether a client that knows only this suite, this group and this version agrees with the server.
fn agrees(
    rig: &Rig,
    suite: rustls::SupportedCipherSuite,
    group: &'static dyn rustls::crypto::SupportedKxGroup,
    version: &'static rustls::SupportedProtocolVersion,
) -> bool {
    let provider = rustls::crypto::CryptoProvider {
        cipher_suites: vec![suite],
        kx_groups: vec![group],
        ..rustls::crypto::aws_lc_rs::default_provider()
    };
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(rig.roots.clone())
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut tcp = TcpStream::connect(rig.address).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    while client.is_handshaking() {
        if client.complete_io(&mut tcp).is_err() {
            return false;
        }
    }
    // The leaf alone, verified to the service certificate with the address it was asked for.
    client.peer_certificates().map(<[_]>::len) == Some(1)
}

#[test]
fn d01_versions_suites_and_groups() {
    use rustls::crypto::aws_lc_rs::{cipher_suite as suites, kx_group as groups};
    use rustls::version::{TLS12, TLS13};
    let rig = Rig::new(Limits::default());
    for group in [groups::SECP384R1, groups::SECP256R1] {
        for suite in [
            suites::TLS13_AES_256_GCM_SHA384,
            suites::TLS13_AES_128_GCM_SHA256,
        ] {
            assert!(agrees(&rig, suite, group, &TLS13), "{suite:?} {group:?}");
        }
        for suite in [
            suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ] {
            assert!(agrees(&rig, suite, group, &TLS12), "{suite:?} {group:?}");
        }
    }
    let chacha = suites::TLS13_CHACHA20_POLY1305_SHA256;
    assert!(!agrees(&rig, chacha, groups::SECP384R1, &TLS13));
}

#[test]
fn protocols_are_agreed_or_refused() {
    let rig = Rig::new(Limits::default());
    let mut stream = rig.connect(None, &["h2", "http/1.1"]);
    stream.flush().unwrap();
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    assert_eq!(stream.conn.alpn_protocol(), Some(b"h2".as_slice()));
    let mut stream = rig.connect(None, &["spdy/3"]);
    assert!(stream.conn.complete_io(&mut stream.sock).is_err());
}

#[test]
fn oversized_bodies_are_refused_and_the_connection_closed() {
    let rig = Rig::new(Limits {
        body: 1_000,
        ..Limits::default()
    });
    let text = rig.ask(&post(&"x".repeat(1_001)));
    assert!(
        text.starts_with("HTTP/1.1 413") && text.contains("RequestBodyTooLarge"),
        "{text}"
    );
    assert!(text.contains("connection: close"));
    assert!(rig.ask(&post(&"x".repeat(1_000))).ends_with("1000 0"));
    assert_eq!(rig.sessions.report().body_too_large, 1);
}

/// An answer that says what is wrong, and ends the connection.
fn refuses(rig: &Rig, request: &str, status: &str, says: &str) {
    let mut stream = rig.connect(None, &[]);
    stream.write_all(request.as_bytes()).unwrap();
    let text = answer(&mut stream).unwrap();
    assert!(
        text.starts_with(&format!("HTTP/1.1 {status}\r\n")),
        "{text}"
    );
    assert!(text.contains("connection: close"), "{text}");
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(body.contains(says), "{text}");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty(), "nothing follows");
}

#[test]
fn d04_too_many_or_too_large_headers_are_refused() {
    let rig = Rig::new(Limits {
        headers: 16,
        header: 16 << 10,
        head: 64 << 10,
        ..Limits::default()
    });
    let many = |count: usize| (0..count).map(|n| format!("h{n}: v\r\n")).collect();
    let large = |size: usize| format!("h: {}\r\n", "v".repeat(size));
    let get = |headers: String| format!("GET /app/echo HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    for headers in [many(16), many(100), large((16 << 10) + 1), large(100 << 10)] {
        refuses(
            &rig,
            &get(headers),
            "431 REQUEST_HEADER_FIELDS_TOO_LARGE",
            "RequestHeaderTooLarge",
        );
    }
    assert_eq!(rig.sessions.report().header_too_large, 4);
    // As much as is allowed: 405, as the endpoint takes posts.
    for headers in [many(15), large(16 << 10)] {
        assert!(rig.ask(&get(headers)).starts_with("HTTP/1.1 405"));
    }
}

#[test]
fn d04_what_is_not_http_is_refused_and_the_server_stays() {
    let rig = Rig::new(Limits::default());
    let unreadable = "Unable to parse data as a HTTP request.";
    for request in [
        "rubbish\r\n\r\n",
        "GET /app/echo HTTP/1.1\r\nb ad: x\r\n\r\n",
        "GET /app/echo HTTP/9.9\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        refuses(&rig, request, "400 BAD_REQUEST", unreadable);
    }
    // After a good request on the same connection.
    let mut stream = rig.connect(None, &[]);
    stream.write_all(post("x").as_bytes()).unwrap();
    assert!(answer(&mut stream).unwrap().ends_with("1 0"));
    stream.write_all(b"rubbish\r\n\r\n").unwrap();
    assert!(answer(&mut stream).unwrap().ends_with(unreadable));
    assert_eq!(rig.sessions.report().parsing, 5);
    let mut raw = TcpStream::connect(rig.address).unwrap();
    raw.write_all(&[0xff; 512]).unwrap();
    drop(raw);
    assert!(rig.ask(&post("x")).ends_with("1 0"));
}

/// An answer of the application that reads like one of the library's stays as it is.
#[test]
fn answers_are_not_taken_for_the_librarys() {
    let rig = Rig::new(Limits::default());
    let mut stream = rig.connect(None, &[]);
    for _ in 0..2 {
        stream
            .write_all(b"GET /app/canned HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        let text = answer(&mut stream).unwrap();
        assert!(text.ends_with(CANNED), "{text}");
    }
}

#[test]
fn d03_status_lines_and_headers_read_as_ccfs() {
    let rig = Rig::new(Limits::default());
    let head = |request: &str| {
        let text = rig.ask(request);
        text.split_once("\r\n\r\n").unwrap().0.to_owned()
    };
    let ok = head(&post("x"));
    assert!(ok.starts_with("HTTP/1.1 200 OK\r\n"), "{ok}");
    let unknown = head("GET /app/none HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(
        unknown.starts_with("HTTP/1.1 404 NOT_FOUND\r\n"),
        "{unknown}"
    );
    for line in ok.lines().chain(unknown.lines()).skip(1) {
        let Some((name, _)) = line.split_once(": ") else {
            continue;
        };
        assert_eq!(name, name.to_lowercase());
        assert!(!["date", "server", "connection"].contains(&name), "{line}");
    }
    let options = head("OPTIONS /app/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    assert!(options.contains("allow: OPTIONS, POST"), "{options}");
}

#[test]
fn a_head_that_does_not_come_is_given_up_long_before_the_connection_is() {
    let rig = Rig::new(Limits {
        request: Duration::from_millis(100),
        idle: Duration::from_secs(600),
        ..Limits::default()
    });
    let mut stream = rig.connect(None, &[]);
    stream.write_all(post("x").as_bytes()).unwrap();
    assert!(answer(&mut stream).unwrap().ends_with("1 0"));
    // Idle for longer than a head may take.
    std::thread::sleep(Duration::from_millis(300));
    stream.write_all(post("y").as_bytes()).unwrap();
    assert!(answer(&mut stream).unwrap().ends_with("1 0"));
    stream.write_all(b"GET /app/echo HT").unwrap();
    let ended = answer(&mut stream);
    assert!(ended.is_err(), "{ended:?}");
}

#[test]
fn a_panic_in_a_handler_is_answered_and_the_connection_goes_on() {
    let rig = Rig::new(Limits::default());
    let mut stream = rig.connect(None, &[]);
    stream
        .write_all(b"GET /app/crash HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    let text = answer(&mut stream).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 500") && text.contains("InternalError"),
        "{text}"
    );
    stream.write_all(post("x").as_bytes()).unwrap();
    assert!(answer(&mut stream).unwrap().ends_with("1 0"));
}

#[test]
fn half_open_handshakes_are_dropped_and_pin_nothing() {
    let rig = Rig::new(Limits {
        handshake: Duration::from_millis(50),
        ..Limits::default()
    });
    let mut silent: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(rig.address).unwrap())
        .collect();
    for stream in &mut silent {
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "the server closes");
    }
}

#[test]
fn session_caps() {
    let rig = Rig::new(Limits {
        sessions_soft: 1,
        sessions_hard: 2,
        ..Limits::default()
    });
    let mut first = rig.connect(None, &[]);
    first.write_all(post("x").as_bytes()).unwrap();
    assert!(answer(&mut first).unwrap().ends_with("1 0"));
    let mut second = rig.connect(None, &[]);
    second.write_all(post("x").as_bytes()).unwrap();
    let text = answer(&mut second).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 503") && text.contains("SessionCapExhausted"),
        "{text}"
    );
    assert!(rig.sessions.report().peak >= 2);
}

#[test]
fn silent_connections_do_not_shut_others_out() {
    let limits = Limits {
        handshakes: 4,
        handshake: Duration::from_secs(600),
        sessions_hard: 8,
        ..Limits::default()
    };
    let rig = Rig::new(limits);
    let silent: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(rig.address).unwrap())
        .collect();
    assert!(rig.ask(&post("x")).ends_with("1 0"));
    assert_eq!(rig.sessions.report().peak, 1, "a handshake is no session");
    // The oldest gave way to newer ones.
    let mut first = &silent[0];
    first
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert_eq!(first.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let rig = Rig::new(Limits {
        request: Duration::from_millis(50),
        ..Limits::default()
    });
    let text = rig.ask("POST /app/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc");
    assert!(
        text.starts_with("HTTP/1.1 408") && text.contains("RequestTimeout"),
        "{text}"
    );
    assert!(rig.ask(&post("x")).ends_with("1 0"));
}

#[test]
fn a_truncated_body_leaves_the_server_well() {
    let rig = Rig::new(Limits::default());
    let mut stream = rig.connect(None, &[]);
    stream
        .write_all(b"POST /app/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
        .unwrap();
    stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
    let outcome = answer(&mut stream);
    assert!(
        outcome
            .as_ref()
            .map_or(true, |text| text.contains("InvalidInput")),
        "{outcome:?}"
    );
    assert!(rig.ask(&post("x")).ends_with("1 0"));
}

#[test]
fn a_request_that_is_under_way_is_answered_when_the_server_stops() {
    let (began, has_begun) = std::sync::mpsc::sync_channel(1);
    let (let_go, go) = std::sync::mpsc::channel();
    let app = App {
        slow: Some((began, std::sync::Mutex::new(go))),
    };
    let rig = Rig::with(app, Limits::default());
    let mut stream = rig.connect(None, &[]);
    stream
        .write_all(b"GET /app/slow HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    has_begun.recv().unwrap();
    rig.stop.send(true).unwrap();
    let_go.send(()).unwrap();
    assert!(answer(&mut stream).unwrap().ends_with("done"));
}
