//! Sizes, numbers and times that the server bounds.

use super::*;

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
    counts(|| rig.sessions.report().header_too_large, 4);
    // As much as is allowed: 405, as the endpoint takes posts.
    for headers in [many(15), large(16 << 10)] {
        assert!(rig.ask(&get(headers)).starts_with("HTTP/1.1 405"));
    }
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
