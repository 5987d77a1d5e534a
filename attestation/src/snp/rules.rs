//! The rules a report and its chip certificate meet together, in the order of the attestation specification, section 2.4.

use super::{Chain, Report, report, vcek};
use crate::{
    crypto::{self, Curve},
    error::{Check, EvidenceError},
    policy::PlatformPolicy,
};

/// SNP-18 to SNP-20: the signature. Depends on nothing but the bytes and the chain.
pub(crate) fn check_signature(
    bytes: &[u8],
    report: &Report,
    chip_key: &[u8],
) -> Result<(), EvidenceError> {
    if report.signature_algorithm != 1 {
        return Err(EvidenceError::new(
            Check::Snp18,
            report.signature_algorithm,
            1,
        ));
    }
    let (signed, signature) = report::signature(bytes)?;
    if !crypto::ecdsa_fixed(Curve::P384, chip_key, signed, &signature) {
        return Err(EvidenceError::new(
            Check::Snp20,
            "a signature that does not verify",
            "a signature by the chip key",
        ));
    }
    Ok(())
}

/// SNP-13 to SNP-27: report against chip certificate. `bytes` is `None` when these very bytes are known to be signed by
/// this very chip key.
pub(crate) fn check_report(
    report: &Report,
    chain: &Chain,
    bytes: Option<&[u8]>,
    endorsed_tcb: Option<[u8; 8]>,
) -> Result<(), EvidenceError> {
    let chip_key = chain.chip_key()?;
    vcek::check_subject(&chain.vcek)?;
    vcek::check_product(&chain.vcek, report.product)?;
    if let Some(bytes) = bytes {
        check_signature(bytes, report, chip_key)?;
    }
    if report.key_info.signing_key() != 0 {
        return Err(EvidenceError::new(
            Check::Snp21,
            report.key_info.signing_key(),
            "0 (VCEK)",
        ));
    }
    if report.key_info.chip_key_masked() {
        return Err(EvidenceError::new(Check::Snp22, "masked", "not masked"));
    }
    vcek::check_chip(&chain.vcek, report.product, report.chip_id)?;
    vcek::check_tcb(&chain.vcek, report.product, report.reported_tcb)?;
    if let Some(mut endorsed) = endorsed_tcb {
        endorsed.reverse();
        if endorsed != report.reported_tcb.to_memory() {
            return Err(EvidenceError::new(
                Check::Snp27,
                super::TcbVersion::from_memory(endorsed),
                report.reported_tcb,
            ));
        }
    }
    Ok(())
}

/// SNP-28 to SNP-36: what the guest may be and what governance requires of the platform.
pub(crate) fn check_policy(
    report: &Report,
    chain: &Chain,
    policy: &PlatformPolicy,
) -> Result<(), EvidenceError> {
    if !policy.vmpl.contains(&report.vmpl) {
        return Err(EvidenceError::new(
            Check::Snp28,
            report.vmpl,
            format_args!("{:?}", policy.vmpl),
        ));
    }
    if report.policy.debug_allowed() {
        return Err(EvidenceError::new(
            Check::Snp29,
            "debugging allowed",
            "debugging forbidden",
        ));
    }
    if report.policy.migration_allowed() {
        return Err(EvidenceError::new(
            Check::Snp30,
            "migration allowed",
            "migration forbidden",
        ));
    }
    let Some(minimum) = policy.minimum_tcb_for(report) else {
        return Err(EvidenceError::new(
            Check::Snp31,
            report.reported_tcb,
            format_args!("a governed minimum for {}", report.product),
        ));
    };
    if !report.reported_tcb.is_at_least(minimum, report.product) {
        return Err(EvidenceError::new(
            Check::Snp31,
            report.reported_tcb,
            minimum,
        ));
    }
    if policy.committed_tcb && !report.committed_tcb.is_at_least(minimum, report.product) {
        return Err(EvidenceError::new(
            Check::Snp32,
            report.committed_tcb,
            minimum,
        ));
    }
    if let Some(accepted) = &policy.intermediates
        && !accepted.contains(&chain.ask_digest)
    {
        return Err(EvidenceError::new(
            Check::Snp33,
            chain.ask_digest,
            "an accepted intermediate key",
        ));
    }
    if policy.denied_chips.contains(&report.chip_id) {
        return Err(EvidenceError::new(
            Check::Snp34,
            report.chip_id,
            "a chip that is not denied",
        ));
    }
    if report.platform_info & policy.platform_info != policy.platform_info {
        return Err(EvidenceError::new(
            Check::Snp35,
            format_args!("{:#x}", report.platform_info),
            format_args!("all bits of {:#x}", policy.platform_info),
        ));
    }
    if let Some(allowed) = &policy.id_keys
        && !allowed.contains(&report.id_key_digest)
    {
        return Err(EvidenceError::new(
            Check::Snp36,
            report.id_key_digest,
            "an allowed id key",
        ));
    }
    Ok(())
}
