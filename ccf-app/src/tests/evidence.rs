//! Evidence of either platform, and policies of all families side by side.

use attestation::QuoteNonce;
use attestation::simulated::CvmGuest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};

use super::{AGREED, OTHER, SECRET, Scene, set, set_options};

impl Scene {
    /// A confidential VM with this scene's key.
    pub(super) fn machine(&self) -> CvmGuest {
        CvmGuest::new(self.key.public_key_pem().as_bytes())
    }

    pub(super) fn machine_envelope(&self, guest: &CvmGuest, nonce: QuoteNonce<'_>) -> Value {
        json!({
            "platform": "snp-cvm",
            "attestation": guest.evidence_for(nonce).to_request(),
            "encrypt": { "publicKey": STANDARD.encode(self.key.public_key_pem()) },
        })
    }

    /// The policy also admits machines that booted what this scene's machine did.
    pub(super) fn admitting_machines(mut self) -> Self {
        let registers = self.machine().evidence().to_request()["evidence"]["pcrs"].clone();
        for index in [4, 7] {
            set(
                &mut self.host,
                "public:ccf.gov.policies.cleanroom-c1",
                &format!("pcr{index}"),
                &json!([registers[index.to_string()]]),
            );
        }
        self
    }
}

#[test]
fn w2_h3_the_platform_must_be_endorsed() {
    let mut scene = Scene::new().with_secret();
    let mut envelope = scene.envelope(AGREED);
    envelope["attestation"]
        .as_object_mut()
        .unwrap()
        .remove("uvm_endorsements");
    let body = scene.refused(&envelope, 400, "VerifySnpAttestationFailed");
    assert_eq!(body["error"]["details"][0]["check"], "UVM-01");
}

#[test]
fn w3_machines_that_booted_what_was_agreed_receive_the_secret() {
    let mut scene = Scene::new().with_secret().admitting_machines();
    let guest = scene.machine();
    let envelope = scene.machine_envelope(&guest, QuoteNonce::Key);
    let (status, body) = scene.release(&envelope);
    assert_eq!(status, 200, "{body}");
    let wrapped = STANDARD.decode(body["value"].as_str().unwrap()).unwrap();
    assert_eq!(*scene.key.unwrap(&wrapped).unwrap(), SECRET.as_bytes());
    let record = &scene.records()[0]["record"];
    assert_eq!(record["code"]["platform"], "snp-cvm");
    assert_eq!(record["code"].get("hostData"), None);
    assert_eq!(record["code"]["registers"].as_str().unwrap().len(), 64);
    assert_eq!(record.get("warnings"), None);
    // Container groups go on as before.
    let group = scene.envelope(AGREED);
    assert_eq!(scene.release(&group).0, 200);
}

#[test]
fn w3_w33_machines_that_are_not_azures_or_booted_something_else_are_refused_by_check() {
    let mut scene = Scene::new().with_secret().admitting_machines();
    let guest = scene.machine();
    let good = scene.machine_envelope(&guest, QuoteNonce::Key);
    let mut without_certificate = good.clone();
    without_certificate["attestation"]["evidence"]
        .as_object_mut()
        .unwrap()
        .remove("aikCert");
    let mut as_group = good.clone();
    as_group["platform"] = json!("snp-caci");
    let mut other_key = good.clone();
    other_key["encrypt"]["publicKey"] = STANDARD.encode("another key").into();
    let booted = guest.clone().with_register(4, [1; 32]);
    let constant = scene.machine_envelope(&guest, QuoteNonce::Constant);
    for (envelope, code, check) in [
        (without_certificate, "VerifySnpAttestationFailed", "CVM-06"),
        (as_group, "VerifySnpAttestationFailed", "REQ-01"),
        (constant, "VerifySnpAttestationFailed", "CVM-17"),
        (
            scene.machine_envelope(&booted, QuoteNonce::Key),
            "VerifySnpAttestationFailed",
            "POL-04",
        ),
        (other_key, "ReportDataMismatch", "KEY-07"),
    ] {
        let body = scene.refused(&envelope, 400, code);
        assert_eq!(body["error"]["details"][0]["check"], check);
    }
}

