//! Bad input over HTTPS: a clear error with a stable code, nothing released, nothing lost, the node stays up.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use governance::client::Request;
use governance::cose::{self, MessageType};
use governance::member::{Actions, Ballot};
use governance::{Client, Identity};
use http::{Method, header};
use serde_json::{Value, json};
use tests::scenarios;
use tests::scene::{CONTRACT, SECRET, Scene};
use tests::service::Host;
use zeroize::Zeroizing;

scenarios!(
    bodies_that_say_nothing_are_refused,
    bodies_that_say_too_much_are_refused,
    altered_evidence_releases_nothing,
    strangers_are_nobody,
    a_governance_message_works_once,
    scripts_that_loop_or_eat_memory_end_and_harm_nobody,
    connections_that_go_nowhere_keep_nobody_out,
    odd_requests_get_http_answers,
);

/// The status and code of an answer.
fn ask(client: &Client, request: Request) -> (u16, String) {
    let response = client.exchange(request).unwrap();
    let body: Value = response.json().unwrap_or_default();
    assert!(body.get("value").is_none(), "released: {body}");
    let code = body["error"]["code"].as_str().unwrap_or_default();
    (response.status().as_u16(), code.to_owned())
}

fn with_body(method: Method, path: &str, kind: &'static str, body: &[u8]) -> Request {
    Request::new(method, path).body(kind, Zeroizing::new(body.to_vec()))
}

/// The scene goes on as if nothing had happened.
fn still_serves(scene: &Scene) {
    let released = scene.room.secret(CONTRACT, &scene.secret_id).unwrap();
    assert_eq!(released.secret.expose(), SECRET);
}

fn bodies_that_say_nothing_are_refused(host: &Host) {
    let scene = Scene::on(host);
    let member = scene.members[0].client();
    let release = scene.release_path();
    let json = "application/json";
    for body in [
        "",
        "{",
        "null",
        "[]",
        "7",
        "\"x\"",
        "{\"attestation\":7}",
        "\u{0}",
    ] {
        let (status, code) = ask(
            &scene.service.client(),
            with_body(Method::POST, &release, json, body.as_bytes()),
        );
        assert_eq!(status, 400, "{body}: {code}");
        assert!(!code.is_empty(), "{body}");
        let request = with_body(Method::PUT, "/app/contracts/x", json, body.as_bytes());
        let (status, code) = ask(member, request);
        assert_eq!(status, 400, "{body}: {code}");
        assert!(!code.is_empty(), "{body}");
    }
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let (status, code) = ask(
        member,
        with_body(Method::PUT, "/app/contracts/x", json, nested.as_bytes()),
    );
    assert_eq!(status, 400, "{code}");
    for kind in ["text/plain", "application/octet-stream", "application/cose"] {
        let request = with_body(Method::PUT, "/app/contracts/x", kind, b"{\"data\":1}");
        let (status, code) = ask(member, request);
        assert_eq!(
            (status, code.as_str()),
            (415, "UnsupportedContentType"),
            "{kind}"
        );
    }
    still_serves(&scene);
}

fn bodies_that_say_too_much_are_refused(host: &Host) {
    let scene = Scene::on(host);
    let big = vec![b'x'; (1 << 20) + 1];
    for (client, path) in [
        (&scene.service.client(), scene.release_path()),
        (scene.members[0].client(), "/app/contracts/x".to_owned()),
    ] {
        let (status, code) = ask(
            client,
            with_body(Method::POST, &path, "application/json", &big),
        );
        assert_eq!(
            (status, code.as_str()),
            (413, "RequestBodyTooLarge"),
            "{path}"
        );
    }
    still_serves(&scene);
}

