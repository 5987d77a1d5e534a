//! Who takes part, and what they propose.

use std::sync::OnceLock;
use std::time::Duration;

use governance::Identity;
use ledger::WriteSet;
use serde_json::{Value, json};

use super::gov;

pub(crate) const YES: &str = "export function vote (proposal, proposerId) { return true }";
pub(crate) const NO: &str = "export function vote (proposal, proposerId) { return false }";

/// Three founders and one who may come later.
pub(crate) fn people() -> &'static [Identity; 4] {
    static PEOPLE: OnceLock<[Identity; 4]> = OnceLock::new();
    PEOPLE.get_or_init(|| {
        ["alba", "boro", "cura", "dora"].map(|name| {
            let identity = Identity::generate(name, Duration::from_secs(3600)).unwrap();
            identity.with_encryption_key().unwrap()
        })
    })
}

pub(crate) fn id(member: usize) -> String {
    people()[member].id().as_str().to_owned()
}

/// What a foundation writes of a member.
pub(super) fn found(set: &mut WriteSet, person: &Identity) {
    let id = person.id().as_str().to_owned();
    let key = person.encryption_key().unwrap().public_key_pem().unwrap();
    set.put(
        &gov("members.certs"),
        id.as_str(),
        person.certificate().to_pem(),
    );
    set.put(
        &gov("members.encryption_public_keys"),
        id.as_str(),
        key.as_str(),
    );
    set.put(
        &gov("members.info"),
        id.as_str(),
        r#"{"status":"Accepted"}"#,
    );
    set.put(&gov("members.acks"), id.as_str(), r#"{"state_digest":""}"#);
}

pub(crate) fn action(name: &str, args: &Value) -> Value {
    json!({ "actions": [{ "name": name, "args": args }] })
}

pub(crate) fn contract(name: &str) -> Value {
    action(
        "set_contract",
        &json!({ "contractId": name, "contract": { "data": "terms" } }),
    )
}
