//! Everybody who appears in `as`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use governance::{Client, Identity};
use serde_json::Value;

use crate::transcript::{Person, Setup};

pub struct People {
    identities: BTreeMap<String, Identity>,
    tokens: BTreeMap<String, Person>,
    issuers: RefCell<BTreeMap<String, Issuer>>,
}

/// A token issuer with an RSA key and a certificate for it.
struct Issuer {
    key: RsaKeyPair,
    x5c: String,
}

impl Issuer {
    fn new() -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap();
        let der = rustls_pki_types::PrivatePkcs8KeyDer::from(pkcs8.as_ref());
        let pair =
            rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_RSA_SHA256).unwrap();
        let params = rcgen::CertificateParams::new(vec![]).unwrap();
        let x5c = STANDARD.encode(params.self_signed(&pair).unwrap().der());
        Self { key, x5c }
    }
}

impl People {
    pub fn new(setup: &Setup) -> Self {
        let (tokens, certified): (BTreeMap<_, _>, BTreeMap<_, _>) = setup
            .identities
            .clone()
            .into_iter()
            .partition(|(_, person)| person.kind == "token");
        let identities = certified
            .into_iter()
            .map(|(name, person)| {
                let identity = Identity::generate(&name, Duration::from_secs(3600)).unwrap();
                let identity = match person.kind.as_str() {
                    "member" => identity.with_encryption_key().unwrap(),
                    _ => identity,
                };
                (name, identity)
            })
            .collect();
        Self {
            identities,
            tokens,
            issuers: RefCell::default(),
        }
    }

    pub fn identities(&self) -> impl Iterator<Item = (&str, &Identity)> {
        self.identities
            .iter()
            .map(|(name, identity)| (name.as_str(), identity))
    }

    pub fn identity(&self, name: &str) -> &Identity {
        &self.identities[name]
    }

    pub fn x5c(&self, issuer: &str) -> String {
        let mut issuers = self.issuers.borrow_mut();
        issuers
            .entry(issuer.to_owned())
            .or_insert_with(Issuer::new)
            .x5c
            .clone()
    }

    /// A client that calls as `caller`: nobody, a certificate, a token, or `jwt:NAME+WHO` both.
    pub fn client(&self, url: &str, service: &str, caller: Option<&str>) -> Client {
        let (token, certificate) = match caller {
            None => (None, None),
            Some(caller) => match caller.strip_prefix("jwt:") {
                None => (None, Some(caller)),
                Some(rest) => match rest.split_once('+') {
                    None => (Some(rest), None),
                    Some((token, certificate)) => (Some(token), Some(certificate)),
                },
            },
        };
        let client = match certificate {
            None => Client::new(url, service).unwrap(),
            Some(name) => Client::with_identity(url, service, self.identity(name)).unwrap(),
        };
        match token {
            None => client,
            Some(name) => client.with_bearer_token(&self.token(name)).unwrap(),
        }
    }

    fn token(&self, name: &str) -> String {
        let person = &self.tokens[&format!("jwt:{name}")];
        let claims = at_this_time(&person.claims);
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&person.header), part(&claims));
        let mut issuers = self.issuers.borrow_mut();
        let issuer = issuers
            .entry(person.signed_by.clone())
            .or_insert_with(Issuer::new);
        let mut signature = vec![0; issuer.key.public_modulus_len()];
        issuer
            .key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .unwrap();
        if person.signature == "altered" {
            signature[0] ^= 1;
        }
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// `"<now+3600>"` is seconds from the time of the request.
fn at_this_time(claims: &Value) -> Value {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let now = i64::try_from(now).unwrap();
    let mut claims = claims.clone();
    for value in claims.as_object_mut().unwrap().values_mut() {
        let offset = value.as_str().and_then(|text| {
            text.strip_prefix("<now")?
                .strip_suffix('>')?
                .parse::<i64>()
                .ok()
        });
        if let Some(offset) = offset {
            *value = (now + offset).into();
        }
    }
    claims
}
