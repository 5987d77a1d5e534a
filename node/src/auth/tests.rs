//! Authentication against a host in memory. Names of tests are those of the conformance
//! checklist (CCF interface, annex D, 20 to 26).

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use ccf_rs::testing::MemoryHost;
use ccf_rs::{Auth, Caller, Headers};
use coset::cbor::value::Value;
use serde_json::{Value as JsonValue, json};

use super::testing::{Message, Person};
use super::{AuthFailure, AuthInput, authenticate};

const NOW: u64 = 1_780_272_000;
const PROPOSAL: Auth = Auth::MemberCose {
    active: true,
    message_type: Some("proposal"),
};

fn host(members: &[(&Person, &str)]) -> MemoryHost {
    let mut host = MemoryHost::new(Vec::new());
    for (member, status) in members {
        host.store(
            "public:ccf.gov.members.certs",
            member.id.as_bytes(),
            member.pem.as_bytes(),
        );
        host.store(
            "public:ccf.gov.members.info",
            member.id.as_bytes(),
            json!({ "status": status }).to_string().as_bytes(),
        );
    }
    host
}

fn attempt(
    host: &MemoryHost,
    policies: &[Auth],
    headers: &[(&str, &str)],
    body: &Bytes,
    certificate: Option<&[u8]>,
) -> Result<Caller, AuthFailure> {
    let headers = Headers::new(
        headers
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
    );
    let input = AuthInput {
        headers: &headers,
        body,
        certificate,
    };
    host.with_transaction(|tx| {
        let reader: &mut dyn ccf_rs::ReadHost = tx;
        authenticate(policies, &input, reader, Duration::from_secs(NOW))
    })
}

fn cose(host: &MemoryHost, body: &Bytes) -> Result<Caller, AuthFailure> {
    let headers = [("content-type", "application/cose")];
    attempt(host, &[PROPOSAL], &headers, body, None)
}

/// Status and text of the answer.
fn answer(result: Result<Caller, AuthFailure>) -> (u16, String) {
    let reply = result.unwrap_err().reply();
    (reply.status, String::from_utf8(reply.body).unwrap())
}

fn proposal(person: &Person) -> Message {
    person.message("proposal", NOW, None, b"{}")
}

#[test]
fn d20_members_of_every_curve_sign() {
    for algorithm in [-7, -35, -36] {
        let person = Person::on_curve(algorithm);
        let host = host(&[(&person, "Active")]);
        let body = person.sign(&proposal(&person));
        let Caller::MemberCose(id, message) = cose(&host, &body).unwrap() else {
            panic!("another caller");
        };
        assert_eq!(id.0, person.id);
        assert_eq!(message.payload, b"{}".as_slice());
        assert_eq!(message.envelope, body);
        assert_eq!(message.created_at, Some(NOW));
    }
}

#[test]
fn d20_the_content_type_is_exact() {
    let person = Person::new();
    let host = host(&[(&person, "Active")]);
    let body = person.sign(&proposal(&person));
    let wrong = [
        vec![],
        vec![("content-type", "application/cose; cose-type=sign1")],
        vec![("content-type", "application/json")],
    ];
    for headers in wrong {
        let (status, text) = answer(attempt(&host, &[PROPOSAL], &headers, &body, None));
        assert_eq!(status, 401, "{text}");
    }
}

#[test]
fn d20_what_cannot_be_decoded_is_a_500_with_ccfs_text() {
    let person = Person::new();
    let host = host(&[(&person, "Active")]);
    let good = || proposal(&person);
    let mut untagged = good();
    untagged.tag = None;
    let cases: Vec<(Bytes, &str)> = vec![
        (
            Bytes::from_static(b""),
            "Failed to parse COSE_Sign1 outer array",
        ),
        (
            Bytes::from_static(b"{}"),
            "Failed to parse COSE_Sign1 outer array",
        ),
        (person.sign(&untagged), "COSE_Sign1 is not tagged"),
        (
            person.sign(&good().without(1)),
            "Missing algorithm in protected header",
        ),
        (
            person.sign(&good().without(4)),
            "Missing kid in protected header",
        ),
        (
            person.sign(&good().without("ccf.gov.msg.created_at")),
            "Missing created_at in protected header",
        ),
        (
            person.sign(&good().with("ccf.gov.msg.created_at", -1)),
            "Header parameter created_at must be positive",
        ),
        (
            person.sign(&good().with("ccf.gov.msg.created_at", "now")),
            "Failed to decode protected header",
        ),
        (
            person.sign(&good().with(4, "text")),
            "Failed to decode protected header",
        ),
    ];
    for (body, want) in cases {
        let (status, text) = answer(cose(&host, &body));
        assert_eq!(status, 500, "{want}");
        assert!(text.contains(want), "{text} lacks {want}");
        assert!(text.contains("InternalError"));
    }
}

