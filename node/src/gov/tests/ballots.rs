//! Voting.

use super::*;

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

/// What they say is for the constitution to weigh: who is still a member, CCF does not ask.
#[test]
fn d33_ballots_of_removed_members_are_still_run() {
    let mut c = Consortium::new("Active");
    let id = id(&c.propose(&json!({ "need": 2 })));
    c.vote(1, &id, YES);
    let gone = c.members[1].id.clone();
    c.host.erase("public:ccf.gov.members.info", gone.as_bytes());
    c.host
        .erase("public:ccf.gov.members.certs", gone.as_bytes());
    assert_eq!(
        code(&c.vote(1, &id, YES)),
        (401, "InvalidAuthenticationInfo")
    );
    let decided = c.vote(0, &id, YES).1;
    assert_eq!(decided["proposalState"], "Accepted");
    assert_eq!(decided["finalVotes"][gone], true);
}

#[test]
fn d29_votes_count_by_truthiness() {
    let ballot = |body: &str| json!({ "ballot": body }).to_string();
    for (body, state) in [
        ("export function vote() { return 1 }", "Accepted"),
        ("export function vote() { return 'no' }", "Accepted"),
        ("export async function vote() { return false }", "Accepted"),
        (
            "throw 1; export function vote() { return true }",
            "Accepted",
        ),
        ("export function vote() { return 0 }", "Rejected"),
        ("export function vote() {}", "Rejected"),
    ] {
        let mut c = Consortium::new("Active");
        let id = id(&c.propose(&json!({ "need": 1 })));
        assert_eq!(
            c.vote(0, &id, &ballot(body)).1["proposalState"],
            state,
            "{body}"
        );
    }
}

#[test]
fn d13_what_is_no_ballot_is_not_stored() {
    let mut c = Consortium::new("Active");
    let id = id(&c.propose(&json!({ "need": 1 })));
    for payload in [
        "",
        "null",
        "7",
        "[]",
        "{\"ballot\":7}",
        "{\"ballot\":null}",
        "\"export\"",
        "{",
    ] {
        assert_eq!(
            code(&c.vote(0, &id, payload)),
            (400, "InvalidInput"),
            "{payload}"
        );
    }
    for source in [
        "",
        "vote",
        "export const vote = 1;",
        "import 'x'; export function vote() { return true }",
    ] {
        let payload = json!({ "ballot": source }).to_string();
        assert_eq!(
            code(&c.vote(0, &id, &payload)),
            (500, "InternalError"),
            "{source}"
        );
    }
    let shown = c.get(&format!("/members/proposals/{id}")).1;
    assert_eq!(shown["ballotCount"], 0);
}

/// Ballots see what governance has, and the proposal as it was signed; they change nothing.
#[test]
fn d28_a_ballot_is_run_afresh_and_only_reads() {
    let mut c = Consortium::new("Active");
    let id = id(&c.propose(&json!({ "need": 2 })));
    let source = "let runs = 0; export function vote(proposal, proposer) {
        const members = ccf.kv['public:ccf.gov.members.info'];
        if (++runs !== 1 || members.size !== 2 || proposal !== '{\"need\":2}' || proposer.length !== 64) return false;
        try { members.clear(); } catch (e) { return e instanceof TypeError; }
    }";
    let ballot = json!({ "ballot": source }).to_string();
    assert_eq!(c.vote(0, &id, &ballot).1["proposalState"], "Open");
    let decided = c.vote(1, &id, YES).1;
    assert_eq!(decided["voteFailures"], json!({}));
    assert_eq!(decided["proposalState"], "Accepted");
}

#[test]
fn d15_votes_are_shown_once_decided_and_not_before() {
    let mut c = Consortium::new("Active");
    let id = id(&c.propose(&json!({ "need": 2 })));
    let open = c.vote(0, &id, YES).1;
    assert!(open.get("finalVotes").is_none() && open.get("voteFailures").is_none());
    assert!(open.get("failure").is_none());
    let rejected = c.vote(1, &id, NO).1;
    let (yes, no) = (&c.members[0].id, &c.members[1].id);
    assert_eq!(rejected["finalVotes"], json!({ yes: true, no: false }));
    assert_eq!(rejected["voteFailures"], json!({}));
    assert_eq!(rejected["ballotCount"], 2);
}
