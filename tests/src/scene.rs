//! A consortium at the point where releases happen: open service, accepted contract, policy, secret, clean rooms.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use attestation::{ClientKey, HostData, simulated};
use governance::clean_room::CleanRoom;
use governance::member::Actions;
use governance::policies::host_data_policy;
use governance::secrets::SecretText;
use governance::{Identity, Member};
use serde_json::json;

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
        let founders = ["member0", "member1"].map(|name| {
            let identity = Identity::generate(name, Duration::from_secs(3600)).unwrap();
            identity.with_encryption_key().unwrap()
        });
        let founders: Vec<&Identity> = founders.iter().collect();
        let service = Service::start(host, &founders);
        let members = service.open(&founders);
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
        let key = self.room.key().private_key_pem().unwrap();
        let key = ClientKey::from_pem(key.as_bytes()).unwrap();
        with_key(service, &simulated::Platform::default(), key, [0xa1; 32])
    }

    /// The path of the release.
    pub fn release_path(&self) -> String {
        format!("/app/contracts/{CONTRACT}/secrets/{}", self.secret_id)
    }
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
