//! Creating, withdrawing, showing and pruning proposals.

use super::*;

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

/// `SHA-256(root || SHA-256(signature))`: whoever has the ledger can compute it.
#[test]
fn d10_the_id_is_made_of_root_and_signature() {
    let mut c = Consortium::new("Active");
    let body = c.members[0].sign(&c.members[0].message("proposal", NOW, None, b"{\"need\":2}"));
    let root = c
        .host
        .with_transaction(|tx| tx.root_at_read_version().unwrap());
    // The signature is the last of the envelope's parts: 96 bytes for this curve.
    let signature = &body[body.len() - 96..];
    let sha256 = |bytes: &[u8]| aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let want = sha256(&[&root, sha256(signature).as_ref()].concat());
    let answer = c.post("/members/proposals:create", body.clone());
    assert_eq!(id(&answer), hex::encode(want));
}

#[test]
fn d10_a_proposal_that_fails_leaves_nothing() {
    for payload in [
        json!({ "throwInResolve": true }),
        json!({ "throwInApply": true, "need": 0 }),
        json!({ "invalid": true }),
        json!({ "resolveTo": "open" }),
    ] {
        let mut c = Consortium::new("Active");
        let before = c.host.seqno();
        assert!(c.propose(&payload).0 >= 400, "{payload}");
        assert_eq!(c.host.seqno(), before, "{payload}");
        for table in [
            "proposals",
            "proposals_info",
            "cose_history",
            "cose_recent_proposals",
        ] {
            let table = format!("public:ccf.gov.{table}");
            assert!(c.host.entries(&table).is_empty(), "{payload} {table}");
        }
    }
}

#[test]
fn d10_messages_of_failed_proposals() {
    let mut c = Consortium::new("Active");
    for (payload, start) in [
        (
            json!({ "resolveTo": "open" }),
            "resolve() returned invalid status value: \"open\"\nTrace: N/A",
        ),
        (
            json!({ "throwInApply": true, "need": 0 }),
            "Failed to apply(): Error: Error message\nTrace: ",
        ),
        (
            json!({ "throwInResolve": true }),
            "Failed to resolve(): Error: Resolve message\nTrace: ",
        ),
    ] {
        let answer = c.propose(&payload);
        assert_eq!(code(&answer), (500, "InternalError"));
        let text = answer.1["error"]["message"].as_str().unwrap();
        assert!(text.starts_with(start), "{text}");
    }
    c.constitute("export function validate() { return 7 }");
    assert_eq!(code(&c.propose(&json!({}))), (500, "InternalError"));
    c.host.erase("public:ccf.gov.constitution", &ONE);
    assert_eq!(code(&c.propose(&json!({}))), (500, "InternalError"));
}

/// An invalid proposal is told so however often it comes, and takes no place among the remembered ones.
#[test]
fn d10_validation_comes_before_replay() {
    let mut c = Consortium::new("Active");
    let body = c.members[0].sign(&c.members[0].message("proposal", NOW, None, b"{\"invalid\":1}"));
    for _ in 0..2 {
        let answer = c.post("/members/proposals:create", body.clone());
        assert_eq!(code(&answer), (400, "ProposalFailedToValidate"));
        assert!(
            answer.1["error"]["message"]
                .as_str()
                .unwrap()
                .contains("as asked")
        );
    }
}

#[test]
fn d14_a_constitution_may_drop_open_proposals() {
    let mut c = Consortium::new("Active");
    let open = id(&c.propose(&json!({ "need": 2 })));
    let last = id(&c.propose(&json!({ "need": 0, "dropOthers": true })));
    let shown = c.get(&format!("/members/proposals/{open}")).1;
    assert_eq!(shown["proposalState"], "Dropped");
    assert!(shown.get("finalVotes").is_none() && shown.get("voteFailures").is_none());
    assert_eq!(code(&c.vote(1, &open, YES)), (400, "ProposalNotOpen"));
    assert_eq!(code(&c.withdraw(0, &open)), (400, "ProposalNotOpen"));
    // It goes with the next decision, as the accepted one does.
    c.propose(&json!({ "need": 0 }));
    for proposal in [open, last] {
        assert_eq!(c.get(&format!("/members/proposals/{proposal}")).0, 404);
    }
}

