//! The server against real TLS clients, well and ill behaved.

mod http;
mod limits;
mod tls;

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

/// A counter becomes this: a connection is counted when it has ended, after its last answer.
fn counts(counter: impl Fn() -> usize, want: usize) {
    for _ in 0..1_000 {
        if counter() == want {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(counter(), want);
}

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
