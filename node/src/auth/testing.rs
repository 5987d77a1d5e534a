//! People who sign, for tests.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
};
use bytes::Bytes;
use coset::cbor::value::Value;

use super::certificate_id;

/// Somebody with a self-signed certificate.
pub(crate) struct Person {
    pub(crate) pem: String,
    pub(crate) der: Vec<u8>,
    pub(crate) id: String,
    pub(crate) key: EcdsaKeyPair,
    pub(crate) algorithm: i64,
}

/// What goes into an envelope; every part can be spoilt.
pub(crate) struct Message {
    pub(crate) protected: Vec<(Value, Value)>,
    pub(crate) unprotected: Vec<(Value, Value)>,
    pub(crate) payload: Value,
    pub(crate) tag: Option<u64>,
}

impl Person {
    pub(crate) fn new() -> Self {
        Self::on_curve(-35)
    }

    /// With the key that the COSE algorithm is meant for.
    pub(crate) fn on_curve(algorithm: i64) -> Self {
        let (kind, signing): (_, &'static EcdsaSigningAlgorithm) = match algorithm {
            -7 => (
                &rcgen::PKCS_ECDSA_P256_SHA256,
                &ECDSA_P256_SHA256_FIXED_SIGNING,
            ),
            -36 => (
                &rcgen::PKCS_ECDSA_P521_SHA512,
                &ECDSA_P521_SHA512_FIXED_SIGNING,
            ),
            _ => (
                &rcgen::PKCS_ECDSA_P384_SHA384,
                &ECDSA_P384_SHA384_FIXED_SIGNING,
            ),
        };
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["person".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let der = certificate.der().to_vec();
        Self {
            pem: certificate.pem(),
            id: certificate_id(&der),
            der,
            key: EcdsaKeyPair::from_pkcs8(signing, &key.serialize_der()).unwrap(),
            algorithm,
        }
    }

    /// A governance message of this type as CCF's tools make it.
    pub(crate) fn message(
        &self,
        kind: &str,
        created_at: u64,
        proposal: Option<&str>,
        payload: &[u8],
    ) -> Message {
        let mut protected = vec![
            (Value::from(1), Value::from(self.algorithm)),
            (Value::from(4), Value::Bytes(self.id.clone().into_bytes())),
            (Value::from("ccf.gov.msg.type"), Value::from(kind)),
            (
                Value::from("ccf.gov.msg.created_at"),
                Value::from(created_at),
            ),
        ];
        if let Some(id) = proposal {
            protected.push((Value::from("ccf.gov.msg.proposal_id"), Value::from(id)));
        }
        Message {
            protected,
            unprotected: Vec::new(),
            payload: Value::Bytes(payload.to_vec()),
            tag: Some(18),
        }
    }

    pub(crate) fn sign(&self, message: &Message) -> Bytes {
        let protected = encode(&Value::Map(message.protected.clone()));
        let signed = encode(&Value::Array(vec![
            Value::from("Signature1"),
            Value::Bytes(protected.clone()),
            Value::Bytes(Vec::new()),
            message.payload.clone(),
        ]));
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        let body = Value::Array(vec![
            Value::Bytes(protected),
            Value::Map(message.unprotected.clone()),
            message.payload.clone(),
            Value::Bytes(signature.as_ref().to_vec()),
        ]);
        Bytes::from(encode(&match message.tag {
            Some(tag) => Value::Tag(tag, Box::new(body)),
            None => body,
        }))
    }
}

impl Message {
    /// Without the header parameter of this label.
    pub(crate) fn without(mut self, label: impl Into<Value>) -> Self {
        let label = label.into();
        self.protected.retain(|(l, _)| *l != label);
        self
    }

    /// With this header parameter, in place of one of the same label.
    pub(crate) fn with(self, label: impl Into<Value> + Clone, value: impl Into<Value>) -> Self {
        let mut message = self.without(label.clone());
        message.protected.push((label.into(), value.into()));
        message
    }
}

fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    coset::cbor::ser::into_writer(value, &mut bytes).unwrap();
    bytes
}
