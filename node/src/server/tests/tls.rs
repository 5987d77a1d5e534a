//! Handshakes: versions, suites, certificates, and what becomes of those that do not end.

use super::*;

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
