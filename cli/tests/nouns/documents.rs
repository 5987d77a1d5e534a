//! Documents, and the secrets and delegates that are tied to them.

use serde_json::{Value, json};

use crate::scene::{CONTRACT, OTHER, Scene, refused};

#[test]
fn documents_secrets_and_delegates_that_hang_on_them_and_consent() {
    let scene = Scene::new();
    let me = scene.run(&["member", "id", "--identity", &scene.path("box/member0")]);
    let approver = me.out["id"].as_str().unwrap().to_owned();
    let query = scene.file("query.json", &json!({ "sql": "select 1" }));
    let put = [
        "document",
        "put",
        CONTRACT,
        "q",
        &query,
        "--label",
        "kind:query",
        "--approver",
        &approver,
    ];
    let draft = scene.member(&put);
    let version = draft["version"].as_str().unwrap();
    let listed = scene.member(&["document", "list", CONTRACT, "--label", "kind:query"]);
    assert_eq!(listed, json!(["q"]));
    let held = scene.secret("k", &["--document", "q"]);
    let get = ["secret", "get", CONTRACT, &held];
    refused(&scene.try_as("room", &get), "DocumentNotInForce");
    let propose = |version| {
        let words = ["document", "propose", CONTRACT, "q", "--proposal", "p1"];
        let mut words = words.to_vec();
        words.extend(["--version", version]);
        words
    };
    let done = scene.at(&propose("2.1"), &["--identity", &scene.path("box/member0")]);
    assert_eq!(done.code, 1, "another version was reviewed: {}", done.err);
    assert_eq!(scene.member(&propose(version))["state"], "Open");
    let both = scene.member(&["document", "proposal", "p1"]);
    assert_eq!(both["content"]["args"]["documentId"], "q");
    let voted = scene.member(&["document", "vote", "p1", "--accept"]);
    assert_eq!(voted["state"], "Accepted");
    let again = scene.at(
        &["document", "withdraw", "p1"],
        &["--identity", &scene.path("box/member0")],
    );
    refused(&again, "ProposalNotOpen");
    let document = scene.room(&["document", "get", CONTRACT, "q"]);
    let document: Value = serde_json::from_str(document["value"].as_str().unwrap()).unwrap();
    assert_eq!(document["data"], json!({ "sql": "select 1" }));
    assert_eq!(scene.room(&get)["value"], "the secret k");

    // Agreed code admits other code to another secret, as long as the document stands.
    let free = scene.secret("free", &[]);
    let claims = scene.file("claims.json", &json!({ "x-ms-sevsnpvm-hostdata": [OTHER] }));
    let purpose = format!("secrets/{free}");
    scene.room(&[
        "delegate",
        "put",
        CONTRACT,
        &purpose,
        &claims,
        "--document",
        "q",
    ]);
    let shown = scene.member(&["delegate", "show", CONTRACT, &purpose]);
    assert_eq!(shown["documents"], json!(["q"]));
    let list = scene.member(&["delegate", "list", CONTRACT]);
    assert_eq!(
        list,
        json!([{ "delegateType": "secrets", "delegateId": free }])
    );
    let free = ["secret", "get", CONTRACT, &free];
    assert_eq!(scene.try_as("other", &free).code, 0);
    let off = scene.member(&["option", "consent", CONTRACT, "off", "--document", "q"]);
    assert_eq!(off["status"], "disabled");
    refused(&scene.try_as("other", &free), "DocumentNotInForce");
    refused(&scene.try_as("room", &get), "DocumentNotInForce");
    scene.member(&["option", "consent", CONTRACT, "on", "--document", "q"]);
    assert_eq!(scene.try_as("other", &free).code, 0);
    scene.member(&["option", "consent", CONTRACT, "off"]);
    refused(&scene.try_as("room", &free), "ContractDisabled");
    scene.member(&["option", "consent", CONTRACT, "on"]);

    // What the consortium accepts.
    let draft = scene.member(&["document", "put", CONTRACT, "m", &query, "--kind", "member"]);
    let version = draft["version"].as_str().unwrap();
    scene.vote(&[
        "document",
        "propose",
        CONTRACT,
        "m",
        "--kind",
        "member",
        "--version",
        version,
    ]);
    let shown = scene.member(&["document", "show", CONTRACT, "m", "--kind", "member"]);
    assert_eq!(shown["state"], "Accepted");
    assert_eq!(
        scene
            .try_as(
                "room",
                &["document", "get", CONTRACT, "m", "--kind", "member"]
            )
            .code,
        0
    );
}
