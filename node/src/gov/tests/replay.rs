//! Proposals that were seen, and old ones.

use super::*;

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

/// The key of the table: ten digits, a colon, the digest of the signature alone.
#[test]
fn d22_what_is_remembered_of_a_proposal() {
    let mut c = Consortium::new("Active");
    let body = c.members[0].sign(&c.members[0].message("proposal", 42, None, b"{\"need\":2}"));
    let id = id(&c.post("/members/proposals:create", body.clone()));
    let signature = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &body[body.len() - 96..]);
    let key = format!("0000000042:{}", hex::encode(signature));
    assert_eq!(
        c.host.entries("public:ccf.gov.cose_recent_proposals"),
        [(key.into_bytes(), json!(id).to_string().into_bytes())]
    );
}

/// Of the remembered times the middle one counts; equal to it is new enough.
#[test]
fn d22_the_middle_of_the_window_is_the_limit() {
    let mut c = Consortium::new("Active");
    let mut at = |stamp: u64, n: usize| {
        let text = format!("{{\"need\":2,\"n\":{n}}}");
        let body =
            c.members[0].sign(&c.members[0].message("proposal", stamp, None, text.as_bytes()));
        let answer = c.post("/members/proposals:create", body);
        (
            answer.0,
            answer.1["error"]["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    let old = (400, "ProposalCreatedTooLongAgo".to_owned());
    assert_eq!(at(100, 0).0, 200);
    assert_eq!(at(99, 1), old, "one is remembered: 100");
    assert_eq!(at(100, 2).0, 200, "equal is accepted");
    assert_eq!(at(200, 3).0, 200);
    // 100, 100, 200: index 3 / 2 = 1.
    assert_eq!(at(99, 4), old);
    assert_eq!(at(100, 5).0, 200);
    // 100, 100, 100, 200: index 2.
    assert_eq!(at(9_999_999_999, 6).0, 200, "no clock is asked");
    assert_eq!(at(9_999_999_998, 7).0, 200);
    assert_eq!(at(9_999_999_997, 8).0, 200);
    // 100 x 3, 200, three of the far future: index 3.
    assert_eq!(at(199, 9), old);
}

/// The smallest go first; one that was evicted is refused for its age.
#[test]
fn d22_the_window_forgets_the_oldest() {
    let mut c = Consortium::new("Active");
    let config = br#"{"recovery_threshold":2,"recent_cose_proposals_window_size":2}"#;
    c.host.store("public:ccf.gov.service.config", &ONE, config);
    let bodies: Vec<Bytes> = (0..4u64)
        .map(|n| {
            c.members[0].sign(&c.members[0].message("proposal", NOW + n, None, b"{\"need\":2}"))
        })
        .collect();
    for body in &bodies {
        assert_eq!(c.post("/members/proposals:create", body.clone()).0, 200);
    }
    let kept = c.host.entries("public:ccf.gov.cose_recent_proposals");
    let stamps: Vec<_> = kept.iter().map(|(key, _)| key[..10].to_vec()).collect();
    let want: Vec<_> = [NOW + 2, NOW + 3]
        .map(|n| n.to_string().into_bytes())
        .into();
    assert_eq!(stamps, want);
    let code_of = |answer: &(u16, JsonValue)| code(answer).1.to_owned();
    let again = c.post("/members/proposals:create", bodies[0].clone());
    assert_eq!(code_of(&again), "ProposalCreatedTooLongAgo");
    let again = c.post("/members/proposals:create", bodies[3].clone());
    assert_eq!(code_of(&again), "ProposalReplay");
}
