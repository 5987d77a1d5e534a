//! UVM endorsements of the simulated platform, in both real forms.

use std::sync::OnceLock;

use aws_lc_rs::{digest, rand::SystemRandom, signature};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ciborium::Value;

use super::{
    certificates::{Algorithm, CertificateSpec, NOT_AFTER, NOT_BEFORE, extension, uvm_name},
    keys::{Keys, rsa_spki},
};
use crate::{bytes::Measurement, policy::CACI_FEED, time::UnixTime, uvm::UvmForm};

/// What the real issuer of CACI utility VMs names as key usage.
pub(crate) const CACI_USAGE: &str = "1.3.6.1.4.1.311.76.59.1.2";

/// 2026-01-01.
pub(crate) const SIGNING_TIME: UnixTime = UnixTime::from_secs(1_767_225_600);

/// The certificates of the simulated issuer, leaf first.
#[derive(Clone, Debug)]
pub(crate) struct IssuerSpec {
    pub(crate) leaf: CertificateSpec,
    pub(crate) ca: CertificateSpec,
    pub(crate) root: CertificateSpec,
}

impl IssuerSpec {
    pub(crate) fn new() -> Self {
        let keys = Keys::get();
        let (root_name, ca_name) = (
            uvm_name("Simulated UVM Root CA"),
            uvm_name("Simulated UVM CA"),
        );
        let authority = |serial, issuer: &[u8], subject: &[u8], spki: Vec<u8>| CertificateSpec {
            serial,
            algorithm: Algorithm::Pkcs1,
            outer_algorithm: None,
            issuer: issuer.to_vec(),
            subject: subject.to_vec(),
            not_before: NOT_BEFORE,
            not_after: NOT_AFTER,
            spki,
            extensions: extension::authority(),
        };
        Self {
            leaf: CertificateSpec {
                extensions: vec![extension::usages(&[
                    "1.3.6.1.4.1.311.76.59.1.1",
                    CACI_USAGE,
                ])],
                ..authority(
                    3,
                    &ca_name,
                    &uvm_name("Simulated ContainerPlat"),
                    rsa_spki(&keys.uvm_leaf),
                )
            },
            ca: authority(2, &root_name, &ca_name, rsa_spki(&keys.uvm_ca)),
            root: authority(1, &root_name, &root_name, rsa_spki(&keys.uvm_root)),
        }
    }

    pub(crate) fn certificates(&self) -> Vec<Vec<u8>> {
        let keys = Keys::get();
        vec![
            self.leaf.sign(&keys.uvm_ca),
            self.ca.sign(&keys.uvm_root),
            self.root.sign(&keys.uvm_root),
        ]
    }
}

/// The certificates every endorsement carries. PKCS #1 v1.5 signatures are deterministic, so they are always the same bytes.
pub(crate) fn certificates() -> &'static [Vec<u8>] {
    static CERTIFICATES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    CERTIFICATES.get_or_init(|| IssuerSpec::new().certificates())
}

/// The did:x509 of the simulated issuer.
pub(crate) fn issuer() -> &'static str {
    static ISSUER: OnceLock<String> = OnceLock::new();
    ISSUER.get_or_init(|| {
        let root = certificates().last().map(Vec::as_slice).unwrap_or_default();
        did(root, CACI_USAGE)
    })
}

/// A did:x509 for an authority's certificate and one key usage.
pub(crate) fn did(authority: &[u8], usage: &str) -> String {
    let fingerprint = BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, authority));
    format!("did:x509:0:sha256:{fingerprint}::eku:{usage}")
}

/// What goes into an endorsement. Public to the tests of this crate, which put wrong things in.
#[derive(Clone, Debug)]
pub(crate) struct EndorsementSpec {
    pub(crate) tag: u64,
    pub(crate) protected: Vec<(Value, Value)>,
    pub(crate) unprotected: Vec<(Value, Value)>,
    pub(crate) payload: Value,
}

impl EndorsementSpec {
    pub(crate) fn new(form: UvmForm, svn: u64, measurement: Measurement) -> Self {
        let chain = certificates()
            .iter()
            .map(|der| Value::Bytes(der.clone()))
            .collect();
        let mut protected = vec![
            (Value::from(1), Value::from(-38)),
            (Value::from(33), Value::Array(chain)),
        ];
        let payload = match form {
            UvmForm::Legacy => {
                protected.extend([
                    (Value::from(3), Value::from("application/json")),
                    (Value::from("iss"), Value::from(issuer())),
                    (Value::from("feed"), Value::from(CACI_FEED)),
                    (
                        Value::from("signingtime"),
                        Value::Tag(1, Box::new(SIGNING_TIME.as_secs().into())),
                    ),
                ]);
                let payload = serde_json::json!({
                    "x-ms-sevsnpvm-launchmeasurement": measurement,
                    "x-ms-sevsnpvm-guestsvn": svn.to_string(),
                    "x-ms-sevsnpvm-guestsvn-int": svn,
                });
                payload.to_string().into_bytes()
            }
            UvmForm::Cwt => {
                let claims = vec![
                    (Value::from(1), Value::from(issuer())),
                    (Value::from(2), Value::from(CACI_FEED)),
                    (
                        Value::from(6),
                        Value::Tag(1, Box::new(SIGNING_TIME.as_secs().into())),
                    ),
                    (Value::from("svn"), svn.into()),
                ];
                protected.extend([
                    (Value::from(15), Value::Map(claims)),
                    (Value::from(258), Value::from(-43)),
                    (Value::from(259), Value::from("application/octet-stream")),
                ]);
                measurement.as_bytes().to_vec()
            }
        };
        Self {
            tag: 18,
            protected,
            unprotected: Vec::new(),
            payload: Value::Bytes(payload),
        }
    }

    /// COSE_Sign1, signed by the simulated leaf with PS384.
    pub(crate) fn sign(&self) -> Vec<u8> {
        let protected = Value::Bytes(encode(&Value::Map(self.protected.clone())));
        let payload = match &self.payload {
            Value::Bytes(_) => self.payload.clone(),
            _ => Value::Bytes(Vec::new()),
        };
        let signed = encode(&Value::Array(vec![
            Value::from("Signature1"),
            protected.clone(),
            Value::Bytes(Vec::new()),
            payload,
        ]));
        let key = &Keys::get().uvm_leaf;
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(
            &signature::RSA_PSS_SHA384,
            &SystemRandom::new(),
            &signed,
            &mut signature,
        )
        .expect("invariant: the simulated keys are RSA keys that can sign");
        encode(&Value::Tag(
            self.tag,
            Box::new(Value::Array(vec![
                protected,
                Value::Map(self.unprotected.clone()),
                self.payload.clone(),
                Value::Bytes(signature),
            ])),
        ))
    }
}

pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).expect("invariant: writing to memory does not fail");
    out
}
