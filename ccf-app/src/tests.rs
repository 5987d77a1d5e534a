//! Scenarios on a host in memory, with evidence of the simulated platform.
//!
//! What governance writes is put into its tables by hand; the constitution has its own tests.

use attestation::{ClientKey, Sha256Digest, TrustAnchors, simulated};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::testing::MemoryHost;
use ccf_rs::{Caller, JwtClaims, MemberId, Reply, TxId, Verb};
use serde_json::{Value, json};

use crate::{Settings, application};

const AGREED: [u8; 32] = [0xa1; 32];
const OTHER: [u8; 32] = [0x0b; 32];
const SECRET: &str = "the key of the data set";

struct Scene {
    host: MemoryHost,
    key: ClientKey,
}

impl Scene {
    /// Members m1 and m2, contract c1 accepted, its policy AGREED.
    fn new() -> Self {
        let settings = Settings {
            anchors: TrustAnchors::simulated(),
        };
        let mut host = MemoryHost::new(application(settings).endpoints);
        for member in ["m1", "m2"] {
            set(
                &mut host,
                "public:ccf.gov.members.info",
                member,
                &json!({ "status": "Active" }),
            );
        }
        let accepted =
            json!({ "data": { "terms": 1 }, "proposalId": "p0", "finalVotes": { "m1": true } });
        set(
            &mut host,
            "public:ccf.gov.accepted_contracts",
            "c1",
            &accepted,
        );
        set(
            &mut host,
            "public:ccf.gov.policies.cleanroom-c1",
            "x-ms-sevsnpvm-hostdata",
            &json!([hex::encode(AGREED)]),
        );
        set(
            &mut host,
            "public:ccf.gov.policy_origins",
            "c1",
            &json!({ "proposalId": "p1" }),
        );
        let key = ClientKey::generate().unwrap();
        Self { host, key }
    }

    fn call(&mut self, verb: Verb, path: &str, caller: Caller, body: &Value) -> (u16, Value) {
        let (reply, _) = self.send(verb, path, caller, body);
        (
            reply.status,
            serde_json::from_slice(&reply.body).unwrap_or_default(),
        )
    }

    fn send(
        &mut self,
        verb: Verb,
        path: &str,
        caller: Caller,
        body: &Value,
    ) -> (Reply, Option<TxId>) {
        self.host
            .call(verb, path, caller, serde_json::to_vec(body).unwrap())
    }

    fn member(&mut self, verb: Verb, path: &str, body: &Value) -> (u16, Value) {
        self.call(verb, path, m("m1"), body)
    }

    /// Stores the secret as m1.
    fn with_secret(mut self) -> Self {
        let (status, body) = self.member(
            Verb::Put,
            "/contracts/c1/secrets/key",
            &json!({ "value": SECRET }),
        );
        assert_eq!((status, &body), (200, &json!({ "secretId": "m1_key" })));
        self
    }

    fn envelope(&self, host_data: [u8; 32]) -> Value {
        let guest = simulated::Guest::new(host_data.into(), self.key.public_key_pem().as_bytes());
        json!({
            "attestation": simulated::Platform::default().evidence(&guest).to_request(),
            "encrypt": { "publicKey": STANDARD.encode(self.key.public_key_pem()) },
        })
    }

    fn signed(&self, payload: &Value) -> Value {
        let data = serde_json::to_vec(payload).unwrap();
        let mut envelope = self.envelope(AGREED);
        envelope["data"] = STANDARD.encode(&data).into();
        envelope["sign"] = json!({
            "publicKey": STANDARD.encode(self.key.public_key_pem()),
            "signature": STANDARD.encode(self.key.sign(&data).unwrap()),
        });
        envelope
    }

    fn release(&mut self, envelope: &Value) -> (u16, Value) {
        self.call(
            Verb::Post,
            "/contracts/c1/secrets/m1_key",
            Caller::Unasked,
            envelope,
        )
    }

    fn refused(&mut self, envelope: &Value, status: u16, code: &str) -> Value {
        let (got, body) = self.release(envelope);
        assert_eq!(
            (got, &body["error"]["code"]),
            (status, &json!(code)),
            "{body}"
        );
        assert!(!body.to_string().contains(SECRET));
        body
    }

