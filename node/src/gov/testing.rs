//! A consortium on a host in memory, for tests: requests go through authentication, scripts run in this process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ccf_rs::testing::MemoryHost;
use ccf_rs::{Caller, Headers, Reply, Router, Seqno, TxId, Verb, View};
use ledger::{LedgerSecret, RsaPrivateKey};
use serde_json::{Value as JsonValue, json};

use super::{NodeServices, NodeState, endpoints_with_scripts};
use crate::auth::testing::Person;
use crate::auth::{AuthInput, authenticate};
use crate::identity::IdentityKey;
use crate::script::ScriptPool;

pub(crate) const ONE: [u8; 8] = [0; 8];
pub(super) const NOW: u64 = 1_780_272_000;
pub(super) const V: &str = "api-version=2024-07-01";

/// Accepts with as many yes votes as the proposal asks for; does what its action says.
pub(super) const CONSTITUTION: &str = r#"
export function validate(input) {
  const p = JSON.parse(input);
  if (p.invalid) return {valid: false, description: "as asked"};
  return {valid: true, description: ""};
}
export function resolve(proposal, proposerId, votes) {
  const p = JSON.parse(proposal);
  if (p.throwInResolve) throw new Error("Resolve message");
  const yes = votes.filter((v) => v.vote).length;
  if (p.resolveTo) return p.resolveTo;
  if (votes.some((v) => !v.vote)) return "Rejected";
  return yes >= (p.need ?? 1) ? "Accepted" : "Open";
}
export function apply(proposal, proposalId) {
  const p = JSON.parse(proposal);
  if (p.throwInApply) throw new Error("Error message");
  if (p.open) ccf.node.transitionServiceToOpen(undefined, ccf.strToBuf(p.open));
  if (p.rekey) ccf.node.triggerLedgerRekey();
  if (p.jwks) ccf.setJwtPublicSigningKeys(p.issuer, {}, p.jwks);
  if (p.constitution)
    ccf.kv["public:ccf.gov.constitution"].set(new ArrayBuffer(8), ccf.jsonCompatibleToBuf(p.constitution));
  if (p.dropOthers) {
    const infos = ccf.kv["public:ccf.gov.proposals_info"];
    infos.forEach((value, key) => {
      const info = ccf.bufToJsonCompatible(value);
      if (ccf.bufToStr(key) !== proposalId && info.state === "Open")
        infos.set(key, ccf.jsonCompatibleToBuf({ ...info, state: "Dropped" }));
    });
  }
}
"#;
pub(super) const YES: &str = r#"{"ballot":"export function vote() { return true; }"}"#;
pub(super) const NO: &str = r#"{"ballot":"export function vote() { return false; }"}"#;

pub(crate) struct Fake {
    pub(crate) key: Person,
    pub(crate) service_key: IdentityKey,
    pub(crate) asked: Mutex<Vec<&'static str>>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self {
            key: Person::new(),
            service_key: IdentityKey::generate().unwrap(),
            asked: Mutex::default(),
        }
    }
}

impl NodeServices for Fake {
    fn node_id(&self) -> String {
        "n".repeat(64)
    }
    fn state(&self) -> NodeState {
        NodeState {
            name: "PartOfNetwork",
            last_signed: Seqno(1),
            startup: Seqno(0),
            recovery: None,
            stopping: false,
        }
    }
    fn view(&self) -> View {
        View(2)
    }
    fn view_history(&self) -> Vec<TxId> {
        vec![TxId::new(1, 1), TxId::new(2, 1)]
    }
    fn self_signed_certificate(&self) -> String {
        self.key.pem.clone()
    }
    fn service_key(&self) -> &dyn ledger::Signer {
        &self.service_key
    }
    fn endorse_node(&self, _: &str, _: &str, _: u32) -> Result<String, String> {
        Ok(self.key.pem.clone())
    }
    fn renew_service_certificate(&self, _: &str, _: u32) -> Result<String, String> {
        Ok(self.key.pem.clone())
    }
    fn ledger_secret(&self) -> Option<(Seqno, Arc<LedgerSecret>)> {
        Some((
            Seqno(1),
            Arc::new(LedgerSecret::from_slice(&[7; 32]).unwrap()),
        ))
    }
    fn request_chunk(&self) {
        self.asked.lock().expect("no panic").push("chunk");
    }
    fn request_snapshot(&self) {
        self.asked.lock().expect("no panic").push("snapshot");
    }
    fn session_metrics(&self) -> JsonValue {
        json!({})
    }
    fn snapshots(&self) -> Vec<String> {
        Vec::new()
    }
    fn snapshot(&self, _: &str) -> Option<std::fs::File> {
        None
    }
    fn application_open(&self) -> bool {
        false
    }
    fn governance_open(&self) -> bool {
        true
    }
}

pub(super) struct Consortium {
    pub(super) host: MemoryHost,
    router: Router,
    pub(super) members: Vec<Person>,
    pub(super) encryption: Vec<RsaPrivateKey>,
    pub(super) services: Arc<Fake>,
    clock: u64,
}

