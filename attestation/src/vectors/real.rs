//! Genuine evidence.

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::{
    AppraisalError, ClaimPolicy, Policies,
    error::Check,
    snp::{Chain, Report, check_report},
};

#[test]
fn real_vectors_give_the_listed_results() {
    let Some(folder) = folder("real_vectors_give_the_listed_results") else {
        return;
    };
    let index = read_json(&folder.join("index.json"));
    let now = verify_at(&index);
    let issuers = array(&index, "uvm_roots_default");
    let (caci, both) = (strict(&issuers[..1]), strict(issuers));
    let anchors = TrustAnchors::production();
    let mut tally = Tally::default();
    for vector in array(&index, "vectors") {
        let id = text(vector, "id");
        let dir = folder.join(text(vector, "dir"));
        let expected = vector["expected"].as_object().unwrap();
        let evidence = evidence(&dir, vector);
        for (profile, want) in expected {
            let want = want.as_str().unwrap();
            let run = |verifier: &Verifier| {
                let uvm = evidence.uvm_endorsements.as_deref().unwrap_or_default();
                match profile.as_str() {
                    "core_strict" => outcome(core(verifier, &evidence, &both, now)),
                    "caci_strict" => outcome(verifier.verify(&evidence, &caci, now)),
                    "uvm_strict_caci_root_only" => outcome(uvm_only(verifier, uvm, &caci)),
                    "uvm_strict_caci_and_aks_roots" => outcome(uvm_only(verifier, uvm, &both)),
                    other => panic!("{other}"),
                }
            };
            match profile.as_str() {
                "core_strict"
                | "caci_strict"
                | "uvm_strict_caci_root_only"
                | "uvm_strict_caci_and_aks_roots" => {
                    tally.expect(
                        &format!("{id} {profile}"),
                        &same_outcome(&anchors, run),
                        want,
                    );
                }
                "endorsement_chain" => {
                    let product = product(want.rsplit(' ').next().unwrap());
                    let result = Chain::verify(&evidence.endorsements, product, &anchors);
                    tally.expect(&format!("{id} {profile}"), &outcome(result), "ok");
                }
                "signature_and_chain_if_version_rule_ignored" => {
                    let got = signature_of_version_2(&evidence, &anchors);
                    tally.expect(&format!("{id} {profile}"), &got, want);
                }
                // Other software; the other platform is in a file of its own.
                "ccf_7_0_0_dev5" | "cvm_strict" => {}
                other => panic!("unknown profile {other}"),
            }
        }
    }
    tally.finish("real", 50);
}

/// Every decoded field the index lists.
#[test]
fn reports_decode_as_listed() {
    let Some(folder) = folder("reports_decode_as_listed") else {
        return;
    };
    let index = read_json(&folder.join("index.json"));
    let mut tally = Tally::default();
    for vector in array(&index, "vectors") {
        let want = &vector["report"];
        let path = folder.join(text(vector, "dir")).join("report.bin");
        if !path.exists() || want["report_version"].as_u64().unwrap() < 3 {
            continue;
        }
        let report = Report::parse(&read(&path)).unwrap();
        let firmware = report.current_firmware;
        let got = json!({
            "report_version": report.version,
            "product": report.product,
            "cpuid": [report.cpuid.family, report.cpuid.model, report.cpuid.stepping],
            "guest_policy": format!("{:#x}", report.policy.0),
            "guest_svn": report.guest_svn,
            "vmpl": report.vmpl,
            "platform_info": format!("{:#x}", report.platform_info),
            "key_info": format!("{:#x}", report.key_info.0),
            "current_tcb": report.current_tcb,
            "reported_tcb": report.reported_tcb,
            "committed_tcb": report.committed_tcb,
            "launch_tcb": report.launch_tcb,
            "current_fw": format!("{}.{}.{}", firmware.major, firmware.minor, firmware.build),
            "measurement": report.measurement,
            "host_data": report.host_data,
            "report_data": report.report_data,
            "id_key_digest": report.id_key_digest,
            "author_key_digest": report.author_key_digest,
            "family_id": hex::encode(report.family_id),
            "image_id": hex::encode(report.image_id),
            "chip_id": report.chip_id,
            "launch_mit_vector": report.launch_mitigations.unwrap_or(0),
            "current_mit_vector": report.current_mitigations.unwrap_or(0),
        });
        for (name, value) in want.as_object().unwrap() {
            tally.expect(
                &format!("{} {name}", text(vector, "id")),
                &got[name].to_string(),
                &value.to_string(),
            );
        }
    }
    tally.finish("reports", 100);
}