    fn records(&mut self) -> Vec<Value> {
        let (status, body) = self.member(Verb::Get, "/contracts/c1/releases", &Value::Null);
        assert_eq!(status, 200);
        body["value"].as_array().unwrap().clone()
    }
}

fn set(host: &mut MemoryHost, table: &str, key: &str, value: &Value) -> TxId {
    host.store(table, key.as_bytes(), value.to_string().as_bytes())
}

fn m(id: &str) -> Caller {
    Caller::Member(MemberId(id.to_owned()))
}

fn token(claims: Value) -> Caller {
    let Value::Object(payload) = claims else {
        panic!()
    };
    Caller::Jwt(Box::new(JwtClaims {
        key_issuer: "https://issuer".into(),
        header: serde_json::Map::new(),
        payload,
    }))
}

#[test]
fn agreed_code_receives_the_secret_and_the_record_is_proven_by_the_claims_digest() {
    let mut scene = Scene::new().with_secret();
    let envelope = scene.envelope(AGREED);
    let (status, body) = scene.release(&envelope);
    assert_eq!(status, 200, "{body}");
    let wrapped = STANDARD.decode(body["value"].as_str().unwrap()).unwrap();
    assert_eq!(
        scene.key.unwrap(&wrapped).unwrap().as_slice(),
        SECRET.as_bytes()
    );

    let stored = scene.host.entries("public:cleanroom.releases");
    let [(_, record)] = stored.as_slice() else {
        panic!("{} records", stored.len())
    };
    assert_eq!(
        scene.host.last_claims(),
        Some(*Sha256Digest::of(record).as_bytes())
    );
    let record: Value = serde_json::from_slice(record).unwrap();
    assert_eq!(record["outcome"], "granted");
    assert_eq!(record["policy"]["proposalId"], "p1");
    assert_eq!(record["code"]["hostData"], hex::encode(AGREED));
    assert_eq!(record["code"]["simulated"], true);
    assert!(!record.to_string().contains(SECRET));
    assert_eq!(scene.records()[0]["record"], record);
}

#[test]
fn other_code_is_refused_with_the_reason_and_the_proposal_and_repeats_are_folded() {
    let mut scene = Scene::new().with_secret();
    let envelope = scene.envelope(OTHER);
    let body = scene.refused(&envelope, 400, "VerifySnpAttestationFailed");
    let detail = &body["error"]["details"][0];
    assert_eq!(detail["proposalId"], "p1");
    assert_eq!(detail["mismatches"][0]["got"], hex::encode(OTHER));
    assert_eq!(detail["mismatches"][0]["want"][0], hex::encode(AGREED));
    for _ in 0..9 {
        scene.refused(&envelope, 400, "VerifySnpAttestationFailed");
    }
    let counts: Vec<_> = scene
        .records()
        .iter()
        .map(|r| r["record"]["count"].clone())
        .collect();
    let mut sorted: Vec<_> = counts.iter().filter_map(Value::as_u64).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, [1, 2, 4, 8]);
}

#[test]
fn denials_of_contracts_and_secrets_that_nobody_made_count_as_one_kind() {
    let mut scene = Scene::new();
    let envelope = scene.envelope(OTHER);
    for n in 0..16 {
        scene.call(
            Verb::Post,
            &format!("/contracts/x{n}/secrets/s{n}"),
            Caller::Unasked,
            &envelope,
        );
    }
    assert_eq!(scene.host.entries("public:cleanroom.releases").len(), 5);
}

