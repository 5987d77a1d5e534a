//! One scenario against a fresh service.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use governance::TxId;
use governance::client::{Request, Response};
use governance::cose::{self, MessageType};
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};
use tests::service::{Host, Service};
use zeroize::Zeroizing;

use crate::compare::{self, Answer, Names, substitute};
use crate::evidence::Evidence;
use crate::issued;
use crate::people::People;
use crate::transcript::{Step, Transcript};

const VERSION: &str = "api-version=2024-07-01";

/// The constant ballots of the recording.
const FOR: &str = "export function vote (rawProposal, proposerId) { return true; }";
const AGAINST: &str = "export function vote (rawProposal, proposerId) { return false; }";

pub struct Run {
    service: Service,
    people: People,
    evidence: Evidence,
    names: Names,
    clients: BTreeMap<String, governance::Client>,
    created_at: BTreeMap<Vec<u8>, u64>,
    last_message: Vec<u8>,
    /// Requests that were answered as a failure of the service, 500 and above, since the last look.
    failures: Vec<String>,
    /// The newest transaction that an answer named.
    last: Option<TxId>,
}

/// An answer that is not the recorded one.
pub struct Outcome {
    pub want: Answer,
    pub got: Answer,
    pub names: Names,
}

impl Run {
    pub fn start(host: &Host, folder: &Path, transcript: &Transcript) -> Self {
        let people = People::new(&transcript.setup);
        let founders: Vec<_> = (0..transcript.setup.members)
            .map(|n| people.identity(&format!("member{n}")))
            .collect();
        let service = Service::start(host, &founders);
        service.open(&founders);
        let names = people
            .identities()
            .map(|(name, identity)| (format!("<{name}>"), identity.id().to_string()))
            .collect();
        Self {
            service,
            people,
            evidence: Evidence::new(folder),
            names,
            clients: BTreeMap::new(),
            created_at: BTreeMap::new(),
            last_message: Vec::new(),
            failures: Vec::new(),
            last: None,
        }
    }

    /// Requests that were answered with 500 or above since the last call, preparations and retries of a step included.
    pub fn take_failures(&mut self) -> Vec<String> {
        std::mem::take(&mut self.failures)
    }

    /// Plays a step. What came back instead of the recorded answer, if it is to be compared.
    pub fn step(&mut self, step: &Step) -> Option<Outcome> {
        let mut got = match step.gov.as_deref() {
            None => self.http(step),
            Some("propose") => self.propose(step),
            Some("vote") => self.vote(step),
            Some("withdraw") => self.withdraw(step),
            Some("accept") => self.accept(step),
            Some("activate") => self.activate(step),
            Some("raw") => self.raw(step),
            Some(other) => panic!("unknown step {other}"),
        };
        let want = Answer {
            status: step.status,
            content_type: step.content_type.clone(),
            response: self.references(&step.response, &[]),
            unwrapped: step.unwrapped.clone(),
            votes_cast: step.votes_cast.clone(),
        };
        compare::drop_additions(&want.response, &mut got.response);
        if let (Some(want), Some(got)) = (&want.unwrapped, &mut got.unwrapped) {
            compare::drop_additions(want, got);
        }
        let before = self.names.clone();
        let equal = compare::equal(&want, &got, &mut self.names, step.note.is_some());
        if equal || !step.is_compared() {
            return None;
        }
        if std::env::var_os("GOLDEN_TRACE").is_some() {
            eprintln!("{}\n  want {want:?}\n  got  {got:?}", step.step);
        }
        Some(Outcome {
            want,
            got,
            names: before,
        })
    }

