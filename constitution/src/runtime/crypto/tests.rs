//! The functions as values to values; how scripts call them is tested with the engine.
#![allow(clippy::unwrap_used)]

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::jwk::{Jwk, Kind};
use super::keys::{PrivateKey, PublicKey};
use super::signing::{self, sign, verify};
use super::wrapping::{self, unwrap, wrap};
use super::{CryptoError, chain, generation};

fn by(name: &str, hash: &str, salt_length: i64) -> signing::Algorithm {
    signing::Algorithm {
        name: name.to_owned(),
        hash: hash.to_owned(),
        salt_length,
    }
}

fn pems(key: &PrivateKey) -> (String, String) {
    (key.to_pem().unwrap(), key.public().unwrap().to_pem())
}

fn rsa() -> PrivateKey {
    generation::rsa(2048, None).unwrap()
}

#[test]
fn what_is_signed_verifies_and_nothing_else_does() {
    let cases = [
        (by("ECDSA", "SHA-256", 0), generation::ecdsa("secp256r1")),
        (by("ECDSA", "SHA-256", 0), generation::ecdsa("secp384r1")),
        (by("EdDSA", "undefined", 0), generation::eddsa("curve25519")),
        (by("RSA-PSS", "SHA-256", 32), Ok(rsa())),
    ];
    for (algorithm, key) in cases {
        let (private, public) = pems(&key.unwrap());
        let signature = sign(&algorithm, &private, b"data").unwrap();
        assert!(
            verify(&algorithm, &public, &signature, b"data").unwrap(),
            "{algorithm:?}"
        );
        assert!(!verify(&algorithm, &public, &signature, b"Data").unwrap());
        let mut other = signature.clone();
        other[7] ^= 1;
        assert!(!verify(&algorithm, &public, &other, b"data").unwrap());
        assert!(!verify(&algorithm, &public, &[], b"data").unwrap());
    }
}

/// Curve and hash of unequal strength: the signatures are checked with another library's.
#[test]
fn ecdsa_takes_the_hash_that_is_named() {
    use p384::ecdsa::VerifyingKey;
    use p384::ecdsa::signature::hazmat::PrehashVerifier;
    let key = generation::ecdsa("secp384r1").unwrap();
    let (private, _) = pems(&key);
    let PublicKey::Ec(_, point) = key.public().unwrap() else {
        panic!("an EC key");
    };
    let verifier = VerifyingKey::from_sec1_bytes(&point).unwrap();
    for (name, hash) in [
        ("SHA-256", &aws_lc_rs::digest::SHA256),
        ("SHA-384", &aws_lc_rs::digest::SHA384),
        ("SHA-512", &aws_lc_rs::digest::SHA512),
    ] {
        let signature = sign(&by("ECDSA", name, 0), &private, b"data").unwrap();
        let signature = p384::ecdsa::Signature::from_slice(&signature).unwrap();
        let digest = aws_lc_rs::digest::digest(hash, b"data");
        verifier
            .verify_prehash(digest.as_ref(), &signature)
            .unwrap();
    }
}