#[test]
fn requests_that_lack_something_are_refused_by_name_and_leave_no_record() {
    let mut scene = Scene::new().with_secret();
    let good = scene.envelope(AGREED);
    let without = |name: &str| {
        let mut envelope = good.clone();
        envelope.as_object_mut().unwrap().remove(name);
        envelope
    };
    scene.refused(&without("attestation"), 400, "AttestationMissing");
    scene.refused(&without("encrypt"), 400, "EncryptionMissing");
    scene.refused(&json!([]), 400, "InvalidInput");
    let mut other = good.clone();
    other["platform"] = "sgx".into();
    scene.refused(&other, 400, "UnsupportedPlatform");
    for part in ["evidence", "endorsements", "uvm_endorsements"] {
        for value in [json!(""), json!("!"), json!(7), json!(null), json!("AAAA")] {
            let mut bad = good.clone();
            bad["attestation"][part] = value.clone();
            scene.refused(&bad, 400, "VerifySnpAttestationFailed");
        }
    }
    let (reply, _) = scene.host.call(
        Verb::Post,
        "/contracts/c1/secrets/m1_key",
        Caller::Unasked,
        &b"{\"attestation\":"[..],
    );
    assert_eq!(reply.status, 400);
    assert!(scene.host.entries("public:cleanroom.releases").is_empty());
}

#[test]
fn a_report_altered_anywhere_releases_nothing() {
    let mut scene = Scene::new().with_secret();
    let good = scene.envelope(AGREED);
    let report = STANDARD
        .decode(good["attestation"]["evidence"].as_str().unwrap())
        .unwrap();
    for at in (0..report.len()).step_by(7) {
        let mut altered = report.clone();
        altered[at] ^= 0x40;
        let mut envelope = good.clone();
        envelope["attestation"]["evidence"] = STANDARD.encode(&altered).into();
        let (status, body) = scene.release(&envelope);
        assert_eq!(status, 400, "byte {at}: {body}");
    }
}

#[test]
fn a_key_that_the_evidence_does_not_bind_gets_nothing_and_the_denial_is_recorded() {
    let mut scene = Scene::new().with_secret();
    let mut envelope = scene.envelope(AGREED);
    let thief = ClientKey::generate().unwrap();
    envelope["encrypt"]["publicKey"] = STANDARD.encode(thief.public_key_pem()).into();
    scene.refused(&envelope, 400, "ReportDataMismatch");
    envelope["encrypt"]["publicKey"] = "?".into();
    scene.refused(&envelope, 400, "ReportDataMismatch");
    assert_eq!(scene.records()[0]["record"]["outcome"], "denied");
}

#[test]
fn without_a_policy_or_a_secret_nothing_is_released() {
    let mut scene = Scene::new();
    let envelope = scene.envelope(AGREED);
    scene.refused(&envelope, 404, "SecretNotFound");
    scene.host.erase(
        "public:ccf.gov.policies.cleanroom-c1",
        b"x-ms-sevsnpvm-hostdata",
    );
    let mut scene = scene.with_secret();
    scene.refused(&envelope, 400, "VerifySnpAttestationFailed");
}

#[test]
fn one_member_withdraws_consent_until_that_member_returns_it_or_leaves() {
    let mut scene = Scene::new().with_secret();
    let envelope = scene.envelope(AGREED);
    let path = "/contracts/c1/runtimeoptions/execution";
    assert_eq!(
        scene
            .member(Verb::Post, &format!("{path}/disable"), &Value::Null)
            .0,
        200
    );
    let body = scene.refused(&envelope, 403, "ContractDisabled");
    assert_eq!(body["error"]["details"][0]["disabledBy"], json!(["m1"]));
    let (_, status) = scene.call(
        Verb::Post,
        &format!("{path}/status"),
        Caller::Anonymous,
        &envelope,
    );
    assert_eq!(status["reason"]["code"], "ContractDisabled");
    // Another member's consent does not replace it.
    assert_eq!(
        scene
            .call(Verb::Post, &format!("{path}/enable"), m("m2"), &Value::Null)
            .0,
        200
    );
    scene.refused(&envelope, 403, "ContractDisabled");
    scene.host.erase("public:ccf.gov.members.info", b"m1");
    assert_eq!(scene.release(&envelope).0, 200);
}

#[test]
fn a_member_who_is_not_active_decides_nothing() {
    let mut scene = Scene::new();
    set(
        &mut scene.host,
        "public:ccf.gov.members.info",
        "m3",
        &json!({ "status": "Accepted" }),
    );
    let path = "/contracts/c1/runtimeoptions/execution/disable";
    let (status, body) = scene.call(Verb::Post, path, m("m3"), &Value::Null);
    assert_eq!(
        (status, &body["error"]["code"]),
        (403, &json!("CallerNotAuthorized"))
    );
}

