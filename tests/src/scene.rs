//! A consortium at the point where releases happen: open service, accepted contract, policy, secret, clean rooms.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use attestation::{ClientKey, HostData, ReportData, simulated};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use governance::clean_room::CleanRoom;
use governance::client::{Request, Response};
use governance::member::Actions;
use governance::policies::host_data_policy;
use governance::secrets::SecretText;
use governance::{Identity, Member};
use serde_json::{Value, json};

use crate::past;
use crate::service::{Host, Service};

/// The contract of the scene.
pub const CONTRACT: &str = "c1";

/// What the secret says.
pub const SECRET: &str = "what only the agreed code may see";

/// Everybody at their places.
pub struct Scene {
    /// The service.
    pub service: Service,
    /// Two members.
    pub members: Vec<Member>,
    /// A clean room with the agreed code.
    pub room: CleanRoom,
    /// A clean room with other code.
    pub intruder: CleanRoom,
    /// Full id of the secret.
    pub secret_id: String,
}

impl Scene {
    /// Sets the scene on an embedded node that trusts the simulated platform.
    ///
    /// # Panics
    /// When anything fails.
    pub fn set() -> Self {
        Self::on(&Host::EMBEDDED)
    }

    /// Sets the scene on a host, which trusts the simulated platform.
    ///
    /// # Panics
    /// When anything fails.
    pub fn on(host: &Host) -> Self {
        Self::on_with(host, |_| {})
    }

    /// As [`Scene::on`], with the node's configuration changed.
    ///
    /// # Panics
    /// When anything fails.
    pub fn on_with(host: &Host, change: impl FnOnce(&mut Value)) -> Self {
        let founders = founders();
        let founders: Vec<&Identity> = founders.iter().collect();
        let service = Service::start_with(host, &founders, change);
        let members = service.open(&founders);
        Self::of(service, members)
    }

    /// The scene at a service in whose past lie so many proposals that were decided, recovered on this host.
    ///
    /// # Panics
    /// When anything fails.
    pub fn with_past(host: &Host, proposals: u64) -> Self {
        let founders = founders();
        let founders: Vec<&Identity> = founders.iter().collect();
        let ledger = tempfile::tempdir().unwrap();
        let decided = past::decided_proposals(proposals, founders[0]);
        let previous = past::write(ledger.path(), &founders, decided);
        let service = Service::recover(host, ledger.path(), &previous);
        let members: Vec<Member> = founders.iter().map(|f| service.member(f)).collect();
        let (old, new) = (
            service.client().previous_identity().unwrap(),
            service.client().service_info().unwrap().certificate,
        );
        service.accept(&members, &Actions::new().open_recovered_service(&old, &new));
        members[0].give_share().unwrap();
        service.wait_until_open();
        Self::of(service, members)
    }

    /// Contract, policy and secret, at a service that is open.
    fn of(service: Service, members: Vec<Member>) -> Self {
        let platform = simulated::Platform::default();
        let room = start(&service, &platform, [0xa1; 32]);
        let intruder = start(&service, &platform, [0x0b; 32]);
        let terms = json!({ "contractId": CONTRACT, "contract": { "data": "terms" } });
        service.accept(&members, &Actions::new().action("set_contract", terms));
        let policy = host_data_policy(&HostData::from([0xa1; 32]).to_string());
        let policy = json!({ "contractId": CONTRACT, "type": "add", "claims": policy });
        let actions = Actions::new().action("set_clean_room_policy", policy);
        service.accept(&members, &actions);
        let secret = SecretText::new(SECRET.to_owned());
        let client = members[0].client();
        let secret_id = client.put_secret(CONTRACT, "k", &secret).unwrap();
        Self {
            service,
            members,
            room,
            intruder,
            secret_id,
        }
    }

    /// The agreed code with the same key and a report nobody has seen.
    ///
    /// # Panics
    /// Never in practice: a key is read back as it was written.
    pub fn room_with_fresh_report(&self, platform: &simulated::Platform) -> CleanRoom {
        let key = self.room.key().private_key_pem().unwrap();
        let key = ClientKey::from_pem(key.as_bytes()).unwrap();
        with_key(&self.service, platform, key, [0xa1; 32])
    }

    /// The clean room with the agreed code, at another service.
    ///
    /// # Panics
    /// Never in practice: a key is read back as it was written.
    pub fn room_at(&self, service: &Service) -> CleanRoom {
        Self::at(service, &self.room, [0xa1; 32])
    }

    /// The clean room with other code, at another service.
    ///
    /// # Panics
    /// As [`Scene::room_at`].
    pub fn intruder_at(&self, service: &Service) -> CleanRoom {
        Self::at(service, &self.intruder, [0x0b; 32])
    }

