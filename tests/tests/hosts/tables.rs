//! Tables and what a transaction sees of them.

use std::thread;

use http::Method;
use serde_json::{Value, json};
use tests::service::Host;

use crate::{Probed, hosts, refusal};

hosts!(
    a_transaction_sees_its_own_writes_and_when_others_were_made,
    ranges_are_in_order_and_end_where_they_should,
    refusals_keep_nothing_unless_they_say_so,
    transactions_that_conflict_are_run_again,
);

fn a_transaction_sees_its_own_writes_and_when_others_were_made(host: &Host) {
    let probed = Probed::on(host);
    for table in ["public:probe", "probe"] {
        let absent = json!({
            "value": null, "has": false, "previousWrite": null, "committed": null, "length": 0,
        });
        let at = format!("/tables/{table}/a");
        assert_eq!(probed.get(&at), absent);
        // Its own write is there, and has no place in the ledger yet.
        let first = probed.put(&at, "one");
        let written = json!({
            "value": "one", "has": true, "previousWrite": null, "committed": null, "length": 1,
        });
        assert_eq!(first, written);
        let seen = probed.get(&at);
        let place = seen["previousWrite"].as_u64().unwrap();
        assert_eq!(
            (&seen["value"], &seen["committed"], &seen["length"]),
            (&json!("one"), &json!("one"), &json!(1))
        );
        // The next one replaces it and still sees what is committed.
        let second = probed.put(&at, "two");
        assert_eq!(
            (&second["value"], &second["committed"]),
            (&json!("two"), &json!("one"))
        );
        assert_eq!(second["previousWrite"], place);
        assert!(probed.get(&at)["previousWrite"].as_u64().unwrap() > place);
        let removed = probed.write(Method::DELETE, &at, "");
        assert_eq!(
            (&removed["value"], &removed["has"], &removed["length"]),
            (&Value::Null, &json!(false), &json!(0))
        );
        assert_eq!(probed.get(&at), absent);
        // Values are bytes: none, and some that are no text.
        probed.put(&at, "");
        assert_eq!(probed.get(&at)["value"], "");
    }
}

fn ranges_are_in_order_and_end_where_they_should(host: &Host) {
    let probed = Probed::on(host);
    let keys = ["b", "a", "ab", "c", "ca", "B"];
    for key in keys {
        probed.put(&format!("/tables/public:probe/{key}"), key);
    }
    let rows = |query: &str| {
        let list = probed.get(&format!("/tables/public:probe{query}"));
        let rows = list["rows"].as_array().unwrap().iter();
        let keys: Vec<String> = rows
            .map(|row| {
                assert_eq!(row[0], row[1]);
                row[0].as_str().unwrap().to_owned()
            })
            .collect();
        (keys.join(" "), list["any"].as_u64().unwrap())
    };
    for (query, want, any) in [
        ("", "B a ab b c ca", 6),
        ("?from=a", "a ab b c ca", 6),
        ("?from=a&to=c", "a ab b", 6),
        ("?to=a", "B", 6),
        ("?from=c&to=c", "", 6),
        ("?from=x", "", 6),
        ("?from=a&limit=2", "a ab", 2),
    ] {
        assert_eq!(rows(query), (want.to_owned(), any), "{query}");
    }
    let cleared = probed.write(Method::DELETE, "/tables/public:probe", "");
    assert_eq!(cleared["length"], 0);
    assert_eq!(rows(""), (String::new(), 0));
}

fn refusals_keep_nothing_unless_they_say_so(host: &Host) {
    let probed = Probed::on(host);
    let refused = probed.ask(Method::POST, "/tables/public:probe/refuse", "");
    assert_eq!(refusal(&refused), (409, "Refused".to_owned()));
    assert_eq!(refused.transaction(), None);
    assert_eq!(probed.get("/tables/public:probe/refused")["has"], false);
    let kept = probed.ask(Method::POST, "/tables/public:probe/refuse?keep=1", "");
    assert_eq!(refusal(&kept), (409, "Refused".to_owned()));
    let body: Value = kept.json().unwrap();
    assert_eq!(
        body["error"]["details"],
        json!([{ "table": "public:probe" }])
    );
    let id = kept.transaction().unwrap();
    probed.client().wait_committed(id).unwrap();
    assert_eq!(probed.get("/tables/public:probe/refused")["has"], true);
}

fn transactions_that_conflict_are_run_again(host: &Host) {
    const EACH: usize = 20;
    let probed = Probed::on(host);
    thread::scope(|scope| {
        for _ in 0..3 {
            let client = probed.service.client();
            scope.spawn(move || {
                let mut done = 0;
                while done < EACH {
                    let path = "/app/tables/public:probe/increment";
                    let answer = client
                        .exchange(governance::client::Request::post(path))
                        .unwrap();
                    // Too many conflicts is an answer too.
                    match answer.status().as_u16() {
                        200 => done += 1,
                        503 => {}
                        other => panic!("{other}: {:?}", answer.text()),
                    }
                }
            });
        }
    });
    let counted = probed.write(Method::POST, "/tables/public:probe/increment", "");
    assert_eq!(counted, (3 * EACH + 1).to_string());
}
