//! Events: writing, reading the newest, reading the past.

use attestation::{ClientKey, Sha256Digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::testing::MemoryHost;
use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};

use super::{OTHER, Scene, refuses, set, set_options, token};

const EVENTS: &str = "/contracts/c1/events";
const TIME: &str = "1700000000000";

impl Scene {
    fn event(&self, payload: &Value, timestamp: Value) -> Value {
        let mut envelope = self.signed(payload);
        envelope["timestamp"] = timestamp;
        envelope
    }

    fn write(&mut self, path: &str, payload: &Value) {
        let event = self.event(payload, TIME.into());
        let (status, body) = self.call(Verb::Put, path, Caller::Anonymous, &event);
        assert_eq!(status, 204, "{body}");
    }

    fn events(&mut self, path: &str) -> Vec<Value> {
        let (status, body) = self.member(Verb::Get, path, &Value::Null);
        assert_eq!(status, 200, "{body}");
        body["value"].as_array().unwrap().clone()
    }

    fn data(&mut self, path: &str) -> Vec<Value> {
        let events = self.events(path);
        events.iter().map(|event| event["data"].clone()).collect()
    }

    /// All pages from `path` on: how many, and the data in them.
    fn pages(&mut self, path: &str) -> (usize, Vec<Value>) {
        let (mut path, mut pages, mut found) = (path.to_owned(), 0, Vec::new());
        loop {
            let (status, body) = self.member(Verb::Get, &path, &Value::Null);
            assert_eq!(status, 200, "{path}: {body}");
            pages += 1;
            let values = body["value"].as_array().unwrap();
            found.extend(values.iter().map(|event| event["data"].clone()));
            match body["nextLink"].as_str() {
                Some(next) => path = next.strip_prefix("/app").unwrap().to_owned(),
                None => return (pages, found),
            }
        }
    }
}

#[test]
fn agreed_code_writes_events_that_people_read_and_a_receipt_proves() {
    let mut scene = Scene::new();
    let event = scene.event(&json!({ "n": 1 }), TIME.into());
    let (reply, id) = scene.send(Verb::Put, EVENTS, Caller::Anonymous, &event);
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    let rows = scene.host.entries("public:cleanroom.events");
    let [(_, row)] = rows.as_slice() else {
        panic!("{} rows", rows.len())
    };
    let proven = Sha256Digest::of(row);
    assert_eq!(scene.host.last_claims(), Some(*proven.as_bytes()));

    let shown = scene.events(EVENTS).remove(0);
    assert_eq!(shown["seqno"], id.unwrap().seqno.0);
    assert_eq!(
        (
            &shown["scope"],
            &shown["id"],
            &shown["timestamp"],
            &shown["data"]
        ),
        (&json!(""), &json!("c1"), &json!(TIME), &json!({ "n": 1 }))
    );
    assert_eq!(shown["writer"]["alternative"], "contract");
    // The host's own time stands beside the writer's (H15).
    assert_eq!(shown["receivedAt"], 1_780_272_000_000_u64);
}

#[test]
fn requests_that_are_no_events_are_refused_by_name() {
    let mut scene = Scene::new();
    let good = scene.event(&json!({ "n": 1 }), TIME.into());
    let changed = |name: &str, value: Value| {
        let mut event = good.clone();
        event[name] = value;
        event
    };
    let stranger = ClientKey::generate().unwrap();
    let signature = STANDARD.encode(stranger.sign(b"{}").unwrap());
    let key = STANDARD.encode(stranger.public_key_pem());
    let own = &good["sign"]["publicKey"];
    for (event, code) in [
        (json!({}), "AttestationMissing"),
        (changed("attestation", Value::Null), "AttestationMissing"),
        (changed("sign", Value::Null), "SignatureMissing"),
        (changed("timestamp", Value::Null), "TimestampMissing"),
        (
            changed("timestamp", json!("10000000000000")),
            "TimestampTooLarge",
        ),
        (changed("platform", json!("x")), "UnsupportedPlatform"),
        (
            changed("sign", json!({ "publicKey": own })),
            "SignatureMismatch",
        ),
        (changed("data", json!("e30=")), "SignatureMismatch"),
        (
            changed("sign", json!({ "publicKey": key, "signature": signature })),
            "ReportDataMismatch",
        ),
        (
            changed("sign", json!({ "signature": signature })),
            "ReportDataMismatch",
        ),
    ] {
        let answer = scene.call(Verb::Put, EVENTS, Caller::Anonymous, &event);
        refuses(answer, 400, code);
    }
    let other = scene.envelope(OTHER);
    let mut event = good.clone();
    event["attestation"] = other["attestation"].clone();
    let answer = scene.call(Verb::Put, EVENTS, Caller::Anonymous, &event);
    refuses(answer, 400, "VerifySnpAttestationFailed");
    for path in ["?id=", "?id=a%00b", &format!("?scope={}", "s".repeat(257))] {
        let path = format!("{EVENTS}{path}");
        let answer = scene.call(Verb::Put, &path, Caller::Anonymous, &good);
        refuses(answer, 400, "InvalidInput");
    }
    assert!(scene.host.entries("public:cleanroom.events").is_empty());
}

