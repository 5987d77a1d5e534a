//! How members become active.

use super::*;

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
fn d16_acknowledgements_are_checked_and_may_be_repeated() {
    let mut c = Consortium::new("Accepted");
    let me = c.members[0].id.clone();
    let path = format!("/members/state-digests/{me}");
    let (update, ack) = (format!("{path}:update"), format!("{path}:ack"));
    for payload in ["", "{}", "{\"stateDigest\":7}"] {
        let answer = c.send(0, "ack", &ack, None, payload);
        assert_eq!(code(&answer), (400, "InvalidInput"), "{payload}");
    }
    let other = format!("/members/state-digests/{}:ack", c.members[1].id);
    let answer = c.send(0, "ack", &other, None, r#"{"stateDigest":""}"#);
    assert_eq!(code(&answer), (400, "InvalidAuthenticationInfo"));
    c.send(0, "state_digest", &update, None, "");
    // The digest is that of the update, not of now.
    let row = br#"{"root":"beef","seqno":9}"#;
    c.host.store("public:ccf.internal.signatures", &ONE, row);
    let answer = c.send(0, "ack", &ack, None, r#"{"stateDigest":"beef"}"#);
    assert_eq!(code(&answer), (400, "StateDigestMismatch"));
    for _ in 0..2 {
        let answer = c.send(0, "ack", &ack, None, r#"{"stateDigest":"abcd"}"#);
        assert_eq!((answer.0, &answer.1), (204, &json!("")));
    }
    let row = c.host.stored("public:ccf.gov.members.acks", me.as_bytes());
    let row: JsonValue = serde_json::from_slice(row.unwrap()).unwrap();
    assert!(row["cose_sign1_req"].is_string());
    // Neither an update nor an acknowledgement is an act of the member's history (CCF interface, section 2.3).
    assert!(c.host.entries("public:ccf.gov.cose_history").is_empty());
}

#[test]
fn d16_without_record_or_signature_there_is_nothing_to_acknowledge() {
    let mut c = Consortium::new("Accepted");
    let me = c.members[0].id.clone();
    let path = format!("/members/state-digests/{me}");
    c.host.erase("public:ccf.gov.members.acks", me.as_bytes());
    assert_eq!(code(&c.get(&path)), (404, "ResourceNotFound"));
    let ack = format!("{path}:ack");
    let answer = c.send(0, "ack", &ack, None, r#"{"stateDigest":""}"#);
    assert_eq!(code(&answer), (403, "AuthorizationFailed"));
    c.host.erase("public:ccf.internal.signatures", &ONE);
    let answer = c.send(0, "state_digest", &format!("{path}:update"), None, "");
    assert_eq!(code(&answer), (500, "InternalError"));
}

#[test]
fn d16_shares_are_issued_anew_when_a_member_of_an_open_service_becomes_active() {
    let mut c = Consortium::new("Active");
    let pem = c.services.key.pem.clone();
    assert_eq!(c.propose(&json!({ "need": 0, "open": pem })).0, 200);
    let me = c.members[1].id.clone();
    let set_status = |c: &mut Consortium, status: &str| {
        let info = json!({ "status": status }).to_string();
        let table = "public:ccf.gov.members.info";
        c.host.store(table, me.as_bytes(), info.as_bytes());
    };
    let table = "public:ccf.internal.recovery_shares";
    let before = c.row(table);
    let path = format!("/members/state-digests/{me}");
    let acknowledge = |c: &mut Consortium| {
        c.send(1, "state_digest", &format!("{path}:update"), None, "");
        c.send(
            1,
            "ack",
            &format!("{path}:ack"),
            None,
            r#"{"stateDigest":"abcd"}"#,
        )
        .0
    };
    assert_eq!(acknowledge(&mut c), 204);
    assert_eq!(c.row(table), before, "it was active already");
    set_status(&mut c, "Accepted");
    assert_eq!(acknowledge(&mut c), 204);
    assert_ne!(c.row(table), before);
    // If they cannot be issued, the member does not become active.
    set_status(&mut c, "Accepted");
    let config = br#"{"recovery_threshold":3}"#;
    c.host.store("public:ccf.gov.service.config", &ONE, config);
    assert_eq!(acknowledge(&mut c), 500);
    let shown = c.get(&format!("/service/members/{me}")).1;
    assert_eq!(shown["status"], "Accepted");
}