#[test]
fn d14_a_withdrawal_prunes_too() {
    let mut c = Consortium::new("Active");
    let decided = id(&c.propose(&json!({ "need": 0 })));
    let open = id(&c.propose(&json!({ "need": 2 })));
    assert_eq!(c.withdraw(0, &open).0, 200);
    assert_eq!(c.get(&format!("/members/proposals/{decided}")).0, 404);
    assert_eq!(c.get(&format!("/members/proposals/{open}")).0, 200);
}

/// Open proposals are not looked at when the constitution changes; their next ballot meets the new one.
#[test]
fn d34_a_new_constitution_decides_from_the_next_evaluation_on() {
    let mut c = Consortium::new("Active");
    let open = id(&c.propose(&json!({ "need": 1 })));
    let strict = CONSTITUTION.replace("return yes >=", "return yes > 1 && yes >=");
    let set = json!({ "need": 0, "constitution": strict });
    assert_eq!(c.propose(&set).1["proposalState"], "Accepted");
    assert_eq!(c.get("/service/constitution").1, strict);
    let shown = c.get(&format!("/members/proposals/{open}")).1;
    assert_eq!(shown["proposalState"], "Open");
    assert_eq!(c.vote(0, &open, YES).1["proposalState"], "Open");
    assert_eq!(c.vote(1, &open, YES).1["proposalState"], "Accepted");
}

#[test]
fn d23_signed_messages_are_kept_as_they_were_sent() {
    let mut c = Consortium::new("Active");
    let text = br#"{ "need" : 2 }"#;
    let base64 = |bytes: &[u8]| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes);
    let kept = |c: &Consortium, member: usize| {
        let row = c.host.stored(
            "public:ccf.gov.cose_history",
            c.members[member].id.as_bytes(),
        );
        row.map(|row| serde_json::from_slice::<String>(row).unwrap())
    };
    let body = c.members[0].sign(&c.members[0].message("proposal", NOW, None, text));
    let proposal = id(&c.post("/members/proposals:create", body.clone()));
    assert_eq!(kept(&c, 0), Some(base64(&body)));
    let stored = c
        .host
        .stored("public:ccf.gov.proposals", proposal.as_bytes());
    assert_eq!(stored, Some(text.as_slice()));
    let who = &c.members[1];
    let ballot = who.sign(&who.message("ballot", NOW, Some(&proposal), YES.as_bytes()));
    let path = format!("/members/proposals/{proposal}/ballots/{}:submit", who.id);
    c.post(&path, ballot.clone());
    assert_eq!(kept(&c, 1), Some(base64(&ballot)));
    // The same ballot again changes nothing, so it is not kept.
    let again = c.members[1].sign(&c.members[1].message(
        "ballot",
        NOW + 1,
        Some(&proposal),
        YES.as_bytes(),
    ));
    assert_eq!(c.post(&path, again).0, 200);
    assert_eq!(kept(&c, 1), Some(base64(&ballot)));
    let who = &c.members[0];
    let withdrawal = who.sign(&who.message("withdrawal", NOW, Some(&proposal), b""));
    c.post(
        &format!("/members/proposals/{proposal}:withdraw"),
        withdrawal.clone(),
    );
    assert_eq!(kept(&c, 0), Some(base64(&withdrawal)));
    let again =
        c.members[0].sign(&c.members[0].message("withdrawal", NOW + 9, Some(&proposal), b""));
    c.post(&format!("/members/proposals/{proposal}:withdraw"), again);
    assert_eq!(kept(&c, 0), Some(base64(&withdrawal)));
}
