//! What hangs on documents (H9): secrets and the delegate policies that agreed code makes, on either host.

use attestation::Family;
use governance::Member;
use governance::clean_room::{CleanRoom, DelegatePolicy};
use governance::client::ClientError;
use governance::documents::{Approver, DocumentKind, Draft};
use governance::member::Actions;
use governance::policies::{HOST_DATA, PolicyEdit};
use governance::releases::ReleaseFilter;
use governance::secrets::SecretText;
use serde_json::json;
use tests::scenarios;
use tests::scene::{CONTRACT, SECRET, Scene};
use tests::service::Host;

scenarios!(
    a_secret_is_released_while_its_document_is_accepted_and_consented_to,
    delegates_admit_while_their_documents_are_in_force_where_members_want_it,
    delegates_of_code_that_members_vote_out_admit_nobody,
);

const DOCUMENT: &str = "query";

/// Drafts the document, and proposes it to all members.
fn propose(scene: &Scene) {
    let client = scene.members[0].client();
    let approver = |member: &Member| Approver {
        approver_id: member.id().to_string(),
        approver_id_type: Some("member".to_owned()),
    };
    let approvers: Vec<Approver> = scene.members.iter().map(approver).collect();
    let draft = Draft {
        data: json!({ "sql": "select 1" }),
        approvers: approvers.clone(),
        ..Draft::default()
    };
    client
        .put_document(CONTRACT, DocumentKind::User, DOCUMENT, &draft)
        .unwrap();
    let document = client
        .document(CONTRACT, DocumentKind::User, DOCUMENT)
        .unwrap();
    client
        .propose_user_document("p", &document, &approvers)
        .unwrap();
}

/// Everybody accepts it.
fn accept(scene: &Scene) {
    for (member, state) in scene.members.iter().zip(["Open", "Accepted"]) {
        let status = member.client().vote_on_user_proposal("p", true).unwrap();
        assert_eq!(status.state, state);
    }
}

/// One approver's own switch.
fn consent(scene: &Scene, given: bool) {
    let client = scene.members[1].client();
    client
        .set_document_option(CONTRACT, DOCUMENT, "execution", given)
        .unwrap();
}

#[track_caller]
fn receives(room: &CleanRoom, secret: &str, text: &str) {
    let released = room.secret(CONTRACT, secret).unwrap();
    assert_eq!(released.secret.expose(), text);
}

#[track_caller]
fn refusal(room: &CleanRoom, secret: &str) -> ClientError {
    room.secret(CONTRACT, secret).err().expect("a refusal")
}

/// The document is missing, for this reason.
#[track_caller]
fn lacks(room: &CleanRoom, secret: &str, reason: &str) {
    let error = refusal(room, secret);
    assert_eq!(error.code(), Some("DocumentNotInForce"), "{error}");
    let want = json!({ "documentId": DOCUMENT, "reason": reason });
    assert_eq!(error.service().unwrap().details[0], want, "{error}");
}

fn a_secret_is_released_while_its_document_is_accepted_and_consented_to(host: &Host) {
    let scene = Scene::on(host);
    let text = "for this query only";
    let secret = SecretText::new(text.to_owned());
    let tied = scene.members[0].client();
    let tied = tied
        .put_secret_for(CONTRACT, "tied", &secret, &[DOCUMENT.to_owned()])
        .unwrap();
    lacks(&scene.room, &tied, "DocumentNotAccepted");
    propose(&scene);
    lacks(&scene.room, &tied, "DocumentNotAccepted");
    accept(&scene);
    receives(&scene.room, &tied, text);
    consent(&scene, false);
    lacks(&scene.room, &tied, "UserDocumentRuntimeOptionDisabled");
    // What hangs on no document is released all along.
    receives(&scene.room, &scene.secret_id, SECRET);
    consent(&scene, true);
    receives(&scene.room, &tied, text);
    // Each of the refusals is on record, with its reason.
    let filter = ReleaseFilter {
        outcome: Some("denied".to_owned()),
        ..ReleaseFilter::default()
    };
    let denied = scene.members[1].client();
    let denied = denied.releases(CONTRACT, &filter).unwrap();
    assert!(!denied.is_empty());
    for release in denied {
        assert_eq!(release.record["reason"], "DocumentNotInForce");
    }
}

/// Has agreed code admit the intruder's to the secret, on these documents.
fn admit(scene: &Scene, documents: Option<Vec<String>>) {
    let change = DelegatePolicy {
        kind: "secrets".to_owned(),
        id: scene.secret_id.clone(),
        platform: Family::Caci,
        edit: PolicyEdit::Add,
        claims: [(HOST_DATA.to_owned(), vec![json!("0b".repeat(32))])].into(),
        documents,
    };
    scene.room.put_delegate(CONTRACT, &change).unwrap();
}

fn delegates_admit_while_their_documents_are_in_force_where_members_want_it(host: &Host) {
    let scene = Scene::on(host);
    let admit = |documents| admit(&scene, documents);
    let (other, secret) = (&scene.intruder, &scene.secret_id);
    assert_eq!(
        refusal(other, secret).code(),
        Some("VerifySnpAttestationFailed")
    );
    admit(None);
    receives(other, secret, SECRET);

    let options = json!({ "releaseNeedsConsent": true });
    let actions = Actions::new().set_contract_options(CONTRACT, &options);
    scene.service.accept(&scene.members, &actions);
    assert_eq!(refusal(other, secret).code(), Some("DelegateNotTied"));
    receives(&scene.room, secret, SECRET);
    admit(Some(vec![DOCUMENT.to_owned()]));
    lacks(other, secret, "DocumentNotAccepted");
    propose(&scene);
    accept(&scene);
    receives(other, secret, SECRET);
    // A change that names no documents keeps those named before.
    admit(None);
    consent(&scene, false);
    lacks(other, secret, "UserDocumentRuntimeOptionDisabled");
    receives(&scene.room, secret, SECRET);
    consent(&scene, true);
    receives(other, secret, SECRET);
}

fn delegates_of_code_that_members_vote_out_admit_nobody(host: &Host) {
    let scene = Scene::on(host);
    let (other, secret) = (&scene.intruder, &scene.secret_id);
    admit(&scene, None);
    receives(other, secret, SECRET);
    let vote = |edit: &str, host_data: String| {
        let claims = json!({ HOST_DATA: [host_data] });
        let args = json!({ "contractId": CONTRACT, "policyType": Family::Caci, "type": edit, "claims": claims });
        let actions = Actions::new().action("set_clean_room_policy", args);
        scene.service.accept(&scene.members, &actions);
    };
    vote("add", "c3".repeat(32));
    receives(other, secret, SECRET);
    vote("remove", "a1".repeat(32));
    let refused = refusal(&scene.room, secret);
    assert_eq!(refused.code(), Some("VerifySnpAttestationFailed"));
    let refused = refusal(other, secret);
    assert_eq!(refused.code(), Some("DelegateMakerNotAdmitted"));
    assert_eq!(
        refused.service().unwrap().details[0]["mismatches"][0]["got"],
        "a1".repeat(32)
    );
    vote("add", "a1".repeat(32));
    receives(other, secret, SECRET);
}