/// Every 61st byte of each part altered, and every part cut short: nothing comes back but a reason.
fn altered_evidence_releases_nothing(host: &Host) {
    let scene = Scene::on(host);
    let client = scene.service.client();
    let good: Value = serde_json::from_slice(&scene.room.request_body().unwrap()).unwrap();
    for part in ["evidence", "endorsements", "uvm_endorsements"] {
        let bytes = STANDARD
            .decode(good["attestation"][part].as_str().unwrap())
            .unwrap();
        let altered = (0..bytes.len()).step_by(61).map(|at| {
            let mut altered = bytes.clone();
            altered[at] ^= 0x10;
            (format!("{part} byte {at}"), altered)
        });
        let cut = [0, 1, bytes.len() / 2, bytes.len() - 1]
            .map(|length| (format!("{part} cut to {length}"), bytes[..length].to_vec()));
        for (what, bytes) in altered.chain(cut) {
            let mut body = good.clone();
            body["attestation"][part] = STANDARD.encode(&bytes).into();
            let request = Request::post(scene.release_path()).json(&body).unwrap();
            let response = client.exchange(request).unwrap();
            let answer: Value = response.json().unwrap();
            // The text around certificates means nothing, so an alteration there may leave the evidence as it was.
            if part == "endorsements" && response.status() == 200 {
                continue;
            }
            assert_eq!(response.status(), 400, "{what}: {answer}");
            assert!(answer["error"]["code"].is_string(), "{what}: {answer}");
        }
    }
    // Good evidence with another's key.
    let mut body = good;
    let other: Value = serde_json::from_slice(&scene.intruder.request_body().unwrap()).unwrap();
    body["encrypt"] = other["encrypt"].clone();
    let request = Request::post(scene.release_path()).json(&body).unwrap();
    assert_eq!(
        ask(&client, request),
        (400, "ReportDataMismatch".to_owned())
    );
    still_serves(&scene);
}

fn strangers_are_nobody(host: &Host) {
    let scene = Scene::on(host);
    let stranger = Identity::generate("stranger", Duration::from_secs(3600)).unwrap();
    let service = &scene.service;
    let client = Client::with_identity(service.url(), service.certificate(), &stranger).unwrap();
    for request in [
        Request::get("/app/contracts"),
        Request::put("/app/contracts/x")
            .json(&json!({"data": 1}))
            .unwrap(),
        Request::get(format!("/app/contracts/{CONTRACT}/secrets")),
    ] {
        assert_eq!(
            ask(&client, request),
            (401, "InvalidAuthenticationInfo".to_owned())
        );
    }
    let message = cose::sign(&stranger, &MessageType::Proposal, 1, b"{\"actions\":[]}").unwrap();
    let path = "/gov/members/proposals:create?api-version=2024-07-01";
    let (status, code) = ask(&client, Request::post(path).cose(message));
    assert_eq!((status, code.as_str()), (401, "InvalidAuthenticationInfo"));
    let token = service.client().with_bearer_token("a.b.c").unwrap();
    let refused = ask(&token, Request::get("/app/contracts"));
    if matches!(host, Host::Ccf { .. }) {
        // CCF's own answer to a token that is not base64url, before the application is asked (CCF interface, section 3.2).
        assert_eq!(refused, (500, "InternalError".to_owned()));
    } else {
        assert_eq!(refused, (401, "InvalidAuthenticationInfo".to_owned()));
    }
    still_serves(&scene);
}

fn a_governance_message_works_once(host: &Host) {
    let scene = Scene::on(host);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let payload = br#"{"actions":[{"name":"trigger_ledger_rekey"}]}"#;
    let signer = scene.members[0].identity();
    let message = cose::sign(signer, &MessageType::Proposal, now.as_secs(), payload).unwrap();
    let path = "/gov/members/proposals:create?api-version=2024-07-01";
    let client = scene.service.client();
    let first = client
        .exchange(Request::post(path).cose(message.clone()))
        .unwrap();
    assert_eq!(first.status(), 200);
    let again = ask(&client, Request::post(path).cose(message.clone()));
    assert_eq!(again, (400, "ProposalReplay".to_owned()));
    // The same bytes are no ballot, no withdrawal and no acknowledgement.
    let id = signer.id();
    for path in [
        format!("/gov/members/state-digests/{id}:ack"),
        format!("/gov/members/proposals/{}:withdraw", "ab".repeat(32)),
    ] {
        let request = Request::post(format!("{path}?api-version=2024-07-01")).cose(message.clone());
        assert_eq!(ask(&client, request).0, 401, "{path}");
    }
    still_serves(&scene);
}

