//! Transaction ids, states, receipts, claims and roots.

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use governance::client::Request;
use governance::receipt::UnverifiedReceipt;
use http::Method;
use serde_json::{Value, json};
use tests::service::Host;

use crate::{Probed, hosts, json as answer, refusal};

hosts!(
    transactions_have_a_status_and_a_past,
    a_handler_that_began_too_early_begins_again,
);

fn transactions_have_a_status_and_a_past(host: &Host) {
    let probed = Probed::on(host);
    let write = |body: &str| {
        let response = probed.ask(Method::PUT, "/tables/probe/key", body);
        answer(&response);
        let id = response.transaction().unwrap();
        probed.client().wait_committed(id).unwrap();
        id.to_string()
    };
    let first = write("one");
    let claimed = probed.ask(Method::POST, "/claims/7", "");
    assert_eq!(claimed.status(), 200);
    let claimed = claimed.transaction().unwrap();
    let last = write("two");

    let status = |id: &str| probed.get(&format!("/transactions/{id}"));
    let seen = status(&first);
    assert_eq!(seen["status"], "Committed");
    let (view, from) = first.split_once('.').unwrap();
    assert_eq!(seen["view"].to_string(), view);
    let to = last.split_once('.').unwrap().1;
    let committed = seen["lastCommitted"].as_str().unwrap();
    let committed: u64 = committed.split_once('.').unwrap().1.parse().unwrap();
    assert!(committed >= to.parse().unwrap());
    assert_eq!(
        status(&format!("{view}.{}", committed + 10_000))["view"],
        Value::Null
    );
    assert_eq!(status(&format!("1.{from}"))["status"], "Invalid");

    // The transactions from the first to the last: what they wrote, and receipts for each.
    let path = format!("/past/probe/key?from={from}&to={to}");
    let past = fetch(&probed, &path);
    let past = past.as_array().unwrap();
    let of = |id: &str| past.iter().find(|state| state["id"] == id).unwrap();
    assert_eq!(of(&first)["value"], "one");
    assert_eq!(of(&last)["value"], "two");
    let claimed = claimed.to_string();
    assert_eq!(of(&claimed)["value"], Value::Null);
    let certificate = probed.service.certificate();
    for id in [&first, &claimed] {
        let receipt = UnverifiedReceipt::from_json(&of(id)["receipt"]).unwrap();
        let verified = receipt.verify(certificate).unwrap();
        assert_eq!(verified.transaction.unwrap().to_string(), *id);
        let claims = verified.claims_digest.unwrap();
        let want = if *id == claimed { [7; 32] } else { [0; 32] };
        assert_eq!(*claims.as_bytes(), want, "{id}");
    }
    // What is not committed has no past.
    let beyond = format!("/past/probe/key?from={from}&to={}", committed + 10_000);
    assert_eq!(refusal(&probed.ask(Method::GET, &beyond, "")).0, 500);

    // A root is 32 bytes, and changes with the ledger.
    let root = |_| answer(&probed.ask(Method::POST, "/root", ""));
    let before = root(0);
    assert_eq!(before.as_array().unwrap().len(), 32);
    write("three");
    assert_ne!(root(1), before);

    let about = probed.get("/host");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(now.as_secs().abs_diff(about["time"].as_u64().unwrap()) < 60);
    let after_commit = !matches!(host, Host::Ccf { .. });
    assert_eq!(about["repliesAfterCommit"], json!(after_commit));
}

/// Asks until it is at hand.
fn fetch(probed: &Probed, path: &str) -> Value {
    for _ in 0..500 {
        let response = probed.ask(Method::GET, path, "");
        if response.status() != 202 {
            return answer(&response);
        }
        sleep(Duration::from_millis(20));
    }
    panic!("still 202: {path}");
}

/// CCF forgets old versions of tables; a transaction that reads one it no longer has must be run again, which only the
/// framework can do.
fn a_handler_that_began_too_early_begins_again(host: &Host) {
    let probed = Probed::on(host);
    let answered = std::thread::scope(|scope| {
        let late = scope.spawn(|| {
            let client = probed.service.client();
            let request = Request::post("/app/late/public:late");
            answer(&client.exchange(request).unwrap())
        });
        while !late.is_finished() {
            // The table appears, and more follows, while the other waits.
            probed.put("/tables/public:late/other", "1");
        }
        late.join().unwrap()
    });
    let want = if matches!(host, Host::Ccf { .. }) {
        2
    } else {
        1
    };
    assert!(answered.as_u64().unwrap() >= want, "{answered}");
    assert_eq!(probed.get("/tables/public:late/late")["has"], true);
}