/// RFC 4231, test case 2.
#[test]
fn hmac_is_keyed_with_the_text() {
    let data = b"what do ya want for nothing?";
    let tag = sign(&by("HMAC", "SHA-256", 0), "Jefe", data).unwrap();
    assert_eq!(
        hex::encode(tag),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

#[test]
fn algorithms_that_are_not_there_are_refused_by_name() {
    let (private, public) = pems(&rsa());
    let unsupported =
        |result: Result<_, CryptoError>| matches!(result, Err(CryptoError::Unsupported { .. }));
    for algorithm in [
        by("RSA-PSS", "SHA-256", 0),
        by("RSA-PSS", "SHA-1", 20),
        by("RSASSA-PKCS1-v1_5", "SHA-256", 0),
    ] {
        assert!(
            unsupported(sign(&algorithm, &private, b"")),
            "{algorithm:?}"
        );
        let verified = verify(&algorithm, &public, b"", b"").map(|_| Vec::new());
        assert!(unsupported(verified), "{algorithm:?}");
    }
    let verified = verify(&by("ECDSA", "SHA-384", 0), &public, b"", b"").map(|_| Vec::new());
    assert!(unsupported(verified));
    assert_eq!(
        sign(&by("ECDSA", "SHA-256", 0), &private, b""),
        Err(CryptoError::PrivateKey)
    );
    assert!(unsupported(generation::aes(64)));
    for key in [
        generation::rsa(1024, None),
        generation::rsa(2048, Some(3)),
        generation::ecdsa("secp521r1"),
        generation::eddsa("ed448"),
    ] {
        assert!(matches!(key, Err(CryptoError::Unsupported { .. })));
    }
}

#[test]
fn wrapped_keys_unwrap() {
    let (private, public) = pems(&rsa());
    let oaep = wrapping::Algorithm {
        name: "RSA-OAEP".to_owned(),
        ..wrapping::Algorithm::default()
    };
    let labelled = wrapping::Algorithm {
        label: Some(b"label".to_vec()),
        ..oaep.clone()
    };
    let kwp = wrapping::Algorithm {
        name: "AES-KWP".to_owned(),
        ..wrapping::Algorithm::default()
    };
    let both = wrapping::Algorithm {
        name: "RSA-OAEP-AES-KWP".to_owned(),
        aes_key_size: 256,
        ..labelled.clone()
    };
    let (private, public) = (private.as_bytes(), public.as_bytes());
    for algorithm in [&oaep, &labelled, &both] {
        let wrapped = wrap(b"a key", public, algorithm).unwrap();
        assert_eq!(unwrap(&wrapped, private, algorithm).unwrap(), b"a key");
        let mut spoilt = wrapped.clone();
        *spoilt.last_mut().unwrap() ^= 1;
        assert!(unwrap(&spoilt, private, algorithm).is_err());
        assert!(unwrap(&wrapped[1..], private, algorithm).is_err());
    }
    let wrapped = wrap(b"a key", public, &labelled).unwrap();
    assert!(
        unwrap(&wrapped, private, &oaep).is_err(),
        "without its label"
    );
    // A key longer than what RSA could wrap alone.
    let long = wrap(&[7; 2000], public, &both).unwrap();
    assert_eq!(unwrap(&long, private, &both).unwrap(), [7; 2000]);
    // RFC 5649, section 6 uses AES-192; this is its shape with AES-128.
    let wrapped = wrap(&[1; 7], &[2; 16], &kwp).unwrap();
    assert_eq!(wrapped.len(), 16);
    assert_eq!(unwrap(&wrapped, &[2; 16], &kwp).unwrap(), [1; 7]);
    assert!(unwrap(&wrapped, &[3; 16], &kwp).is_err());
    assert!(matches!(
        wrap(&[1; 7], &[2; 24], &kwp),
        Err(CryptoError::Unsupported { .. })
    ));
}

#[test]
fn keys_survive_the_way_to_a_jwk_and_back() {
    let cases = [
        (Kind::Ec, generation::ecdsa("secp256r1")),
        (Kind::Ec, generation::ecdsa("secp384r1")),
        (Kind::Rsa, Ok(rsa())),
        (Kind::Okp, generation::eddsa("curve25519")),
        (Kind::Okp, generation::eddsa("x25519")),
    ];
    for (kind, key) in cases {
        let (private, public) = pems(&key.unwrap());
        let jwk = Jwk::of_private(kind, &private).unwrap();
        assert_eq!(jwk.private_pem(kind).unwrap(), private, "{kind:?}");
        assert_eq!(jwk.public_pem(kind).unwrap(), public, "{kind:?}");
        let jwk = Jwk::of_public(kind, &public).unwrap();
        assert_eq!(jwk.public_pem(kind).unwrap(), public, "{kind:?}");
        assert!(jwk.private_pem(kind).is_err(), "{kind:?}");
        for other in [Kind::Ec, Kind::Rsa, Kind::Okp] {
            if other != kind {
                assert!(Jwk::of_public(other, &public).is_err());
                assert!(jwk.public_pem(other).is_err());
            }
        }
    }
}

/// RFC 7517, appendix A.1 and A.2: the first key.
#[test]
fn a_published_key_is_read_and_a_point_off_the_curve_is_not() {
    let json = r#"{"kty":"EC","crv":"P-256",
        "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}"#;
    let jwk: Jwk = serde_json::from_str(json).unwrap();
    let pem = jwk.private_pem(Kind::Ec).unwrap();
    let again = Jwk::of_private(Kind::Ec, &pem).unwrap();
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), value);
    let off = json.replace("4Etl6SRW", "4Etl6SRX");
    let jwk: Jwk = serde_json::from_str(&off).unwrap();
    assert!(jwk.public_pem(Kind::Ec).is_err());
    assert!(jwk.private_pem(Kind::Ec).is_err());
    let other = json.replace("870MB6gf", "870MB6gg");
    let jwk: Jwk = serde_json::from_str(&other).unwrap();
    assert!(
        jwk.private_pem(Kind::Ec).is_err(),
        "the halves are of two keys"
    );
}

struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params
}

fn authority(name: &str, below: Option<u8>) -> Authority {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(match below {
        Some(below) => BasicConstraints::Constrained(below),
        None => BasicConstraints::Unconstrained,
    });
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Authority {
        params,
        key: KeyPair::generate().unwrap(),
    }
}

impl Authority {
    fn itself(&self) -> String {
        self.params.clone().self_signed(&self.key).unwrap().pem()
    }

    fn issue(&self, params: &CertificateParams, key: &KeyPair) -> String {
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.clone().signed_by(key, &issuer).unwrap().pem()
    }
}

#[test]
fn chains_lead_to_what_is_trusted() {
    let root = authority("root", None);
    let middle = authority("middle", Some(0));
    let (leaf, key) = (named("leaf"), KeyPair::generate().unwrap());
    let (root_pem, middle_pem) = (root.itself(), root.issue(&middle.params, &middle.key));
    let leaf_pem = middle.issue(&leaf, &key);
    let whole = format!("{leaf_pem}{middle_pem}");
    assert!(chain::is_valid(&whole, &root_pem));
    assert!(chain::is_valid(&leaf_pem, &middle_pem), "a trusted middle");
    assert!(chain::is_valid(&root_pem, &root_pem), "trusted itself");
    assert!(
        !chain::is_valid(&leaf_pem, &root_pem),
        "the middle is missing"
    );
    assert!(!chain::is_valid(&whole, &authority("root", None).itself()));
    for (chain, trusted) in [("", ""), (&*whole, ""), ("", &*root_pem), ("x", "y")] {
        assert!(!chain::is_valid(chain, trusted));
    }
}

#[test]
fn chains_are_held_to_what_their_certificates_say() {
    let root = authority("root", None);
    let root_pem = root.itself();
    let (leaf, key) = (named("leaf"), KeyPair::generate().unwrap());
    // Not an authority.
    let plain = Authority {
        params: named("middle"),
        key: KeyPair::generate().unwrap(),
    };
    let chain_of = |middle: &Authority, pem: &str| format!("{}{pem}", middle.issue(&leaf, &key));
    let pem = root.issue(&plain.params, &plain.key);
    assert!(!chain::is_valid(&chain_of(&plain, &pem), &root_pem));
    // May not sign certificates.
    let mut silent = authority("middle", None);
    silent.params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let pem = root.issue(&silent.params, &silent.key);
    assert!(!chain::is_valid(&chain_of(&silent, &pem), &root_pem));
    // One authority more than allowed.
    let (first, second) = (authority("first", Some(0)), authority("second", None));
    let chain = format!(
        "{}{}{}",
        second.issue(&leaf, &key),
        first.issue(&second.params, &second.key),
        root.issue(&first.params, &first.key)
    );
    assert!(!chain::is_valid(&chain, &root_pem));
    // Over, and not begun.
    for (from, to) in [(2000, 2001), (4000, 4001)] {
        let mut params = leaf.clone();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        assert!(!chain::is_valid(&root.issue(&params, &key), &root_pem));
    }
    assert!(chain::is_valid(&root.issue(&leaf, &key), &root_pem));
}

/// Certificates that all claim to have issued each other end the search early.
#[test]
fn a_thicket_of_certificates_is_left() {
    let tangled: Vec<Authority> = (0..30).map(|_| authority("same", None)).collect();
    let (leaf, key) = (named("leaf"), KeyPair::generate().unwrap());
    let stranger = authority("stranger", None);
    let mut chain = tangled[0].issue(&leaf, &key);
    for pair in tangled.windows(2) {
        chain.push_str(&pair[1].issue(&pair[0].params, &pair[0].key));
    }
    assert!(!chain::is_valid(&chain, &stranger.itself()));
}
