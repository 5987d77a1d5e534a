//! Clean rooms: their events, the options that bind them, and what machines show.

use std::fs;

use serde_json::{Value, json};

use crate::scene::{AGREED, CONTRACT, OTHER, Scene, refused};

#[test]
fn events_options_and_evidence_that_answers_a_challenge() {
    let scene = Scene::new();
    let event = scene.file("event.json", &json!({ "rows": 3 }));
    for _ in 0..2 {
        scene.room(&[
            "event", "write", CONTRACT, &event, "--id", "e", "--scope", "s",
        ]);
    }
    let newest = scene.member(&["event", "read", CONTRACT, "--id", "e", "--scope", "s"]);
    assert_eq!(newest.as_array().unwrap().len(), 1);
    assert_eq!(newest[0]["data"], json!({ "rows": 3 }));
    assert_eq!(newest[0]["timestampSigned"], true);
    assert_eq!(newest[0]["writer"]["hostData"], AGREED);
    let all = scene.member(&[
        "event", "read", CONTRACT, "--id", "e", "--scope", "s", "--from", "1",
    ]);
    assert_eq!(all.as_array().unwrap().len(), 2);
    let done = scene.try_as("other", &["event", "write", CONTRACT, &event]);
    refused(&done, "VerifySnpAttestationFailed");

    let status = scene.member(&["option", "show", "--contract", CONTRACT, "logging"]);
    assert_eq!(status["status"], "disabled");
    scene.vote(&["option", "propose-switch", CONTRACT, "logging", "on"]);
    let status = scene.member(&["option", "show", "--contract", CONTRACT, "logging"]);
    assert_eq!(status["status"], "enabled");
    let service = scene.member(&["option", "show", "autoapprove-jsapp-proposal"]);
    assert_eq!(service["status"], "disabled");
    let unknown = scene.at(
        &["option", "show", "nonsense"],
        &["--identity", &scene.path("box/member0")],
    );
    refused(&unknown, "InvalidOption");

    let secret = scene.secret("k", &[]);
    let get = ["secret", "get", CONTRACT, &secret];
    let options = scene.file(
        "options.json",
        &json!({ "requireChallenge": true, "requireRequestSignature": true }),
    );
    scene.vote(&["option", "propose", &options, "--contract", CONTRACT]);
    refused(&scene.try_as("room", &get), "ChallengeMissing");
    let challenge = scene.at(&["attest", "challenge", CONTRACT], &[]);
    let challenge = challenge.out["challenge"].as_str().unwrap().to_owned();
    for (what, folder) in [
        (&["--host-data", AGREED][..], "fresh"),
        (&["--host-data", OTHER], "fresh-other"),
    ] {
        scene.simulate(&[what, &["--challenge", &challenge]].concat(), folder);
    }
    let done = scene.try_as("fresh", &get);
    assert_eq!(done.code, 0, "{}", done.err);
    refused(
        &scene.try_as("fresh-other", &get),
        "VerifySnpAttestationFailed",
    );
    fs::write(scene.path("fresh/challenge"), "1.00").unwrap();
    refused(&scene.try_as("fresh", &get), "ChallengeInvalid");
}

#[test]
fn machines_are_admitted_by_what_they_booted() {
    let scene = Scene::new();
    let secret = scene.secret("k", &[]);
    let get = ["secret", "get", CONTRACT, &secret];
    scene.simulate(&["--vm"], "vm");
    refused(&scene.try_as("vm", &get), "VerifySnpAttestationFailed");
    let shown = fs::read(scene.path("vm/attestation.json")).unwrap();
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    let claims = json!({ "pcr4": [shown["evidence"]["pcrs"]["4"]] });
    let claims = scene.file("machines.json", &claims);
    scene.vote(&["policy", "propose", CONTRACT, "--vm", "--claims", &claims]);
    let done = scene.try_as("vm", &get);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(done.out["value"], "the secret k");
    // Container groups go on as before.
    assert_eq!(scene.try_as("room", &get).code, 0);
}
