//! What `ccf-rs` promises, on each host: the same requests to the same application, and the same answers.
#![allow(clippy::unwrap_used, missing_docs)]

mod callers;
mod failures;
mod requests;
mod tables;
mod transactions;

use std::time::Duration;

use governance::client::{Request, Response};
use governance::{Client, Identity, Member};
use http::Method;
use serde_json::Value;
use tests::service::{Host, Service};
use zeroize::Zeroizing;

/// One test on each host, as `tests::scenarios!` makes them for the clean room application.
macro_rules! hosts {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn embedded() {
                super::$name(&tests::service::Host::EmbeddedProbe);
            }

            #[test]
            fn ccf() {
                if let Some(host) = tests::ccf::probe(concat!(stringify!($name), "::ccf")) {
                    super::$name(&host);
                }
            }
        }
    )+};
}
pub(crate) use hosts;

/// An open service with the probe, and its only member.
pub(crate) struct Probed {
    pub(crate) service: Service,
    pub(crate) member: Member,
    client: Client,
}

impl Probed {
    pub(crate) fn on(host: &Host) -> Self {
        let identity = Identity::generate("member0", Duration::from_secs(3600)).unwrap();
        let founders = [&identity.with_encryption_key().unwrap()];
        let service = Service::start_with(host, &founders, |configuration| {
            // Signatures come soon, so that nothing waits for them, and handlers run beside each other.
            configuration["ledger_signatures"] =
                serde_json::json!({ "tx_count": 100, "delay": "100ms" });
            configuration["worker_threads"] = 2.into();
        });
        let member = service.open(&founders).remove(0);
        let client = service.client();
        Self {
            service,
            member,
            client,
        }
    }

    /// The answer to a request that nobody in particular makes.
    pub(crate) fn ask(&self, method: Method, path: &str, body: &str) -> Response {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        let request = Request::new(method, format!("/app{path}")).body("text/plain", body);
        self.client.exchange(request).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        json(&self.ask(Method::GET, path, ""))
    }

    /// A write, and what it answered once it was committed.
    pub(crate) fn write(&self, method: Method, path: &str, body: &str) -> Value {
        let response = self.ask(method, path, body);
        self.client
            .wait_committed(response.transaction().unwrap())
            .unwrap();
        json(&response)
    }

    pub(crate) fn put(&self, path: &str, body: &str) -> Value {
        self.write(Method::PUT, path, body)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

pub(crate) fn json(response: &Response) -> Value {
    assert_eq!(response.status(), 200, "{:?}", response.text());
    response.json().unwrap_or_default()
}

/// Status and code of a refusal.
pub(crate) fn refusal(response: &Response) -> (u16, String) {
    let body: Value = response.json().unwrap_or_default();
    let code = body["error"]["code"].as_str().unwrap_or_default();
    (response.status().as_u16(), code.to_owned())
}
