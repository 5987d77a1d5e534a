//! Certificate authorities of contracts.

use std::time::Duration;

use attestation::{ClientKey, Sha256Digest};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{GeneralName, ParsedExtension, X509Certificate};

use super::{OTHER, Scene, m, set, token};

const NOW: i64 = 1_780_272_000;
const DAY: i64 = 24 * 60 * 60;
const PATH: &str = "/contracts/c1/ca/generateEndorsedCert";

impl Scene {
    pub(super) fn with_authority(mut self) -> Self {
        self.govern_authority("1");
        self.generate_authority();
        self
    }

    fn govern_authority(&mut self, request: &str) {
        let row = json!({ "enabled": "true", "requestId": request });
        set(&mut self.host, "public:ccf.gov.ca", "c1", &row);
    }

    fn generate_authority(&mut self) {
        let path = "/contracts/c1/ca/generateSigningKey";
        assert_eq!(self.member(Verb::Post, path, &json!({})).0, 200);
    }

    fn limit(&mut self, options: &Value) {
        let stored = json!({ "options": options, "origins": { "caDnsSuffixes": "p9" } });
        set(
            &mut self.host,
            "public:ccf.gov.contract_options",
            "c1",
            &stored,
        );
    }

    fn certify(&mut self, request: &Value) -> (u16, Value) {
        let envelope = self.signed(request);
        self.call(Verb::Post, PATH, Caller::Unasked, &envelope)
    }

    /// A certificate in PEM.
    fn certificate(&mut self, request: &Value) -> String {
        let (status, body) = self.certify(request);
        assert_eq!(status, 200, "{body}");
        let certified: Value = serde_json::from_str(&self.unwrapped(&body)).unwrap();
        certified["cert"].as_str().unwrap().to_owned()
    }

    fn denied(&mut self, request: &Value, status: u16, code: &str) -> Value {
        let (got, body) = self.certify(request);
        let want = (status, &json!(code));
        assert_eq!((got, &body["error"]["code"]), want, "{request}: {body}");
        body["error"]["details"][0].clone()
    }

    fn authority(&mut self) -> Value {
        let (status, body) = self.member(Verb::Post, "/contracts/c1/ca/status", &json!({}));
        assert_eq!(status, 200);
        body
    }
}

fn key_pem() -> String {
    rcgen::KeyPair::generate().unwrap().public_key_pem()
}

pub(super) fn request() -> Value {
    json!({
        "publicKey": key_pem(), "subjectName": "CN=ccr-proxy",
        "subjectAlternateNames": ["dNSName:localhost", "iPAddress:127.0.0.1"], "validityPeriodDays": 30,
    })
}

/// Looks at a certificate whose signature by the authority holds.
fn look<T>(pem: &str, authority: &str, at: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).unwrap();
    let (_, authority) = parse_x509_pem(authority.as_bytes()).unwrap();
    let authority = authority.parse_x509().unwrap();
    let certificate = pem.parse_x509().unwrap();
    UnparsedPublicKey::new(
        &ECDSA_P384_SHA384_ASN1,
        &authority.public_key().subject_public_key.data,
    )
    .verify(
        certificate.tbs_certificate.as_ref(),
        &certificate.signature_value.data,
    )
    .unwrap();
    assert_eq!(certificate.issuer(), authority.subject());
    at(&certificate)
}

fn key_ids(certificate: &X509Certificate<'_>) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let (mut own, mut issuer) = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => own = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                issuer = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            _ => {}
        }
    }
    (own, issuer)
}

