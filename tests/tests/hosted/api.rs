//! The description of the interface, as a client gets it, and what clean rooms are issued, across the wire.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use governance::client::Request;
use governance::member::Actions;
use serde_json::{Value, json};
use tests::scenarios;
use tests::scene::{CONTRACT, Scene};
use tests::service::Host;

scenarios!(
    the_document_that_is_served_is_the_one_that_is_checked_in,
    members_enable_an_issuer_and_agreed_code_gets_its_tokens,
    a_contract_has_its_authority_and_the_service_signs,
);

fn the_document_that_is_served_is_the_one_that_is_checked_in(host: &Host) {
    let scene = Scene::on(host);
    let client = scene.members[0].client();
    let get = |path: &str| -> Value {
        let response = client.send(Request::get(path.to_owned())).unwrap();
        serde_json::from_slice(response.body()).unwrap()
    };
    let served = get("/app/api");
    let kept: Value = serde_json::from_str(include_str!("../../../ccf-app/openapi.json")).unwrap();
    assert_eq!(served["openapi"], "3.1.0");
    assert_eq!(served["servers"], kept["servers"]);
    for (name, schema) in kept["components"]["schemas"].as_object().unwrap() {
        assert_eq!(served["components"]["schemas"][name], *schema, "{name}");
    }
    for (path, operations) in kept["paths"].as_object().unwrap() {
        assert_eq!(served["paths"][path], *operations, "{path}");
    }
    let schema = get("/app/api/schemas/ReleaseRecord");
    assert_eq!(schema["$ref"], "#/$defs/ReleaseRecord");
}

fn members_enable_an_issuer_and_agreed_code_gets_its_tokens(host: &Host) {
    let scene = Scene::on(host);
    scene.enable_tokens();
    let client = scene.members[0].client();
    let ask = |sub: &str| {
        let request = scene.token_request(sub);
        scene.service.client().exchange(request).unwrap()
    };
    let granted = ask("workload");
    let token = String::from_utf8(scene.unwrapped(&granted)).unwrap();
    let claims = token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
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

fn a_contract_has_its_authority_and_the_service_signs(host: &Host) {
    let scene = Scene::on(host);
    let actions = Actions::new()
        .action("enable_ca", json!({ "contractId": CONTRACT }))
        .action("enable_signing", json!({ "kid": "s" }));
    scene.service.accept(&scene.members, &actions);
    let client = scene.members[0].client();
    let send = |path: &str, body: &Value| {
        let request = Request::post(path.to_owned()).json(body).unwrap();
        client.send(request).unwrap()
    };
    let post = |path: &str, body: &Value| -> Value { send(path, body).json().unwrap() };
    let ca = format!("/app/contracts/{CONTRACT}/ca");
    let made = post(&format!("{ca}/generateSigningKey"), &json!({}));
    assert_eq!(made, json!({ "requestId": "1" }));
    let status = post(&format!("{ca}/status"), &json!({}));
    assert_eq!(status["enabled"], true);
    let made = post("/app/signing/generateSigningKey", &json!({}));
    assert_eq!(made, json!({ "reqId": "1", "kid": "s-1" }));

    let mut sign = scene.envelope();
    sign["payload"] = STANDARD.encode("a payload").into();
    let signature = send(&format!("/app/contracts/{CONTRACT}/signing/sign"), &sign);
    let signature = STANDARD.decode(scene.unwrapped(&signature)).unwrap();
    assert_eq!(signature.len(), 256);

    let request = json!({
        "publicKey": scene.room.key().public_key_pem(), "subjectName": "CN=room",
        "subjectAlternateNames": ["dNSName:localhost"], "validityPeriodDays": 1,
    });
    let certify = scene.signed(&serde_json::to_vec(&request).unwrap());
    let certified = send(&format!("{ca}/generateEndorsedCert"), &certify);
    let certified: Value = serde_json::from_slice(&scene.unwrapped(&certified)).unwrap();
    let certificate = certified["cert"].as_str().unwrap();
    assert!(
        certificate.starts_with("-----BEGIN CERTIFICATE-----"),
        "{certificate}"
    );
}