#[test]
fn event_timestamps_are_digits_and_an_odd_one_in_the_ledger_breaks_no_read() {
    let mut scene = Scene::new();
    for bad in [
        json!("abc"),
        json!("-5"),
        json!("NaN"),
        json!(" 5"),
        json!(1.5),
    ] {
        let event = scene.event(&json!(1), bad.clone());
        let answer = scene.call(Verb::Put, EVENTS, Caller::Anonymous, &event);
        refuses(answer, 400, "TimestampInvalid");
    }
    let event = scene.event(&json!(1), json!(5));
    let (status, _) = scene.call(Verb::Put, EVENTS, Caller::Anonymous, &event);
    assert_eq!(status, 204, "a number does as well");
    assert_eq!(scene.events(EVENTS)[0]["timestamp"], "0000000000005");
    let odd =
        json!({ "timestamp": "junk", "data": 7, "receivedAt": 0, "writer": { "issuer": "x" } });
    set(
        &mut scene.host,
        "public:cleanroom.events",
        "2:c1,0:,2:c1,",
        &odd,
    );
    let shown = scene.events(EVENTS).remove(0);
    assert_eq!(
        (&shown["timestamp"], &shown["data"]),
        (&json!("junk"), &json!(7))
    );
    assert!(shown.get("timestamp_iso").is_none());
}

#[test]
fn the_time_is_spelled_both_ways_whatever_was_asked() {
    let mut scene = Scene::new();
    scene.write(EVENTS, &json!(1));
    for path in [EVENTS.to_owned(), format!("{EVENTS}?from_seqno=1")] {
        let shown = scene.events(&path).remove(0);
        let want = json!("2023-11-14T22:13:20.000Z");
        assert_eq!(
            (&shown["timestamp_iso"], &shown["timestampIso"]),
            (&want, &want)
        );
    }
}

#[test]
fn a_captured_event_cannot_be_sent_again_under_another_time_or_name() {
    let mut scene = Scene::new();
    let event = scene.event(&json!("first"), TIME.into());
    let put = |scene: &mut Scene, path: &str, event: &Value| {
        scene.call(Verb::Put, path, Caller::Anonymous, event)
    };
    assert_eq!(put(&mut scene, EVENTS, &event).0, 204);
    scene.write(EVENTS, &json!("second"));
    let mut later = event.clone();
    later["timestamp"] = "1700000009999".into();
    for captured in [&event, &later] {
        assert_eq!(put(&mut scene, EVENTS, captured).0, 204);
    }
    let shown = scene.events(EVENTS).remove(0);
    assert_eq!(
        (&shown["data"], &shown["timestamp"]),
        (&json!("second"), &json!(TIME))
    );
    let elsewhere = format!("{EVENTS}?id=other");
    refuses(put(&mut scene, &elsewhere, &event), 409, "RequestReplayed");
}

#[test]
fn events_of_a_scope_are_not_those_of_a_contract_of_that_name() {
    let mut scene = Scene::new();
    for contract in ["a", "a-b"] {
        set(
            &mut scene.host,
            &format!("public:ccf.gov.policies.cleanroom-{contract}"),
            "x-ms-sevsnpvm-hostdata",
            &json!([hex::encode(super::AGREED)]),
        );
    }
    scene.write("/contracts/a/events?scope=b&id=x", &json!("scope b of a"));
    scene.write("/contracts/a-b/events?id=x", &json!("a-b"));
    assert_eq!(
        scene.data("/contracts/a/events?scope=b&id=x"),
        ["scope b of a"]
    );
    assert_eq!(scene.data("/contracts/a-b/events?id=x"), ["a-b"]);
    assert!(scene.data("/contracts/a/events?scope=b&id=").is_empty());
}

