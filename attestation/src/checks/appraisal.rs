use serde_json::{Value, json};

use super::Case;
use crate::{
    Alternative, AppraisalError, AppraisedClaims, Check, ClaimPolicy, Family, Policies,
    SignatureError, WrapError,
    simulated::{Guest, client_key},
};

fn policy(members: Value) -> ClaimPolicy {
    serde_json::from_value(members).unwrap()
}

fn good() -> ClaimPolicy {
    policy(
        json!({"x-ms-sevsnpvm-hostdata": ["00".repeat(32), "07".repeat(32)], "x-ms-sevsnpvm-is-debuggable": [false]}),
    )
}

fn appraise(
    contract: &ClaimPolicy,
    delegate: Option<&ClaimPolicy>,
) -> Result<AppraisedClaims, AppraisalError> {
    let verified = Case::new().verify().unwrap();
    verified.appraise(
        &Policies { contract, delegate },
        client_key().public_key_pem().as_bytes(),
    )
}

fn check(result: Result<AppraisedClaims, AppraisalError>) -> Check {
    result.map(|_| "accepted").unwrap_err().check()
}

mod pol_01 {
    use super::*;

    #[test]
    fn accepts() {
        let appraised = appraise(&good(), None).unwrap();
        assert_eq!(appraised.alternative(), Alternative::Contract);
        assert_eq!(appraised.host_data(), [7; 32].into());
        assert!(appraised.is_simulated());
    }

    #[test]
    fn refuses() {
        assert_eq!(check(appraise(&ClaimPolicy::default(), None)), Check::Pol01);
        assert_eq!(
            check(appraise(&ClaimPolicy::default(), Some(&good()))),
            Check::Pol01
        );
    }
}

mod pol_02 {
    use super::*;

    #[test]
    fn accepts() {
        let all = Case::new().verify().unwrap();
        let names = all
            .claims()
            .iter()
            .map(|(name, value)| (name.to_owned(), vec![json!(1.5), value.clone()]))
            .collect();
        assert!(appraise(&ClaimPolicy(names), None).is_ok());
        let other = policy(json!({"x-ms-ver": ["9"]}));
        assert_eq!(
            appraise(&other, Some(&good())).unwrap().alternative(),
            Alternative::Delegate
        );
    }

    #[test]
    fn refuses() {
        for members in [
            json!({"x-ms-ver": []}),
            json!({"x-ms-ver": [3]}),
            json!({"x-ms-ver": ["3 "]}),
            json!({"x-ms-sevsnpvm-vmpl": ["0"]}),
            json!({"x-ms-sevsnpvm-vmpl": [false]}),
            json!({"x-ms-sevsnpvm-is-debuggable": ["false", 0, null]}),
            json!({"x-ms-policy-hash": [null]}),
            json!({"signature-r": [Value::Null]}),
            json!({"x-ms-ver": ["3"], "x-ms-sevsnpvm-guestsvn": [3]}),
        ] {
            assert_eq!(
                check(appraise(&policy(members.clone()), None)),
                Check::Pol02,
                "{members}"
            );
        }
        let other = policy(json!({"x-ms-ver": ["9"]}));
        let error = appraise(&other, Some(&other)).unwrap_err();
        let AppraisalError::ClaimsMismatch {
            family: Family::Caci,
            contract,
            delegate: Some(delegate),
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!(contract, delegate);
        assert_eq!(
            (contract[0].got.clone(), contract[0].want.clone()),
            (Some(json!("3")), vec![json!("9")])
        );
        // An empty delegate policy is none.
        let error = appraise(&other, Some(&ClaimPolicy::default())).unwrap_err();
        assert!(matches!(
            error,
            AppraisalError::ClaimsMismatch { delegate: None, .. }
        ));
    }
}

mod pol_03 {
    use super::*;

    #[test]
    fn accepts() {
        assert!(
            appraise(
                &policy(json!({"x-ms-sevsnpvm-hostdata": ["07".repeat(32)]})),
                None
            )
            .is_ok()
        );
    }

    #[test]
    fn refuses() {
        for value in [json!("00".repeat(32)), json!("07".repeat(31)), json!(7)] {
            assert_eq!(
                check(appraise(
                    &policy(json!({"x-ms-sevsnpvm-hostdata": [value]})),
                    None
                )),
                Check::Pol03
            );
        }
    }
}

/// Appraises evidence that binds the digest of this text as a key.
fn bind(pem: &[u8]) -> Result<AppraisedClaims, AppraisalError> {
    let mut case = Case::new();
    case.guest = Guest::new([7; 32].into(), pem);
    case.evidence = case.platform.evidence(&case.guest);
    case.verify().unwrap().appraise(
        &Policies {
            contract: &good(),
            delegate: None,
        },
        pem,
    )
}

mod key_01 {
    use super::*;

    #[test]
    fn accepts() {
        let pem = client_key().public_key_pem().to_owned();
        let appraised = bind(pem.as_bytes()).unwrap();
        assert_eq!(appraised.key_pem(), pem.as_bytes());
        assert_eq!(
            appraised.key_digest(),
            crate::Sha256Digest::of(pem.as_bytes())
        );
    }

