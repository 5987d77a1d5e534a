//! Strict releases: two calls, and nothing leaves before its record is committed.

use attestation::ClientKey;
use ccf_rs::{Caller, Headers, Reply, TxId, Verb};
use serde_json::{Value, json};

use super::{AGREED, OTHER, SECRET, Scene, openapi, set};

const PATH: &str = "/contracts/c1/secrets/m1_key";

impl Scene {
    fn strict(mut self) -> Self {
        let stored = json!({ "options": { "strictReleases": true }, "origins": {} });
        set(
            &mut self.host,
            "public:ccf.gov.contract_options",
            "c1",
            &stored,
        );
        self
    }

    /// The call that names a transaction.
    fn again(&mut self, envelope: &Value, transaction: &str) -> (Reply, Value) {
        let named = ("x-ms-ccf-transaction-id".to_owned(), transaction.to_owned());
        let body = serde_json::to_vec(envelope).unwrap();
        let headers = Headers::new([named]);
        let (reply, _) =
            self.host
                .call_with(Verb::Post, PATH, Caller::Unasked, headers, body.clone());
        openapi::check(Verb::Post, PATH, &body, &reply);
        let answer = serde_json::from_slice(&reply.body).unwrap_or_default();
        (reply, answer)
    }

    /// The first call.
    fn grant(&mut self, envelope: &Value) -> TxId {
        let (reply, id) = self.send(Verb::Post, PATH, Caller::Unasked, envelope);
        assert_eq!((reply.status, reply.body.len()), (202, 0));
        id.unwrap()
    }

    fn mismatch(&mut self, envelope: &Value, transaction: &str, code: &str) {
        let (reply, answer) = self.again(envelope, transaction);
        assert_eq!(
            (reply.status, &answer["error"]["code"]),
            (409, &json!(code))
        );
        assert!(!answer.to_string().contains(SECRET));
    }
}

#[test]
fn a_strict_release_is_handed_out_once_its_record_is_committed() {
    let mut scene = Scene::new().with_secret().strict();
    let envelope = scene.envelope(AGREED);
    let id = scene.grant(&envelope);
    let records = scene.records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["record"]["outcome"], "granted");
    assert_eq!(records[0]["transactionId"], id.to_string());

    // As often as the caller likes: what it gets is what was recorded.
    for _ in 0..2 {
        let (reply, answer) = scene.again(&envelope, &id.to_string());
        assert_eq!(reply.status, 200, "{answer}");
        assert_eq!(scene.unwrapped(&answer), SECRET);
        let wrapped = base64(&answer);
        let want = attestation::Sha256Digest::of(&wrapped).to_string();
        assert_eq!(records[0]["record"]["wrapped"], want);
    }
    assert_eq!(scene.records().len(), 1);

    // A transaction that is not there yet, and one that never will be.
    let (reply, answer) = scene.again(&envelope, "2.4000");
    assert_eq!((reply.status, answer), (202, Value::Null));
    scene.mismatch(&envelope, &format!("1.{}", id.seqno), "ReleaseNotCommitted");
    let (reply, answer) = scene.again(&envelope, "soon");
    assert_eq!(
        (reply.status, &answer["error"]["code"]),
        (400, &json!("InvalidInput"))
    );
}

#[test]
fn a_grant_is_for_one_subject_key_and_evidence() {
    let mut scene = Scene::new().with_secret().strict();
    let envelope = scene.envelope(AGREED);
    let first = scene.grant(&envelope).to_string();

    // Another transaction, other evidence, another key.
    let other = format!(
        "2.{}",
        first.split_once('.').unwrap().1.parse::<u64>().unwrap() - 1
    );
    scene.mismatch(&envelope, &other, "ReleaseMismatch");
    let fresh = scene.envelope(AGREED);
    if fresh["attestation"] != envelope["attestation"] {
        scene.mismatch(&fresh, &first, "ReleaseMismatch");
    }
    let key = std::mem::replace(&mut scene.key, ClientKey::generate().unwrap());
    let stranger = scene.envelope(AGREED);
    scene.mismatch(&stranger, &first, "ReleaseMismatch");
    scene.key = key;
    // Other code is denied as ever, whatever it names.
    let intruder = scene.envelope(OTHER);
    let (reply, answer) = scene.again(&intruder, &first);
    assert_eq!(reply.status, 400, "{answer}");

    // The next grant replaces the one before.
    let second = scene.grant(&envelope).to_string();
    scene.mismatch(&envelope, &first, "ReleaseMismatch");
    assert_eq!(scene.again(&envelope, &second).0.status, 200);

    // What is agreed now decides, not what was agreed at the first call.
    set(
        &mut scene.host,
        "public:ccf.gov.policies.cleanroom-c1",
        "x-ms-sevsnpvm-hostdata",
        &json!([hex::encode(OTHER)]),
    );
    let (reply, answer) = scene.again(&envelope, &second);
    assert_eq!(reply.status, 400, "{answer}");
}

#[test]
fn releases_are_as_before_where_nobody_asked_for_more() {
    let mut scene = Scene::new().with_secret();
    let envelope = scene.envelope(AGREED);
    let (status, body) = scene.release(&envelope);
    assert_eq!(status, 200);
    assert_eq!(scene.unwrapped(&body), SECRET);
    // Nothing is kept of it.
    scene.mismatch(&envelope, "2.1", "ReleaseMismatch");
}

fn base64(answer: &Value) -> Vec<u8> {
    use base64::Engine as _;
    let text = answer["value"].as_str().unwrap();
    super::STANDARD.decode(text).unwrap()
}