#[test]
fn a_delegate_policy_admits_another_writer_of_events() {
    let mut scene = Scene::new();
    let mut event = scene.event(&json!(1), TIME.into());
    event["attestation"] = scene.envelope(OTHER)["attestation"].clone();
    let answer = scene.call(Verb::Put, EVENTS, Caller::Anonymous, &event);
    refuses(answer, 400, "VerifySnpAttestationFailed");
    let change =
        json!({ "type": "add", "claims": { "x-ms-sevsnpvm-hostdata": hex::encode(OTHER) } });
    let envelope = scene.signed(&change);
    let path = "/contracts/c1/cleanroompolicy/delegates/events/writer";
    assert_eq!(
        scene.call(Verb::Put, path, Caller::Unasked, &envelope).0,
        200
    );
    assert_eq!(
        scene.call(Verb::Put, EVENTS, Caller::Anonymous, &event).0,
        204
    );
    assert_eq!(scene.events(EVENTS)[0]["writer"]["alternative"], "delegate");
}

#[test]
fn a_token_writes_events_only_where_a_policy_speaks_of_tokens() {
    let mut scene = Scene::new();
    let mut event = scene.event(&json!({ "n": 1 }), TIME.into());
    event.as_object_mut().unwrap().remove("attestation");
    let policy = "public:ccf.gov.policies.cleanroom-c1";
    // A token may carry claims of any name: those of an attestation prove nothing in it (W7).
    let posing = json!({ "oid": "o", "x-ms-sevsnpvm-hostdata": hex::encode(super::AGREED) });
    let answer = scene.call(Verb::Put, EVENTS, token(posing.clone()), &event);
    refuses(answer, 400, "VerifyJwtAttestationFailed");
    set(&mut scene.host, policy, "oid", &json!(["o"]));
    let answer = scene.call(Verb::Put, EVENTS, token(json!({ "oid": "p" })), &event);
    refuses(answer, 400, "VerifyJwtAttestationFailed");
    let elsewhere = json!({ "oid": "o", "iss": "https://elsewhere" });
    let answer = scene.call(Verb::Put, EVENTS, token(elsewhere), &event);
    refuses(answer, 403, "CallerIssuerNotAuthorized");
    let mut forged = event.clone();
    forged["data"] = STANDARD.encode("{}").into();
    let answer = scene.call(Verb::Put, EVENTS, token(json!({ "oid": "o" })), &forged);
    refuses(answer, 400, "SignatureMismatch");
    let (status, _) = scene.call(Verb::Put, EVENTS, token(json!({ "oid": "o" })), &event);
    assert_eq!(status, 204);
    let writer = scene.events(EVENTS)[0]["writer"].clone();
    assert_eq!(
        (&writer["oid"], &writer["issuer"]),
        (&json!("o"), &json!("https://issuer"))
    );
}

/// Writes events 0 to 4 of one id, with others between them.
fn with_past(scene: &mut Scene) -> Vec<u64> {
    let path = format!("{EVENTS}?id=e");
    (0..5)
        .map(|n| {
            scene.write(&path, &json!(n));
            let at = scene.host.seqno().0;
            scene.write(&format!("{EVENTS}?id=noise"), &json!(n));
            scene.member(
                Verb::Put,
                &format!("/contracts/noise{n}"),
                &json!({ "data": 1 }),
            );
            at
        })
        .collect()
}

#[test]
fn the_past_is_read_in_pages_that_begin_where_the_next_write_is() {
    let mut scene = Scene::new();
    let at = with_past(&mut scene);
    let path = |query: &str| format!("{EVENTS}?id=e&{query}");
    let all: Vec<Value> = (0..5).map(Value::from).collect();
    assert_eq!(scene.pages(&path("from_seqno=0")), (1, all.clone()));
    let (pages, found) = scene.pages(&path("from_seqno=1&max_seqno_per_page=0"));
    assert_eq!(found, all);
    // The first page holds nothing; each further one begins at an event.
    assert_eq!(pages, 6);
    let between = format!("from_seqno={}&to_seqno={}", at[1], at[3]);
    assert_eq!(scene.pages(&path(&between)).1, all[1..4]);
    let (_, body) = scene.member(
        Verb::Get,
        &path(&format!("from_seqno={}&max_seqno_per_page=1", at[0])),
        &Value::Null,
    );
    let link = format!(
        "/app/contracts/c1/events?from_seqno={}&to_seqno={}&id=e&scope=&max_seqno_per_page=1",
        at[1], at[4]
    );
    assert_eq!(
        body["nextLink"], link,
        "the page size travels with the link"
    );
}