fn scripts_that_loop_or_eat_memory_end_and_harm_nobody(host: &Host) {
    let scene = Scene::on(host);
    let [first, second] = &scene.members[..] else {
        panic!()
    };
    let mut bodies = vec![
        "while (true) {}",
        "const f = () => f(); return f();",
        "return 'x'.repeat(1 << 28).length > 0;",
    ];
    if !matches!(host, Host::Ccf { .. }) {
        // CCF's engine does not look at the clock inside a regular expression, and out of memory it may follow a null pointer:
        // docs/ccf-node.md.
        bodies.push("return /^(a+)+$/.test('a'.repeat(40) + 'b');");
        bodies.push("const all = []; while (true) all.push(new Array(1000).fill('x'));");
    }
    for body in bodies {
        let args = json!({"invitationId": body, "type": "add", "accountType": "microsoft", "claims": {"tid": "t"}});
        let actions = Actions::new().action("set_user_invitation_by_jwt_claims", args);
        let proposal = first.propose(&actions).unwrap();
        let script = format!("export function vote (proposal, proposerId) {{ {body} }}");
        let outcome = first.vote(&proposal.proposal_id, &Ballot::Script(script));
        if let Err(error) = outcome {
            assert!(error.code().is_some(), "{body}: {error}");
        }
        // A ballot that fails is no yes, and the other member goes on as before.
        let state = second.accept(&proposal.proposal_id).unwrap().proposal_state;
        assert_eq!(state, governance::service::ProposalState::Open, "{body}");
    }
    still_serves(&scene);
}

fn connections_that_go_nowhere_keep_nobody_out(host: &Host) {
    let scene = Scene::on(host);
    let address = scene
        .service
        .url()
        .strip_prefix("https://")
        .unwrap()
        .to_owned();
    let connect = || TcpStream::connect(&address).unwrap();
    let silent: Vec<TcpStream> = (0..64).map(|_| connect()).collect();
    let half: Vec<TcpStream> = (0..64)
        .map(|_| {
            let mut stream = connect();
            // The start of a TLS handshake record that never comes to its end.
            stream
                .write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
                .unwrap();
            stream
        })
        .collect();
    still_serves(&scene);
    let mut plain = connect();
    plain
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    plain
        .write_all(b"GET /app/contracts HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "served without TLS");
    drop((silent, half));
    still_serves(&scene);
}

fn odd_requests_get_http_answers(host: &Host) {
    let scene = Scene::on(host);
    let client = scene.members[0].client();
    for (request, want) in [
        (Request::get("/app/nothing"), 404),
        (Request::get("/"), 404),
        (Request::get("/app/%2e%2e/gov"), 404),
        (Request::new(Method::DELETE, "/app/contracts/x"), 405),
        (Request::new(Method::TRACE, "/app/contracts"), 405),
        (
            Request::get(format!("/app/contracts?state={}", "x".repeat(60_000))),
            431,
        ),
        (
            Request::get("/app/contracts")
                .header(header::RANGE, header::HeaderValue::from_static("bytes=0-1")),
            200,
        ),
    ] {
        let path: String = request.path().chars().take(40).collect();
        let status = client
            .exchange(request)
            .map(|response| response.status().as_u16());
        match status {
            Ok(status) => assert!(
                status == want || (want == 431 && matches!(status, 400 | 414)),
                "{path}: {status}"
            ),
            Err(error) => assert_eq!(want, 431, "{path}: {error}"),
        }
    }
    still_serves(&scene);
}
