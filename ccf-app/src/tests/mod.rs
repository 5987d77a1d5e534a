//! Scenarios on a host in memory, with evidence of the simulated platform.
//!
//! What governance writes is put into its tables by hand; the constitution has its own tests.

mod ca;
mod callers;
mod contracts;
mod delegates;
mod documents;
mod events;
mod evidence;
mod explain;
mod freshness;
mod isolation;
mod membership;
mod oidc;
mod openapi;
mod options;
mod paging;
mod platform;
mod proposals;
mod recoveries;
mod releases;
mod secrets;
mod signing;
mod strict;
mod ties;
mod tokens;
mod user_proposals;
mod users;

use attestation::{ClientKey, TrustAnchors, simulated};
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
        let body = serde_json::to_vec(body).unwrap();
        let (reply, id) = self.host.call(verb, path, caller, body.clone());
        openapi::check(verb, path, &body, &reply);
        (reply, id)
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

    /// What an answer wraps, unwrapped by the attested key.
    fn unwrapped(&self, body: &Value) -> String {
        let wrapped = STANDARD.decode(body["value"].as_str().unwrap()).unwrap();
        String::from_utf8(self.key.unwrap(&wrapped).unwrap().to_vec()).unwrap()
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

    /// What all pages of a list hold, of so many items at most.
    fn paged(&mut self, list: &str, limit: usize) -> Vec<Value> {
        let and = if list.contains('?') { '&' } else { '?' };
        let (mut path, mut items) = (format!("{list}{and}limit={limit}"), Vec::new());
        loop {
            let (status, page) = self.member(Verb::Get, &path, &Value::Null);
            assert_eq!(status, 200, "{path}: {page}");
            let values = page["value"].as_array().unwrap();
            assert!(values.len() <= limit, "{path}: {page}");
            items.extend_from_slice(values);
            match page["nextLink"].as_str() {
                Some(next) => path = next.strip_prefix("/app").unwrap().to_owned(),
                None => return items,
            }
        }
    }

    fn records(&mut self) -> Vec<Value> {
        let (status, body) = self.member(Verb::Get, "/contracts/c1/releases", &Value::Null);
        assert_eq!(status, 200);
        body["value"].as_array().unwrap().clone()
    }
}

/// Options as members set them, for contract c1.
fn set_options(scene: &mut Scene, options: &Value) {
    let row = json!({ "options": options, "origins": {} });
    set(
        &mut scene.host,
        "public:ccf.gov.contract_options",
        "c1",
        &row,
    );
}

fn set(host: &mut MemoryHost, table: &str, key: &str, value: &Value) -> TxId {
    host.store(table, key.as_bytes(), value.to_string().as_bytes())
}

fn m(id: &str) -> Caller {
    Caller::Member(MemberId(id.to_owned()))
}

/// A token of `https://issuer`, unless the claims name another issuer.
fn token(claims: Value) -> Caller {
    let Value::Object(mut payload) = claims else {
        panic!()
    };
    payload
        .entry("iss")
        .or_insert_with(|| "https://issuer".into());
    Caller::Jwt(Box::new(JwtClaims {
        key_issuer: "https://issuer".into(),
        header: serde_json::Map::new(),
        payload,
    }))
}

/// The answer refuses with this status and code.
#[track_caller]
fn refuses((status, body): (u16, Value), want: u16, code: &str) {
    assert_eq!(
        (status, &body["error"]["code"]),
        (want, &json!(code)),
        "{body}"
    );
}

/// A registered user of tenant `t` and the token of that user.
fn user(scene: &mut Scene, oid: &str) -> Caller {
    let identity = json!({ "accountType": "microsoft", "data": { "tenantId": "t" } });
    set(
        &mut scene.host,
        "public:ccf.gov.user_identities",
        oid,
        &identity,
    );
    token(json!({ "oid": oid, "tid": "t" }))
}