#[test]
fn certificates_have_the_profile_of_the_specification() {
    let mut scene = Scene::new().with_authority();
    let authority = scene.authority()["caCert"].as_str().unwrap().to_owned();
    let of_authority = look(&authority, &authority, |c| {
        assert_eq!(c.subject().to_string(), "CN=Azure Clean Room CA");
        assert_eq!(c.validity().not_before.timestamp(), NOW - DAY);
        assert_eq!(c.validity().not_after.timestamp(), NOW + 100 * DAY - 1);
        let constraints = c.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(0));
        let usage = c.key_usage().unwrap().unwrap().value;
        assert!(usage.key_cert_sign() && !usage.digital_signature());
        key_ids(c)
    });
    assert_eq!(of_authority.0, of_authority.1);
    let leaf = scene.certificate(&request());
    look(&leaf, &authority, |c| {
        assert_eq!(c.subject().to_string(), "CN=ccr-proxy");
        assert_eq!(c.validity().not_before.timestamp(), NOW - DAY);
        assert_eq!(c.validity().not_after.timestamp(), NOW + 30 * DAY - 1);
        let constraints = c.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && !constraints.value.ca);
        let names = &c
            .subject_alternative_name()
            .unwrap()
            .unwrap()
            .value
            .general_names;
        assert_eq!(
            *names,
            [
                GeneralName::DNSName("localhost"),
                GeneralName::IPAddress(&[127, 0, 0, 1])
            ]
        );
        assert_eq!(key_ids(c).1, of_authority.0);
        assert_eq!(c.raw_serial().len(), 16);
    });
    assert_ne!(leaf, scene.certificate(&request()));
}

#[test]
fn w13_certificates_say_what_they_are_for() {
    let mut scene = Scene::new().with_authority();
    let authority = scene.authority()["caCert"].as_str().unwrap().to_owned();
    let mut plain = request();
    plain
        .as_object_mut()
        .unwrap()
        .remove("subjectAlternateNames");
    for request in [request(), plain] {
        let leaf = scene.certificate(&request);
        look(&leaf, &authority, |c| {
            let usage = c.key_usage().unwrap().unwrap().value;
            assert!(usage.digital_signature() && !usage.key_cert_sign());
            let purposes = c.extended_key_usage().unwrap().unwrap().value;
            assert!(purposes.server_auth && purposes.client_auth && !purposes.any);
        });
    }
}

#[test]
fn w13_certificates_do_not_outlive_the_authority() {
    let mut scene = Scene::new().with_authority();
    let authority = scene.authority()["caCert"].as_str().unwrap().to_owned();
    let mut long = request();
    long["validityPeriodDays"] = 4_000_000_000_u32.into();
    let end = |scene: &mut Scene, request: &Value| {
        let leaf = scene.certificate(request);
        look(&leaf, &authority, |c| c.validity().not_after.timestamp())
    };
    assert_eq!(end(&mut scene, &long), NOW + 100 * DAY - 1);
    scene.limit(&json!({ "caMaximumDays": 7 }));
    assert_eq!(end(&mut scene, &long), NOW + 7 * DAY - 1);
    let later = u64::try_from(NOW + 100 * DAY).unwrap();
    scene.host.set_time(Duration::from_secs(later));
    scene.denied(&request(), 405, "CACertificateExpired");
}

#[test]
fn w13_members_limit_names() {
    let mut scene = Scene::new().with_authority();
    let named = |name: &str| {
        let mut request = request();
        request["subjectAlternateNames"] = json!([name]);
        request
    };
    scene.certificate(&named("dNSName:bank.example.org"));
    let warnings = |scene: &mut Scene| scene.records()[0]["record"]["warnings"].clone();
    assert_eq!(warnings(&mut scene), json!(["namesNotGoverned"]));
    let mut now = u64::try_from(NOW).unwrap();
    scene.limit(&json!({ "caDnsSuffixes": ["rooms.example.com"] }));
    for name in [
        "dNSName:a.rooms.example.com",
        "dNSName:rooms.example.com",
        "dNSName:localhost",
        "iPAddress:::1",
    ] {
        now += 1;
        scene.host.set_time(Duration::from_secs(now));
        scene.certificate(&named(name));
        assert_eq!(warnings(&mut scene), Value::Null, "{name}");
    }
    for name in [
        "dNSName:bank.example.org",
        "dNSName:badrooms.example.com",
        "iPAddress:10.0.0.1",
        "dNSName:*.example.com",
    ] {
        let detail = scene.denied(&named(name), 403, "SubjectAlternateNameNotAllowed");
        assert_eq!(
            detail,
            json!({ "got": name, "want": ["rooms.example.com"], "proposalId": "p9" })
        );
    }
    // All names are looked at, not only the first.
    let mut both = request();
    both["subjectAlternateNames"] = json!(["dNSName:localhost", "dNSName:bank.example.org"]);
    scene.denied(&both, 403, "SubjectAlternateNameNotAllowed");
}