#[test]
fn a_host_without_an_index_finds_the_same_past() {
    let mut scene = Scene::new();
    with_past(&mut scene);
    let path = format!("{EVENTS}?id=e&from_seqno=1&max_seqno_per_page=3");
    let (fewer, found) = scene.pages(&path);
    let host = std::mem::replace(&mut scene.host, MemoryHost::new(vec![]));
    scene.host = host.without_index();
    let (more, same) = scene.pages(&path);
    assert_eq!(found, same);
    assert!(fewer < more, "{fewer} pages with an index, {more} without");
}

#[test]
fn ranges_that_are_none_are_refused_and_those_beyond_the_end_are_cut() {
    let mut scene = Scene::new();
    with_past(&mut scene);
    for query in [
        "from_seqno=x",
        "to_seqno=-1",
        "from_seqno=9&to_seqno=3",
        "from_seqno=1&max_seqno_per_page=x",
    ] {
        let answer = scene.member(Verb::Get, &format!("{EVENTS}?id=e&{query}"), &Value::Null);
        refuses(answer, 400, "InvalidRange");
    }
    for (query, count) in [
        ("from_seqno=1&to_seqno=1000000", 5),
        ("from_seqno=900&to_seqno=1000000", 0),
        ("from_seqno=900", 0),
    ] {
        assert_eq!(
            scene.events(&format!("{EVENTS}?id=e&{query}")).len(),
            count,
            "{query}"
        );
    }
    assert!(
        scene
            .events(&format!("{EVENTS}?id=none&from_seqno=1"))
            .is_empty()
    );
}

#[test]
fn who_reads_right_after_a_write_is_told_to_ask_again_and_misses_nothing() {
    let mut scene = Scene::new();
    scene.write(EVENTS, &json!(1));
    scene.host.set_uncommitted(1);
    let path = format!("{EVENTS}?from_seqno=1");
    let (reply, _) = scene.send(Verb::Get, &path, super::m("m1"), &Value::Null);
    let retry = reply
        .headers
        .iter()
        .find(|(name, _)| *name == "retry-after");
    assert_eq!((reply.status, retry.is_some()), (202, true));
    scene.host.set_uncommitted(0);
    assert_eq!(scene.events(&path).len(), 1);
}

#[test]
fn h15_a_writer_may_sign_the_timestamp_too_and_members_may_ask_for_it() {
    let mut scene = Scene::new();
    let now = 1_780_272_000_000_u64;
    let signed = |scene: &Scene, timestamp: &str| {
        let mut event = scene.event(&json!({ "n": 1 }), timestamp.into());
        let mut data = STANDARD.decode(event["data"].as_str().unwrap()).unwrap();
        data.extend_from_slice(format!("\n{timestamp}").as_bytes());
        let digest = Sha256Digest::of(&data);
        let text = format!("PUT\n{EVENTS}\n\n{now}\n\n{digest}");
        let signature = STANDARD.encode(scene.key.sign(text.as_bytes()).unwrap());
        event["request"] = json!({ "issuedAt": now.to_string(), "signature": signature });
        event
    };
    set_options(&mut scene, &json!({ "requireRequestSignature": true }));
    let plain = scene.event(&json!({ "n": 1 }), TIME.into());
    let answer = scene.call(Verb::Put, EVENTS, Caller::Anonymous, &plain);
    refuses(answer, 400, "RequestSignatureMissing");
    let good = signed(&scene, TIME);
    let mut restamped = good.clone();
    restamped["timestamp"] = "1700000009999".into();
    let answer = scene.call(Verb::Put, EVENTS, Caller::Anonymous, &restamped);
    refuses(answer, 400, "RequestSignatureInvalid");
    assert_eq!(
        scene.call(Verb::Put, EVENTS, Caller::Anonymous, &good).0,
        204
    );
    assert_eq!(scene.events(EVENTS)[0]["timestampSigned"], true);
}
