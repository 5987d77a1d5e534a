//! A recovery on the terms that members voted: who may open the ledger, why, and what is held until they say so.

use governance::member::Actions;
use governance::recovery::RecoveryKind;
use governance::service::ProposalState;
use governance::{IdentityId, Member};
use serde_json::{Value, json};
use tests::scene::{CONTRACT, Scene};
use tests::service::{Host, Service};

use crate::recovery::wait_until_open;

/// The first member holds its share in a confidential recovery service, the second breaks glass.
fn policy(members: &[Member]) -> Value {
    let [confidential, break_glass] = [0, 1].map(|n| members[n].id());
    json!({
        "mode": "confidential_or_break_glass",
        "confidential": [{"member_id": confidential, "service_host_data": "0a".repeat(32), "key_store_id": "vault"}],
        "break_glass": [{"member_id": break_glass, "holder": "operator"}],
        "requires_reason": true,
        "requires_member_ack": true,
    })
}

fn opening(service: &Service, extra: &Value) -> Actions {
    let client = service.client();
    let mut args = json!({
        "previous_service_identity": client.previous_identity().unwrap(),
        "next_service_identity": client.service_info().unwrap().certificate,
    });
    for (name, value) in extra.as_object().unwrap() {
        args[name] = value.clone();
    }
    Actions::new().action("transition_service_to_open", args)
}

#[test]
fn glass_is_broken_by_who_may_for_a_reason_and_members_say_when_releases_go_on() {
    let mut scene = Scene::set();
    let actions = Actions::new().action(
        "set_recovery_policy",
        json!({"policy": policy(&scene.members)}),
    );
    scene.service.accept(&scene.members, &actions);
    scene.service.stop();
    let previous = scene.service.certificate().to_owned();
    let host = Host::Embedded { simulated: true };
    let service = Service::recover(&host, &scene.service.ledger(), &previous);
    let members: Vec<Member> = scene
        .members
        .iter()
        .map(|member| service.member(member.identity()))
        .collect();

    for missing in [json!({}), json!({"recovery_kind": "break_glass"})] {
        let refused = members[0]
            .propose(&opening(&service, &missing))
            .unwrap_err();
        assert_eq!(refused.code(), Some("ProposalFailedToValidate"));
        assert!(refused.to_string().contains("CON-93"), "{refused}");
    }
    let previous = service.client().previous_identity().unwrap();
    let next = service.client().service_info().unwrap().certificate;
    let opening = Actions::new().open_recovered_service_as(
        &previous,
        &next,
        RecoveryKind::BreakGlass,
        Some("the vault burnt down"),
    );
    service.accept(&members, &opening);

    // The confidential holder has no part in this recovery.
    let refused = members[0]
        .submit_share(&members[0].recovery_share().unwrap())
        .unwrap_err();
    assert_eq!(refused.code(), Some("RecoveryShareNotAllowed"), "{refused}");
    members[1].give_share().unwrap();
    let client = service.client();
    wait_until_open(&client);

    // Who, why and which identity, for everybody to read.
    let record = client.latest_recovery().unwrap().record.unwrap();
    assert_eq!(record["kind"], "break_glass");
    assert_eq!(record["reason"], "the vault burnt down");
    assert_eq!(record["opened_by"], "RECOVERY_SHARES");
    assert_eq!(record["shares_of"], json!([members[1].id()]));
    assert_eq!(record["previous_service_identity"], previous);

    let room = scene.room_at(&service);
    let held = room.secret(CONTRACT, &scene.secret_id).err().unwrap();
    assert_eq!(held.code(), Some("RecoveryNotAcknowledged"), "{held}");
    let proposal = members[0]
        .propose(&Actions::new().acknowledge_recovery(1))
        .unwrap();
    let waiting: Vec<IdentityId> = proposal.explanation.unwrap().missing;
    assert_eq!(waiting.len(), members.len());
    for member in &members {
        member.accept(&proposal.proposal_id).unwrap();
    }
    let decided = client.proposal(&proposal.proposal_id).unwrap();
    assert_eq!(decided.proposal_state, ProposalState::Accepted);
    room.secret(CONTRACT, &scene.secret_id).unwrap();
}
