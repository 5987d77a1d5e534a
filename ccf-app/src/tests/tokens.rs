//! Tokens for clean rooms, and what members allow (W8).

use std::time::Duration;

use attestation::{ClientKey, Sha256Digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ccf_rs::{Caller, UserId, Verb};
use serde_json::{Value, json};

use super::oidc::{GLOBAL, NOW, query};
use super::{AGREED, OTHER, Scene, m, set};

#[test]
fn a_token_says_what_was_asked_and_its_record_is_proven() {
    let mut scene = Scene::new().with_issuer();
    let (header, claims) = scene.token(&query("s"));
    assert_eq!(
        header,
        json!({ "alg": "PS256", "typ": "JWT", "kid": "kid-1" })
    );
    let want = json!({
        "aud": "api://x", "exp": NOW + 300, "iss": GLOBAL, "jti": "j", "nbf": NOW, "sub": "s", "iat": NOW, "contractId": "c1",
    });
    assert_eq!(claims, want);

    let stored = scene.host.entries("public:cleanroom.releases");
    let [(_, bytes)] = stored.as_slice() else {
        panic!("{} records", stored.len())
    };
    assert_eq!(
        scene.host.last_claims(),
        Some(*Sha256Digest::of(bytes).as_bytes())
    );
    let record: Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(record["kind"], "token");
    assert_eq!(
        (&record["subject"], &record["outcome"]),
        (&json!("s"), &json!("granted"))
    );
    let issued =
        json!({ "kid": "kid-1", "iss": GLOBAL, "aud": "api://x", "jti": "j", "exp": NOW + 300 });
    assert_eq!(record["token"], issued);
    assert_eq!(record["warnings"], json!(["subjectNotGoverned"]));
}

#[test]
fn members_of_a_token_stand_in_the_order_existing_readers_know() {
    let mut scene = Scene::new().with_issuer();
    let envelope = scene.envelope(AGREED);
    let (_, body) = scene.ask(&query("s"), &envelope);
    let token = scene.unwrapped(&body);
    let part = |n: usize| {
        let bytes = URL_SAFE_NO_PAD
            .decode(token.split('.').nth(n).unwrap())
            .unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(part(0), r#"{"alg":"PS256","typ":"JWT","kid":"kid-1"}"#);
    let claims = part(1);
    let names = [
        "aud",
        "exp",
        "iss",
        "jti",
        "nbf",
        "sub",
        "iat",
        "contractId",
    ];
    let places: Vec<_> = names
        .iter()
        .map(|n| claims.find(&format!("\"{n}\":")).unwrap())
        .collect();
    assert!(places.is_sorted(), "{claims}");
}

#[test]
fn requests_for_tokens_that_lack_something_are_refused_by_name() {
    let mut scene = Scene::new();
    let good = scene.envelope(AGREED);
    for (name, code) in [
        ("attestation", "AttestationMissing"),
        ("encrypt", "EncryptionMissing"),
    ] {
        let mut envelope = good.clone();
        envelope.as_object_mut().unwrap().remove(name);
        let (status, body) = scene.ask("", &envelope);
        assert_eq!((status, &body["error"]["code"]), (400, &json!(code)));
    }
    for name in ["exp", "iat", "jti", "sub", "tid", "aud"] {
        for value in ["", "x".repeat(1025).as_str()] {
            let asked = query("s").replace(&format!("&{name}="), &format!("&{name}={value}&no="));
            let detail = scene.refuses(&asked, 400, "InvalidInput");
            assert_eq!(detail["parameter"], name);
        }
    }
    for time in ["-1", "1e9", "0x1", "1.5", "123456789012", "+1", " 1"] {
        let asked = query("s").replace(&format!("exp={}", NOW + 300), &format!("exp={time}"));
        scene.refuses(&asked, 400, "InvalidInput");
    }
    // What comes after the evidence comes in this order.
    scene.refuses(&query("s"), 405, "SigningKeyNotAvailable");
    let mut scene = scene.with_issuer();
    scene.host.erase("public:ccf.gov.oidc_issuer", b"issuerUrl");
    scene.refuses(&query("s"), 405, "IssuerUrlNotSet");
    scene.refuses(&format!("{}&iss=", query("s")), 405, "IssuerUrlNotSet");
}

#[test]
fn other_code_another_key_and_withdrawn_consent_get_no_token_and_the_denial_is_recorded() {
    let mut scene = Scene::new().with_issuer();
    let other = scene.envelope(OTHER);
    let (status, body) = scene.ask(&query("s"), &other);
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &json!("VerifySnpAttestationFailed"))
    );
    let mut stolen = scene.envelope(AGREED);
    let thief = ClientKey::generate().unwrap();
    stolen["encrypt"]["publicKey"] = STANDARD.encode(thief.public_key_pem()).into();
    let (status, body) = scene.ask(&query("s"), &stolen);
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &json!("ReportDataMismatch"))
    );
    let path = "/contracts/c1/runtimeoptions/execution/disable";
    assert_eq!(scene.member(Verb::Post, path, &json!({})).0, 200);
    scene.refuses(&query("s"), 403, "ContractDisabled");
    let kinds: Vec<_> = scene
        .records()
        .iter()
        .map(|r| (r["record"]["kind"].clone(), r["record"]["outcome"].clone()))
        .collect();
    assert_eq!(kinds, vec![(json!("token"), json!("denied")); 3]);
}

