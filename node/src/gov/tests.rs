//! Governance on a host in memory, through authentication, with scripts in this process.
//! Names of tests are those of the conformance checklist (CCF interface, annex D, 9 to 23).

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

const ONE: [u8; 8] = [0; 8];
const NOW: u64 = 1_780_272_000;
const V: &str = "api-version=2024-07-01";

/// Accepts with as many yes votes as the proposal asks for; does what its action says.
const CONSTITUTION: &str = r#"
export function validate(input) {
  const p = JSON.parse(input);
  if (p.invalid) return {valid: false, description: "as asked"};
  return {valid: true, description: ""};
}
export function resolve(proposal, proposerId, votes) {
  const p = JSON.parse(proposal);
  if (p.throwInResolve) throw new Error("Resolve message");
  const yes = votes.filter((v) => v.vote).length;
  if (votes.some((v) => !v.vote)) return "Rejected";
  return yes >= (p.need ?? 1) ? "Accepted" : "Open";
}
export function apply(proposal, proposalId) {
  const p = JSON.parse(proposal);
  if (p.throwInApply) throw new Error("Error message");
  if (p.open) ccf.node.transitionServiceToOpen(undefined, ccf.strToBuf(p.open));
  if (p.rekey) ccf.node.triggerLedgerRekey();
  if (p.jwks) ccf.setJwtPublicSigningKeys(p.issuer, {}, p.jwks);
}
"#;
const YES: &str = r#"{"ballot":"export function vote() { return true; }"}"#;
const NO: &str = r#"{"ballot":"export function vote() { return false; }"}"#;

