//! The description of the interface, as a client gets it, and what clean rooms are issued, across the wire.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use governance::client::Request;
use governance::member::Actions;
use serde_json::{Value, json};
use tests::scene::{CONTRACT, Scene};

#[test]
fn the_document_that_is_served_is_the_one_that_is_checked_in() {
    let scene = Scene::set();
    let client = scene.members[0].client();
    let get = |path: &str| -> Value {
        let response = client.send(Request::get(path.to_owned())).unwrap();
        serde_json::from_slice(response.body()).unwrap()
    };
    let served = get("/app/api");
    let kept: Value = serde_json::from_str(include_str!("../../../ccf-app/openapi.json")).unwrap();
    assert_eq!(served["openapi"], "3.1.0");
    assert_eq!(served["servers"], kept["servers"]);
    assert_eq!(
        served["components"]["schemas"],
        kept["components"]["schemas"]
    );
    for (path, operations) in kept["paths"].as_object().unwrap() {
        assert_eq!(served["paths"][path], *operations, "{path}");
    }
    let schema = get("/app/api/schemas/ReleaseRecord");
    assert_eq!(schema["$ref"], "#/$defs/ReleaseRecord");
}

#[test]
fn members_enable_an_issuer_and_agreed_code_gets_its_tokens() {
    let scene = Scene::set();
    let actions = Actions::new()
        .action("enable_oidc_issuer", json!({ "kid": "k" }))
        .action(
            "set_oidc_issuer_url",
            json!({ "issuer_url": "https://issuer.example.com" }),
        )
        .action(
            "set_contract_options",
            json!({ "contractId": CONTRACT, "options": { "tokenSubjects": ["workload"] } }),
        );
    scene.service.accept(&scene.members, &actions);
    let client = scene.members[0].client();
    client
        .send(Request::post("/app/oidc/generateSigningKey"))
        .unwrap();

    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let ask = |sub: &str| {
        let path = format!(
            "/app/contracts/{CONTRACT}/oauth/token?sub={sub}&tid=t&aud=a&jti=j&iat={now}&exp={}",
            now + 300
        );
        let body: Value = serde_json::from_slice(&scene.room.request_body().unwrap()).unwrap();
        scene
            .service
            .client()
            .exchange(Request::post(path).json(&body).unwrap())
            .unwrap()
    };
    let granted = ask("workload");
    let body: Value = granted.json().unwrap();
    let wrapped = STANDARD.decode(body["value"].as_str().unwrap()).unwrap();
    let token = scene.room.key().unwrap(&wrapped).unwrap();
    let token = std::str::from_utf8(&token).unwrap();
    let claims = URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1).unwrap())
        .unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(
        (&claims["sub"], &claims["contractId"]),
        (&json!("workload"), &json!(CONTRACT))
    );
    let denied: Value = ask("other").json().unwrap();
    assert_eq!(denied["error"]["code"], "TokenSubjectNotAllowed");
    assert!(
        denied["error"]["details"][0]["proposalId"].is_string(),
        "{denied}"
    );

    // The record is in the transaction of the answer.
    let path = format!("/app/contracts/{CONTRACT}/releases");
    let page: Value = client.send(Request::get(path)).unwrap().json().unwrap();
    let transaction = granted.transaction().unwrap().to_string();
    let mut records = page["value"].as_array().unwrap().iter();
    let record = records
        .find(|r| r["transactionId"] == *transaction)
        .unwrap();
    assert_eq!(
        record["record"]["token"]["iss"],
        "https://issuer.example.com"
    );
}
