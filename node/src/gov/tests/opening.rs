//! Opening the service: shares and secrets.

use super::*;

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
