//! Who brings a service back: participants together, as many as the threshold says, or an owner alone.

use std::time::Duration;

use governance::recovery::RecoveryShare;
use governance::{Identity, Member};
use tests::service::Service;

use crate::recovery::{EMBEDDED, open, wait_until_open};

/// Founders with these recovery roles, numbered.
fn founders(roles: &[&str]) -> Vec<Identity> {
    (0..roles.len())
        .map(|n| {
            let identity = Identity::generate(&format!("member{n}"), Duration::from_secs(3600));
            identity.unwrap().with_encryption_key().unwrap()
        })
        .collect()
}

/// A service of these founders that was opened and stopped.
fn stopped(identities: &[Identity], roles: &[&str], threshold: usize) -> Service {
    let founders: Vec<&Identity> = identities.iter().collect();
    let mut service = Service::start_with(&EMBEDDED, &founders, |configuration| {
        let start = &mut configuration["command"]["start"];
        start["service_configuration"]["recovery_threshold"] = threshold.into();
        for (n, role) in roles.iter().enumerate() {
            start["members"][n]["recovery_role"] = (*role).into();
        }
    });
    service.open(&founders);
    service.stop();
    service
}

/// A recovery of it that waits for shares.
fn waiting(before: &Service, identities: &[Identity]) -> (Service, Vec<Member>) {
    let service = Service::recover(&EMBEDDED, &before.ledger(), before.certificate());
    let members: Vec<Member> = identities.iter().map(|i| service.member(i)).collect();
    open(&service, &members);
    (service, members)
}

fn still_waits(service: &Service) {
    let network = service.client().network().unwrap();
    assert_eq!(network.service_status, "WaitingForRecoveryShares");
}

const MIXED: [&str; 5] = [
    "Participant",
    "Participant",
    "Participant",
    "Owner",
    "NonParticipant",
];

#[test]
fn an_owner_alone_or_participants_up_to_the_threshold_bring_a_service_back() {
    let identities = founders(&MIXED);
    let before = stopped(&identities, &MIXED, 2);

    // The owner, with nobody else.
    let (mut service, members) = waiting(&before, &identities);
    let progress = members[3].give_share().unwrap();
    assert!(progress.full_key_submitted);
    assert!(progress.message.contains("End of recovery"), "{progress:?}");
    wait_until_open(&service.client());
    // The shares issued at the opening are as the roles say too.
    service.stop();
    let (again, members) = waiting(&service, &identities);
    assert!(members[3].give_share().unwrap().full_key_submitted);
    wait_until_open(&again.client());

    // The owner after a participant, whose share is then not needed.
    let (service, members) = waiting(&before, &identities);
    let progress = members[0].give_share().unwrap();
    assert_eq!(
        (progress.submitted_count, progress.recovery_threshold),
        (1, 2)
    );
    still_waits(&service);
    assert!(members[3].give_share().unwrap().full_key_submitted);
    wait_until_open(&service.client());

    // Two of the three participants, any of them.
    for pair in [[0, 1], [2, 0], [1, 2]] {
        let (service, members) = waiting(&before, &identities);
        let first = members[pair[0]].give_share().unwrap();
        assert!(!first.full_key_submitted);
        still_waits(&service);
        let second = members[pair[1]].give_share().unwrap();
        assert!(second.message.contains("End of recovery"), "{second:?}");
        wait_until_open(&service.client());
    }
}

#[test]
fn a_wrong_whole_key_is_named_and_stands_in_nobodys_way() {
    let identities = founders(&MIXED);
    let before = stopped(&identities, &MIXED, 2);
    let (service, members) = waiting(&before, &identities);
    let owner = members[3].id().to_string();

    // Number 0 says that it is the whole key.
    let mut wrong = 0_u32.to_le_bytes().to_vec();
    wrong.extend([1; 40]);
    let wrong = RecoveryShare::from_bytes(wrong);
    let error = members[3].submit_share(&wrong).unwrap_err();
    assert!(error.to_string().contains(&owner), "{error}");
    still_waits(&service);
    // Nor is it taken from one who holds a share only, or for a share of the others.
    let error = members[0].submit_share(&wrong).unwrap_err();
    assert!(
        error.to_string().contains(&members[0].id().to_string()),
        "{error}"
    );
    // Who has no part in recovery has nothing to give.
    let none = members[4].recovery_share().err().unwrap().to_string();
    assert!(none.contains("ResourceNotFound"), "{none}");
    let refused = members[4].submit_share(&wrong).unwrap_err();
    assert_eq!(refused.code(), Some("ResourceNotFound"));

    let progress = members[1].give_share().unwrap();
    assert_eq!(progress.submitted_count, 1, "{progress:?}");
    let progress = members[2].give_share().unwrap();
    assert!(progress.message.contains("End of recovery"), "{progress:?}");
    wait_until_open(&service.client());
}

#[test]
fn every_threshold_takes_as_many_shares_as_it_says() {
    let roles = ["Participant"; 3];
    let identities = founders(&roles);
    for threshold in 1..=roles.len() {
        let before = stopped(&identities, &roles, threshold);
        let (service, members) = waiting(&before, &identities);
        for (n, member) in members.iter().rev().take(threshold).enumerate() {
            still_waits(&service);
            let progress = member.give_share().unwrap();
            assert_eq!(
                (progress.submitted_count, progress.recovery_threshold),
                (n + 1, threshold)
            );
            assert_eq!(
                progress.message.contains("End of recovery"),
                n + 1 == threshold,
                "{progress:?}"
            );
        }
        wait_until_open(&service.client());
    }
}

#[test]
fn owners_suffice_where_there_are_no_participants() {
    let roles = ["Owner", "Owner"];
    let identities = founders(&roles);
    let before = stopped(&identities, &roles, 1);
    let (service, members) = waiting(&before, &identities);
    assert!(members[1].give_share().unwrap().full_key_submitted);
    wait_until_open(&service.client());
}