#[test]
fn w13_each_certificate_is_recorded() {
    let mut scene = Scene::new().with_authority();
    let authority = scene.authority()["caCert"].as_str().unwrap().to_owned();
    let leaf = scene.certificate(&request());
    let record = scene.records()[0]["record"].clone();
    assert_eq!(
        (&record["kind"], &record["subject"]),
        (&json!("certificate"), &json!("CN=ccr-proxy"))
    );
    look(&leaf, &authority, |c| {
        let issued = &record["certificate"];
        assert_eq!(issued["serial"], hex::encode(c.raw_serial()));
        assert_eq!(issued["notAfter"], c.validity().not_after.timestamp());
        assert_eq!(
            issued["publicKey"],
            json!(Sha256Digest::of(c.public_key().raw))
        );
        assert_eq!(issued["authority"], "1");
        assert_eq!(
            issued["subjectAlternateNames"],
            json!(["dNSName:localhost", "iPAddress:127.0.0.1"])
        );
    });
}

#[test]
fn w13_a_bad_payload_is_refused_by_name_and_recorded() {
    let mut scene = Scene::new().with_authority();
    let with = |name: &str, value: Value| {
        let mut request = request();
        request[name] = value;
        request
    };
    for (request, code) in [
        (json!({}), "InvalidInput"),
        (json!([]), "InvalidInput"),
        (with("publicKey", "x".into()), "InvalidInput"),
        (with("publicKey", 5.into()), "InvalidInput"),
        (with("subjectName", "ccr-proxy".into()), "InvalidInput"),
        (with("subjectName", "".into()), "InvalidInput"),
        (with("validityPeriodDays", 0.into()), "InvalidInput"),
        (with("validityPeriodDays", (-1).into()), "InvalidInput"),
        (with("validityPeriodDays", 1.5.into()), "InvalidInput"),
        (
            with("subjectAlternateNames", json!(["URI:x"])),
            "InvalidSubjectAlternateName",
        ),
        (
            with("subjectAlternateNames", json!(["localhost"])),
            "InvalidSubjectAlternateName",
        ),
        (
            with("subjectAlternateNames", json!(vec!["dNSName:a"; 101])),
            "InvalidSubjectAlternateName",
        ),
    ] {
        scene.denied(&request, 400, code);
    }
    let record = scene.records()[0]["record"].clone();
    assert_eq!(
        (&record["kind"], &record["outcome"]),
        (&json!("certificate"), &json!("denied"))
    );
}

#[test]
fn w13_certificates_of_replaced_keys_stay_readable() {
    let mut scene = Scene::new().with_authority();
    let first = scene.authority();
    let leaf = scene.certificate(&request());
    scene.generate_authority();
    assert_eq!(scene.authority(), first);
    scene.govern_authority("2");
    assert_eq!(scene.authority(), first);
    scene.generate_authority();
    let second = scene.authority();
    assert_ne!(second["caCert"], first["caCert"]);
    assert_eq!(
        second["caCerts"][0],
        json!({ "requestId": "1", "caCert": first["caCert"] })
    );
    assert_eq!(
        second["caCerts"][1],
        json!({ "requestId": "2", "caCert": second["caCert"] })
    );
    look(&leaf, first["caCert"].as_str().unwrap(), |_| ());
    let next = scene.certificate(&request());
    look(&next, second["caCert"].as_str().unwrap(), |_| ());
    for table in [
        "public:cleanroom.ca_certificates",
        "public:cleanroom.releases",
    ] {
        assert!(!format!("{:?}", scene.host.entries(table)).contains("PRIVATE"));
    }
}