#[test]
fn d20_truncated_and_altered_envelopes_never_authenticate() {
    let person = Person::new();
    let host = host(&[(&person, "Active")]);
    let body = person.sign(&proposal(&person));
    for at in 0..body.len() {
        assert!(cose(&host, &body.slice(..at)).is_err(), "cut at {at}");
        let mut altered = body.to_vec();
        altered[at] ^= 1;
        assert!(cose(&host, &Bytes::from(altered)).is_err(), "bit of {at}");
    }
    let mut longer = body.to_vec();
    longer.push(0);
    assert_eq!(answer(cose(&host, &Bytes::from(longer))).0, 500);
}

#[test]
fn d20_lengths_that_lie_do_not_allocate() {
    let host = host(&[]);
    for body in [
        [0xd2, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        [0xd2, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        [0xd2, 0xbb, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert_eq!(answer(cose(&host, &Bytes::copy_from_slice(&body))).0, 500);
    }
    let deep = Bytes::from(vec![0x81; 100_000]);
    assert_eq!(answer(cose(&host, &deep)).0, 500);
}

#[test]
fn d20_signatures_and_signers_that_are_refused() {
    let (person, other) = (Person::new(), Person::new());
    let host = host(&[(&person, "Active")]);
    let good = || proposal(&person);
    let mut repeated = good();
    repeated.unprotected = vec![(Value::from(4), Value::Bytes(person.id.clone().into_bytes()))];
    let mut critical = good();
    critical.unprotected = vec![(Value::from(2), Value::Array(vec![Value::from(99)]))];
    let mut detached = good();
    detached.payload = Value::Null;
    let invalid = "Failed to validate COSE Sign1";
    let cases = [
        (other.sign(&good()), invalid),
        (person.sign(&repeated), invalid),
        (person.sign(&critical), invalid),
        (person.sign(&good().with(2, Value::Array(vec![]))), invalid),
        (person.sign(&detached), invalid),
        (
            other.sign(&proposal(&other)),
            "Signer is not a known member",
        ),
        (
            person.sign(&good().with(4, Value::Bytes(vec![0xff; 4000]))),
            "Signer is not a known member",
        ),
        (
            person.sign(&good().with(1, -37)),
            "Unsupported algorithm: -37",
        ),
    ];
    for (body, want) in cases {
        let (status, text) = answer(cose(&host, &body));
        assert_eq!(status, 401, "{want}");
        assert!(text.contains(want), "{text} lacks {want}");
    }
}

#[test]
fn d20_an_algorithm_that_does_not_fit_the_key_is_refused() {
    let person = Person::on_curve(-35);
    let host = host(&[(&person, "Active")]);
    for algorithm in [-7, -36] {
        let body = person.sign(&proposal(&person).with(1, algorithm));
        assert_eq!(answer(cose(&host, &body)).0, 401);
    }
}

#[test]
fn d21_message_type_and_status_are_checked_after_the_signature() {
    let (active, accepted) = (Person::new(), Person::new());
    let host = host(&[(&active, "Active"), (&accepted, "Accepted")]);
    let ballot = active.sign(&active.message("ballot", NOW, None, b"{}"));
    assert!(answer(cose(&host, &ballot)).1.contains("ballot"));
    let untyped = active.sign(&proposal(&active).without("ccf.gov.msg.type"));
    assert_eq!(answer(cose(&host, &untyped)).0, 401);
    let body = accepted.sign(&proposal(&accepted));
    let (status, text) = answer(cose(&host, &body));
    assert_eq!(status, 401);
    assert!(text.contains("Signer is not an ACTIVE member"));
    let known = Auth::MemberCose {
        active: false,
        message_type: Some("proposal"),
    };
    let headers = [("content-type", "application/cose")];
    assert!(attempt(&host, &[known], &headers, &body, None).is_ok());
}

#[test]
fn d21_users_sign_with_optional_type_and_time() {
    let person = Person::new();
    let mut host = host(&[]);
    host.store(
        "public:ccf.gov.users.certs",
        person.id.as_bytes(),
        person.pem.as_bytes(),
    );
    let message = proposal(&person)
        .without("ccf.gov.msg.type")
        .without("ccf.gov.msg.created_at")
        .with("ccf.msg.created_at", -5);
    let body = person.sign(&message);
    let headers = [("content-type", "application/cose")];
    let policy = Auth::UserCose { message_type: None };
    let Caller::UserCose(id, signed) = attempt(&host, &[policy], &headers, &body, None).unwrap()
    else {
        panic!("another caller");
    };
    assert_eq!((id.0, signed.created_at), (person.id.clone(), None));
    let typed = Auth::UserCose {
        message_type: Some("order"),
    };
    assert_eq!(
        answer(attempt(&host, &[typed], &headers, &body, None)).0,
        401
    );
}

#[test]
fn d25_details_are_in_order_and_the_last_policy_challenges() {
    let host = host(&[]);
    let failure = attempt(
        &host,
        &[Auth::MemberCert, Auth::UserCert, Auth::Jwt],
        &[],
        &Bytes::new(),
        None,
    )
    .unwrap_err();
    let reply = failure.reply();
    let body: JsonValue = serde_json::from_slice(&reply.body).unwrap();
    let names: Vec<_> = body["error"]["details"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["auth_policy"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["member_cert", "user_cert", "jwt"]);
    assert_eq!(
        body["error"]["details"][0]["message"],
        "No caller member certificate"
    );
    assert!(
        reply
            .headers
            .iter()
            .any(|(n, v)| *n == "www-authenticate" && v.starts_with("Bearer"))
    );
    assert!(matches!(
        attempt(&host, &[], &[], &Bytes::new(), None).unwrap(),
        Caller::Unasked
    ));
    assert!(matches!(
        attempt(
            &host,
            &[Auth::MemberCert, Auth::Anonymous],
            &[],
            &Bytes::new(),
            None
        )
        .unwrap(),
        Caller::Anonymous
    ));
}

#[test]
fn d26_certificates_name_members_and_users() {
    let (member, stranger) = (Person::new(), Person::new());
    let mut host = host(&[(&member, "Accepted")]);
    let none = Bytes::new();
    let by = |host: &MemoryHost, policy: Auth, person: &Person| {
        attempt(host, &[policy], &[], &none, Some(&person.der))
    };
    assert!(
        matches!(by(&host, Auth::MemberCert, &member), Ok(Caller::Member(id)) if id.0 == member.id)
    );
    assert!(by(&host, Auth::MemberCert, &stranger).is_err());
    assert!(by(&host, Auth::UserCert, &member).is_err());
    assert!(matches!(
        by(&host, Auth::AnyCert, &stranger),
        Ok(Caller::Certificate(der)) if der == stranger.der
    ));
    host.store(
        "public:ccf.gov.users.certs",
        stranger.id.as_bytes(),
        stranger.pem.as_bytes(),
    );
    assert!(matches!(
        by(&host, Auth::UserCert, &stranger),
        Ok(Caller::User(_))
    ));
    let garbage = attempt(&host, &[Auth::AnyCert], &[], &none, Some(b"garbage"));
    assert_eq!(answer(garbage).0, 401);
}

struct Issuer {
    rsa: RsaKeyPair,
    spki: Vec<u8>,
}

impl Issuer {
    fn new() -> Self {
        use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let spki: PublicKeyX509Der<'_> = rsa.public_key().as_der().unwrap();
        let spki = spki.as_ref().to_vec();
        Self { rsa, spki }
    }

    fn token(&self, header: &JsonValue, payload: &JsonValue) -> String {
        let part = |value: &JsonValue| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(payload));
        let mut signature = vec![0; self.rsa.public_modulus_len()];
        self.rsa
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn bearer(host: &MemoryHost, token: &str) -> Result<Caller, AuthFailure> {
    let value = format!("Bearer {token}");
    let headers = [("authorization", value.as_str())];
    attempt(host, &[Auth::Jwt], &headers, &Bytes::new(), None)
}

fn jwt_host(keys: &JsonValue) -> MemoryHost {
    let mut host = MemoryHost::new(Vec::new());
    host.store(
        "public:ccf.gov.jwt.public_signing_keys_metadata_v2",
        b"k1",
        keys.to_string().as_bytes(),
    );
    host
}

#[test]
fn d26_tokens_are_checked_for_time_and_signature() {
    let issuer = Issuer::new();
    let other = Issuer::new();
    let host = jwt_host(&json!([
        { "public_key": STANDARD.encode(&issuer.spki), "issuer": "https://iss" }
    ]));
    let header = json!({ "alg": "RS256", "kid": "k1", "typ": "JWT" });
    let claims = |exp: u64| json!({ "iss": "anything", "exp": exp, "sub": "me" });
    let good = issuer.token(&header, &claims(NOW));
    let Caller::Jwt(jwt) = bearer(&host, &good).unwrap() else {
        panic!("another caller");
    };
    assert_eq!(jwt.key_issuer, "https://iss");
    assert_eq!(jwt.payload["sub"], "me");
    let early = json!({ "iss": "x", "exp": NOW + 1, "nbf": NOW + 1 });
    let refused = [
        issuer.token(&header, &claims(NOW - 1)),
        issuer.token(&header, &early),
        other.token(&header, &claims(NOW + 60)),
        issuer.token(&json!({ "alg": "RS256", "kid": "k2" }), &claims(NOW + 60)),
        // Confusion of algorithms: the key is RSA.
        issuer.token(&json!({ "alg": "ES256", "kid": "k1" }), &claims(NOW + 60)),
        issuer.token(&json!({ "alg": "HS256", "kid": "k1" }), &claims(NOW + 60)),
        issuer.token(&json!({ "alg": "none", "kid": "k1" }), &claims(NOW + 60)),
        issuer.token(
            &json!({ "alg": "RS256", "kid": "k1", "crit": ["x"] }),
            &claims(NOW + 60),
        ),
        issuer.token(&header, &json!({ "iss": "x" })),
        issuer.token(&header, &json!({ "exp": NOW })),
        format!("{good}x"),
        format!("{good}.x"),
        "a.b".to_owned(),
        String::new(),
        "*.*.*".to_owned(),
    ];
    for token in refused {
        assert_eq!(answer(bearer(&host, &token)).0, 401, "{token}");
    }
    let headers = [("authorization", "bearer x")];
    let lower = attempt(&host, &[Auth::Jwt], &headers, &Bytes::new(), None);
    assert_eq!(answer(lower).0, 401);
}

#[test]
fn d26_elliptic_curve_tokens() {
    let person = Person::on_curve(-7);
    let (_, certificate) = x509_parser::parse_x509_certificate(&person.der).unwrap();
    let spki = certificate.public_key().raw;
    let host = jwt_host(&json!([{ "public_key": STANDARD.encode(spki), "issuer": "i" }]));
    let part = |value: JsonValue| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = |alg: &str| {
        let signed = format!(
            "{}.{}",
            part(json!({ "alg": alg, "kid": "k1" })),
            part(json!({ "iss": "i", "exp": NOW }))
        );
        let signature = person
            .key
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    assert!(bearer(&host, &token("ES256")).is_ok());
    assert!(bearer(&host, &token("RS256")).is_err());
}

#[test]
fn d26_constraints_bind_issuer_and_tenant() {
    let issuer = Issuer::new();
    let key = STANDARD.encode(&issuer.spki);
    let header = json!({ "alg": "RS256", "kid": "k1" });
    let plain = jwt_host(&json!([
        { "public_key": key, "issuer": "https://iss", "constraint": "https://iss/v1" }
    ]));
    let entra = jwt_host(&json!([{
        "public_key": key,
        "issuer": "https://login.microsoftonline.com/common/v2.0",
        "constraint": "https://login.microsoftonline.com/{tenantid}/v2.0",
    }]));
    let with = |iss: &str, tid: Option<&str>| {
        let mut claims = json!({ "iss": iss, "exp": NOW });
        if let Some(tid) = tid {
            claims["tid"] = json!(tid);
        }
        issuer.token(&header, &claims)
    };
    assert!(bearer(&plain, &with("https://iss/v1", None)).is_ok());
    assert!(bearer(&plain, &with("https://iss/v1", Some("t"))).is_err());
    assert!(bearer(&plain, &with("https://iss/", None)).is_err());
    let of = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    assert!(bearer(&entra, &with(&of("t1"), Some("t1"))).is_ok());
    assert!(bearer(&entra, &with(&of("t1"), Some("t2"))).is_err());
    assert!(bearer(&entra, &with(&of("t1"), None)).is_err());
    assert!(bearer(&entra, &with(&of("t1/../t2"), Some("t1/../t2"))).is_err());
}