/// Subjects are the caller's to spell: denials of ones nobody listed are one sort.
#[test]
fn denied_subjects_do_not_flood_the_ledger() {
    let mut scene = Scene::new().with_issuer();
    let other = scene.envelope(OTHER);
    for n in 0..16 {
        scene.ask(&query(&format!("s{n}")), &other);
    }
    assert_eq!(scene.records().len(), 5);
}

#[test]
fn w8_a_token_does_not_outlive_what_members_allow() {
    let mut scene = Scene::new().with_issuer();
    let lasting = |seconds: u64| {
        query("s").replace(
            &format!("exp={}", NOW + 300),
            &format!("exp={}", NOW + seconds),
        )
    };
    scene.token(&lasting(3600));
    let detail = scene.refuses(&lasting(3601), 400, "TokenLifetimeNotAllowed");
    let want = json!({ "claim": "exp", "got": NOW + 3601, "want": NOW + 3600 });
    assert_eq!(detail, want);
    scene.govern("c1", &json!({ "tokenLifetimeSeconds": 600 }));
    scene.token(&lasting(600));
    let detail = scene.refuses(&lasting(601), 400, "TokenLifetimeNotAllowed");
    assert_eq!(detail["proposalId"], "p7");
    // Neither made nor valid later than now, as far as clocks differ.
    for claim in ["iat", "nbf"] {
        let at =
            |time: u64| query("s").replace(&format!("&{claim}={NOW}"), &format!("&{claim}={time}"));
        scene.token(&at(NOW + 300));
        let detail = scene.refuses(&at(NOW + 301), 400, "TokenLifetimeNotAllowed");
        assert_eq!(detail["claim"], claim);
    }
    // One that has expired helps nobody, and existing clients got it.
    scene.token(&query("s").replace(&NOW.to_string(), "1700000000"));
    scene.govern("c1", &json!({ "tokenLifetimeSeconds": "long" }));
    let envelope = scene.envelope(AGREED);
    assert_eq!(scene.ask(&query("s"), &envelope).0, 500);
}

#[test]
fn w8_a_contract_gets_no_subject_of_another() {
    let mut scene = Scene::new().with_issuer();
    set(
        &mut scene.host,
        "public:ccf.gov.accepted_contracts",
        "c2",
        &json!({ "data": 1 }),
    );
    scene.token(&query("c1"));
    scene.refuses(&query("c2"), 403, "TokenSubjectNotAllowed");
    // Listed for c2, exactly and by how they begin: the longest beginning says whose it is.
    let listed: [(&[u8], &[u8]); 4] = [
        (b"=pay", b"c2"),
        (b"^pay-", b"c2"),
        (b"^pay-x", b"c1"),
        (b"=pay-y", b"c1"),
    ];
    for (key, contract) in listed {
        scene
            .host
            .store("public:ccf.gov.token_subjects", key, contract);
    }
    for sub in ["pay", "pay-", "pay-1"] {
        scene.refuses(&query(sub), 403, "TokenSubjectNotAllowed");
    }
    for sub in ["pa", "payday", "pay-x1", "pay-y"] {
        scene.token(&query(sub));
    }
    // With a list of its own, nothing else.
    scene.govern(
        "c1",
        &json!({ "tokenSubjects": ["mine"], "tokenSubjectPrefixes": ["my-"] }),
    );
    scene.host.set_time(Duration::from_secs(NOW + 1));
    scene.token(&query("mine"));
    scene.token(&query("my-own"));
    let newest = scene.records()[0]["record"].clone();
    assert_eq!(newest["warnings"], Value::Null, "{newest}");
    for sub in ["min", "mine2", "c1", "pay-y"] {
        scene.refuses(&query(sub), 403, "TokenSubjectNotAllowed");
    }
}