#[test]
fn w1_the_payload_is_signed_by_the_attested_key() {
    let mut scene = Scene::new().with_authority();
    let good = scene.signed(&request());
    let ask = |scene: &mut Scene, envelope: &Value, code: &str| {
        let (status, body) = scene.call(Verb::Post, PATH, Caller::Unasked, envelope);
        assert_eq!((status, &body["error"]["code"]), (400, &json!(code)));
    };
    let thief = ClientKey::generate().unwrap();
    let data = request().to_string();
    let mut forged = good.clone();
    forged["data"] = STANDARD.encode(&data).into();
    ask(&mut scene, &forged, "SignatureMismatch");
    forged["sign"] = json!({
        "publicKey": STANDARD.encode(thief.public_key_pem()),
        "signature": STANDARD.encode(thief.sign(data.as_bytes()).unwrap()),
    });
    ask(&mut scene, &forged, "ReportDataMismatch");
    let mut unsigned = good.clone();
    unsigned.as_object_mut().unwrap().remove("sign");
    ask(&mut scene, &unsigned, "SignatureMismatch");
    for (name, code) in [
        ("attestation", "AttestationMissing"),
        ("encrypt", "EncryptionMissing"),
    ] {
        let mut envelope = good.clone();
        envelope.as_object_mut().unwrap().remove(name);
        ask(&mut scene, &envelope, code);
    }
    let mut other = good.clone();
    other["attestation"] = scene.envelope(OTHER)["attestation"].clone();
    ask(&mut scene, &other, "VerifySnpAttestationFailed");
    assert!(
        scene
            .records()
            .iter()
            .all(|r| r["record"]["outcome"] == "denied")
    );
}

/// W5: what was signed for a certificate is good for a certificate of this contract, and for nothing else.
#[test]
fn w5_a_captured_request_serves_nothing_else() {
    let mut scene = Scene::new().with_authority();
    let mut both = request();
    both["value"] = "text".into();
    let envelope = scene.signed(&both);
    for _ in 0..2 {
        assert_eq!(
            scene.call(Verb::Post, PATH, Caller::Unasked, &envelope).0,
            200
        );
    }
    let path = "/contracts/c1/secrets/x";
    let (status, body) = scene.call(Verb::Put, path, Caller::Anonymous, &envelope);
    assert_eq!(
        (status, &body["error"]["code"]),
        (409, &json!("RequestReplayed"))
    );
}

#[test]
fn without_an_authority_there_is_nothing() {
    let mut scene = Scene::new();
    assert_eq!(
        scene.authority(),
        json!({ "enabled": false, "proposalIds": [] })
    );
    let path = "/contracts/c1/ca/generateSigningKey";
    let (status, body) = scene.member(Verb::Post, path, &json!({}));
    assert_eq!(
        (status, &body["error"]["code"]),
        (405, &json!("CANotEnabled"))
    );
    scene.denied(&request(), 404, "NoCASigningKey");
    let mut scene = scene.with_authority();
    set(
        &mut scene.host,
        "public:ccf.gov.ca",
        "c1",
        &json!({ "enabled": "false", "requestId": "1" }),
    );
    scene.denied(&request(), 405, "CANotEnabled");
    assert_eq!(
        scene.authority(),
        json!({ "enabled": false, "proposalIds": [] })
    );
}

#[test]
fn w9_the_authority_is_shown_to_registered_callers_only() {
    let mut scene = Scene::new().with_authority();
    let path = "/contracts/c1/ca/status";
    let stranger = token(json!({ "oid": "n", "tid": "t", "iss": "https://issuer" }));
    let (status, body) = scene.call(Verb::Post, path, stranger, &json!({}));
    assert_eq!(
        (status, &body["error"]["code"]),
        (403, &json!("CallerNotAuthorized"))
    );
    assert_eq!(scene.call(Verb::Post, path, m("m2"), &json!({})).0, 200);
}

#[test]
fn a_delegate_policy_admits_other_code_to_certificates() {
    let mut scene = Scene::new().with_authority();
    let change =
        json!({ "type": "add", "claims": { "x-ms-sevsnpvm-hostdata": hex::encode(OTHER) } });
    let envelope = scene.signed(&change);
    let path = "/contracts/c1/cleanroompolicy/delegates/ca/endorsed-cert";
    assert_eq!(
        scene.call(Verb::Put, path, Caller::Unasked, &envelope).0,
        200
    );
    let mut other = scene.signed(&request());
    other["attestation"] = scene.envelope(OTHER)["attestation"].clone();
    assert_eq!(scene.call(Verb::Post, PATH, Caller::Unasked, &other).0, 200);
}