#[test]
fn clean_rooms_store_secrets_signed_by_the_attested_key_only() {
    let mut scene = Scene::new();
    let path = "/contracts/c1/secrets/out";
    let envelope = scene.signed(&json!({ "value": "result" }));
    let (status, body) = scene.call(Verb::Put, path, Caller::Anonymous, &envelope);
    assert_eq!(
        (status, &body),
        (200, &json!({ "secretId": "cleanroom_out" }))
    );

    // W1: evidence is public, so a signature by any other key proves nothing.
    let thief = ClientKey::generate().unwrap();
    let data = br#"{"value":"forged"}"#;
    let mut forged = envelope.clone();
    forged["data"] = STANDARD.encode(data).into();
    forged["sign"] = json!({
        "publicKey": STANDARD.encode(thief.public_key_pem()),
        "signature": STANDARD.encode(thief.sign(data).unwrap()),
    });
    let (status, body) = scene.call(Verb::Put, path, Caller::Anonymous, &forged);
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &json!("ReportDataMismatch"))
    );
    let mut altered = envelope.clone();
    altered["data"] = STANDARD.encode(data).into();
    let (status, body) = scene.call(Verb::Put, path, Caller::Anonymous, &altered);
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &json!("SignatureMismatch"))
    );
}

#[test]
fn a_replayed_request_changes_nothing_and_fits_no_other_target() {
    let mut scene = Scene::new();
    let path = "/contracts/c1/secrets/out";
    let first = scene.signed(&json!({ "value": "first" }));
    let second = scene.signed(&json!({ "value": "second" }));
    for envelope in [&first, &second, &first] {
        assert_eq!(
            scene.call(Verb::Put, path, Caller::Anonymous, envelope).0,
            200
        );
    }
    let stored = scene.host.stored("secrets-c1", b"cleanroom_out").unwrap();
    assert!(String::from_utf8_lossy(stored).contains("second"));
    let (status, body) = scene.call(
        Verb::Put,
        "/contracts/c1/secrets/elsewhere",
        Caller::Anonymous,
        &first,
    );
    assert_eq!(
        (status, &body["error"]["code"]),
        (409, &json!("RequestReplayed"))
    );
}

#[test]
fn a_delegate_policy_admits_other_code_to_one_secret_only() {
    let mut scene = Scene::new().with_secret();
    scene.member(
        Verb::Put,
        "/contracts/c1/secrets/other",
        &json!({ "value": "x" }),
    );
    let change =
        json!({ "type": "add", "claims": { "x-ms-sevsnpvm-hostdata": hex::encode(OTHER) } });
    let envelope = scene.signed(&change);
    let path = "/contracts/c1/cleanroompolicy/delegates/secrets/m1_key";
    assert_eq!(
        scene.call(Verb::Put, path, Caller::Unasked, &envelope).0,
        200
    );
    let (_, shown) = scene.member(Verb::Post, path, &Value::Null);
    assert_eq!(
        shown["claims"]["x-ms-sevsnpvm-hostdata"],
        json!([hex::encode(OTHER)])
    );
    let other = scene.envelope(OTHER);
    assert_eq!(scene.release(&other).0, 200);
    assert_eq!(scene.records()[0]["record"]["alternative"], "delegate");
    let (status, _) = scene.call(
        Verb::Post,
        "/contracts/c1/secrets/m1_other",
        Caller::Unasked,
        &other,
    );
    assert_eq!(status, 400);
    // Code that only a delegate policy admits may not change delegate policies.
    let mut takeover = scene.signed(&change);
    takeover["attestation"] = other["attestation"].clone();
    assert_eq!(
        scene.call(Verb::Put, path, Caller::Unasked, &takeover).0,
        400
    );
}

