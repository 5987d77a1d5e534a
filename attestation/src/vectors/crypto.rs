//! Project Wycheproof's vectors for the primitives in use.

use aws_lc_rs::{
    key_wrap::{AES_128, AES_256, AesKek, KeyWrapPadded},
    rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey},
};
use p384::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};

use super::*;
use crate::{
    crypto::{self, Curve, Hash},
    der,
};

#[test]
fn primitives_give_the_listed_results() {
    let Some(folder) = folder("primitives_give_the_listed_results") else {
        return;
    };
    let mut tally = Tally::default();
    for entry in fs::read_dir(folder.join("crypto")).unwrap() {
        let path = entry.unwrap().path();
        let file = read_json(&path);
        for group in array(&file, "testGroups") {
            let Some(run) = runner(&file, group) else {
                continue;
            };
            for test in array(group, "tests") {
                // "acceptable" covers parameters that are weak but valid; either answer is right.
                let want = text(test, "result");
                if want != "acceptable" {
                    let got = if run(test) { "valid" } else { "invalid" };
                    tally.expect(&format!("{} {}", path.display(), test["tcId"]), got, want);
                }
            }
        }
    }
    tally.finish("crypto", 600);
}

type Run = Box<dyn Fn(&Value) -> bool>;

/// How to run a group; `None` for key sizes the library does not have.
fn runner(file: &Value, group: &Value) -> Option<Run> {
    let bytes = |value: &Value, name: &str| hex::decode(text(value, name)).unwrap();
    Some(match text(file, "algorithm") {
        "AES-KWP" => {
            let cipher = match group["keySize"].as_u64().unwrap() {
                128 => &AES_128,
                256 => &AES_256,
                _ => return None,
            };
            Box::new(move |test| {
                let (key, wrapped) = (bytes(test, "key"), bytes(test, "ct"));
                let mut out = vec![0; wrapped.len() + 8];
                AesKek::new(cipher, &key)
                    .and_then(|kek| {
                        kek.unwrap_with_padding(&wrapped, &mut out)
                            .map(|plain| plain.to_vec())
                    })
                    .is_ok_and(|plain| plain == bytes(test, "msg"))
            })
        }
        "RSASSA-PSS" => {
            let hash = match text(group, "sha") {
                "SHA-256" => Hash::Sha256,
                "SHA-384" => Hash::Sha384,
                other => panic!("{other}"),
            };
            // RSAPublicKey; the library takes it as well as SubjectPublicKeyInfo.
            let key = bytes(group, "publicKeyAsn");
            Box::new(move |test| {
                crypto::rsa_pss(hash, &key, &bytes(test, "msg"), &bytes(test, "sig"))
            })
        }
        "RSAES-OAEP" => {
            let key = bytes(group, "privateKeyPkcs8");
            let key =
                OaepPrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(&key).unwrap())
                    .unwrap();
            Box::new(move |test| {
                let mut out = vec![0; key.min_output_size()];
                let label = bytes(test, "label");
                let label = (!label.is_empty()).then_some(label.as_slice());
                key.decrypt(&OAEP_SHA256_MGF1SHA256, &bytes(test, "ct"), &mut out, label)
                    .is_ok_and(|plain| plain == bytes(test, "msg"))
            })
        }
        "ECDSA" => {
            let key = bytes(&group["publicKey"], "uncompressed");
            let other = VerifyingKey::from_sec1_bytes(&key).unwrap();
            Box::new(move |test| {
                let (message, signature) = (bytes(test, "msg"), bytes(test, "sig"));
                let holds = crypto::ecdsa_fixed(Curve::P384, &key, &message, &signature);
                let again = Signature::from_slice(&signature)
                    .is_ok_and(|s| other.verify(&message, &s).is_ok());
                assert_eq!(holds, again, "two implementations differ: {test}");
                holds
            })
        }
        other => panic!("unknown algorithm {other}"),
    })
}

/// The writer of the simulated certificates is checked against the reader by every simulated test; this is its own check.
#[test]
fn written_identifiers_are_read_back() {
    use x509_parser::asn1_rs::{FromDer, Oid};
    for text in [
        "1.3.6.1.4.1.3704.1.3.9",
        "2.5.29.19",
        "1.3.6.1.4.1.311.76.59.1.2",
        "1.2.840.113549.1.1.12",
    ] {
        let der = der::oid(text);
        let (rest, oid) = Oid::from_der(&der).unwrap();
        assert_eq!((rest.len(), oid.to_id_string().as_str()), (0, text));
    }
}
