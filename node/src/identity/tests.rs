//! Certificates against the profile, keys against an independent verifier.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;

fn validity() -> Validity {
    Validity {
        from: OffsetDateTime::from_unix_timestamp(1_780_000_000).unwrap(),
        days: 1,
    }
}

fn subject() -> Subject {
    Subject {
        name: "CN=CCF Node".into(),
        alternative_names: vec!["iPAddress:127.0.0.1".into(), "dNSName:localhost".into()],
    }
}

fn check(pem: &str, look: impl FnOnce(&X509Certificate<'_>)) {
    let der = certificate_der(pem).unwrap();
    let (rest, certificate) = X509Certificate::from_der(&der).unwrap();
    assert!(rest.is_empty());
    look(&certificate);
}

/// The uncompressed point at the end of a SubjectPublicKeyInfo.
fn point(spki: &[u8]) -> &[u8] {
    &spki[spki.len() - 97..]
}

#[test]
fn the_service_certificate_follows_the_profile() {
    let key = IdentityKey::generate().unwrap();
    let pem = self_signed_service(&key, "CN=CCF Service", validity()).unwrap();
    check(&pem, |certificate| {
        assert_eq!(certificate.subject().to_string(), "CN=CCF Service");
        assert_eq!(certificate.public_key().raw, key.public_key_der());
        let constraints = certificate.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(1));
        let usage = certificate.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign() && usage.value.digital_signature());
        let length = certificate.validity().not_after.timestamp()
            - certificate.validity().not_before.timestamp();
        assert_eq!(length, 24 * 3600 - 1);
        assert!(certificate.verify_signature(None).is_ok());
    });
}

#[test]
fn an_endorsed_node_certificate_chains_to_the_service() {
    let service = IdentityKey::generate().unwrap();
    let node = IdentityKey::generate().unwrap();
    let service_pem = self_signed_service(&service, "CN=CCF Service", validity()).unwrap();
    let direct = endorse_node(&node, &subject(), validity(), &service, "CN=CCF Service").unwrap();
    let request = signing_request(&node, &subject()).unwrap();
    let requested = endorse_request(&request, validity(), &service, "CN=CCF Service").unwrap();
    for pem in [direct, requested] {
        check(&service_pem, |issuer| {
            check(&pem, |certificate| {
                assert_eq!(certificate.issuer(), issuer.subject());
                assert!(
                    certificate
                        .verify_signature(Some(issuer.public_key()))
                        .is_ok()
                );
                assert!(!certificate.basic_constraints().unwrap().unwrap().value.ca);
                assert_eq!(
                    certificate
                        .subject_alternative_name()
                        .unwrap()
                        .unwrap()
                        .value
                        .general_names
                        .len(),
                    2
                );
                assert_eq!(certificate.public_key().raw, node.public_key_der());
            });
        });
    }
}

#[test]
fn a_request_that_was_altered_is_refused() {
    let node = IdentityKey::generate().unwrap();
    let service = IdentityKey::generate().unwrap();
    for bad in [
        "",
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
    ] {
        assert!(matches!(
            endorse_request(bad, validity(), &service, "CN=CCF Service"),
            Err(CertificateError::Request { .. })
        ));
    }
    assert!(
        signing_request(&node, &subject())
            .unwrap()
            .contains("CERTIFICATE REQUEST")
    );
}

#[test]
fn root_signatures_verify_with_the_root_as_digest() {
    let key = IdentityKey::generate().unwrap();
    // The root is itself the SHA-256 of something here, so a verifier that hashes can check it.
    let message = b"some message";
    let root: [u8; 32] = digest(&SHA256, message).as_ref().try_into().unwrap();
    let signature = key.sign_root(&root).unwrap();
    let public = UnparsedPublicKey::new(&ECDSA_P384_SHA256_ASN1, point(key.public_key_der()));
    assert!(public.verify(message, &signature).is_ok());
    assert!(public.verify(b"another", &signature).is_err());
}

#[test]
fn fixed_signatures_verify_and_keys_survive_pem() {
    let key = IdentityKey::generate().unwrap();
    let same = IdentityKey::from_pkcs8_pem(&key.to_pkcs8_pem()).unwrap();
    assert_eq!(key.id(), same.id());
    let signature = same.sign_fixed(b"message").unwrap();
    assert_eq!(signature.len(), 96);
    let public = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point(key.public_key_der()));
    assert!(public.verify(b"message", &signature).is_ok());
    assert!(IdentityKey::from_pkcs8_pem("no key").is_err());
}

#[test]
fn names_and_times_are_checked() {
    let key = IdentityKey::generate().unwrap();
    for bad in ["", "CCF", "X=1", "CN="] {
        assert!(
            matches!(
                self_signed_service(&key, bad, validity()),
                Err(CertificateError::SubjectName { .. })
            ),
            "{bad:?}"
        );
    }
    for bad in ["127.0.0.1", "iPAddress:nonsense", "email:a@b"] {
        let subject = Subject {
            alternative_names: vec![bad.into()],
            ..subject()
        };
        assert!(
            matches!(
                signing_request(&key, &subject),
                Err(CertificateError::AlternativeName { .. })
            ),
            "{bad:?}"
        );
    }
    let none = Validity {
        days: 0,
        ..validity()
    };
    assert!(matches!(
        self_signed_service(&key, "CN=a", none),
        Err(CertificateError::Validity { .. })
    ));
}

#[test]
fn starts_of_validity_in_all_forms() {
    let want = OffsetDateTime::from_unix_timestamp(1_780_317_296).unwrap();
    for text in [
        "260601123456Z",
        "20260601123456Z",
        "2026-06-01 12:34:56",
        "2026-06-01T12:34:56Z",
        "2026-06-01T14:34:56+02:00",
    ] {
        assert_eq!(parse_valid_from(text).unwrap(), want, "{text}");
    }
    for text in ["", "yesterday", "20260631123456Z"] {
        assert!(parse_valid_from(text).is_err(), "{text}");
    }
}