/// Complete requests of the existing clients, up to the appraisal with the real key.
#[test]
fn requests_are_read_verified_and_appraised() {
    let Some(folder) = folder("requests_are_read_verified_and_appraised") else {
        return;
    };
    let index = read_json(&folder.join("index.json"));
    let now = verify_at(&index);
    let policy = strict(&array(&index, "uvm_roots_default")[..1]);
    let verifier = Verifier::new(TrustAnchors::production());
    let mut tally = Tally::default();
    for vector in array(&index, "vectors") {
        let id = text(vector, "id");
        let dir = folder.join(text(vector, "dir"));
        if vector["expected"]["caci_strict"] != "ok" {
            continue;
        }
        for file in ["request.json", "cgs_get_secret_request.json"] {
            if !dir.join(file).exists() {
                continue;
            }
            let request = read_json(&dir.join(file));
            let attestation = if request["attestation"].is_object() {
                &request["attestation"]
            } else {
                &request
            };
            let evidence = Evidence::from_request(attestation).unwrap();
            assert_eq!(
                Evidence::from_request(&evidence.to_request()).unwrap(),
                evidence
            );
            let verified = verifier.verify(&evidence, &policy, now).unwrap();
            tally.expect(
                &format!("{id} host data"),
                &verified.host_data().to_string(),
                text(&vector["report"], "host_data"),
            );
            let uvm = verified.uvm().unwrap();
            tally.expect(
                &format!("{id} svn"),
                &uvm.svn.to_string(),
                &vector["uvm"]["svn"].to_string(),
            );
            // The built-in list refuses all of them: their host data allows everything.
            let denied = PlatformPolicy {
                uvm: policy.uvm.clone(),
                ..PlatformPolicy::production()
            };
            let error = verifier.verify(&evidence, &denied, now).unwrap_err();
            assert_eq!(error.check(), Check::Ins01, "{id}");
            if request["encrypt"].is_object() {
                let pem = base64(text(&request["encrypt"], "publicKey"));
                let contract = ClaimPolicy(
                    [(
                        "x-ms-sevsnpvm-hostdata".to_owned(),
                        vec![vector["report"]["host_data"].clone()],
                    )]
                    .into(),
                );
                let policies = Policies {
                    contract: &contract,
                    delegate: None,
                };
                let appraised = verified.appraise(&policies, &pem).unwrap();
                let wrapped = appraised.wrap(b"secret").unwrap();
                let private = read(&dir.join("priv_key.pem"));
                assert_eq!(*crate::unwrap(&private, &wrapped).unwrap(), b"secret");
                let newline = [pem.as_slice(), b"\n"].concat();
                let error = verified.appraise(&policies, &newline).unwrap_err();
                assert!(matches!(error, AppraisalError::ReportDataMismatch { .. }));
                let only_keys = PlatformPolicy {
                    denied_host_data: Default::default(),
                    ..denied
                };
                assert_eq!(
                    verifier
                        .verify(&evidence, &only_keys, now)
                        .unwrap_err()
                        .check(),
                    Check::Ins02
                );
                tally.expect(id, "appraised", "appraised");
            }
        }
    }
    tally.finish("requests", 8);
}