#[test]
fn secrets_are_listed_by_id_and_belong_to_who_stored_them() {
    let mut scene = Scene::new().with_secret();
    for (body, code) in [
        (json!({}), "ValueMissing"),
        (json!({ "value": "" }), "ValueMissing"),
        (json!({ "value": 7 }), "InvalidInput"),
        (json!({ "value": "x".repeat(25_601) }), "ValueTooLarge"),
    ] {
        let (status, answer) = scene.member(Verb::Put, "/contracts/c1/secrets/key", &body);
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(code)));
    }
    let (_, list) = scene.call(Verb::Get, "/contracts/c1/secrets", m("m2"), &Value::Null);
    assert_eq!(list, json!({ "value": [{ "secretId": "m1_key" }] }));
    // W12: a token user cannot write under the name of clean rooms, or of anybody else.
    for oid in ["cleanroom", "m1_key"] {
        let identity = json!({ "accountType": "microsoft", "data": { "tenantId": "t" } });
        set(
            &mut scene.host,
            "public:ccf.gov.user_identities",
            oid,
            &identity,
        );
        let caller = token(json!({ "oid": oid, "tid": "t" }));
        let (status, _) = scene.call(
            Verb::Put,
            "/contracts/c1/secrets/x",
            caller,
            &json!({ "value": "v" }),
        );
        assert_eq!(status, 400, "{oid}");
    }
}

#[test]
fn token_users_are_registered_and_of_their_tenant() {
    let mut scene = Scene::new();
    let identity = json!({ "accountType": "microsoft", "data": { "tenantId": "t" } });
    set(
        &mut scene.host,
        "public:ccf.gov.user_identities",
        "u",
        &identity,
    );
    for (claims, status, code) in [
        (json!({ "oid": "u", "tid": "t" }), 200, Value::Null),
        (
            json!({ "oid": "u", "tid": "x" }),
            403,
            json!("CallerTenantNotAuthorized"),
        ),
        (
            json!({ "oid": "u" }),
            403,
            json!("CallerTenantNotAuthorized"),
        ),
        (
            json!({ "oid": "v", "tid": "t" }),
            403,
            json!("CallerNotAuthorized"),
        ),
        (json!({ "tid": "t" }), 403, json!("CallerNotAuthorized")),
    ] {
        let (got, body) = scene.call(Verb::Get, "/contracts", token(claims.clone()), &Value::Null);
        assert_eq!((got, &body["error"]["code"]), (status, &code), "{claims}");
    }
}

#[test]
fn drafts_are_changed_by_naming_their_version() {
    let mut scene = Scene::new();
    let path = "/contracts/c2";
    let (reply, id) = scene.send(
        Verb::Put,
        path,
        m("m1"),
        &json!({ "data": { "b": 1, "a": 1.0 } }),
    );
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    let version = id.unwrap().to_string();
    let (_, shown) = scene.member(Verb::Post, path, &Value::Null);
    assert_eq!(
        shown,
        json!({ "id": "c2", "state": "Draft", "version": version, "data": { "b": 1, "a": 1.0 }, "proposalId": "" })
    );
    for (body, status, code) in [
        (json!({ "data": 2 }), 409, "ContractAlreadyExists"),
        (
            json!({ "data": 2, "version": "2.1" }),
            412,
            "PreconditionFailed",
        ),
        (json!({ "data": 0, "version": version }), 400, "DataMissing"),
    ] {
        let (got, answer) = scene.member(Verb::Put, path, &body);
        assert_eq!((got, &answer["error"]["code"]), (status, &json!(code)));
    }
    assert_eq!(
        scene
            .member(Verb::Put, path, &json!({ "data": 2, "version": version }))
            .0,
        200
    );
    let (status, answer) = scene.member(Verb::Put, "/contracts/c1", &json!({ "data": 1 }));
    assert_eq!(
        (status, &answer["error"]["code"]),
        (405, &json!("ContractAlreadyAccepted"))
    );
}

