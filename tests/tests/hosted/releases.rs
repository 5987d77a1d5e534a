//! One secret, two clean rooms.

use governance::client::Request;
use serde_json::Value;
use tests::scenarios;
use tests::scene::{CONTRACT, SECRET, Scene};
use tests::service::Host;

scenarios!(agreed_code_receives_the_secret_and_other_code_the_reason,);

fn agreed_code_receives_the_secret_and_other_code_the_reason(host: &Host) {
    let mut scene = Scene::on(host);
    let released = scene.room.secret(CONTRACT, &scene.secret_id).unwrap();
    assert_eq!(released.secret.expose(), SECRET);

    let error = scene
        .intruder
        .secret(CONTRACT, &scene.secret_id)
        .err()
        .unwrap();
    assert_eq!(error.code(), Some("VerifySnpAttestationFailed"));
    let service = error.service().unwrap();
    let reason = format!("{} {:?}", service.message, service.details);
    assert!(reason.contains("x-ms-sevsnpvm-hostdata"), "{reason}");

    let path = format!("/app/contracts/{CONTRACT}/releases");
    let client = scene.members[1].client();
    let page: Value = client.send(Request::get(path)).unwrap().json().unwrap();
    let transaction = released.transaction.unwrap().to_string();
    let found = page["value"].as_array().unwrap().iter();
    assert_eq!(
        found.filter(|r| r["transactionId"] == *transaction).count(),
        1,
        "{page}"
    );

    // Nothing of the secret is in the clear on disk or in the log.
    scene.service.stop();
    for entry in std::fs::read_dir(scene.service.ledger()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!contains(&bytes, SECRET.as_bytes()));
    }
    assert!(!scene.service.log().contains(SECRET));
}

pub(crate) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
