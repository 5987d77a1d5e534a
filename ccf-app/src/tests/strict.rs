//! Strict releases: two calls, and nothing leaves before its record is committed.

use attestation::ClientKey;
use ccf_rs::{Caller, Headers, Reply, TxId, Verb};
use serde_json::{Value, json};

use super::{AGREED, OTHER, SECRET, Scene, openapi, set, set_options};

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
        self.again_at(PATH, envelope, transaction)
    }

    fn again_at(&mut self, path: &str, envelope: &Value, transaction: &str) -> (Reply, Value) {
        let named = ("x-ms-ccf-transaction-id".to_owned(), transaction.to_owned());
        let body = serde_json::to_vec(envelope).unwrap();
        let headers = Headers::new([named]);
        let (reply, _) =
            self.host
                .call_with(Verb::Post, path, Caller::Unasked, headers, body.clone());
        openapi::check(Verb::Post, path, &body, &reply);
        let answer = serde_json::from_slice(&reply.body).unwrap_or_default();
        (reply, answer)
    }

    /// The first call.
    fn grant(&mut self, envelope: &Value) -> TxId {
        self.grant_at(PATH, envelope)
    }

    fn grant_at(&mut self, path: &str, envelope: &Value) -> TxId {
        let (reply, id) = self.send(Verb::Post, path, Caller::Unasked, envelope);
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

/// Grants, changes what is agreed, and has the second call refused and that recorded.
#[track_caller]
fn denied_after(
    scene: &mut Scene,
    path: &str,
    envelope: &Value,
    change: impl FnOnce(&mut Scene),
    (status, code): (u16, &str),
) {
    let id = scene.grant_at(path, envelope).to_string();
    let (reply, answer) = scene.again_at(path, envelope, &id);
    assert_eq!(reply.status, 200, "{answer}");
    change(scene);
    let (reply, answer) = scene.again_at(path, envelope, &id);
    let got = (reply.status, &answer["error"]["code"]);
    assert_eq!(got, (status, &json!(code)), "{answer}");
    let record = &scene.records()[0]["record"];
    assert_eq!(
        (&record["outcome"], &record["reason"]),
        (&json!("denied"), &json!(code))
    );
}

#[test]
fn what_was_withdrawn_between_the_calls_is_not_handed_out() {
    let options = |scene: &mut Scene, more: Value| {
        let mut options = json!({ "strictReleases": true });
        options
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        set_options(scene, &options);
    };
    let consent = |scene: &mut Scene, switch: &str| {
        let path = format!("/contracts/c1/userdocuments/doc/runtimeoptions/execution/{switch}");
        assert_eq!(scene.member(Verb::Post, &path, &json!({})).0, 200);
    };
    let mut scene = Scene::new().with_issuer().with_authority().strict();
    scene.accepted_user_document(&json!("query"));
    let body = json!({ "value": SECRET, "documents": ["doc"] });
    let (status, _) = scene.member(Verb::Put, "/contracts/c1/secrets/key", &body);
    assert_eq!(status, 200);
    let envelope = scene.envelope(AGREED);

    let withdraw = |scene: &mut Scene| consent(scene, "disable");
    let want = (403, "DocumentNotInForce");
    denied_after(&mut scene, PATH, &envelope, withdraw, want);
    consent(&mut scene, "enable");
    let path = "/contracts/c1/userdocuments/accepted/doc";
    let want = (403, "UserDocumentRuntimeOptionDisabled");
    denied_after(&mut scene, path, &envelope, withdraw, want);

    let path = format!("/contracts/c1/oauth/token?{}", super::oidc::query("s"));
    let limit = |scene: &mut Scene| options(scene, json!({ "tokenAudiences": [] }));
    let want = (403, "TokenAudienceNotAllowed");
    denied_after(&mut scene, &path, &envelope, limit, want);

    let path = "/contracts/c1/ca/generateEndorsedCert";
    let envelope = scene.signed(&super::ca::request());
    let end = |scene: &mut Scene| {
        let row = json!({ "enabled": "false", "requestId": "1" });
        set(&mut scene.host, "public:ccf.gov.ca", "c1", &row);
    };
    denied_after(&mut scene, path, &envelope, end, (405, "CANotEnabled"));
}

fn base64(answer: &Value) -> Vec<u8> {
    use base64::Engine as _;
    let text = answer["value"].as_str().unwrap();
    super::STANDARD.decode(text).unwrap()
}
