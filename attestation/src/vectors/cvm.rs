//! Confidential VMs: genuine evidence, made-up evidence, certificates of attestation keys, genuine halves joined.

use serde_json::json;

use super::*;
use crate::{
    AppraisalError, ClaimPolicy, CvmEvidence, CvmPolicy, FirmwareIdentity, Policies, QuoteNonce,
    VtpmAuthority,
};

fn request(path: &Path) -> Value {
    let request = read_json(path);
    match &request["attestation"] {
        Value::Null => request,
        attestation => attestation.clone(),
    }
}

/// The vectors leave the certificate of the attestation key out; the paravisor in the report is pinned in its place.
fn pinning(mut policy: PlatformPolicy, evidence: &CvmEvidence) -> PlatformPolicy {
    let digest: [u8; 48] = evidence
        .report
        .get(0xe0..0x110)
        .and_then(|digest| digest.try_into().ok())
        .unwrap_or([0; 48]);
    policy.cvm.id_keys = vec![FirmwareIdentity {
        digest: digest.into(),
        min_guest_svn: 0,
    }];
    policy
}

#[test]
fn real_machines_give_the_listed_results() {
    let Some(folder) = folder("real_machines_give_the_listed_results") else {
        return;
    };
    let index = read_json(&folder.join("index.json"));
    let now = verify_at(&index);
    let policy = strict(&[]);
    let anchors = TrustAnchors::production();
    let mut tally = Tally::default();
    for vector in array(&index, "vectors") {
        let Some(want) = vector["expected"]["cvm_strict"].as_str() else {
            continue;
        };
        let id = text(vector, "id");
        let dir = folder.join(text(vector, "dir"));
        let evidence = CvmEvidence::from_request(&request(&dir.join("request.json"))).unwrap();
        let policy = pinning(policy.clone(), &evidence);
        let run = |nonce: QuoteNonce<'_>, verifier: &Verifier| {
            outcome(verifier.verify_cvm(&evidence, &policy, nonce, now))
        };
        let got = same_outcome(&anchors, |verifier| run(QuoteNonce::Recorded, verifier));
        tally.expect(id, &got, want);
        if want != "ok" {
            continue;
        }
        // None of them was made for a key.
        let got = same_outcome(&anchors, |verifier| run(QuoteNonce::Key, verifier));
        tally.expect(id, &got, "QuoteNonceMismatch");
        let pem = dir.join("pub_key.pem");
        if pem.exists() {
            let verifier = Verifier::new(anchors.clone());
            let verified = verifier
                .verify_cvm(&evidence, &policy, QuoteNonce::Constant, now)
                .unwrap();
            let contract = ClaimPolicy(
                [(
                    "pcr4".to_owned(),
                    vec![request(&dir.join("request.json"))["evidence"]["pcrs"]["4"].clone()],
                )]
                .into(),
            );
            let policies = Policies {
                contract: &contract,
                delegate: None,
            };
            let appraised = verified.appraise(&policies, &read(&pem));
            // One of the samples binds an EC key, which nothing can be wrapped to.
            let got = appraised.map_or_else(|error| error.class().to_string(), |_| "ok".to_owned());
            assert!(got == "ok" || got == "UnusableKey", "{id}: {got}");
            let other = verified.appraise(&policies, b"another key").unwrap_err();
            tally.expect(id, other.class().as_str(), "UserDataMismatch");
            let denied = PlatformPolicy {
                denied_keys: PlatformPolicy::production().denied_keys,
                ..policy.clone()
            };
            let denied = verifier.verify_cvm(&evidence, &denied, QuoteNonce::Constant, now);
            tally.expect(id, &outcome(denied), "InsecureEvidence");
        }
    }
    tally.finish("machines", 10);
}

#[test]
fn requests_of_real_machines_lead_to_the_pinned_authority() {
    let Some(folder) = folder("requests_of_real_machines_lead_to_the_pinned_authority") else {
        return;
    };
    let path = folder.join("cvm/acr-cvm-enc/cgs_get_secret_request.json");
    let evidence = CvmEvidence::from_request(&request(&path)).unwrap();
    assert_eq!(
        CvmEvidence::from_request(&evidence.to_request()).unwrap(),
        evidence
    );
    let mut policy = strict(&[]);
    let verifier = Verifier::new(TrustAnchors::production());
    let now = verify_at(&read_json(&folder.join("index.json")));
    let verified = verifier
        .verify_cvm(&evidence, &policy, QuoteNonce::Constant, now)
        .unwrap();
    assert!(!verified.vm().unwrap().quote_binds_key);
    assert_eq!(
        verified.claims().get("vm-configuration-secure-boot"),
        Some(&json!(true))
    );
    policy.cvm.authorities.clear();
    let refused = verifier.verify_cvm(&evidence, &policy, QuoteNonce::Constant, now);
    assert_eq!(outcome(refused), "AikCertUntrusted");
}