#[test]
fn w4_registers_that_anybody_can_set_admit_nobody() {
    let mut scene = Scene::new().with_secret();
    let guest = scene.machine();
    let registers = guest.evidence().to_request()["evidence"]["pcrs"].clone();
    set(
        &mut scene.host,
        "public:ccf.gov.policies.cleanroom-c1",
        "pcr23",
        &json!([registers["23"]]),
    );
    let envelope = scene.machine_envelope(&guest, QuoteNonce::Key);
    let body = scene.refused(&envelope, 400, "VerifySnpAttestationFailed");
    assert_eq!(body["error"]["details"][0]["check"], "POL-05");
    // One value under two spellings of its register.
    let mut twice = envelope;
    twice["attestation"]["evidence"]["pcrs"]["04"] = registers["4"].clone();
    let body = scene.refused(&twice, 400, "VerifySnpAttestationFailed");
    assert_eq!(body["error"]["details"][0]["check"], "CVM-01");
}

#[test]
fn w5_quotes_with_the_constant_nonce_are_taken_where_members_say_so_and_leave_a_warning() {
    let mut scene = Scene::new().with_secret().admitting_machines();
    let guest = scene.machine();
    let envelope = scene.machine_envelope(&guest, QuoteNonce::Constant);
    scene.refused(&envelope, 400, "VerifySnpAttestationFailed");
    set_options(&mut scene, &json!({ "constantQuoteNonce": true }));
    assert_eq!(scene.release(&envelope).0, 200);
    let record = &scene.records()[0]["record"];
    assert_eq!(record["warnings"], json!(["registersNotBoundToKey"]));
    // The option says which nonce, not that any will do.
    let bound = scene.machine_envelope(&guest, QuoteNonce::Key);
    scene.refused(&bound, 400, "VerifySnpAttestationFailed");
    // An option that cannot be read closes what depends on it.
    set_options(&mut scene, &json!({ "constantQuoteNonce": "true" }));
    assert_eq!(scene.release(&envelope).0, 500);
}

#[test]
fn w26_families_do_not_get_in_each_others_way() {
    let mut scene = Scene::new().with_secret();
    let table = "public:ccf.gov.policies.cleanroom-c1";
    set(&mut scene.host, table, "oid", &json!(["somebody"]));
    let group = scene.envelope(AGREED);
    assert_eq!(scene.release(&group).0, 200);
    // What is said about tokens and container groups admits no machine, and the other way round.
    let machine = scene.machine_envelope(&scene.machine(), QuoteNonce::Key);
    let body = scene.refused(&machine, 400, "VerifySnpAttestationFailed");
    assert_eq!(body["error"]["details"][0]["check"], "POL-01");
    let mut scene = scene.admitting_machines();
    assert_eq!(scene.release(&machine).0, 200);
    let other = scene.envelope(OTHER);
    scene.refused(&other, 400, "VerifySnpAttestationFailed");
}

#[test]
fn w32_machines_ask_for_consent() {
    let mut scene = Scene::new().admitting_machines();
    let envelope = scene.machine_envelope(&scene.machine(), QuoteNonce::Key);
    let path = "/contracts/c1/runtimeoptions/execution/status";
    let (status, body) = scene.call(Verb::Post, path, Caller::Anonymous, &envelope);
    assert_eq!((status, &body["status"]), (200, &json!("enabled")));
    let mut unknown = envelope;
    unknown["platform"] = json!("sgx");
    let (status, body) = scene.call(Verb::Post, path, Caller::Anonymous, &unknown);
    assert_eq!(
        (status, &body["error"]["code"]),
        (400, &json!("UnsupportedPlatform"))
    );
}