    fn http(&mut self, step: &Step) -> Answer {
        let mut path = self.path(step.path.as_deref().unwrap());
        // What was recorded of the past was committed then.
        let reads_past = ["_seqno=", "/historical", "/tx?transaction_id="];
        if let Some(last) = self
            .last
            .filter(|_| reads_past.iter().any(|it| path.contains(it)))
        {
            self.service.client().wait_committed(last).unwrap();
        }
        let mut answer = self.exchange(step, &path);
        let mut values = Vec::new();
        let mut pages = 0;
        while step.follow.is_some() {
            pages += 1;
            let page = answer.response["value"].as_array().cloned();
            values.extend(page.unwrap_or_default());
            match answer.response["nextLink"].as_str() {
                Some(link) => link.clone_into(&mut path),
                None => {
                    answer.response = json!({ "value": values });
                    if pages > 1 {
                        answer.response["severalPages"] = true.into();
                    }
                    break;
                }
            }
            answer = self.exchange(step, &path);
        }
        answer
    }

    /// A name that stands for nothing, after an earlier difference, still has to travel.
    fn path(&self, path: &str) -> String {
        substitute(path, &self.names)
            .replace('<', "%3C")
            .replace('>', "%3E")
            .replace(' ', "%20")
    }

    fn exchange(&mut self, step: &Step, path: &str) -> Answer {
        let method = Method::from_bytes(step.method.as_deref().unwrap().as_bytes()).unwrap();
        let mut request = Request::new(method, path);
        if let Some(raw) = &step.raw_request {
            request = request.body("application/json", Zeroizing::new(raw.clone().into_bytes()));
        } else if let Some(body) = &step.request {
            let body = self.body(body);
            request = request.json(&body).unwrap();
        }
        for (name, value) in &step.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request = request.header(name, HeaderValue::from_str(value).unwrap());
        }
        let response = self.send(step.caller.as_deref(), &request);
        self.capture(&step.step, &response);
        let mut answer = answer(&response);
        answer.unwrapped = self.unwrap(step, &answer);
        answer
    }

    /// Sends, and again while the answer is 202.
    fn send(&mut self, caller: Option<&str>, request: &Request) -> Response {
        let service = &self.service;
        let people = &self.people;
        let client = self
            .clients
            .entry(caller.unwrap_or_default().to_owned())
            .or_insert_with(|| people.client(service.url(), service.certificate(), caller));
        for _ in 0..500 {
            let response = client
                .exchange(request.clone())
                .unwrap_or_else(|error| panic!("{error}: {}", request.path()));
            if response.status().is_server_error() {
                self.failures
                    .push(format!("{} {}", request.path(), body(&response)));
            }
            if response.status() != 202 {
                return response;
            }
            sleep(Duration::from_millis(20));
        }
        panic!("still 202");
    }

    fn capture(&mut self, step: &str, response: &Response) {
        if let Some(transaction) = response.transaction() {
            self.last = Some(transaction);
            let text = transaction.to_string();
            let (_, seqno) = text.split_once('.').unwrap();
            self.names
                .insert(format!("<seqno:{step}>"), seqno.to_owned());
            self.names.insert(format!("<version:{step}>"), text);
        }
    }

    fn unwrap(&mut self, step: &Step, answer: &Answer) -> Option<Value> {
        let want = step.unwrapped.as_ref()?;
        let key = &step.request.as_ref()?["encrypt"]["publicKey"];
        let reference = key.as_str().or_else(|| key["$base64"].as_str())?;
        let (_, name) = reference.split_once(':')?;
        let name = name.strip_suffix(" and a newline").unwrap_or(name);
        let wrapped = STANDARD.decode(answer.response["value"].as_str()?).ok()?;
        let key = self.evidence.private_key_pem(name);
        let text = attestation::unwrap(key.as_bytes(), &wrapped).ok()?;
        let text = String::from_utf8(text.to_vec()).ok()?;
        if want.get("signatureValid").is_some() {
            return self.issued(step, &text);
        }
        match want {
            Value::String(_) => Some(text.into()),
            _ => serde_json::from_str(&text).ok(),
        }
    }

    /// A token or a signature, verified by what the service publishes.
    fn issued(&mut self, step: &Step, text: &str) -> Option<Value> {
        if step.path.as_ref()?.contains("/oauth/token") {
            let keys = self.send(None, &Request::get("/app/oidc/keys"));
            return issued::token(text, &keys.json().ok()?);
        }
        let info = Request::post("/app/signing/info").json(&json!({})).unwrap();
        let info = self.send(Some("member0"), &info);
        let payload = &self.body(step.request.as_ref()?)["payload"];
        issued::signature(text, payload, &info.json().ok()?)
    }

    /// A request body with everything it refers to.
    fn body(&self, body: &Value) -> Value {
        let data = &body["data"]["$base64"];
        let data = data.as_str().map(|text| substitute(text, &self.names));
        self.references(body, data.unwrap_or_default().as_bytes())
    }

    fn references(&self, value: &Value, data: &[u8]) -> Value {
        match value {
            Value::String(text) => self.reference(text),
            Value::Array(items) => items
                .iter()
                .map(|item| self.references(item, data))
                .collect(),
            Value::Object(members) => {
                if let Some(text) = members.get("$base64") {
                    let text = self.reference(text.as_str().unwrap());
                    let text = text.as_str().unwrap();
                    return match members.get("alphabet") {
                        None => STANDARD.encode(text).into(),
                        Some(_) => URL_SAFE_NO_PAD.encode(text).into(),
                    };
                }
                if let Some(text) = members.get("$text") {
                    return text.clone();
                }
                if let Some(wanted) = members.get("$signature") {
                    return self.evidence.signature(wanted, data);
                }
                members
                    .iter()
                    .map(|(name, member)| (name.clone(), self.references(member, data)))
                    .collect::<Map<_, _>>()
                    .into()
            }
            other => other.clone(),
        }
    }

    fn reference(&self, text: &str) -> Value {
        if text == "$service-certificate" {
            return self.service.certificate().into();
        }
        // A position is a number wherever it stands.
        if text.starts_with("<seqno:")
            && let Some(seqno) = self.names.get(text).and_then(|seqno| seqno.parse().ok())
        {
            return Value::Number(seqno);
        }
        if text == "$constitution" {
            return constitution::default_module().into();
        }
        let Some((kind, name)) = text.strip_prefix('$').and_then(|text| text.split_once(':'))
        else {
            return substitute(text, &self.names).into();
        };
        if let Some(name) = name.strip_suffix(" and a newline") {
            let text = self.reference(&format!("${kind}:{name}"));
            return format!("{}\n", text.as_str().unwrap()).into();
        }
        match kind {
            "certificate" => self.people.identity(name).certificate().to_pem().into(),
            "encryption-key" => {
                let key = self.people.identity(name).encryption_key().unwrap();
                key.public_key_pem().unwrap().into()
            }
            "x5c" => self.people.x5c(name).into(),
            "evidence" => self.evidence.attestation(name),
            "public-key" => STANDARD.encode(self.evidence.public_key_pem(name)).into(),
            "public-key-pem" => self.evidence.public_key_pem(name).into(),
            _ => substitute(text, &self.names).into(),
        }
    }

    fn propose(&mut self, step: &Step) -> Answer {
        let payload = self.proposal(step);
        let member = step.caller.as_deref().unwrap();
        let response = self.signed(
            member,
            "/gov/members/proposals:create",
            &MessageType::Proposal,
            &payload,
        );
        self.capture(&step.step, &response);
        self.name_proposal(&step.step, &response);
        governance_answer(&response)
    }

    fn proposal(&self, step: &Step) -> Vec<u8> {
        let actions = self.references(step.actions.as_ref().unwrap(), &[]);
        json!({ "actions": actions }).to_string().into_bytes()
    }

    fn name_proposal(&mut self, step: &str, response: &Response) {
        let body: Value = response.json().unwrap_or_default();
        if let Some(id) = body["proposalId"].as_str() {
            self.names
                .insert(format!("<proposal:{step}>"), id.to_owned());
        }
    }

    fn vote(&mut self, step: &Step) -> Answer {
        let proposal = self.path(step.proposal.as_deref().unwrap());
        let ballot = match step.ballot.as_deref().unwrap() {
            "for" => FOR.to_owned(),
            "against" => AGAINST.to_owned(),
            script => script.to_owned(),
        };
        let response = self.ballot(step.caller.as_deref().unwrap(), &proposal, &ballot);
        self.capture(&step.step, &response);
        governance_answer(&response)
    }

    fn ballot(&mut self, member: &str, proposal: &str, ballot: &str) -> Response {
        let id = self.people.identity(member).id();
        let path = format!("/gov/members/proposals/{proposal}/ballots/{id}:submit");
        let kind = MessageType::Ballot(proposal_id(proposal));
        let payload = json!({ "ballot": ballot }).to_string();
        self.signed(member, &path, &kind, payload.as_bytes())
    }

    fn withdraw(&mut self, step: &Step) -> Answer {
        let proposal = self.path(step.proposal.as_deref().unwrap());
        let path = format!("/gov/members/proposals/{proposal}:withdraw");
        let kind = MessageType::Withdrawal(proposal_id(&proposal));
        let response = self.signed(step.caller.as_deref().unwrap(), &path, &kind, b"");
        self.capture(&step.step, &response);
        governance_answer(&response)
    }

    fn accept(&mut self, step: &Step) -> Answer {
        let mut answer = self.propose(step);
        let writes = format!("<version:{}>", step.step);
        if let Some(version) = self.names.get(&writes).cloned() {
            self.names
                .insert(format!("<version:{}/proposal>", step.step), version);
        }
        let mut cast = Vec::new();
        let proposal = answer.response["proposalId"].as_str().map(str::to_owned);
        for voter in &step.voters {
            let Some(proposal) = &proposal else { break };
            if answer.status != 200 || answer.response["proposalState"] != "Open" {
                break;
            }
            let response = self.ballot(voter, proposal, FOR);
            self.capture(&step.step, &response);
            self.capture(&format!("{}/{voter}", step.step), &response);
            answer = governance_answer(&response);
            cast.push(voter.clone());
        }
        answer.votes_cast = Some(cast);
        answer
    }

    fn activate(&mut self, step: &Step) -> Answer {
        let member = step.caller.as_deref().unwrap();
        let id = self.people.identity(member).id();
        let path = |verb: &str| format!("/gov/members/state-digests/{id}:{verb}");
        let digest = self.signed(member, &path("update"), &MessageType::StateDigest, b"");
        let digest: Value = digest.json().unwrap();
        let payload = json!({"stateDigest": digest["stateDigest"]}).to_string();
        let response = self.signed(member, &path("ack"), &MessageType::Ack, payload.as_bytes());
        self.capture(&step.step, &response);
        governance_answer(&response)
    }

    /// Signs a message. A text seen before is signed in a later second, otherwise it is taken for a replay.
    fn message(&mut self, member: &str, kind: &MessageType, payload: &[u8]) -> Vec<u8> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let created_at = match self.created_at.get(payload) {
            Some(last) => now.max(last + 1),
            None => now,
        };
        self.created_at.insert(payload.to_vec(), created_at);
        cose::sign(self.people.identity(member), kind, created_at, payload).unwrap()
    }

    fn signed(&mut self, member: &str, path: &str, kind: &MessageType, payload: &[u8]) -> Response {
        let message = self.message(member, kind, payload);
        let request = Request::post(format!("{path}?{VERSION}")).cose(message);
        self.send(None, &request)
    }

    /// An envelope made by hand, described in words.
    fn raw(&mut self, step: &Step) -> Answer {
        let path = self.path(step.path.as_deref().unwrap());
        let n = self.created_at.len();
        let proposal = json!({"actions": [{"name": "set_recovery_threshold", "args": {"recovery_threshold": 1}}], "n": n});
        let proposal = proposal.to_string().into_bytes();
        let ballot = json!({"ballot": FOR}).to_string().into_bytes();
        let open = self
            .names
            .get("<proposal:for the envelope>")
            .map(|id| id.parse().unwrap());
        let ballot_on = |id: Option<_>| MessageType::Ballot(id.unwrap());
        let mut sign = |kind: &MessageType, payload: &[u8]| self.message("member0", kind, payload);
        let message = match step.envelope.as_deref().unwrap() {
            "none: the payload alone" => proposal,
            "the bytes d2 84" => vec![0xd2, 0x84],
            "signed by member0, type ballot, payload a proposal" => {
                sign(&ballot_on(open), &proposal)
            }
            "a good ballot of member0" => sign(&ballot_on(open), &ballot),
            "a ballot of member0, header proposal_id cd...cd" => {
                sign(&ballot_on(Some("cd".repeat(32).parse().unwrap())), &ballot)
            }
            "a ballot of member0 without header proposal_id" => {
                unnamed_ballot(self.people.identity("member0"), &ballot)
            }
            "a proposal signed by member0, one argument changed afterwards" => {
                let mut message = sign(&MessageType::Proposal, &proposal);
                let at = message
                    .windows(20)
                    .position(|bytes| bytes == b"\"recovery_threshold\"")
                    .unwrap();
                message[at + 21] = b'2';
                message
            }
            "signed by member0, payload {" => sign(&MessageType::Proposal, b"{"),
            "signed by member0, payload {\"x\":1}" => sign(&MessageType::Proposal, b"{\"x\":1}"),
            "a good proposal of member0" => sign(&MessageType::Proposal, &proposal),
            "exactly the bytes of the step before" => self.last_message.clone(),
            other => panic!("unknown envelope {other}"),
        };
        self.last_message.clone_from(&message);
        let response = self.send(None, &Request::post(path).cose(message));
        self.capture(&step.step, &response);
        self.name_proposal(&step.step, &response);
        governance_answer(&response)
    }
}