#[test]
fn synthetic_machines_give_the_listed_results() {
    let Some(synthetic) = Synthetic::load("synthetic_machines_give_the_listed_results") else {
        return;
    };
    let Synthetic {
        folder,
        index,
        now,
        anchors,
        policy,
        key,
    } = synthetic;
    let listed = &index["policy"];
    let pcr = |name: &str| {
        let value = hex::decode(text(&listed["cvm"], name)).unwrap();
        (name.to_owned(), vec![crate::request::encode(&value)])
    };
    let contract = ClaimPolicy([pcr("pcr4"), pcr("pcr7")].into());
    let policies = Policies {
        contract: &contract,
        delegate: None,
    };
    let mut tally = Tally::default();
    let vectors = array(&index, "vectors").iter();
    for vector in vectors.filter(|vector| vector["kind"] == json!("cvm")) {
        let path = folder.join(text(&vector["files"], "request"));
        let run = |verifier: &Verifier| {
            let evidence = match CvmEvidence::from_request(&request(&path)) {
                Ok(evidence) => evidence,
                Err(error) => return error.class().to_string(),
            };
            let policy = pinning(policy.clone(), &evidence);
            match verifier.verify_cvm(&evidence, &policy, QuoteNonce::Recorded, now) {
                Err(error) => error.class().to_string(),
                Ok(verified) => match verified.appraise(&policies, &key) {
                    Ok(_) => "ok".to_owned(),
                    Err(error) => AppraisalError::class(&error).to_string(),
                },
            }
        };
        tally.expect(
            text(vector, "id"),
            &same_outcome(&anchors, run),
            text(vector, "expected"),
        );
    }
    tally.finish("synthetic machines", 17);
}

#[test]
fn certificates_of_attestation_keys_give_the_listed_results() {
    let Some(folder) = folder("certificates_of_attestation_keys_give_the_listed_results") else {
        return;
    };
    let list = read_json(&folder.join("cvm/aik_cases.json"));
    let anchors = TrustAnchors::production();
    let mut tally = Tally::default();
    for case in array(&list, "cases") {
        let claims = folder.join(text(case, "runtime_claims"));
        // Another VM's certificate with this VM's evidence: everything else of the case is genuine.
        let path = claims.with_file_name("request.json");
        let mut evidence = CvmEvidence::from_request(&request(&path)).unwrap();
        let certificate = base64(text(case, "aik_cert_b64"));
        evidence.ak_certificate = Some(certificate).filter(|bytes| !bytes.is_empty());
        let root = pem::read(
            &read(&folder.join(text(case, "trusted_root"))),
            "CERTIFICATE",
            1,
        );
        assert_eq!(root.unwrap()[0], crate::cvm::AZURE_ROOT);
        let mut policy = strict(&[]);
        policy.cvm = CvmPolicy {
            authorities: array(case, "intermediates")
                .iter()
                .map(|file| {
                    let pem = read(&folder.join(file.as_str().unwrap()));
                    VtpmAuthority::from_pem(String::from_utf8(pem).unwrap())
                })
                .collect(),
            id_keys: Vec::new(),
        };
        let now = UnixTime::from_secs(match text(case, "verify_at") {
            "2026-03-01T00:00:00Z" => 1_772_323_200,
            "2026-06-01T00:00:00Z" => 1_780_272_000,
            "2027-03-13T00:00:01Z" => 1_804_896_001,
            other => panic!("{other}"),
        });
        let run = |verifier: &Verifier| {
            outcome(verifier.verify_cvm(&evidence, &policy, QuoteNonce::Recorded, now))
        };
        tally.expect(
            text(case, "id"),
            &same_outcome(&anchors, run),
            text(case, "expected"),
        );
    }
    tally.finish("certificates of attestation keys", 14);
}

#[test]
fn genuine_halves_of_different_moments_do_not_join() {
    let Some(folder) = folder("genuine_halves_of_different_moments_do_not_join") else {
        return;
    };
    let list = read_json(&folder.join("cvm/splice_cases.json"));
    let now = verify_at(&list);
    let anchors = TrustAnchors::production();
    let load = |dir: &str| {
        CvmEvidence::from_request(&request(&folder.join(dir).join("request.json"))).unwrap()
    };
    let mut tally = Tally::default();
    for case in array(&list, "cases") {
        let quoted = load(text(case, "quote_and_pcrs_from"));
        let evidence = CvmEvidence {
            quote: quoted.quote,
            registers: quoted.registers,
            nonce: quoted.nonce,
            ..load(text(case, "hcl_from"))
        };
        let policy = pinning(strict(&[]), &evidence);
        for (nonce, want) in [
            (QuoteNonce::Constant, "expected_cvm_strict_compat"),
            (QuoteNonce::Key, "expected_cvm_bound"),
        ] {
            let run =
                |verifier: &Verifier| outcome(verifier.verify_cvm(&evidence, &policy, nonce, now));
            let got = same_outcome(&anchors, run);
            tally.expect(text(case, "id"), &got, text(case, want));
        }
    }
    tally.finish("halves", 4);
}