/// Attacks that combine genuine parts (attestation specification, section 9.2, attacks 26, 28 and 32).
#[test]
fn genuine_parts_of_different_origin_do_not_combine() {
    let Some(folder) = folder("genuine_parts_of_different_origin_do_not_combine") else {
        return;
    };
    let index = read_json(&folder.join("index.json"));
    let now = verify_at(&index);
    let policy = strict(&array(&index, "uvm_roots_default")[..1]);
    let verifier = Verifier::new(TrustAnchors::production());
    let class = |evidence: &Evidence, now| outcome(verifier.verify(evidence, &policy, now));
    let vectors = array(&index, "vectors");
    let load = |vector: &Value| evidence(&folder.join(text(vector, "dir")), vector);
    let complete: Vec<_> = vectors
        .iter()
        .filter(|v| v["expected"]["caci_strict"] == "ok")
        .collect();
    let mut tally = Tally::default();
    for vector in &complete {
        let good = load(vector);
        let reported = text(&vector["report"], "reported_tcb");
        let reversed: String = reported
            .as_bytes()
            .rchunks(2)
            .flat_map(|b| [b[0] as char, b[1] as char])
            .collect();
        for (endorsed, want) in [
            (reported.to_owned(), "ok"),
            (reported.to_uppercase(), "ok"),
            (reversed, "TcbMismatch"),
            (reported.replace('d', "x"), "MalformedRequest"),
        ] {
            let evidence = Evidence {
                endorsed_tcb: Some(endorsed),
                ..good.clone()
            };
            tally.expect(text(vector, "id"), &class(&evidence, now), want);
        }
        for other in &complete {
            let evidence = Evidence {
                uvm_endorsements: load(other).uvm_endorsements,
                ..good.clone()
            };
            let same = vector["uvm"]["measurement"] == other["uvm"]["measurement"];
            let want = if same { "ok" } else { "UvmMeasurementMismatch" };
            tally.expect(text(vector, "id"), &class(&evidence, now), want);
        }
    }
    // A key for a whole provider ends at its subject, once its certificate is within its validity: 2025-06-01.
    for vector in vectors
        .iter()
        .filter(|v| v["expected"]["core_strict"] == "CertificateExpired")
    {
        let earlier = UnixTime::from_secs(1_748_736_000);
        tally.expect(
            text(vector, "id"),
            &class(&load(vector), earlier),
            "UnsupportedSigningKey",
        );
    }
    tally.finish("combined", 20);
}

/// The pinned constants are those of the published roots.
#[test]
fn pins_are_those_of_the_published_roots() {
    let Some(folder) = folder("pins_are_those_of_the_published_roots") else {
        return;
    };
    let production = PlatformPolicy::production();
    for product in Product::ALL {
        let name = product.as_str().to_lowercase();
        for (file, root) in [
            (format!("ark_{name}.pem"), true),
            (format!("sev_{name}.pem"), false),
        ] {
            let der = pem::read(&read(&folder.join("roots").join(file)), "CERTIFICATE", 1)
                .unwrap()
                .remove(0);
            let digest = Certificate::parse(&der).unwrap().spki_digest();
            assert_eq!(TrustAnchors::production().trusts_ark(product, digest), root);
            assert_eq!(
                production.intermediates.as_ref().unwrap().contains(&digest),
                !root
            );
        }
    }
    // The fingerprint in the governed issuer is that of Microsoft's supply chain root.
    let root = folder.join("roots");
    let found = fs::read_dir(&root).unwrap().any(|entry| {
        let bytes = read(&entry.unwrap().path());
        crate::simulated::uvm::did(&bytes, crate::simulated::uvm::CACI_USAGE)
            == production.uvm[0].did
    });
    assert!(found);
}

fn evidence(dir: &Path, vector: &Value) -> Evidence {
    let file = |name: &str| vector["files"].get(name).map(|_| read(&dir.join(name)));
    Evidence {
        report: file("report.bin").unwrap_or_default(),
        endorsements: file("endorsements.pem").unwrap_or_default(),
        uvm_endorsements: file("uvm_endorsement.cose"),
        endorsed_tcb: None,
    }
}

/// Cryptography of a report that is refused for its version: chain to Milan's root and report signature.
fn signature_of_version_2(evidence: &Evidence, anchors: &TrustAnchors) -> String {
    let mut as_version_3 = evidence.report.clone();
    as_version_3[0] = 3;
    as_version_3[0x188..0x18b].copy_from_slice(&[0x19, 1, 1]);
    let report = Report::parse(&as_version_3).unwrap();
    let signed = Chain::verify(&evidence.endorsements, Product::Milan, anchors)
        .and_then(|chain| check_report(&report, &chain, Some(&evidence.report), None));
    match signed {
        Ok(()) => "signature and chain valid, root Milan".to_owned(),
        Err(error) if error.check() == Check::Snp20 => "signature invalid".to_owned(),
        Err(error) => error.to_string(),
    }
}
