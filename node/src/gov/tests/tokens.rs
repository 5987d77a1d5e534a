//! Keys of token issuers.

use super::*;

#[test]
fn d26_token_keys_are_replaced_as_a_set() {
    let mut c = Consortium::new("Active");
    let key = |kid: &str| {
        json!({ "kid": kid, "kty": "EC", "crv": "P-256",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" })
    };
    let set = |c: &mut Consortium, issuer: &str, keys: JsonValue| {
        c.propose(&json!({ "need": 0, "issuer": issuer, "jwks": { "keys": keys } }))
            .0
    };
    let table = "public:ccf.gov.jwt.public_signing_keys_metadata_v2";
    assert_eq!(set(&mut c, "https://a", json!([key("1"), key("2")])), 200);
    assert_eq!(set(&mut c, "https://b", json!([key("1")])), 200);
    assert_eq!(set(&mut c, "https://a", json!([key("3")])), 200);
    let kids: Vec<_> = c.host.entries(table).into_iter().map(|(k, _)| k).collect();
    assert_eq!(kids, [b"1".to_vec(), b"3".to_vec()]);
    assert_eq!(set(&mut c, "https://a", json!([])), 500);
    let mut foreign = key("4");
    foreign["issuer"] = json!("https://evil");
    assert_eq!(set(&mut c, "https://a", json!([foreign])), 500);
    assert_eq!(set(&mut c, "https://a", json!([{ "kid": "5" }])), 500);
    let shown = c.get("/service/jwk").1;
    assert!(
        shown["keys"]["1"][0]["publicKey"]
            .as_str()
            .unwrap()
            .contains("BEGIN PUBLIC KEY")
    );
}
