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
fn records_of_one_millisecond_are_in_the_order_of_the_decisions() {
    let mut scene = Scene::new().with_secret();
    let (agreed, other) = (scene.envelope(AGREED), scene.envelope(OTHER));
    let mut decided: Vec<bool> = Vec::new();
    for envelope in [&agreed, &other, &other, &agreed, &agreed, &other, &agreed] {
        let granted = scene.release(envelope).0 == 200;
        // The third denial of a sort is not recorded.
        if granted || decided.iter().filter(|granted| !**granted).count() < 2 {
            decided.push(granted);
        }
    }
    decided.reverse();
    let records = scene.records();
    let outcomes: Vec<bool> = records
        .iter()
        .map(|shown| shown["record"]["outcome"] == "granted")
        .collect();
    assert_eq!(outcomes, decided);
    assert_eq!(records[0]["record"]["time"], records[5]["record"]["time"]);
    // Where one page ends in the middle of the millisecond, the next goes on.
    assert_eq!(scene.paged("/contracts/c1/releases", 2), records);
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
    let pages = scene.paged("/contracts/c1/releases", 2);
    let times = pages
        .iter()
        .map(|r| r["record"]["time"].as_u64().unwrap() % 1_000_000);
    let times: Vec<u64> = times.collect();
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
    let answer = scene.member(Verb::Get, "/contracts/c1/releases/none", &Value::Null);
    super::refuses(answer, 404, "ReleaseNotFound");
    assert_eq!(
        scene
            .member(Verb::Get, "/contracts/c1/releases?limit=0", &Value::Null)
            .0,
        400
    );
}

#[test]
fn a_data_owner_finds_who_received_their_secret_when_and_under_which_policy() {
    let mut scene = Scene::new().with_secret();
    let theirs = json!({ "value": "x" });
    let m2 = super::m("m2");
    scene.call(Verb::Put, "/contracts/c1/secrets/key", m2.clone(), &theirs);
    let (good, bad) = (scene.envelope(AGREED), scene.envelope(OTHER));
    for (second, secret, envelope) in [
        (0, "m1_key", &good),
        (1, "m2_key", &good),
        (2, "m1_key", &bad),
        (3, "m1_key", &good),
    ] {
        scene
            .host
            .set_time(std::time::Duration::from_secs(1_780_272_100 + second));
        let path = format!("/contracts/c1/secrets/{secret}");
        scene.call(Verb::Post, &path, Caller::Unasked, envelope);
    }
    let seconds = |scene: &mut Scene, caller: Caller, query: &str| {
        let path = format!("/contracts/c1/releases?{query}");
        let (status, page) = scene.call(Verb::Get, &path, caller, &Value::Null);
        assert_eq!(status, 200, "{page}");
        let times = page["value"].as_array().unwrap().iter();
        let times = times.map(|r| r["record"]["time"].as_u64().unwrap() / 1000 - 1_780_272_100);
        times.collect::<Vec<_>>()
    };
    let m1 = super::m("m1");
    let hosts = (hex::encode(AGREED), hex::encode(OTHER));
    for (caller, query, want) in [
        (&m1, String::new(), vec![3, 2, 1, 0]),
        (&m1, "mine=true".into(), vec![3, 2, 0]),
        (&m2, "mine=true".into(), vec![1]),
        (&m1, "mine=true&outcome=granted".into(), vec![3, 0]),
        (&m1, "kind=secret&subject=m1_key".into(), vec![3, 2, 0]),
        (&m1, "secretId=m1_key&outcome=denied".into(), vec![2]),
        (
            &m1,
            "kind=secret&subject=m1_key&from=1780272101000".into(),
            vec![3, 2],
        ),
        (
            &m1,
            "from=1780272101000&to=1780272102999".into(),
            vec![2, 1],
        ),
        (&m1, "to=1780272100000".into(), vec![0]),
        (&m1, format!("hostData={}", hosts.0), vec![3, 1, 0]),
        (&m1, format!("hostData={}", hosts.1), vec![2]),
        (&m1, "kind=token".into(), vec![]),
        (&m1, "kind=secret&subject=m1_ke".into(), vec![]),
    ] {
        assert_eq!(seconds(&mut scene, caller.clone(), &query), want, "{query}");
    }
    let path = "/contracts/c1/releases?mine=true&outcome=granted&limit=1";
    let (_, page) = scene.member(Verb::Get, path, &Value::Null);
    assert_eq!(page["value"][0]["record"]["policy"]["proposalId"], "p1");
    let next = page["nextLink"]
        .as_str()
        .unwrap()
        .strip_prefix("/app")
        .unwrap()
        .to_owned();
    let (_, page) = scene.member(Verb::Get, &next, &Value::Null);
    assert_eq!(page["value"][0]["record"]["time"], 1_780_272_100_000_u64);
    for bad in ["subject=x", "kind=gift", "from=now", "limit=0", "limit=201"] {
        let path = format!("/contracts/c1/releases?{bad}");
        assert_eq!(scene.member(Verb::Get, &path, &Value::Null).0, 400, "{bad}");
    }
}
