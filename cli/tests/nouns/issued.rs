//! What the service makes for agreed code: tokens, signatures, certificates.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::scene::{CONTRACT, Scene, refused};

#[test]
fn tokens_signatures_and_certificates_from_the_vote_to_the_clean_room() {
    let scene = Scene::new();
    let (subject, audience) = ("reader", "api://storage");
    let token = [
        "issuer",
        "token",
        CONTRACT,
        "--subject",
        subject,
        "--audience",
        audience,
        "--tenant",
        "t",
    ];
    refused(&scene.try_as("room", &token), "SigningKeyNotAvailable");
    scene.vote(&["issuer", "enable", "--kid", "k"]);
    let key = scene.member(&["issuer", "generate-key"]);
    refused(&scene.try_as("room", &token), "IssuerUrlNotSet");
    let url = "https://issuer.example";
    scene.vote(&["issuer", "set-url", url, "--for-all"]);
    let shown = scene.member(&["issuer", "show"]);
    assert_eq!(shown, json!({ "enabled": true, "issuerUrl": url }));
    let published = scene.path("published");
    let done = scene.at(&["issuer", "documents", "--out", &published], &[]);
    assert_eq!(done.code, 0, "{}", done.err);
    let keys: Value =
        serde_json::from_slice(&fs::read(PathBuf::from(&published).join("keys")).unwrap()).unwrap();
    assert_eq!(keys["keys"][0]["kid"], key["kid"]);
    assert!(
        PathBuf::from(&published)
            .join(".well-known/openid-configuration")
            .is_file()
    );
    let issued = scene.room(&token)["value"].as_str().unwrap().to_owned();
    let claims = issued.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    for (name, want) in [
        ("sub", subject),
        ("aud", audience),
        ("iss", url),
        ("contractId", CONTRACT),
    ] {
        assert_eq!(claims[name], want, "{name}");
    }
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        3600
    );
    refused(&scene.try_as("other", &token), "VerifySnpAttestationFailed");

    let payload = scene.file("payload.json", &json!({ "pay": 5 }));
    scene.vote(&["signing", "enable", "--kid", "s"]);
    let key = scene.member(&["signing", "generate-key"]);
    assert_eq!(scene.member(&["signing", "show"])["kid"], key["kid"]);
    let signature = scene.room(&["signing", "sign", CONTRACT, &payload]);
    let signature = STANDARD.decode(signature["value"].as_str().unwrap());
    assert_eq!(signature.unwrap().len() % 64, 0);
    scene.vote(&["signing", "rotate"]);
    scene.member(&["signing", "generate-key"]);
    let info = scene.member(&["signing", "show"]);
    assert_eq!(info["previous"][0]["kid"], key["kid"]);

    let public = scene.path("room/pub_key.pem");
    let certify = [
        "authority",
        "certify",
        CONTRACT,
        "--public-key",
        &public,
        "--subject",
        "CN=room",
        "--name",
        "dNSName:room.example",
    ];
    refused(&scene.try_as("room", &certify), "NoCASigningKey");
    scene.vote(&["authority", "enable", CONTRACT]);
    let authority = scene.member(&["authority", "generate-key", CONTRACT]);
    assert!(
        authority["caCert"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    let certificate = scene.room(&certify);
    assert!(
        certificate["cert"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );

    let kinds = scene.member(&["secret", "releases", CONTRACT, "--outcome", "granted"]);
    let kinds: Vec<_> = kinds.as_array().unwrap().iter().collect();
    for kind in ["token", "signature", "certificate"] {
        let found = kinds.iter().any(|one| one["record"]["kind"] == kind);
        assert!(found, "{kind} is recorded: {kinds:?}");
    }
}
