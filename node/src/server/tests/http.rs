//! Requests and answers on one connection.

use super::*;

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
    counts(|| rig.sessions.report().parsing, 5);
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
