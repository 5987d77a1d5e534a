//! The functions as values to values; how scripts call them is tested with the engine.
#![allow(clippy::unwrap_used)]

use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::jwk::{Jwk, Kind};
use super::keys::{PrivateKey, PublicKey};
use super::signing::{self, sign, verify};
use super::wrapping::{self, unwrap, wrap};
use super::{CryptoError, chain, generation, known};

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
        (by("RSA-PSS", "SHA-256", 0), Ok(rsa())),
        (by("RSA-PSS", "SHA-256", 32), Ok(rsa())),
        (by("RSA-PSS", "SHA-256", 222), Ok(rsa())),
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
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1,
        ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1,
        EcdsaVerificationAlgorithm, UnparsedPublicKey,
    };
    type ToDer = fn(&[u8]) -> Vec<u8>;
    let p256: ToDer = |fixed| {
        let signature = p256::ecdsa::Signature::from_slice(fixed).unwrap();
        signature.to_der().as_bytes().to_vec()
    };
    let p384: ToDer = |fixed| {
        let signature = p384::ecdsa::Signature::from_slice(fixed).unwrap();
        signature.to_der().as_bytes().to_vec()
    };
    let cases: [(_, _, [&'static EcdsaVerificationAlgorithm; 3]); 2] = [
        (
            "secp256r1",
            p256,
            [
                &ECDSA_P256_SHA256_ASN1,
                &ECDSA_P256_SHA384_ASN1,
                &ECDSA_P256_SHA512_ASN1,
            ],
        ),
        (
            "secp384r1",
            p384,
            [
                &ECDSA_P384_SHA256_ASN1,
                &ECDSA_P384_SHA384_ASN1,
                &ECDSA_P384_SHA512_ASN1,
            ],
        ),
    ];
    for (curve, to_der, verifications) in cases {
        let key = generation::ecdsa(curve).unwrap();
        let (private, _) = pems(&key);
        let PublicKey::Ec(_, point) = key.public().unwrap() else {
            panic!("an EC key");
        };
        let hashes = ["SHA-256", "SHA-384", "SHA-512"];
        for (named, hash) in hashes.iter().enumerate() {
            let signature = to_der(&sign(&by("ECDSA", hash, 0), &private, b"data").unwrap());
            for (at, verification) in verifications.into_iter().enumerate() {
                let key = UnparsedPublicKey::new(verification, &point);
                let holds = key.verify(b"data", &signature).is_ok();
                assert_eq!(holds, at == named, "{curve} {hash} {at}");
            }
        }
    }
}

#[test]
fn signatures_by_openssl_verify_with_the_salt_they_have() {
    let decoded = |text: &str| STANDARD.decode(text).unwrap();
    for (salt, signature) in known::PSS {
        let signature = decoded(signature);
        let holds = |salt, key, data: &[u8]| {
            verify(&by("RSA-PSS", "SHA-256", salt), key, &signature, data).unwrap()
        };
        assert!(holds(salt, known::PUBLIC_KEY, known::DATA), "{salt}");
        assert!(!holds(salt, known::PUBLIC_KEY, b"another"));
        for other in [0, 1, 20, 32, 222, 223, 60_000] {
            let same = other == salt;
            assert_eq!(holds(other, known::PUBLIC_KEY, known::DATA), same);
        }
        assert!(!holds(-1, known::PUBLIC_KEY, known::DATA));
        assert_eq!(holds(-3, known::PUBLIC_KEY, known::DATA), salt == 222);
        assert!(!holds(salt, known::CERTIFICATE, known::DATA));
    }
    // With a certificate in the place of the key CCF checks another padding.
    let signature = decoded(known::PKCS1);
    for (key, want) in [(known::CERTIFICATE, true), (known::PUBLIC_KEY, false)] {
        let algorithm = by("RSA-PSS", "SHA-256", 32);
        assert_eq!(
            verify(&algorithm, key, &signature, known::DATA),
            Ok(want),
            "{key}"
        );
    }
}

#[test]
fn rsa_salts_are_as_long_as_asked_for() {
    use aws_lc_rs::rsa::PublicKeyComponents;
    use aws_lc_rs::signature::{
        RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
        RsaPssSaltLength,
    };
    let PrivateKey::Rsa(pair) = rsa() else {
        panic!("an RSA key");
    };
    let key = PublicKeyComponents {
        n: pair
            .public_key()
            .modulus()
            .big_endian_without_leading_zero()
            .to_vec(),
        e: pair
            .public_key()
            .exponent()
            .big_endian_without_leading_zero()
            .to_vec(),
    };
    let (private, _) = pems(&PrivateKey::Rsa(pair));
    let hashes = [
        ("SHA-256", RSA_PSS_2048_8192_SHA256, 32),
        ("SHA-384", RSA_PSS_2048_8192_SHA384, 48),
        ("SHA-512", RSA_PSS_2048_8192_SHA512, 64),
    ];
    for (hash, parameters, size) in hashes {
        let longest = 256 - 2 - i64::from(size);
        let lengths = [
            (0, 0),
            (1, 1),
            (20, 20),
            (i64::from(size), i64::from(size)),
            (longest, longest),
            (-1, i64::from(size)),
            (-2, longest),
            (-3, longest),
            (-4, i64::from(size)),
        ];
        let mut checked = parameters;
        for (asked, length) in lengths {
            let signature = sign(&by("RSA-PSS", hash, asked), &private, b"data").unwrap();
            let salt = RsaPssSaltLength::Custom(u16::try_from(length).unwrap());
            checked = checked.with_pss_salt_length(salt);
            key.verify(&checked, b"data", &signature)
                .unwrap_or_else(|_| panic!("{hash} {asked}"));
            let salt = RsaPssSaltLength::Custom(u16::try_from(length + 1).unwrap());
            checked = checked.with_pss_salt_length(salt);
            assert!(key.verify(&checked, b"data", &signature).is_err());
        }
        for asked in [longest + 1, 1 << 20, i64::MAX, -5, i64::MIN] {
            let signed = sign(&by("RSA-PSS", hash, asked), &private, b"data");
            assert_eq!(signed, Err(CryptoError::Failed), "{hash} {asked}");
        }
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
    for algorithm in [
        by("ECDSA", "SHA-384", 0),
        by("RSA-PSS", "SHA-384", 48),
        by("RSA-PSS", "SHA-256", -2),
        by("RSA-PSS", "SHA-256", 1 << 16),
    ] {
        let verified = verify(&algorithm, &public, b"", b"").map(|_| Vec::new());
        assert!(unsupported(verified), "{algorithm:?}");
    }
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
    for size in [16, 24, 32] {
        let by = vec![2; size];
        for length in [1, 7, 8, 9, 300] {
            let key = vec![1; length];
            let wrapped = wrap(&key, &by, &kwp).unwrap();
            assert_eq!(wrapped.len(), (length.div_ceil(8) + 1) * 8);
            assert_eq!(unwrap(&wrapped, &by, &kwp).unwrap(), key);
            assert!(unwrap(&wrapped, &vec![3; size], &kwp).is_err());
            assert!(unwrap(&wrapped[1..], &by, &kwp).is_err());
            let mut spoilt = wrapped.clone();
            spoilt[0] ^= 1;
            assert!(unwrap(&spoilt, &by, &kwp).is_err());
            // What a longer key has too much is not used.
            assert_eq!(
                wrap(&key, &[by.as_slice(), &[9; 7]].concat(), &kwp),
                Ok(wrapped)
            );
        }
        assert!(wrap(&[], &by, &kwp).is_err());
        assert!(unwrap(&[], &by, &kwp).is_err());
        assert!(unwrap(&[0; 8], &by, &kwp).is_err());
    }
    assert_eq!(wrap(&[1; 7], &[2; 15], &kwp), Err(CryptoError::Failed));
    let with_192 = wrapping::Algorithm {
        aes_key_size: 192,
        ..both
    };
    let wrapped = wrap(b"a key", public, &with_192).unwrap();
    assert_eq!(unwrap(&wrapped, private, &with_192).unwrap(), b"a key");
}

/// RFC 5649, section 6.
#[test]
fn aes_192_wraps_as_published() {
    let by = hex::decode("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8").unwrap();
    let kwp = wrapping::Algorithm {
        name: "AES-KWP".to_owned(),
        ..wrapping::Algorithm::default()
    };
    for (key, wrapped) in [
        (
            "c37b7e6492584340bed12207808941155068f738",
            "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
        ),
        ("466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"),
    ] {
        let (key, wrapped) = (hex::decode(key).unwrap(), hex::decode(wrapped).unwrap());
        assert_eq!(wrap(&key, &by, &kwp), Ok(wrapped.clone()));
        assert_eq!(unwrap(&wrapped, &by, &kwp), Ok(key));
    }
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