    fn at(service: &Service, room: &CleanRoom, host_data: [u8; 32]) -> CleanRoom {
        let key = room.key().private_key_pem().unwrap();
        let key = ClientKey::from_pem(key.as_bytes()).unwrap();
        with_key(service, &simulated::Platform::default(), key, host_data)
    }

    /// Members enable an issuer of tokens for the subject `workload`, and make a key for it.
    ///
    /// # Panics
    /// When they cannot.
    pub fn enable_tokens(&self) {
        let url = json!({ "issuer_url": "https://issuer.example.com" });
        let options = json!({ "tokenSubjects": ["workload"] });
        let options = json!({ "contractId": CONTRACT, "options": options });
        let actions = Actions::new()
            .action("enable_oidc_issuer", json!({ "kid": "k" }))
            .action("set_oidc_issuer_url", url)
            .action("set_contract_options", options);
        self.service.accept(&self.members, &actions);
        let key = Request::post("/app/oidc/generateSigningKey");
        self.members[0].client().write(key).unwrap();
    }

    /// The agreed code's request for a token, with a lifetime of five minutes from now.
    ///
    /// # Panics
    /// Never in practice: the request has a JSON form.
    pub fn token_request(&self, sub: &str) -> Request {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = now.as_secs();
        let path = format!(
            "/app/contracts/{CONTRACT}/oauth/token?sub={sub}&tid=t&aud=a&jti=j&iat={now}&exp={}",
            now + 300
        );
        Request::post(path).json(&self.envelope()).unwrap()
    }

    /// What was wrapped to the agreed code's key in an answer.
    ///
    /// # Panics
    /// When it was not.
    pub fn unwrapped(&self, answer: &Response) -> Vec<u8> {
        let body: Value = answer.json().unwrap();
        let wrapped = STANDARD.decode(body["value"].as_str().unwrap()).unwrap();
        self.room.key().unwrap(&wrapped).unwrap().to_vec()
    }

    /// What the agreed code shows, as the body of a request.
    ///
    /// # Panics
    /// Never in practice: it has a JSON form.
    pub fn envelope(&self) -> Value {
        serde_json::from_slice(&self.room.request_body().unwrap()).unwrap()
    }

    /// The same with a report that answers a challenge.
    ///
    /// # Panics
    /// Never in practice: it has a JSON form.
    pub fn answering(&self, challenge: &str) -> Value {
        let key = self.room.key().public_key_pem().as_bytes();
        let guest = simulated::Guest {
            report_data: ReportData::answering(key, challenge.as_bytes()),
            ..simulated::Guest::new([0xa1; 32].into(), key)
        };
        let evidence = simulated::Platform::default().evidence(&guest);
        let mut envelope = self.envelope();
        envelope["attestation"] = evidence.to_request();
        envelope["challenge"] = challenge.into();
        envelope
    }

    /// The same with a payload, signed.
    ///
    /// # Panics
    /// Never in practice: the key signs anything.
    pub fn signed(&self, payload: &[u8]) -> Value {
        let key = self.room.key();
        let mut envelope = self.envelope();
        envelope["sign"] = json!({
            "publicKey": STANDARD.encode(key.public_key_pem()),
            "signature": STANDARD.encode(key.sign(payload).unwrap()),
        });
        envelope["data"] = STANDARD.encode(payload).into();
        envelope
    }

    /// An event that the agreed code writes, at a time in milliseconds since 1970.
    ///
    /// # Panics
    /// Never in practice: the request has a JSON form.
    pub fn event(&self, id: &str, data: &Value, timestamp: u64) -> Request {
        let mut event = self.signed(data.to_string().as_bytes());
        event["timestamp"] = timestamp.to_string().into();
        let path = format!("/app/contracts/{CONTRACT}/events?id={id}");
        Request::put(path).json(&event).unwrap()
    }

    /// The path of the release.
    pub fn release_path(&self) -> String {
        format!("/app/contracts/{CONTRACT}/secrets/{}", self.secret_id)
    }
}

fn founders() -> [Identity; 2] {
    ["member0", "member1"].map(|name| {
        let identity = Identity::generate(name, Duration::from_secs(3600)).unwrap();
        identity.with_encryption_key().unwrap()
    })
}

fn start(service: &Service, platform: &simulated::Platform, host_data: [u8; 32]) -> CleanRoom {
    with_key(service, platform, ClientKey::generate().unwrap(), host_data)
}

fn with_key(
    service: &Service,
    platform: &simulated::Platform,
    key: ClientKey,
    host_data: [u8; 32],
) -> CleanRoom {
    let guest = simulated::Guest::new(host_data.into(), key.public_key_pem().as_bytes());
    CleanRoom::new(service.client(), key, platform.evidence(&guest))
}
