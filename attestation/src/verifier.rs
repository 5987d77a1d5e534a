//! Verification: evidence in, [`VerifiedEvidence`] or one numbered reason out.

use std::sync::Arc;

use crate::{
    anchors::TrustAnchors,
    bytes::{HostData, ReportData, Sha256Digest},
    cache::Cache,
    claims::{Claims, Family},
    cvm::VerifiedVm,
    error::{Check, EvidenceError},
    evidence::Evidence,
    policy::PlatformPolicy,
    snp::{self, Chain, Report},
    time::UnixTime,
    uvm::{self, UvmStatement},
};

/// Verifies evidence under fixed trust anchors. Shared between threads.
///
/// Results that depend on nothing but the bytes and the anchors are remembered, in four bounded caches: whole evidence,
/// endorsement chains, UVM endorsements, certificates of attestation keys. Certificate validity and the platform policy are checked on every call, in the same
/// order as without caches; a hit differs from a miss only in time.
#[derive(Debug)]
pub struct Verifier {
    anchors: TrustAnchors,
    pub(crate) evidence: Cache<Arc<VerifiedEvidence>>,
    chains: Cache<Arc<Chain>>,
    uvm: Cache<Arc<UvmStatement>>,
    /// Pairs of a certificate and its issuer, for attestation keys.
    pub(crate) certified: Cache<()>,
}

impl Verifier {
    /// With caches of the default size: 1024 pieces of evidence, 256 chains and attestation keys, 64 UVM endorsements (about
    /// 20 MB when full).
    pub fn new(anchors: TrustAnchors) -> Self {
        Self {
            anchors,
            evidence: Cache::new(1024),
            chains: Cache::new(256),
            uvm: Cache::new(64),
            certified: Cache::new(256),
        }
    }

    /// Without caches: every call does all the work. For comparison and measurement.
    pub fn without_caches(anchors: TrustAnchors) -> Self {
        Self {
            anchors,
            evidence: Cache::new(0),
            chains: Cache::new(0),
            uvm: Cache::new(0),
            certified: Cache::new(0),
        }
    }

    /// The anchors.
    pub fn anchors(&self) -> &TrustAnchors {
        &self.anchors
    }

    /// Verifies evidence of a confidential container group: report and chain (SNP-01 to SNP-36), UVM endorsement (UVM-01 to
    /// UVM-21), deny lists (INS-01, INS-02).
    ///
    /// `now` should never be less than the newest time committed to the ledger; see [`UnixTime`].
    ///
    /// # Errors
    /// The first check that fails, in the order of the attestation specification, section 9.1.
    pub fn verify(
        &self,
        evidence: &Evidence,
        policy: &PlatformPolicy,
        now: UnixTime,
    ) -> Result<Arc<VerifiedEvidence>, EvidenceError> {
        let digest = evidence.digest();
        let known = self.evidence.get(&digest);
        let presented = Presented {
            report: &evidence.report,
            endorsements: &evidence.endorsements,
            endorsed_tcb: evidence.endorsed_tcb_bytes()?,
        };
        let core = self.core(&presented, policy, now, known.as_deref())?;
        let uvm = self.uvm(evidence, &core.report, policy, known.as_deref())?;
        check_denied(&core.report, policy)?;
        if let Some(known) = known {
            return Ok(known);
        }
        let verified = Arc::new(VerifiedEvidence {
            family: Family::Caci,
            bound: Some(core.report.report_data),
            vm: None,
            claims: Arc::new(Claims::new(&core.report, &evidence.report, uvm.as_deref())),
            report: core.report,
            chain: core.chain,
            uvm,
            digest: digest.into(),
            simulated: self.anchors.is_simulated(),
        });
        self.evidence.put(digest, Arc::clone(&verified));
        Ok(verified)
    }

    /// The report and its endorsement chain. `known` replaces what depends on the bytes alone.
    pub(crate) fn core(
        &self,
        presented: &Presented<'_>,
        policy: &PlatformPolicy,
        now: UnixTime,
        known: Option<&VerifiedEvidence>,
    ) -> Result<Core, EvidenceError> {
        let report = match known {
            Some(known) => known.report.clone(),
            None => Report::parse(presented.report)?,
        };
        if !policy.products.contains(&report.product) {
            return Err(EvidenceError::new(
                Check::Snp04,
                report.product,
                format_args!("{:?}", policy.products),
            ));
        }
        let chain = match known {
            Some(known) => Arc::clone(&known.chain),
            None => self.chain(presented.endorsements, &report)?,
        };
        chain.check_validity(now)?;
        let bytes = known.is_none().then_some(presented.report);
        snp::check_report(&report, &chain, bytes, presented.endorsed_tcb)?;
        snp::check_policy(&report, &chain, policy)?;
        Ok(Core { report, chain })
    }

    /// SNP-05 to SNP-10, once per chain and product.
    fn chain(&self, endorsements: &[u8], report: &Report) -> Result<Arc<Chain>, EvidenceError> {
        let key = labelled(report.product.as_str(), endorsements);
        if let Some(chain) = self.chains.get(&key) {
            return Ok(chain);
        }
        let chain = Arc::new(Chain::verify(endorsements, report.product, &self.anchors)?);
        self.chains.put(key, Arc::clone(&chain));
        Ok(chain)
    }

