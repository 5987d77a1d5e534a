//! Evidence of Azure confidential VMs: a virtual TPM whose key is bound in an SNP report.
//!
//! The guest does not talk to the SNP firmware. Microsoft's paravisor at VMPL 0 owns the virtual TPM and asks for a report whose
//! data is the digest of *runtime claims*, which name the TPM's attestation key. That key signs quotes over the registers, which
//! say what booted, in place of host data. Five links, each a check (attestation specification, section 5):
//!
//! ```text
//! AMD root - VCEK - SNP report - runtime claims - attestation key - quote - registers, nonce
//!                      platform's authority - certificate - attestation key
//! ```

mod ak;
mod evidence;
mod hcl;
mod policy;
mod quote;

use std::sync::Arc;

pub use evidence::{CvmEvidence, Registers};
pub(crate) use policy::AZURE_ROOT;
pub use policy::{CvmPolicy, FirmwareIdentity, VtpmAuthority};
pub use quote::QuoteNonce;

use self::{
    ak::AttestationKey,
    hcl::{HclReport, RuntimeClaims},
    quote::Quote,
};
use crate::{
    bytes::Sha256Digest,
    certificate::Certificate,
    claims::{Claims, Family},
    crypto::{self, Hash},
    error::{Check, EvidenceError},
    policy::PlatformPolicy,
    snp::Report,
    time::UnixTime,
    verifier::{Presented, VerifiedEvidence, Verifier, check_denied_key, labelled},
};

/// What is particular to verified evidence of a confidential VM.
#[derive(Clone, Debug)]
pub struct VerifiedVm {
    /// The values the quote is about.
    pub registers: Registers,
    /// Whether the quote was made for the attested key. If not ([`QuoteNonce::Constant`]), registers and key can be of different
    /// moments.
    pub quote_binds_key: bool,
    /// SHA-256 of the challenge that the quote answers.
    pub(crate) challenge: Option<Sha256Digest>,
}

impl VerifiedVm {
    /// SHA-256 of the registers one after the other, as the quote has it.
    pub fn registers_digest(&self) -> Sha256Digest {
        Sha256Digest::of(
            &self
                .registers
                .iter()
                .flatten()
                .flatten()
                .copied()
                .collect::<Vec<u8>>(),
        )
    }
}

impl Verifier {
    /// Verifies evidence of a confidential VM: CVM-02 to CVM-19, the report and its chain (SNP-01 to SNP-36), the deny list of keys
    /// (INS-02). Host data is zero on such machines and is not looked at.
    ///
    /// # Errors
    /// The first check that fails, in the order of the attestation specification, section 9.1.
    pub fn verify_cvm(
        &self,
        evidence: &CvmEvidence,
        policy: &PlatformPolicy,
        nonce: QuoteNonce<'_>,
        now: UnixTime,
    ) -> Result<Arc<VerifiedEvidence>, EvidenceError> {
        let digest = evidence.digest();
        let known = self.evidence.get(&digest);
        let hcl = HclReport::parse(&evidence.hcl_report)?;
        if hcl.report != evidence.report {
            return Err(EvidenceError::new(
                Check::Cvm03,
                "another report",
                "the report in the HCL report",
            ));
        }
        let presented = Presented {
            report: &evidence.report,
            endorsements: &evidence.endorsements,
            endorsed_tcb: None,
        };
        let core = self.core(&presented, policy, now, known.as_deref())?;
        RuntimeClaims::check_binding(hcl.claims, core.report.report_data)?;
        let claims = RuntimeClaims::parse(hcl.claims)?;
        self.check_firmware(evidence, &core.report, &claims.ak, policy, now)?;
        let quote = Quote::parse(&evidence.quote)?;
        if known.is_none() {
            check_signature(&quote, &claims.ak)?;
        }
        if quote.nonce != evidence.nonce {
            return Err(EvidenceError::new(
                Check::Cvm16,
                hex::encode(quote.nonce),
                hex::encode(&evidence.nonce),
            ));
        }
        let key = hcl::key_digest(claims.user_data);
        nonce.check(quote.nonce, key)?;
        quote.check_registers(&evidence.registers)?;
        check_denied_key(key, policy)?;
        if let Some(known) = known {
            return Ok(known);
        }
        let verified = Arc::new(VerifiedEvidence {
            family: Family::Cvm,
            claims: Arc::new(Claims::of_vm(
                &core.report,
                &evidence.registers,
                claims.configuration,
            )),
            bound: claims.user_data,
            vm: Some(VerifiedVm {
                registers: evidence.registers,
                quote_binds_key: nonce != QuoteNonce::Constant,
                challenge: match nonce {
                    QuoteNonce::Challenge(challenge) => Some(Sha256Digest::of(challenge)),
                    _ => None,
                },
            }),
            report: core.report,
            chain: core.chain,
            uvm: None,
            digest: digest.into(),
            simulated: self.anchors().is_simulated(),
        });
        self.evidence.put(digest, Arc::clone(&verified));
        Ok(verified)
    }

    /// CVM-06 to CVM-13: the software at VMPL 0 is the platform's.
    fn check_firmware(
        &self,
        evidence: &CvmEvidence,
        report: &Report,
        ak: &AttestationKey,
        policy: &PlatformPolicy,
        now: UnixTime,
    ) -> Result<(), EvidenceError> {
        let Some(certificate) = &evidence.ak_certificate else {
            return check_pinned(report, &policy.cvm);
        };
        let certificate = ak::parse(certificate)?;
        let authorities = &policy.cvm.authorities;
        ak::check(
            &certificate,
            ak,
            authorities,
            self.anchors(),
            now,
            |subject, issuer| self.is_signed(subject, issuer),
        )
    }

    /// Whether an issuer signed a certificate; once per pair.
    fn is_signed(&self, subject: &Certificate, issuer: &Certificate) -> bool {
        let pair = [labelled("AK", &subject.der), labelled("AK", &issuer.der)].concat();
        let key = labelled("AK", &pair);
        if self.certified.get(&key).is_some() {
            return true;
        }
        let signed = subject.is_signed_by(issuer);
        if signed {
            self.certified.put(key, ());
        }
        signed
    }
}

/// CVM-06 and CVM-13: without a certificate, the paravisor must be one that governance lists.
fn check_pinned(report: &Report, policy: &CvmPolicy) -> Result<(), EvidenceError> {
    if policy.id_keys.is_empty() {
        return Err(EvidenceError::new(
            Check::Cvm06,
            "nothing",
            "a certificate of the attestation key",
        ));
    }
    let listed = policy
        .id_keys
        .iter()
        .any(|key| key.digest == report.id_key_digest && key.min_guest_svn <= report.guest_svn);
    if listed {
        return Ok(());
    }
    Err(EvidenceError::new(
        Check::Cvm13,
        format_args!("{} at SVN {}", report.id_key_digest, report.guest_svn),
        "a paravisor that governance lists",
    ))
}

/// CVM-15: RSASSA-PKCS1-v1_5 with SHA-256.
fn check_signature(quote: &Quote<'_>, ak: &AttestationKey) -> Result<(), EvidenceError> {
    if crypto::rsa_pkcs1(Hash::Sha256, &ak.spki, quote.signed, quote.signature) {
        return Ok(());
    }
    Err(EvidenceError::new(
        Check::Cvm15,
        "a signature that does not verify",
        "a signature by the attestation key",
    ))
}
