//! `snp_attestation.verifySnpAttestation` over real evidence: a script gets what CCF would give it, and nothing where CCF refuses.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

use attestation::UnixTime;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use constitution::{Engine, InProcess, Limits, MemoryKv, SnpEvidence, SnpObject};
use serde_json::{Value, json};

/// 2026-06-01T00:00:00Z, for which the vectors say what is expected.
const NOW: i64 = 1_780_272_000;

fn verify(evidence: &SnpEvidence) -> Result<SnpObject, String> {
    node::script::verify_snp_at(evidence, UnixTime::from_secs(NOW))
}

/// What a script is told, with buffers in hexadecimal; the error's text if it is refused.
fn told(arguments: &[Option<Vec<u8>>], tcb: Option<&str>) -> Result<Value, String> {
    let list: Vec<Value> = arguments
        .iter()
        .map(|part| {
            part.as_ref()
                .map_or(Value::Null, |b| STANDARD.encode(b).into())
        })
        .collect();
    let module = format!(
        "const hex = (b) => Array.from(new Uint8Array(b), (x) => x.toString(16).padStart(2, '0')).join('');
         export function validate(input) {{
             const parts = {list}.map((text) => text === null ? undefined : Uint8Array.fromBase64(text).buffer);
             const verified = snp_attestation.verifySnpAttestation(...parts, {tcb});
             const description = JSON.stringify(verified, (_, v) => v instanceof ArrayBuffer ? hex(v) : v);
             return {{valid: true, description}};
         }}",
        list = Value::from(list),
        tcb = tcb.map_or("undefined".to_owned(), |tcb| format!("'{tcb}'")),
    );
    let mut engine = InProcess::new(Limits::default()).with_snp(verify);
    let answer = engine.validate(&module, "{}", &mut MemoryKv::default());
    let description = answer.map_err(|e| e.to_string())?.description.unwrap();
    Ok(serde_json::from_str(&description).unwrap())
}

fn file(folder: &Path, name: &str) -> Option<Vec<u8>> {
    std::fs::read(folder.join(name)).ok()
}