struct Fake {
    key: Person,
    service_key: IdentityKey,
    asked: Mutex<Vec<&'static str>>,
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
    fn snapshot(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
    fn application_open(&self) -> bool {
        false
    }
    fn governance_open(&self) -> bool {
        true
    }
}

struct Consortium {
    host: MemoryHost,
    router: Router,
    members: Vec<Person>,
    encryption: Vec<RsaPrivateKey>,
    services: Arc<Fake>,
    clock: u64,
}

impl Consortium {
    /// Two members, active unless `accepted`.
    fn new(status: &str) -> Self {
        let services = Arc::new(Fake {
            key: Person::new(),
            service_key: IdentityKey::generate().unwrap(),
            asked: Mutex::default(),
        });
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
    fn post(&mut self, path: &str, body: Bytes) -> (u16, JsonValue) {
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

    fn send(
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

    fn propose(&mut self, payload: &JsonValue) -> (u16, JsonValue) {
        let text = payload.to_string();
        self.send(0, "proposal", "/members/proposals:create", None, &text)
    }

    fn vote(&mut self, member: usize, id: &str, ballot: &str) -> (u16, JsonValue) {
        let path = format!(
            "/members/proposals/{id}/ballots/{}:submit",
            self.members[member].id
        );
        self.send(member, "ballot", &path, Some(id), ballot)
    }

    fn withdraw(&mut self, member: usize, id: &str) -> (u16, JsonValue) {
        let path = format!("/members/proposals/{id}:withdraw");
        self.send(member, "withdrawal", &path, Some(id), "")
    }

    fn get(&mut self, path: &str) -> (u16, JsonValue) {
        let target = format!("{path}?{V}");
        parsed(&self.host.call(Verb::Get, &target, Caller::Unasked, "").0)
    }

    fn row(&self, table: &str) -> JsonValue {
        serde_json::from_slice(self.host.stored(table, &ONE).unwrap()).unwrap()
    }
}

fn parsed(reply: &Reply) -> (u16, JsonValue) {
    let body = serde_json::from_slice(&reply.body)
        .unwrap_or_else(|_| json!(String::from_utf8_lossy(&reply.body)));
    (reply.status, body)
}

fn code(answer: &(u16, JsonValue)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or(""))
}

fn id(answer: &(u16, JsonValue)) -> String {
    assert_eq!(answer.0, 200, "{}", answer.1);
    answer.1["proposalId"].as_str().unwrap().to_owned()
}

#[test]
fn d09_the_api_version_is_required() {
    let mut c = Consortium::new("Active");
    let call = |c: &mut Consortium, target: &str| {
        parsed(&c.host.call(Verb::Get, target, Caller::Unasked, "").0)
    };
    let answer = call(&mut c, "/service/info");
    assert_eq!(code(&answer), (400, "MissingApiVersionParameter"));
    let answer = call(&mut c, "/service/info?api-version=x");
    assert_eq!(code(&answer), (400, "UnsupportedApiVersionValue"));
    let preview = "api-version=2023-06-01-preview";
    let answer = call(&mut c, &format!("/service/info?{preview}"));
    assert_eq!(answer.0, 200);
    let answer = call(&mut c, &format!("/service/javascript-app?{preview}"));
    assert_eq!(code(&answer), (400, "UnsupportedApiVersionValue"));
}

#[test]
fn d10_create_validates_stores_and_resolves() {
    let mut c = Consortium::new("Active");
    let open = c.propose(&json!({ "need": 2 }));
    let open_id = id(&open);
    assert_eq!(open.1["proposalState"], "Open");
    assert!(open.1.get("finalVotes").is_none());
    let answer = c.propose(&json!({ "invalid": true }));
    assert_eq!(code(&answer), (400, "ProposalFailedToValidate"));
    let who = &c.members[0];
    let body = who.sign(&who.message("proposal", NOW + 900, None, b"not json"));
    let answer = c.post("/members/proposals:create", body);
    assert_eq!(code(&answer), (500, "InternalError"));
    let text = answer.1["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        text.starts_with("Failed to execute validation: SyntaxError:"),
        "{text}"
    );
    let answer = c.propose(&json!({ "throwInResolve": true }));
    let text = answer.1["error"]["message"].as_str().unwrap();
    assert!(
        text.starts_with("Failed to resolve(): Error: Resolve message"),
        "{text}"
    );
    let accepted = c.propose(&json!({ "need": 0 }));
    assert_eq!(accepted.1["proposalState"], "Accepted");
    assert_eq!(accepted.1["finalVotes"], json!({}));
    assert_eq!(accepted.1["voteFailures"], json!({}));
    // What is stored is what was signed, byte for byte.
    assert_eq!(
        c.host
            .stored("public:ccf.gov.proposals", open_id.as_bytes()),
        Some(br#"{"need":2}"#.as_slice())
    );
    assert_eq!(c.host.entries("public:ccf.gov.cose_history").len(), 1);
}

#[test]
fn d11_withdrawal_is_for_the_proposer_and_idempotent() {
    let mut c = Consortium::new("Active");
    let answer = c.withdraw(0, &"0".repeat(64));
    assert_eq!(answer.0, 204);
    let id = id(&c.propose(&json!({ "need": 2 })));
    assert_eq!(code(&c.withdraw(1, &id)), (403, "AuthorizationFailed"));
    let path = format!("/members/proposals/{id}:withdraw");
    let other = "1".repeat(64);
    let answer = c.send(0, "withdrawal", &path, Some(&other), "");
    assert_eq!(code(&answer), (400, "InvalidResourceName"));
    for _ in 0..2 {
        let answer = c.withdraw(0, &id);
        assert_eq!(
            (answer.0, &answer.1["proposalState"]),
            (200, &json!("Withdrawn"))
        );
        assert!(answer.1.get("finalVotes").is_none());
    }
    assert_eq!(code(&c.vote(1, &id, YES)), (400, "ProposalNotOpen"));
}

#[test]
fn d12_proposals_and_ballots_are_shown() {
    let mut c = Consortium::new("Active");
    let id = id(&c.propose(&json!({ "need": 2 })));
    c.vote(1, &id, YES);
    let path = format!("/members/proposals/{id}");
    assert_eq!(
        c.get("/members/proposals").1["value"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(c.get(&path).1["ballotCount"], 1);
    let target = format!("{path}/actions?{V}");
    let (reply, _) = c.host.call(Verb::Get, &target, Caller::Unasked, "");
    assert!(reply.headers.is_empty() && reply.body == br#"{"need":2}"#);
    let (zero, one) = (c.members[0].id.clone(), c.members[1].id.clone());
    assert_eq!(
        c.get(&format!("{path}/ballots/{one}")).1,
        "export function vote() { return true; }"
    );
    let answer = c.get(&format!("{path}/ballots/{zero}"));
    assert_eq!(code(&answer), (404, "VoteNotFound"));
    let unknown = "0".repeat(64);
    let answer = c.get(&format!("/members/proposals/{unknown}"));
    assert_eq!(code(&answer), (404, "ProposalNotFound"));
    let answer = c.get("/members/proposals/xyz");
    assert_eq!(code(&answer), (400, "InvalidResourceName"));
}

#[test]
fn d13_ballots_are_checked_in_order_and_written_once() {
    let mut c = Consortium::new("Active");
    let id = id(&c.propose(&json!({ "need": 2 })));
    let other = format!("/members/proposals/{id}/ballots/{}:submit", c.members[1].id);
    let answer = c.send(0, "ballot", &other, Some(&id), YES);
    assert_eq!(code(&answer), (400, "InvalidResourceName"));
    let answer = c.vote(0, &"0".repeat(64), YES);
    assert_eq!(code(&answer), (404, "ProposalNotFound"));
    assert_eq!(code(&c.vote(0, &id, "{}")), (400, "InvalidInput"));
    let broken = r#"{"ballot":"export function vote( {"}"#;
    assert_eq!(code(&c.vote(0, &id, broken)), (500, "InternalError"));
    assert_eq!(c.vote(0, &id, YES).1["ballotCount"], 1);
    let seqno = c.host.seqno();
    assert_eq!(c.vote(0, &id, YES).0, 200);
    assert_eq!(
        c.host.seqno(),
        seqno,
        "the same ballot again writes nothing"
    );
    assert_eq!(code(&c.vote(0, &id, NO)), (400, "VoteAlreadyExists"));
    let accepted = c.vote(1, &id, YES);
    assert_eq!(accepted.1["proposalState"], "Accepted");
    assert_eq!(accepted.1["finalVotes"].as_object().unwrap().len(), 2);
    assert_eq!(code(&c.vote(1, &id, YES)), (400, "ProposalNotOpen"));
}

#[test]
fn d13_a_failed_apply_undoes_the_last_ballot() {
    let mut c = Consortium::new("Active");
    let id = id(&c.propose(&json!({ "need": 1, "throwInApply": true })));
    let answer = c.vote(0, &id, YES);
    assert_eq!(code(&answer), (500, "InternalError"));
    let text = answer.1["error"]["message"].as_str().unwrap();
    assert!(
        text.starts_with("Failed to apply(): Error: Error message\n"),
        "{text}"
    );
    let shown = c.get(&format!("/members/proposals/{id}")).1;
    assert_eq!(
        (&shown["proposalState"], &shown["ballotCount"]),
        (&json!("Open"), &json!(0))
    );
}

#[test]
fn d14_decided_proposals_are_pruned_by_the_next_decision() {
    let mut c = Consortium::new("Active");
    let first = id(&c.propose(&json!({ "need": 2 })));
    let open = id(&c.propose(&json!({ "need": 2, "n": 1 })));
    let rejected = c.vote(0, &first, NO);
    assert_eq!(rejected.1["proposalState"], "Rejected");
    assert_eq!(c.get(&format!("/members/proposals/{first}")).0, 200);
    let last = id(&c.propose(&json!({ "need": 0 })));
    for (proposal, status) in [(&first, 404), (&open, 200), (&last, 200)] {
        assert_eq!(c.get(&format!("/members/proposals/{proposal}")).0, status);
    }
    assert_eq!(c.host.entries("public:ccf.gov.proposals").len(), 2);
}

#[test]
fn d15_ballots_that_throw_are_failures_and_not_votes() {
    let mut c = Consortium::new("Active");
    let id = id(&c.propose(&json!({ "need": 1 })));
    let thrower = r#"{"ballot":"export function vote() { throw new Error('no'); }"}"#;
    assert_eq!(c.vote(0, &id, thrower).1["proposalState"], "Open");
    let done = c.vote(1, &id, YES);
    assert_eq!(done.1["finalVotes"].as_object().unwrap().len(), 1);
    let failure = &done.1["voteFailures"][&c.members[0].id];
    assert_eq!(failure["reason"], "Error: no");
}

#[test]
fn d16_members_become_active_by_acknowledging() {
    let mut c = Consortium::new("Accepted");
    let me = c.members[0].id.clone();
    let path = format!("/members/state-digests/{me}");
    assert_eq!(c.get(&path).1["stateDigest"], "");
    assert_eq!(code(&c.propose(&json!({}))).0, 401);
    let (update, ack) = (format!("{path}:update"), format!("{path}:ack"));
    let answer = c.send(1, "state_digest", &update, None, "");
    assert_eq!(code(&answer), (400, "InvalidAuthenticationInfo"));
    let answer = c.send(0, "state_digest", &update, None, "");
    assert_eq!(answer.1, json!({ "memberId": me, "stateDigest": "abcd" }));
    let answer = c.send(0, "ack", &ack, None, r#"{"stateDigest":"ffff"}"#);
    assert_eq!(code(&answer), (400, "StateDigestMismatch"));
    let answer = c.send(0, "ack", &ack, None, r#"{"stateDigest":"abcd"}"#);
    assert_eq!(answer.0, 204);
    let member = c.get(&format!("/service/members/{me}")).1;
    assert_eq!(
        (&member["status"], &member["recoveryRole"]),
        (&json!("Active"), &json!("Participant"))
    );
    assert_eq!(c.propose(&json!({})).0, 200);
    assert_eq!(c.get("/members/state-digests/unknown").0, 404);
}

#[test]
fn d17_opening_issues_shares_and_endorses_the_identity() {
    let mut c = Consortium::new("Active");
    let me = c.members[0].id.clone();
    let share = format!("/recovery/encrypted-shares/{me}");
    assert_eq!(c.get(&share).0, 500);
    let recover = format!("/recovery/members/{me}:recover");
    let answer = c.send(0, "recovery_share", &recover, None, "{}");
    assert_eq!(code(&answer), (403, "ServiceNotWaitingForRecoveryShares"));
    let wrong = c.propose(&json!({ "need": 0, "open": "another" }));
    assert_eq!(wrong.0, 500);
    let pem = c.services.key.pem.clone();
    assert_eq!(c.propose(&json!({ "need": 0, "open": pem })).0, 200);
    assert_eq!(c.get("/service/info").1["status"], "Open");
    assert_eq!(*c.services.asked.lock().unwrap(), ["snapshot"]);
    let encrypted = c.get(&share).1;
    let encrypted = encrypted["encryptedShare"].as_str().unwrap();
    let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, encrypted).unwrap();
    assert_eq!(c.encryption[0].decrypt(&bytes).unwrap().len(), 44);
    let row = c.row("public:ccf.internal.recovery_shares");
    let row: ledger::RecoverySharesRow = serde_json::from_value(row).unwrap();
    let opened: Vec<_> = c
        .members
        .iter()
        .zip(&c.encryption)
        .map(|(m, key)| row.open_share(&m.id, key).unwrap())
        .collect();
    let secret = row.latest_secret(&opened, opened.len()).unwrap();
    assert_eq!(secret.expose_bytes(), &[7; 32]);
    let stranger = "0".repeat(64);
    let answer = c.get(&format!("/recovery/encrypted-shares/{stranger}"));
    assert_eq!(code(&answer), (404, "ResourceNotFound"));
    assert_eq!(
        c.row("public:ccf.internal.historical_encrypted_ledger_secret"),
        json!({ "next_version": 1 })
    );
    let row = c.row("public:ccf.internal.previous_service_identity_endorsement");
    assert_eq!(row["endorsement_epoch_begin"], "2.1");
    let row: ledger::EndorsementRow = serde_json::from_value(row).unwrap();
    let key = ledger::Signer::public_key_der(&c.services.service_key);
    let key = ledger::PublicKey::from_spki_der(key).unwrap();
    assert!(row.verify(&key).is_ok());
    // An open service can be rekeyed, which chains the old secret to the new one.
    assert_eq!(c.propose(&json!({ "need": 0, "rekey": true })).0, 200);
    let row = c.row("public:ccf.internal.historical_encrypted_ledger_secret");
    assert_eq!(row["previous_ledger_secret"]["version"], 1);
}

#[test]
fn d17_opening_is_refused_without_enough_participants() {
    let mut c = Consortium::new("Active");
    c.host.store(
        "public:ccf.gov.service.config",
        &ONE,
        br#"{"recovery_threshold":3}"#,
    );
    let pem = c.services.key.pem.clone();
    let answer = c.propose(&json!({ "need": 0, "open": pem }));
    assert_eq!(answer.0, 500);
    let text = answer.1["error"]["message"].as_str().unwrap();
    assert!(text.contains("the recovery threshold is 3"), "{text}");
    assert_eq!(c.get("/service/info").1["status"], "Opening");
    assert_eq!(c.propose(&json!({ "need": 0, "rekey": true })).0, 500);
}

#[test]
fn d18_d19_the_state_of_the_service_is_shown() {
    let mut c = Consortium::new("Active");
    let info = c.get("/service/info").1;
    assert_eq!(info["configuration"]["recoveryThreshold"], 2);
    assert_eq!(info["configuration"]["recentCoseProposalsWindowSize"], 100);
    assert_eq!(info["creationTransactionId"], "2.1");
    assert_eq!(c.get("/service/constitution").1, CONSTITUTION);
    c.host
        .store("public:ccf.gov.modules", b"/m.js", b"export {}");
    assert_eq!(c.get("/service/javascript-modules/%2Fm.js").1, "export {}");
    assert_eq!(
        c.get("/service/members").1["value"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        c.get("/service/join-policy").1["snp"]["hostData"],
        json!({})
    );
    assert_eq!(c.get("/service/transactions/2.1").1["status"], "Committed");
    let answer = c.get("/service/transactions/x");
    assert_eq!(code(&answer), (400, "InvalidQueryParameterValue"));
    for path in ["/service/users", "/service/nodes", "/service/jwk"] {
        assert_eq!(c.get(path).0, 200);
    }
}

#[test]
fn d22_replayed_and_old_proposals_are_refused() {
    let mut c = Consortium::new("Active");
    let who = &c.members[0];
    let body = who.sign(&who.message("proposal", NOW, None, br#"{"need":2}"#));
    let path = "/members/proposals:create";
    assert_eq!(c.post(path, body.clone()).0, 200);
    assert_eq!(code(&c.post(path, body)), (400, "ProposalReplay"));
    let who = &c.members[0];
    let old = who.sign(&who.message("proposal", NOW - 1, None, br#"{"need":2}"#));
    let far = who.sign(&who.message("proposal", 10_000_000_000, None, b"{}"));
    assert_eq!(code(&c.post(path, old)), (400, "ProposalCreatedTooLongAgo"));
    assert_eq!(code(&c.post(path, far)), (400, "InvalidCreatedAt"));
    c.host.store(
        "public:ccf.gov.service.config",
        &ONE,
        br#"{"recovery_threshold":2,"recent_cose_proposals_window_size":3}"#,
    );
    for n in 0..5 {
        assert_eq!(c.propose(&json!({ "need": 2, "n": n })).0, 200);
    }
    let kept = c.host.entries("public:ccf.gov.cose_recent_proposals");
    assert_eq!(kept.len(), 3);
    assert!(kept.iter().all(|(key, _)| key.len() == 10 + 1 + 64));
}

#[test]
fn d26_token_keys_are_replaced_as_a_set() {
    let mut c = Consortium::new("Active");
    let key = |kid: &str| {
        json!({ "kid": kid, "kty": "EC", "crv": "P-256",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" })
    };
    let set = |c: &mut Consortium, issuer: &str, keys: JsonValue| {
        c.propose(&json!({ "need": 0, "issuer": issuer, "jwks": { "keys": keys } }))
            .0
    };
    let table = "public:ccf.gov.jwt.public_signing_keys_metadata_v2";
    assert_eq!(set(&mut c, "https://a", json!([key("1"), key("2")])), 200);
    assert_eq!(set(&mut c, "https://b", json!([key("1")])), 200);
    assert_eq!(set(&mut c, "https://a", json!([key("3")])), 200);
    let kids: Vec<_> = c.host.entries(table).into_iter().map(|(k, _)| k).collect();
    assert_eq!(kids, [b"1".to_vec(), b"3".to_vec()]);
    assert_eq!(set(&mut c, "https://a", json!([])), 500);
    let mut foreign = key("4");
    foreign["issuer"] = json!("https://evil");
    assert_eq!(set(&mut c, "https://a", json!([foreign])), 500);
    assert_eq!(set(&mut c, "https://a", json!([{ "kid": "5" }])), 500);
    let shown = c.get("/service/jwk").1;
    assert!(
        shown["keys"]["1"][0]["publicKey"]
            .as_str()
            .unwrap()
            .contains("BEGIN PUBLIC KEY")
    );
}
