//! `snp_attestation.verifySnpAttestation` for scripts: CCF's rules on evidence, which are fewer than those under which anything is
//! released (CCF interface, section 4.5).

use std::collections::BTreeSet;

use attestation::snp::{REPORT_SIZE, Report, SIGNED_SIZE, TcbVersion};
use attestation::{
    Evidence, EvidenceError, PlatformPolicy, TrustAnchors, UnixTime, UvmIssuer, UvmStatement,
    Verifier,
};
use constitution::{SnpEvidence, SnpField, SnpObject};

use SnpField::{Bytes, Number, Object, Text};

/// Verifies evidence as it is at this moment.
///
/// # Errors
/// What is wrong with it.
pub fn verify_snp(evidence: &SnpEvidence) -> Result<SnpObject, String> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    verify_snp_at(evidence, UnixTime::from_secs(seconds))
}

/// As [`verify_snp`], as it was at some time.
///
/// # Errors
/// What is wrong with it.
pub fn verify_snp_at(evidence: &SnpEvidence, now: UnixTime) -> Result<SnpObject, String> {
    let text = |error: EvidenceError| error.to_string();
    let report = Report::parse(&evidence.evidence).map_err(text)?;
    let policy = policy(&report, evidence.uvm_endorsements.is_some());
    let verifier = Verifier::without_caches(TrustAnchors::production());
    let presented = Evidence {
        report: evidence.evidence.clone(),
        endorsements: evidence.endorsements.clone(),
        uvm_endorsements: evidence.uvm_endorsements.clone(),
        endorsed_tcb: evidence.endorsed_tcb.clone(),
    };
    let verified = verifier.verify(&presented, &policy, now).map_err(text)?;
    let mut told = vec![(
        "attestation",
        Object(told(verified.report(), &evidence.evidence)),
    )];
    if let Some(uvm) = verified.uvm() {
        told.push(("uvm_endorsements", Object(endorsed(uvm))));
    }
    Ok(told)
}

/// What CCF requires: any TCB that the endorsements cover, any host data, and if there is a statement about the utility VM, one by
/// its two issuers.
fn policy(report: &Report, with_uvm: bool) -> PlatformPolicy {
    // The processors CCF knows, each by one model.
    let known = [(0x19, 0x01), (0x19, 0x11), (0x1a, 0x01)];
    let products = known
        .contains(&(report.cpuid.family, report.cpuid.model))
        .then_some(report.product);
    let issuer = |usage: u8, feed: &str, min_svn| UvmIssuer {
        did: format!(
            "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.{usage}"
        ),
        feed: feed.to_owned(),
        min_svn,
    };
    let pinned = (!with_uvm).then_some(report.measurement);
    PlatformPolicy {
        products: products.into_iter().collect(),
        minimum_tcb: products
            .map(|product| (product, TcbVersion::from_memory([0; 8])))
            .into_iter()
            .collect(),
        committed_tcb: false,
        vmpl: (0..=3).collect(),
        uvm: vec![
            issuer(2, "ContainerPlat-AMD-UVM", 100),
            issuer(5, "ConfAKS-AMD-UVM", 1),
        ],
        pinned_measurements: pinned.into_iter().collect(),
        denied_host_data: BTreeSet::new(),
        denied_keys: BTreeSet::new(),
        denied_chips: BTreeSet::new(),
        intermediates: None,
        platform_info: 0,
        id_keys: None,
        ..PlatformPolicy::production()
    }
}

/// The report in CCF's names.
fn told(report: &Report, bytes: &[u8]) -> SnpObject {
    let bit = |value: u64, at: u32| Number(u32::from(value >> at & 1 == 1));
    let number = |value: u8| Number(u32::from(value));
    let tcb = |version: TcbVersion| Text(version.to_string());
    let (policy, keys) = (report.policy.0, u64::from(report.key_info.0));
    let [abi_minor, abi_major, ..] = policy.to_le_bytes();
    let component = |at: usize| {
        let start = SIGNED_SIZE + at * COMPONENT;
        let bytes = bytes.get(start..start + COMPONENT);
        Bytes(bytes.unwrap_or_default().to_vec())
    };
    vec![
        ("version", Number(report.version)),
        ("guest_svn", Number(report.guest_svn)),
        (
            "policy",
            Object(vec![
                ("abi_minor", number(abi_minor)),
                ("abi_major", number(abi_major)),
                ("smt", bit(policy, 16)),
                ("migrate_ma", bit(policy, 18)),
                ("debug", bit(policy, 19)),
                ("single_socket", bit(policy, 20)),
            ]),
        ),
        ("family_id", Bytes(report.family_id.to_vec())),
        ("image_id", Bytes(report.image_id.to_vec())),
        ("vmpl", Number(report.vmpl)),
        ("signature_algo", Number(report.signature_algorithm)),
        ("platform_version", tcb(report.current_tcb)),
        // So it is spelt by CCF.
        (
            "plaform_info",
            Object(vec![
                ("smt_en", bit(report.platform_info, 0)),
                ("tsme_en", bit(report.platform_info, 1)),
            ]),
        ),
        (
            "flags",
            Object(vec![
                ("author_key_en", bit(keys, 0)),
                ("mask_chip_key", bit(keys, 1)),
                ("signing_key", Number(report.key_info.signing_key())),
            ]),
        ),
        ("report_data", Bytes(report.report_data.as_bytes().to_vec())),
        ("measurement", Bytes(report.measurement.as_bytes().to_vec())),
        ("host_data", Bytes(report.host_data.as_bytes().to_vec())),
        (
            "id_key_digest",
            Bytes(report.id_key_digest.as_bytes().to_vec()),
        ),
        (
            "author_key_digest",
            Bytes(report.author_key_digest.as_bytes().to_vec()),
        ),
        ("report_id", Bytes(report.report_id.to_vec())),
        ("report_id_ma", Bytes(report.report_id_ma.to_vec())),
        ("reported_tcb", tcb(report.reported_tcb)),
        ("cpuid_fam_id", number(report.cpuid.family)),
        ("cpuid_mod_id", number(report.cpuid.model)),
        ("cpuid_step", number(report.cpuid.stepping)),
        ("chip_id", Bytes(report.chip_id.as_bytes().to_vec())),
        ("committed_tcb", tcb(report.committed_tcb)),
        ("current_minor", number(report.current_firmware.minor)),
        ("current_build", number(report.current_firmware.build)),
        ("current_major", number(report.current_firmware.major)),
        ("committed_build", number(report.committed_firmware.build)),
        ("committed_minor", number(report.committed_firmware.minor)),
        ("committed_major", number(report.committed_firmware.major)),
        ("launch_tcb", tcb(report.launch_tcb)),
        (
            "signature",
            Object(vec![("r", component(0)), ("s", component(1))]),
        ),
    ]
}

/// Bytes of one half of the signature, little-endian (SEV-SNP ABI, table 137).
const COMPONENT: usize = 72;
/// Both halves are in the report.
const _: () = assert!(SIGNED_SIZE + 2 * COMPONENT <= REPORT_SIZE);

fn endorsed(uvm: &UvmStatement) -> SnpObject {
    vec![
        ("did", Text(uvm.did.clone())),
        ("feed", Text(uvm.feed.clone())),
        ("svn", Text(uvm.svn.to_string())),
    ]
}