    /// UVM-01 to UVM-21. A present but bad endorsement is never a reason to look at the pinned measurements.
    fn uvm(
        &self,
        evidence: &Evidence,
        report: &Report,
        policy: &PlatformPolicy,
        known: Option<&VerifiedEvidence>,
    ) -> Result<Option<Arc<UvmStatement>>, EvidenceError> {
        let Some(bytes) = &evidence.uvm_endorsements else {
            if policy.pinned_measurements.contains(&report.measurement) {
                return Ok(None);
            }
            return Err(EvidenceError::new(
                Check::Uvm01,
                report.measurement,
                "an endorsement, or a pinned measurement",
            ));
        };
        let statement = match known.and_then(|known| known.uvm.clone()) {
            Some(statement) => {
                uvm::check_form(statement.form, policy)?;
                statement
            }
            None => self.uvm_statement(bytes, policy)?,
        };
        uvm::check_governed(&statement, policy, &self.anchors)?;
        uvm::check_measurement(&statement, report.measurement)?;
        Ok(Some(statement))
    }

    /// UVM-02 to UVM-17, once per endorsement.
    pub(crate) fn uvm_statement(
        &self,
        bytes: &[u8],
        policy: &PlatformPolicy,
    ) -> Result<Arc<UvmStatement>, EvidenceError> {
        let key = labelled("UVM", bytes);
        if let Some(statement) = self.uvm.get(&key) {
            uvm::check_form(statement.form, policy)?;
            return Ok(statement);
        }
        let statement = Arc::new(uvm::verify(bytes, policy)?);
        self.uvm.put(key, Arc::clone(&statement));
        Ok(statement)
    }
}

/// A report and its certificates as they were presented.
pub(crate) struct Presented<'a> {
    pub(crate) report: &'a [u8],
    pub(crate) endorsements: &'a [u8],
    /// Big-endian, if the caller named one.
    pub(crate) endorsed_tcb: Option<[u8; 8]>,
}

/// A report and the chain that endorses its key, both verified.
pub(crate) struct Core {
    pub(crate) report: Report,
    pub(crate) chain: Arc<Chain>,
}

/// Evidence whose signatures hold up to the trust anchors and that met the platform policy when it was verified.
///
/// It is made by [`Verifier::verify`] and [`Verifier::verify_cvm`] and by nothing else. To release anything,
/// [`appraise`](Self::appraise) it.
#[derive(Debug)]
pub struct VerifiedEvidence {
    pub(crate) family: Family,
    pub(crate) report: Report,
    pub(crate) chain: Arc<Chain>,
    pub(crate) uvm: Option<Arc<UvmStatement>>,
    pub(crate) vm: Option<VerifiedVm>,
    pub(crate) claims: Arc<Claims>,
    /// What binds the caller's key: the report data, or the user data of a virtual machine.
    pub(crate) bound: Option<ReportData>,
    pub(crate) digest: Sha256Digest,
    pub(crate) simulated: bool,
}

impl VerifiedEvidence {
    /// What a contract's policy is compared with.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    pub(crate) fn shared_claims(&self) -> Arc<Claims> {
        Arc::clone(&self.claims)
    }

    /// The kind of platform.
    pub fn family(&self) -> Family {
        self.family
    }

    /// What is particular to a confidential VM; `None` for a container group.
    pub fn vm(&self) -> Option<&VerifiedVm> {
        self.vm.as_ref()
    }

    /// The report.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Digest of the policy the utility VM enforces; zero for a confidential VM.
    pub fn host_data(&self) -> HostData {
        self.report.host_data
    }

    /// What the evidence binds: the report data, or of a confidential VM the user data, if it has any.
    pub fn bound(&self) -> Option<ReportData> {
        self.bound
    }

    /// The UVM endorsement; `None` if the measurement is pinned by governance instead, and for a confidential VM.
    pub fn uvm(&self) -> Option<&UvmStatement> {
        self.uvm.as_deref()
    }

    /// SHA-256 of the evidence as presented. Names these bytes, not the platform.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// True if the trust anchors were those of the simulated platform: then it proves nothing.
    pub fn is_simulated(&self) -> bool {
        self.simulated
    }
}

/// INS-01 and INS-02: genuine evidence that is known to prove nothing.
fn check_denied(report: &Report, policy: &PlatformPolicy) -> Result<(), EvidenceError> {
    if policy.denied_host_data.contains(&report.host_data) {
        return Err(EvidenceError::new(
            Check::Ins01,
            report.host_data,
            "host data that is not denied",
        ));
    }
    let key = report
        .report_data
        .as_bytes()
        .first_chunk::<32>()
        .map(|digest| Sha256Digest::from(*digest));
    check_denied_key(key, policy)
}

/// INS-02.
pub(crate) fn check_denied_key(
    key: Option<Sha256Digest>,
    policy: &PlatformPolicy,
) -> Result<(), EvidenceError> {
    if let Some(key) = key.filter(|key| policy.denied_keys.contains(key)) {
        return Err(EvidenceError::new(
            Check::Ins02,
            key,
            "a key that is not denied",
        ));
    }
    Ok(())
}

/// Cache keys of different kinds never meet.
pub(crate) fn labelled(label: &str, bytes: &[u8]) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(&(label.len() as u64).to_le_bytes());
    context.update(label.as_bytes());
    context.update(bytes);
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}
