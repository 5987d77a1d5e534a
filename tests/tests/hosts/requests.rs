//! What arrives of a request.

use governance::client::Request;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use tests::service::Host;
use zeroize::Zeroizing;

use crate::{Probed, hosts, json as answer, refusal};

hosts!(requests_arrive_as_they_were_sent);

fn requests_arrive_as_they_were_sent(host: &Host) {
    let probed = Probed::on(host);
    let ask = |method: Method, path: &str| {
        let request = Request::new(method, path)
            .header(
                HeaderName::from_static("x-probe"),
                HeaderValue::from_static("Some Text"),
            )
            .body(
                "application/octet-stream",
                Zeroizing::new(b"the body".to_vec()),
            );
        probed.client().exchange(request).unwrap()
    };
    for prefix in ["/app", ""] {
        let path = format!("{prefix}/echo/b%20%2F+x/a%3Ab:done");
        let response = ask(Method::GET, &format!("{path}?q=1&r=%41+b"));
        assert_eq!(response.headers()["x-probe"], "seen");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(
            answer(&response),
            json!({
                "verb": "GET",
                "path": path,
                "params": [["second", "b%20%2F+x"], ["first", "a%3Ab"]],
                "query": "q=1&r=%41+b",
                "header": "Some Text",
                "body": "the body",
            })
        );
    }
    // The same path with another verb is another endpoint; with a third it is none.
    assert_eq!(
        answer(&ask(Method::PATCH, "/app/echo/here"))["verb"],
        "PATCH"
    );
    let other = ask(Method::PUT, "/app/echo/here");
    assert_eq!(refusal(&other), (405, "UnsupportedHttpVerb".to_owned()));
    let allow = other.headers()["allow"].to_str().unwrap();
    assert!(allow.contains("GET") && allow.contains("PATCH"), "{allow}");
    assert_eq!(
        refusal(&ask(Method::GET, "/app/echo/nowhere")),
        (404, "ResourceNotFound".to_owned())
    );
    // What the application serves is in its document.
    let document: Value = answer(&ask(Method::GET, "/app/api"));
    assert_eq!(document["info"]["title"], "Probe");
    let paths = document["paths"].as_object().unwrap();
    assert!(
        paths.keys().any(|path| path.ends_with("/echo/here")),
        "{paths:?}"
    );
}