/// The id, or that of no proposal when an earlier step did not make the proposal it should have made.
fn proposal_id(text: &str) -> governance::ProposalId {
    text.parse()
        .unwrap_or_else(|_| "00".repeat(32).parse().unwrap())
}

/// A ballot whose protected header does not say what it is on.
fn unnamed_ballot(signer: &governance::Identity, payload: &[u8]) -> Vec<u8> {
    use coset::{CborSerializable as _, TaggedCborSerializable as _};
    let proposal = MessageType::Ballot("ab".repeat(32).parse().unwrap());
    let message = cose::sign(signer, &proposal, 1_700_000_000, payload).unwrap();
    let mut message = coset::CoseSign1::from_tagged_slice(&message).unwrap();
    message
        .protected
        .header
        .rest
        .retain(|(label, _)| *label != coset::Label::Text("ccf.gov.msg.proposal_id".to_owned()));
    let header = std::mem::take(&mut message.protected.header);
    debug_assert!(header.clone().to_vec().is_ok());
    coset::CoseSign1Builder::new()
        .protected(header)
        .payload(payload.to_vec())
        .create_signature(&[], |bytes| signer.sign(bytes).unwrap())
        .build()
        .to_tagged_vec()
        .unwrap()
}

fn answer(response: &Response) -> Answer {
    let content_type = response.headers().get("content-type");
    Answer {
        status: response.status().as_u16(),
        content_type: Some(content_type.map(|value| value.to_str().unwrap().to_owned())),
        response: compare::reduce(body(response)),
        unwrapped: None,
        votes_cast: None,
    }
}

fn body(response: &Response) -> Value {
    if response.body().is_empty() {
        return Value::Null;
    }
    let text = || String::from_utf8_lossy(response.body()).into_owned().into();
    response.json().unwrap_or_else(|_| text())
}

fn governance_answer(response: &Response) -> Answer {
    let mut answer = answer(response);
    answer.content_type = None;
    if let Value::Object(members) = &mut answer.response {
        let kept = [
            "proposalId",
            "proposerId",
            "proposalState",
            "ballotCount",
            "finalVotes",
            "error",
        ];
        members.retain(|name, _| kept.contains(&name.as_str()));
    }
    answer
}