impl Consortium {
    /// Two members, active unless `accepted`.
    pub(super) fn new(status: &str) -> Self {
        let services = Arc::new(Fake::new());
        let pool = Arc::new(ScriptPool::in_process());
        let list = endpoints_with_scripts(Arc::clone(&services) as Arc<dyn NodeServices>, pool);
        let mut host = MemoryHost::new(list.clone()).with_framework_tables();
        let members = vec![Person::new(), Person::new()];
        let mut encryption = Vec::new();
        for member in &members {
            let id = member.id.as_bytes();
            host.store("public:ccf.gov.members.certs", id, member.pem.as_bytes());
            let info = json!({ "status": status }).to_string();
            host.store("public:ccf.gov.members.info", id, info.as_bytes());
            host.store("public:ccf.gov.members.acks", id, br#"{"state_digest":""}"#);
            let key = RsaPrivateKey::generate().unwrap();
            let pem = key.public_key_pem().unwrap();
            host.store(
                "public:ccf.gov.members.encryption_public_keys",
                id,
                pem.as_bytes(),
            );
            encryption.push(key);
        }
        let constitution = json!(CONSTITUTION).to_string();
        let service = json!({
            "cert": services.key.pem, "current_service_create_txid": "2.1", "recovery_count": 0,
            "status": "Opening",
        });
        for (table, row) in [
            ("public:ccf.gov.constitution", constitution),
            ("public:ccf.gov.service.info", service.to_string()),
            (
                "public:ccf.gov.service.config",
                r#"{"recovery_threshold":2}"#.to_owned(),
            ),
            (
                "public:ccf.internal.signatures",
                r#"{"root":"abcd","seqno":1}"#.to_owned(),
            ),
        ] {
            host.store(table, &ONE, row.as_bytes());
        }
        Self {
            host,
            router: Router::new(list),
            members,
            encryption,
            services,
            clock: NOW,
        }
    }

    /// Authenticates and executes.
    pub(super) fn post(&mut self, path: &str, body: Bytes) -> (u16, JsonValue) {
        let ccf_rs::Match::Found(endpoint, _) = self.router.find(Verb::Post, path) else {
            panic!("no endpoint {path}");
        };
        let headers = Headers::new([("content-type".to_owned(), "application/cose".to_owned())]);
        let input = AuthInput {
            headers: &headers,
            body: &body,
            certificate: None,
        };
        let caller = self.host.with_transaction(|tx| {
            let reader: &mut dyn ccf_rs::ReadHost = tx;
            authenticate(&endpoint.auth, &input, reader, Duration::from_secs(NOW))
        });
        match caller {
            Ok(caller) => {
                let target = format!("{path}?{V}");
                parsed(&self.host.call(Verb::Post, &target, caller, body).0)
            }
            Err(failure) => parsed(&failure.reply()),
        }
    }

    pub(super) fn send(
        &mut self,
        member: usize,
        kind: &str,
        path: &str,
        proposal: Option<&str>,
        payload: &str,
    ) -> (u16, JsonValue) {
        self.clock += 1;
        let who = &self.members[member];
        let message = who.message(kind, self.clock, proposal, payload.as_bytes());
        let body = who.sign(&message);
        self.post(path, body)
    }

    pub(super) fn propose(&mut self, payload: &JsonValue) -> (u16, JsonValue) {
        let text = payload.to_string();
        self.send(0, "proposal", "/members/proposals:create", None, &text)
    }

    pub(super) fn vote(&mut self, member: usize, id: &str, ballot: &str) -> (u16, JsonValue) {
        let path = format!(
            "/members/proposals/{id}/ballots/{}:submit",
            self.members[member].id
        );
        self.send(member, "ballot", &path, Some(id), ballot)
    }

    pub(super) fn withdraw(&mut self, member: usize, id: &str) -> (u16, JsonValue) {
        let path = format!("/members/proposals/{id}:withdraw");
        self.send(member, "withdrawal", &path, Some(id), "")
    }

    pub(super) fn get(&mut self, path: &str) -> (u16, JsonValue) {
        let target = format!("{path}?{V}");
        parsed(&self.host.call(Verb::Get, &target, Caller::Unasked, "").0)
    }

    /// Puts another constitution in force.
    pub(super) fn constitute(&mut self, text: &str) {
        let row = json!(text).to_string();
        self.host
            .store("public:ccf.gov.constitution", &ONE, row.as_bytes());
    }

    pub(super) fn row(&self, table: &str) -> JsonValue {
        serde_json::from_slice(self.host.stored(table, &ONE).unwrap()).unwrap()
    }
}

pub(super) fn parsed(reply: &Reply) -> (u16, JsonValue) {
    let body = serde_json::from_slice(&reply.body)
        .unwrap_or_else(|_| json!(String::from_utf8_lossy(&reply.body)));
    (reply.status, body)
}

pub(super) fn code(answer: &(u16, JsonValue)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or(""))
}

pub(super) fn id(answer: &(u16, JsonValue)) -> String {
    assert_eq!(answer.0, 200, "{}", answer.1);
    answer.1["proposalId"].as_str().unwrap().to_owned()
}