#[test]
fn w8_without_a_list_of_its_own_a_contract_gets_none_where_members_ask_for_one() {
    let mut scene = Scene::new().with_issuer();
    let all = json!({ "options": { "tokenSubjects": [] }, "origins": { "tokenSubjects": "p8" } });
    let bytes = all.to_string().into_bytes();
    scene
        .host
        .store("public:ccf.gov.application_options", &[0; 8], &bytes);
    let detail = scene.refuses(&query("s"), 403, "TokenSubjectNotAllowed");
    assert_eq!(detail["proposalId"], "p8");
    scene.govern("c1", &json!({ "tokenSubjects": ["s"] }));
    scene.token(&query("s"));
}

#[test]
fn w8_the_issuer_is_one_that_somebody_configured() {
    let mut scene = Scene::new().with_issuer();
    let from = |iss: &str| format!("{}&iss={iss}", query("s"));
    scene.refuses(
        &from("https://evil.example.com"),
        400,
        "TokenIssuerNotAllowed",
    );
    assert_eq!(scene.token(&from(GLOBAL)).1["iss"], GLOBAL);
    // The tenant's own goes before the one for all, and a member's before a user's.
    let user = || Caller::User(UserId("u1".into()));
    set(
        &mut scene.host,
        "public:ccf.gov.users.info",
        "u1",
        &json!({ "user_data": { "tenantId": "mt" } }),
    );
    assert_eq!(scene.url(user(), "https://user.example.com").0, 200);
    let of_tenant = query("s").replace("tid=none", "tid=mt");
    assert_eq!(scene.token(&of_tenant).1["iss"], "https://user.example.com");
    assert_eq!(scene.url(m("m1"), "https://mt.example.com").0, 200);
    assert_eq!(scene.token(&of_tenant).1["iss"], "https://mt.example.com");
    assert_eq!(scene.token(&query("s")).1["iss"], GLOBAL);
    // Members name issuers for a contract: one of these, and no other.
    scene.govern(
        "c1",
        &json!({ "tokenIssuers": ["https://listed.example.com"] }),
    );
    let listed = from("https://listed.example.com");
    assert_eq!(scene.token(&listed).1["iss"], "https://listed.example.com");
    scene.refuses(&from(GLOBAL), 400, "TokenIssuerNotAllowed");
}

#[test]
fn w8_audiences_are_limited_where_members_say_so() {
    let mut scene = Scene::new().with_issuer();
    scene.govern(
        "c1",
        &json!({ "tokenAudiences": ["api://x"], "tokenTimesAsText": true }),
    );
    let (_, claims) = scene.token(&query("s"));
    assert_eq!(claims["exp"], (NOW + 300).to_string());
    let detail = scene.refuses(
        &query("s").replace("api://x", "api://y"),
        403,
        "TokenAudienceNotAllowed",
    );
    assert_eq!(detail["want"], json!(["api://x"]));
}

#[test]
fn a_delegate_policy_admits_other_code_to_one_subject() {
    let mut scene = Scene::new().with_issuer();
    let change =
        json!({ "type": "add", "claims": { "x-ms-sevsnpvm-hostdata": hex::encode(OTHER) } });
    let envelope = scene.signed(&change);
    let path = "/contracts/c1/cleanroompolicy/delegates/oauth-federation-subjects/s";
    assert_eq!(
        scene.call(Verb::Put, path, Caller::Unasked, &envelope).0,
        200
    );
    let other = scene.envelope(OTHER);
    assert_eq!(scene.ask(&query("s"), &other).0, 200);
    assert_eq!(scene.ask(&query("t"), &other).0, 400);
}
