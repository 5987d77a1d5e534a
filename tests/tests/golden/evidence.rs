//! Recorded evidence, altered as a step asks, and the keys that go with it.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use governance::encryption::EncryptionKey;
use serde_json::{Value, json};

pub struct Evidence {
    folder: PathBuf,
    stranger: EncryptionKey,
}

impl Evidence {
    pub fn new(golden: &Path) -> Self {
        Self {
            folder: golden.join("evidence"),
            stranger: EncryptionKey::generate().unwrap(),
        }
    }

    fn file(&self, name: &str) -> Value {
        let path = self.folder.join(format!("{name}.json"));
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&bytes).unwrap()
    }

    pub fn public_key_pem(&self, name: &str) -> String {
        if name == "stranger-key" {
            return self.stranger.public_key_pem().unwrap();
        }
        self.file(name)["publicKey"].as_str().unwrap().to_owned()
    }

    pub fn private_key_pem(&self, name: &str) -> String {
        if name == "stranger-key" {
            return self.stranger.private_key_pem().unwrap().to_string();
        }
        self.file(name)["privateKey"].as_str().unwrap().to_owned()
    }

    /// The `attestation` of a request: `NAME` or `NAME/HOW`.
    pub fn attestation(&self, reference: &str) -> Value {
        let (name, how) = reference.split_once('/').unwrap_or((reference, ""));
        let file = self.file(name);
        let parts = &file["report"]["snpCACI"];
        let mut attestation = json!({
            "evidence": parts["attestation"],
            "endorsements": parts["platformCertificates"],
            "uvm_endorsements": parts["uvmEndorsements"],
        });
        self.alter(&mut attestation, how);
        attestation
    }

    fn alter(&self, attestation: &mut Value, how: &str) {
        let report = decode(&attestation["evidence"]);
        let certificates = String::from_utf8(decode(&attestation["endorsements"])).unwrap();
        let split: Vec<&str> = certificates
            .split_inclusive("-----END CERTIFICATE-----\n")
            .collect();
        let endorsed = || {
            let mut tcb = report[0x180..0x188].to_vec();
            tcb.reverse();
            hex(&tcb)
        };
        match how {
            "" => {}
            "no-uvm" => remove(attestation, "uvm_endorsements"),
            "null-uvm" => attestation["uvm_endorsements"] = Value::Null,
            "bad-uvm" => {
                let mut bytes = decode(&attestation["uvm_endorsements"]);
                let at = bytes.len() - 10;
                bytes[at] ^= 1;
                attestation["uvm_endorsements"] = encode(&bytes);
            }
            "garbage-uvm" => attestation["uvm_endorsements"] = encode(b"no COSE message"),
            "flip-signature" => attestation["evidence"] = flipped(&report, 0x2a0, 1),
            "flip-report-data" => attestation["evidence"] = flipped(&report, 0x50, 1),
            "flip-host-data" => attestation["evidence"] = flipped(&report, 0xc0, 1),
            "flip-measurement" => attestation["evidence"] = flipped(&report, 0x90, 1),
            // Bit 19 of the guest policy at 0x08.
            "set-debug" => attestation["evidence"] = flipped(&report, 0x0a, 8),
            "truncated" => attestation["evidence"] = encode(&report[..1000]),
            "extended" => attestation["evidence"] = encode(&[report.as_slice(), &[0; 16]].concat()),
            "empty-report" => attestation["evidence"] = json!(""),
            "no-evidence" => remove(attestation, "evidence"),
            "not-base64" => attestation["evidence"] = json!("%%%"),
            "empty-endorsements" => attestation["endorsements"] = json!(""),
            "no-endorsements" => remove(attestation, "endorsements"),
            "one-endorsement" => attestation["endorsements"] = encode(split[0].as_bytes()),
            "reversed-endorsements" => {
                let reversed: String = split.iter().rev().copied().collect();
                attestation["endorsements"] = encode(reversed.as_bytes());
            }
            "tcb-match" => attestation["endorsed_tcb"] = json!(endorsed()),
            "tcb-mismatch" => attestation["endorsed_tcb"] = json!("ff".repeat(8)),
            "urlsafe-unpadded" => each(attestation, |bytes| URL_SAFE_NO_PAD.encode(bytes)),
            "wrapped-lines" => each(attestation, |bytes| {
                let text = STANDARD.encode(bytes);
                let lines: Vec<&str> = (0..text.len())
                    .step_by(64)
                    .map(|at| &text[at..(at + 64).min(text.len())])
                    .collect();
                lines.join("\n")
            }),
            "extra-field" => attestation["extra"] = json!("field"),
            _ => {
                let (part, other) = how.split_once(':').unwrap();
                let other = self.attestation(other);
                let member = match part {
                    "report-of-other" => "evidence",
                    "endorsements-of-other" => "endorsements",
                    _ => panic!("unknown alteration {how}"),
                };
                attestation[member] = other[member].clone();
            }
        }
    }

    /// A signature over what the request holds in `data`.
    pub fn signature(&self, wanted: &Value, data: &[u8]) -> Value {
        let key = self.private_key_pem(wanted["key"].as_str().unwrap());
        let message = match wanted["over"].as_str().unwrap() {
            "data" => data,
            other => other.as_bytes(),
        };
        assert!(wanted.get("saltLength").is_none() && wanted.get("scheme").is_none());
        let der = pem_body(&key);
        let random = SystemRandom::new();
        let signature = if let Ok(pair) = RsaKeyPair::from_pkcs8(&der) {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature)
                .unwrap();
            signature
        } else {
            // Recorded with SHA-256; no signature by such a key is accepted, whatever the hash.
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &der).unwrap();
            pair.sign(&random, message).unwrap().as_ref().to_vec()
        };
        encode(&signature)
    }
}

fn pem_body(pem: &str) -> Vec<u8> {
    let text: String = pem
        .lines()
        .filter(|line| !line.starts_with("---"))
        .collect();
    STANDARD.decode(text).unwrap()
}

fn decode(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn encode(bytes: &[u8]) -> Value {
    STANDARD.encode(bytes).into()
}

fn flipped(report: &[u8], at: usize, bits: u8) -> Value {
    let mut bytes = report.to_vec();
    bytes[at] ^= bits;
    encode(&bytes)
}

fn remove(attestation: &mut Value, member: &str) {
    attestation.as_object_mut().unwrap().remove(member);
}

fn each(attestation: &mut Value, form: impl Fn(&[u8]) -> String) {
    for member in ["evidence", "endorsements", "uvm_endorsements"] {
        attestation[member] = form(&decode(&attestation[member])).into();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