    #[test]
    fn refuses() {
        let pem = client_key().public_key_pem().to_owned();
        let verified = Case::new().verify().unwrap();
        let contract = good();
        let policies = Policies {
            contract: &contract,
            delegate: None,
        };
        for other in [format!("{pem}\n"), pem.replace('\n', "\r\n"), String::new()] {
            assert_eq!(
                check(verified.appraise(&policies, other.as_bytes())),
                Check::Key01
            );
        }
        // Without a key nothing is compared, and nothing can be released.
        assert!(verified.appraise_without_key(&policies).is_ok());
        // The padding counts too.
        let mut case = Case::new();
        let mut data = *case.guest.report_data.as_bytes();
        data[63] = 1;
        case.guest.report_data = data.into();
        case.evidence = case.platform.evidence(&case.guest);
        assert_eq!(
            check(case.verify().unwrap().appraise(&policies, pem.as_bytes())),
            Check::Key01
        );
    }
}

mod key_02 {
    use super::*;
    use crate::{pem, simulated::keys::Keys};

    #[test]
    fn accepts() {
        assert!(bind(pem::write("PUBLIC KEY", &Keys::get().ark_spki).as_bytes()).is_ok());
        assert!(bind(format!("{}\r\n", client_key().public_key_pem()).as_bytes()).is_ok());
    }

    #[test]
    fn refuses() {
        let good = client_key().public_key_pem().to_owned();
        let spki = pem::read(good.as_bytes(), "PUBLIC KEY", 1)
            .unwrap()
            .remove(0);
        // The exponent is the last thing in the key.
        let mut small_exponent = spki.clone();
        *small_exponent.last_mut().unwrap() = 3;
        for bad in [
            String::new(),
            good.replace("PUBLIC", "RSA PUBLIC"),
            format!("{good}\n{good}"),
            pem::write("PUBLIC KEY", &Keys::get().vcek_spki),
            pem::write("PUBLIC KEY", &[spki.as_slice(), &[0]].concat()),
            pem::write("PUBLIC KEY", &spki[..100]),
            pem::write("PUBLIC KEY", &small_exponent),
            format!("{good}{}", " ".repeat(5000)),
        ] {
            assert_eq!(check(bind(bad.as_bytes())), Check::Key02, "{bad}");
        }
    }
}

fn appraised() -> AppraisedClaims {
    appraise(&good(), None).unwrap()
}

mod key_03 {
    use super::*;

    #[test]
    fn accepts() {
        let key = client_key();
        let signature = key.sign(b"data").unwrap();
        assert_eq!(
            appraised().verify_signature(key.public_key_pem().as_bytes(), b"data", &signature),
            Ok(())
        );
    }

    #[test]
    fn refuses() {
        let key = client_key();
        let signature = key.sign(b"data").unwrap();
        let same_key_other_bytes = format!("{}\n", key.public_key_pem());
        let result =
            appraised().verify_signature(same_key_other_bytes.as_bytes(), b"data", &signature);
        assert_eq!(result, Err(SignatureError::AttestedKeyMismatch));
        assert_eq!(SignatureError::AttestedKeyMismatch.check(), Check::Key03);
    }
}

mod key_04 {
    use super::*;

    #[test]
    fn accepts() {
        let key = client_key();
        for data in [&b""[..], b"x", &[0; 100_000]] {
            let signature = key.sign(data).unwrap();
            assert!(
                appraised()
                    .verify_signature(key.public_key_pem().as_bytes(), data, &signature)
                    .is_ok()
            );
        }
    }

    #[test]
    fn refuses() {
        let key = client_key();
        let pem = key.public_key_pem().as_bytes().to_vec();
        let signature = key.sign(b"data").unwrap();
        let mut flipped = signature.clone();
        flipped[100] ^= 1;
        for (data, signature) in [
            (&b"date"[..], &signature[..]),
            (b"data", &flipped),
            (b"data", b""),
            (b"data", &signature[1..]),
        ] {
            assert_eq!(
                appraised().verify_signature(&pem, data, signature),
                Err(SignatureError::Invalid)
            );
        }
    }
}

mod key_05 {
    use super::*;

    #[test]
    fn accepts() {
        for length in [1, 7, 8, 9, 16, 25_600] {
            let secret = vec![0x5a; length];
            let wrapped = appraised().wrap(&secret).unwrap();
            assert_eq!(wrapped.len(), 256 + 8 + length.div_ceil(8) * 8);
            assert_eq!(*client_key().unwrap(&wrapped).unwrap(), secret);
        }
    }

    #[test]
    fn refuses() {
        assert_eq!(appraised().wrap(b""), Err(WrapError::Length { got: 0 }));
    }
}

mod key_06 {
    use super::*;

    #[test]
    fn accepts() {
        let private = client_key().private_key_pem().unwrap();
        let wrapped = appraised().wrap(b"secret").unwrap();
        assert_eq!(
            *crate::unwrap(private.as_bytes(), &wrapped).unwrap(),
            b"secret"
        );
    }

    #[test]
    fn refuses() {
        let key = client_key();
        let wrapped = appraised().wrap(b"a secret of three blocks").unwrap();
        for at in [0, 255, 256, wrapped.len() - 1] {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert!(key.unwrap(&changed).is_err(), "{at}");
        }
        for length in [0, 255, 256, 264, wrapped.len() - 1, wrapped.len() - 8] {
            assert!(key.unwrap(&wrapped[..length]).is_err(), "{length}");
        }
        assert!(crate::unwrap(b"no key", &wrapped).is_err());
    }
}

/// Every computed claim is one a policy may name.
#[test]
fn computed_claims_are_policy_claims() {
    let verified = Case::new().verify().unwrap();
    for (name, _) in verified.claims().iter() {
        assert!(Family::Caci.claims().contains(&name), "{name}");
    }
    let all = serde_json::to_value(verified.claims()).unwrap();
    assert_eq!(all["x-ms-sevsnpvm-microcode-svn"], json!(0xdb));
    assert_eq!(all["uvm_endorsements-svn"], json!("103"));
}
