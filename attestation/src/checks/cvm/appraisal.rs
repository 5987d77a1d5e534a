//! What a policy says of a confidential VM, and what binds its key.

use serde_json::{Value, json};

use super::Vm;
use crate::{
    AppraisalError, AppraisedClaims, Check, ClaimPolicy, Family, Policies, QuoteNonce, ReportData,
    simulated::client_key,
};

fn policy(members: Value) -> ClaimPolicy {
    serde_json::from_value(members).unwrap()
}

fn register(index: u8) -> Value {
    Vm::new().evidence.to_request()["evidence"]["pcrs"][index.to_string()].clone()
}

fn appraise(contract: Value, delegate: Option<Value>) -> Result<AppraisedClaims, AppraisalError> {
    let verified = Vm::new().verify().unwrap();
    let (contract, delegate) = (policy(contract), delegate.map(policy));
    let policies = Policies {
        contract: &contract,
        delegate: delegate.as_ref(),
    };
    verified.appraise(&policies, client_key().public_key_pem().as_bytes())
}

mod pol_04 {
    use super::*;

    #[test]
    fn accepts() {
        let all = Vm::new().verify().unwrap();
        assert_eq!(all.family(), Family::Cvm);
        for (name, _) in all.claims().iter() {
            assert!(Family::Cvm.claims().contains(&name), "{name}");
        }
        let all = all
            .claims()
            .iter()
            .map(|(name, value)| (name.to_owned(), json!([value])));
        assert!(appraise(all.collect(), None).is_ok());
        // The families stand side by side.
        let mixed =
            json!({ "pcr4": [register(4)], "x-ms-sevsnpvm-hostdata": ["07"], "oid": ["x"] });
        assert!(appraise(mixed, None).is_ok());
        let delegated = appraise(
            json!({ "pcr4": ["x"] }),
            Some(json!({ "pcr4": [register(4)] })),
        );
        assert_eq!(
            delegated.unwrap().alternative(),
            crate::Alternative::Delegate
        );
    }

    #[test]
    fn refuses() {
        for bad in [
            json!({ "pcr4": [register(5)] }),
            json!({ "pcr4": [] }),
            json!({ "pcr4": [register(4)], "vm-configuration-secure-boot": [false] }),
            json!({ "pcr4": [register(4)], "cvm-guestsvn": [3] }),
        ] {
            let error = appraise(bad, Some(json!({ "x-ms-ver": ["3"] }))).unwrap_err();
            assert_eq!(error.check(), Check::Pol04);
        }
        for silent in [
            json!({}),
            json!({ "x-ms-ver": ["3"] }),
            json!({ "oid": ["x"] }),
        ] {
            assert_eq!(appraise(silent, None).unwrap_err().check(), Check::Pol01);
        }
    }
}

mod pol_05 {
    use super::*;

    #[test]
    fn accepts() {
        assert!(
            appraise(
                json!({ "pcr15": [register(15)], "pcr16": [register(16)] }),
                None
            )
            .is_ok()
        );
    }

    #[test]
    fn refuses() {
        for loose in [
            json!({ "pcr16": [register(16)] }),
            json!({ "vm-configuration-secure-boot": [true], "pcr23": [register(23)] }),
            // A policy for container groups that was never meant to admit a VM.
            json!({ "x-ms-ver": ["3"], "vm-configuration-secure-boot": [true] }),
        ] {
            assert_eq!(appraise(loose, None).unwrap_err().check(), Check::Pol05);
        }
        let loose = Some(json!({ "pcr16": [register(16)] }));
        assert!(appraise(json!({ "pcr4": ["x"] }), loose).is_err());
    }
}

mod key_07 {
    use super::*;

    #[test]
    fn accepts() {
        let contract = json!({ "pcr4": [register(4)] });
        let appraised = appraise(contract, None).unwrap();
        let wrapped = appraised.wrap(b"secret").unwrap();
        assert_eq!(*client_key().unwrap(&wrapped).unwrap(), b"secret");
    }

    #[test]
    fn refuses() {
        let contract = policy(json!({ "pcr4": [register(4)] }));
        let policies = Policies {
            contract: &contract,
            delegate: None,
        };
        let verified = Vm::new().verify().unwrap();
        let other = format!("{}\n", client_key().public_key_pem());
        for key in [other.as_bytes(), b"", b"x"] {
            let error = verified.appraise(&policies, key).unwrap_err();
            assert_eq!(error.check(), Check::Key07);
        }
        // Without the digest of a key, only a constant nonce comes this far.
        let mut vm = Vm::new();
        (vm.nonce, vm.evidence) = (
            QuoteNonce::Constant,
            vm.guest.evidence_for(QuoteNonce::Constant),
        );
        for text in ["00", "zz", &"e2".repeat(63)] {
            vm.claims(|claims| claims["user-data"] = json!(text));
            let key = client_key();
            let error = vm
                .verify()
                .unwrap()
                .appraise(&policies, key.public_key_pem().as_bytes());
            assert_eq!(error.unwrap_err().check(), Check::Key07);
        }
        assert!(!vm.verify().unwrap().vm().unwrap().quote_binds_key);
    }
}

mod key_08 {
    use super::*;

    /// Container group and virtual machine that answered `c`, appraised against challenges.
    fn results(challenge: Option<&[u8]>) -> [Result<AppraisedClaims, AppraisalError>; 2] {
        let key = client_key();
        let pem = key.public_key_pem().as_bytes();
        let mut group = super::super::super::Case::new();
        group.guest.report_data = ReportData::answering(pem, b"c");
        group.evidence = group.platform.evidence(&group.guest);
        let mut vm = Vm::new();
        (vm.nonce, vm.evidence) = (
            QuoteNonce::Challenge(b"c"),
            vm.guest.evidence_for(QuoteNonce::Challenge(b"c")),
        );
        let contract = policy(json!({ "pcr4": [register(4)], "x-ms-ver": ["3"] }));
        let policies = Policies {
            contract: &contract,
            delegate: None,
        };
        [group.verify(), vm.verify()].map(|verified| {
            verified
                .unwrap()
                .appraise_answering(&policies, pem, challenge)
        })
    }

    #[test]
    fn accepts() {
        for result in results(Some(b"c")) {
            assert!(result.is_ok());
        }
    }

    #[test]
    fn refuses() {
        for result in results(Some(b"d")) {
            assert_eq!(result.unwrap_err().check(), Check::Key08);
        }
        let [group, vm] = results(None);
        assert_eq!(group.unwrap_err().check(), Check::Key01);
        assert_eq!(vm.unwrap_err().check(), Check::Key08);
    }
}