#[test]
fn a_proposed_contract_shows_the_copy_in_the_proposal_and_whether_it_is_the_draft() {
    let mut scene = Scene::new();
    scene.member(Verb::Put, "/contracts/c2", &json!({ "data": "draft" }));
    let mut propose = |id: &str, contract: Value| {
        let action =
            json!({ "name": "set_contract", "args": { "contractId": "c2", "contract": contract } });
        set(
            &mut scene.host,
            "public:ccf.gov.proposals",
            id,
            &json!({ "actions": [action] }),
        );
        set(
            &mut scene.host,
            "public:ccf.gov.proposals_info",
            id,
            &json!({ "state": "Open" }),
        );
    };
    propose("p2", json!({ "data": "other", "version": "2.9" }));
    let (_, shown) = scene.member(Verb::Post, "/contracts/c2", &Value::Null);
    assert_eq!(
        shown,
        json!({ "id": "c2", "state": "Proposed", "version": "2.9", "data": "other", "proposalId": "p2", "draftMatches": false })
    );
    for (state, ids) in [
        ("Proposed", json!(["c2"])),
        ("Draft", json!([])),
        ("Accepted", json!(["c1"])),
    ] {
        let (_, list) = scene.member(
            Verb::Get,
            &format!("/contracts?state={state}"),
            &Value::Null,
        );
        let got: Vec<_> = list["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["id"].clone())
            .collect();
        assert_eq!(json!(got), ids, "{state}");
    }
    assert_eq!(
        scene
            .member(Verb::Get, "/contracts?state=draft", &Value::Null)
            .0,
        400
    );
    // W22: a proposal without a contract breaks nothing.
    let mut propose = |contract: Value| {
        let action =
            json!({ "name": "set_contract", "args": { "contractId": "c2", "contract": contract } });
        set(
            &mut scene.host,
            "public:ccf.gov.proposals",
            "p2",
            &json!({ "actions": [action] }),
        );
    };
    propose(Value::Null);
    assert_eq!(
        scene.member(Verb::Post, "/contracts/c2", &Value::Null).0,
        200
    );
}

#[test]
fn release_records_are_paged_newest_first_and_filtered_by_secret() {
    let mut scene = Scene::new().with_secret();
    scene.member(
        Verb::Put,
        "/contracts/c1/secrets/b",
        &json!({ "value": "b" }),
    );
    let envelope = scene.envelope(AGREED);
    for n in 0..5_u64 {
        scene
            .host
            .set_time(std::time::Duration::from_secs(1_780_272_100 + n));
        let name = if n == 2 { "m1_b" } else { "m1_key" };
        let path = format!("/contracts/c1/secrets/{name}");
        assert_eq!(
            scene.call(Verb::Post, &path, Caller::Unasked, &envelope).0,
            200
        );
    }
    let (mut path, mut times) = ("/contracts/c1/releases?limit=2".to_owned(), Vec::new());
    loop {
        let (_, page) = scene.member(Verb::Get, &path, &Value::Null);
        let values = page["value"].as_array().unwrap();
        times.extend(
            values
                .iter()
                .map(|r| r["record"]["time"].as_u64().unwrap() % 1_000_000),
        );
        match page["nextLink"].as_str() {
            Some(next) => path = next.strip_prefix("/app").unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(times, [104_000, 103_000, 102_000, 101_000, 100_000]);
    let (_, page) = scene.member(
        Verb::Get,
        "/contracts/c1/releases?secretId=m1_b",
        &Value::Null,
    );
    let [one] = page["value"].as_array().unwrap().as_slice() else {
        panic!("{page}")
    };
    let path = format!("/contracts/c1/releases/{}", one["id"].as_str().unwrap());
    assert_eq!(
        scene.member(Verb::Get, &path, &Value::Null),
        (200, one.clone())
    );
    assert_eq!(
        scene
            .member(Verb::Get, "/contracts/c1/releases/none", &Value::Null)
            .0,
        404
    );
    assert_eq!(
        scene
            .member(Verb::Get, "/contracts/c1/releases?limit=0", &Value::Null)
            .0,
        400
    );
}

#[test]
fn a_governed_platform_policy_decides_and_an_unreadable_one_closes() {
    let mut scene = Scene::new().with_secret();
    let envelope = scene.envelope(AGREED);
    let table = "public:ccf.gov.platform_policy";
    // Of production: simulated utility VMs are endorsed by nobody it knows.
    scene.host.store(table, &[0; 8], b"{}");
    scene.refused(&envelope, 400, "VerifySnpAttestationFailed");
    scene.host.store(table, &[0; 8], b"{\"unknown\":1}");
    assert_eq!(scene.release(&envelope).0, 500);
    scene.host.erase(table, &[0; 8]);
    assert_eq!(scene.release(&envelope).0, 200);
}