#[test]
fn real_evidence_is_told_or_refused_as_by_ccf() {
    let test = "real_evidence_is_told_or_refused_as_by_ccf";
    let Some(vectors) = tests::vectors("attestation", test) else {
        return;
    };
    let index = std::fs::read(vectors.join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let (mut accepted, mut refused, mut endorsed) = (0, 0, 0);
    for vector in index["vectors"].as_array().unwrap() {
        let id = vector["id"].as_str().unwrap();
        let folder = vectors.join(vector["dir"].as_str().unwrap());
        let want = vector["expected"]["ccf_7_0_0_dev5"].as_str();
        let (Some(want), Some(report)) = (want, file(&folder, "report.bin")) else {
            continue;
        };
        let endorsements = file(&folder, "endorsements.pem").unwrap_or_default();
        let uvm = file(&folder, "uvm_endorsement.cose");
        let parts = [Some(report.clone()), Some(endorsements.clone()), uvm];
        let result = told(&parts, None);
        if want != "accept" {
            let error = result.expect_err(id);
            assert!(error.starts_with("RangeError: "), "{id}: {error}");
            refused += 1;
            continue;
        }
        let result = result.unwrap_or_else(|error| panic!("{id}: {error}"));
        agrees(&result["attestation"], &vector["report"], &report, id);
        if parts[2].is_some() {
            assert_eq!(result["uvm_endorsements"]["feed"], "ContainerPlat-AMD-UVM");
            assert!(
                result["uvm_endorsements"]["svn"]
                    .as_str()
                    .unwrap()
                    .parse::<u64>()
                    .unwrap()
                    >= 100
            );
            endorsed += 1;
        } else {
            assert_eq!(result.get("uvm_endorsements"), None, "{id}");
        }
        let tcb = vector["report"]["reported_tcb"].as_str().unwrap();
        told(&parts, Some(tcb)).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert!(told(&parts, Some("0000000000000001")).is_err(), "{id}");
        // Anything else than what was signed.
        for at in [0x00, 0x30, 0x50, 0x90, 0xc0, 0x188, 0x2a0] {
            let mut altered = report.clone();
            altered[at] ^= 1;
            let parts = [Some(altered), Some(endorsements.clone()), None];
            assert!(told(&parts, None).is_err(), "{id} {at:#x}");
        }
        accepted += 1;
    }
    assert!(
        accepted >= 8 && refused >= 5 && endorsed >= 3,
        "{accepted} {refused} {endorsed}"
    );
}

/// The fields of a report, by what the index of the vectors says and by their place in it.
fn agrees(told: &Value, index: &Value, report: &[u8], id: &str) {
    for (name, from, bytes) in [
        ("family_id", 0x10, 16),
        ("image_id", 0x20, 16),
        ("report_data", 0x50, 64),
        ("measurement", 0x90, 48),
        ("host_data", 0xc0, 32),
        ("id_key_digest", 0xe0, 48),
        ("author_key_digest", 0x110, 48),
        ("report_id", 0x140, 32),
        ("report_id_ma", 0x160, 32),
        ("chip_id", 0x1a0, 64),
    ] {
        assert_eq!(
            told[name],
            hex::encode(&report[from..from + bytes]),
            "{id} {name}"
        );
    }
    assert_eq!(
        told["signature"]["r"],
        hex::encode(&report[0x2a0..0x2e8]),
        "{id}"
    );
    assert_eq!(
        told["signature"]["s"],
        hex::encode(&report[0x2e8..0x330]),
        "{id}"
    );
    for (name, in_index) in [
        ("version", "report_version"),
        ("guest_svn", "guest_svn"),
        ("vmpl", "vmpl"),
        ("reported_tcb", "reported_tcb"),
        ("platform_version", "current_tcb"),
        ("committed_tcb", "committed_tcb"),
        ("launch_tcb", "launch_tcb"),
        ("measurement", "measurement"),
        ("host_data", "host_data"),
    ] {
        assert_eq!(told[name], index[in_index], "{id} {name}");
    }
    let cpuid = json!([
        told["cpuid_fam_id"],
        told["cpuid_mod_id"],
        told["cpuid_step"]
    ]);
    assert_eq!(cpuid, index["cpuid"], "{id}");
    let [major, minor, build] =
        ["current_major", "current_minor", "current_build"].map(|n| told[n].to_string());
    assert_eq!(
        format!("{major}.{minor}.{build}"),
        index["current_fw"].as_str().unwrap(),
        "{id}"
    );
    let policy = u64::from_le_bytes(*report[8..].first_chunk().unwrap());
    let bit = |at: u32| policy >> at & 1;
    let want = json!({
        "abi_minor": policy & 0xff, "abi_major": policy >> 8 & 0xff, "smt": bit(16), "migrate_ma": bit(18), "debug": bit(19),
        "single_socket": bit(20),
    });
    assert_eq!(told["policy"], want, "{id}");
    let info = report[0x40];
    assert_eq!(
        told["plaform_info"],
        json!({"smt_en": info & 1, "tsme_en": info >> 1 & 1}),
        "{id}"
    );
    assert_eq!(told["signature_algo"], 1);
    assert_eq!(told["flags"]["signing_key"], 0, "{id}");
    assert_eq!(told["flags"]["mask_chip_key"], 0, "{id}");
}

/// Wrong arguments, and a host that cannot verify.
#[test]
fn arguments_are_checked_first() {
    let bad = |call: &str| {
        let module = format!(
            "export function validate() {{ try {{ {call} }} catch (e) {{ return {{valid: true, description: String(e)}}; }} }}"
        );
        let mut engine = InProcess::new(Limits::default()).with_snp(verify);
        let answer = engine.validate(&module, "{}", &mut MemoryKv::default());
        answer.unwrap().description.unwrap()
    };
    let verify = |arguments: &str| {
        bad(&format!(
            "snp_attestation.verifySnpAttestation({arguments})"
        ))
    };
    let none = "new ArrayBuffer(0)";
    assert_eq!(
        verify(none),
        "TypeError: Passed 1 arguments, but expected between 2 and 4"
    );
    assert!(verify(&format!("{none}, {none}, {none}, 'x', 5")).starts_with("TypeError: Passed 5"));
    assert!(verify(&format!("'text', {none}")).starts_with("TypeError"));
    assert!(verify(&format!("{none}, {none}, 7")).starts_with("TypeError"));
    assert!(verify(&format!("{none}, {none}")).starts_with("RangeError"));
    assert!(
        verify(&format!(
            "new ArrayBuffer(1184), {none}, undefined, undefined"
        ))
        .starts_with("RangeError")
    );
    let mut engine = InProcess::new(Limits::default());
    let module = format!(
        "export function validate() {{ snp_attestation.verifySnpAttestation({none}, {none}); }}"
    );
    let error = engine
        .validate(&module, "{}", &mut MemoryKv::default())
        .unwrap_err();
    assert!(
        error.to_string().contains("is not available on this host"),
        "{error}"
    );
}
