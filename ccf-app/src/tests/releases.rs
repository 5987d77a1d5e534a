//! Release records: grants, denials, folding, pages.

use attestation::Sha256Digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};

use super::{AGREED, OTHER, SECRET, Scene};

#[test]
fn agreed_code_receives_the_secret_and_the_record_is_proven_by_the_claims_digest() {
    let mut scene = Scene::new().with_secret();
    let envelope = scene.envelope(AGREED);
    let (status, body) = scene.release(&envelope);
    assert_eq!(status, 200, "{body}");
    let wrapped = STANDARD.decode(body["value"].as_str().unwrap()).unwrap();
    assert_eq!(
        scene.key.unwrap(&wrapped).unwrap().as_slice(),
        SECRET.as_bytes()
    );

    let stored = scene.host.entries("public:cleanroom.releases");
    let [(_, record)] = stored.as_slice() else {
        panic!("{} records", stored.len())
    };
    assert_eq!(
        scene.host.last_claims(),
        Some(*Sha256Digest::of(record).as_bytes())
    );
    let record: Value = serde_json::from_slice(record).unwrap();
    assert_eq!(record["outcome"], "granted");
    assert_eq!(record["policy"]["proposalId"], "p1");
    assert_eq!(record["code"]["hostData"], hex::encode(AGREED));
    assert_eq!(record["code"]["simulated"], true);
    assert!(!record.to_string().contains(SECRET));
    assert_eq!(scene.records()[0]["record"], record);
}

#[test]
fn other_code_is_refused_with_the_reason_and_the_proposal_and_repeats_are_folded() {
    let mut scene = Scene::new().with_secret();
    let envelope = scene.envelope(OTHER);
    let body = scene.refused(&envelope, 400, "VerifySnpAttestationFailed");
    let detail = &body["error"]["details"][0];
    assert_eq!(detail["proposalId"], "p1");
    assert_eq!(detail["mismatches"][0]["got"], hex::encode(OTHER));
    assert_eq!(detail["mismatches"][0]["want"][0], hex::encode(AGREED));
    for _ in 0..9 {
        scene.refused(&envelope, 400, "VerifySnpAttestationFailed");
    }
    let counts: Vec<_> = scene
        .records()
        .iter()
        .map(|r| r["record"]["count"].clone())
        .collect();
    let mut sorted: Vec<_> = counts.iter().filter_map(Value::as_u64).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, [1, 2, 4, 8]);
}

#[test]
fn denials_of_contracts_and_secrets_that_nobody_made_count_as_one_kind() {
    let mut scene = Scene::new();
    let envelope = scene.envelope(OTHER);
    for n in 0..16 {
        scene.call(
            Verb::Post,
            &format!("/contracts/x{n}/secrets/s{n}"),
            Caller::Unasked,
            &envelope,
        );
    }
    assert_eq!(scene.host.entries("public:cleanroom.releases").len(), 5);
}

#[test]
fn release_records_are_paged_newest_first_and_filtered_by_secret() {
    let mut scene = Scene::new().with_secret();
    scene.member(
        Verb::Put,
        "/contracts/c1/secrets/b",
        &json!({ "value": "b" }),
    );
    let envelope = scene.envelope(AGREED);
    for n in 0..5_u64 {
        scene
            .host
            .set_time(std::time::Duration::from_secs(1_780_272_100 + n));
        let name = if n == 2 { "m1_b" } else { "m1_key" };
        let path = format!("/contracts/c1/secrets/{name}");
        assert_eq!(
            scene.call(Verb::Post, &path, Caller::Unasked, &envelope).0,
            200
        );
    }
    let (mut path, mut times) = ("/contracts/c1/releases?limit=2".to_owned(), Vec::new());
    loop {
        let (_, page) = scene.member(Verb::Get, &path, &Value::Null);
        let values = page["value"].as_array().unwrap();
        times.extend(
            values
                .iter()
                .map(|r| r["record"]["time"].as_u64().unwrap() % 1_000_000),
        );
        match page["nextLink"].as_str() {
            Some(next) => path = next.strip_prefix("/app").unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(times, [104_000, 103_000, 102_000, 101_000, 100_000]);
    let (_, page) = scene.member(
        Verb::Get,
        "/contracts/c1/releases?secretId=m1_b",
        &Value::Null,
    );
    let [one] = page["value"].as_array().unwrap().as_slice() else {
        panic!("{page}")
    };
    let path = format!("/contracts/c1/releases/{}", one["id"].as_str().unwrap());
    assert_eq!(
        scene.member(Verb::Get, &path, &Value::Null),
        (200, one.clone())
    );
    assert_eq!(
        scene
            .member(Verb::Get, "/contracts/c1/releases/none", &Value::Null)
            .0,
        404
    );
    assert_eq!(
        scene
            .member(Verb::Get, "/contracts/c1/releases?limit=0", &Value::Null)
            .0,
        400
    );
}
