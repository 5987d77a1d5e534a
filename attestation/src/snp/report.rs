//! The SEV-SNP attestation report, versions 2 to 5 (one layout).

use super::{CpuId, Product, TcbVersion};
use crate::{
    bytes::{BlockKeyDigest, ChipId, HostData, Measurement, ReportData},
    error::{Check, EvidenceError},
};

/// Size of a report in bytes.
pub const REPORT_SIZE: usize = 1184;

/// Number of leading bytes the signature covers.
pub const SIGNED_SIZE: usize = 672;

/// A report whose layout has been read, and nothing more: the values are claims of whoever sent the bytes.
///
/// All numbers are little-endian (attestation specification, section 1.1):
///
/// ```text
/// 000  4  VERSION            0E0 48  ID_KEY_DIGEST       1E8  3  CURRENT build, minor, major
/// 004  4  GUEST_SVN          110 48  AUTHOR_KEY_DIGEST   1EC  3  COMMITTED build, minor, major
/// 008  8  POLICY             140 32  REPORT_ID           1F0  8  LAUNCH_TCB
/// 010 16  FAMILY_ID          160 32  REPORT_ID_MA        1F8  8  LAUNCH_MIT_VECTOR (v5)
/// 020 16  IMAGE_ID           180  8  REPORTED_TCB        200  8  CURRENT_MIT_VECTOR (v5)
/// 030  4  VMPL               188  1  CPUID family        208 152 reserved
/// 034  4  SIGNATURE_ALGO     189  1  CPUID model         2A0 72  signature R
/// 038  8  CURRENT_TCB        18A  1  CPUID stepping      2E8 72  signature S
/// 040  8  PLATFORM_INFO      18B 21  reserved            330 368 zero
/// 048  4  KEY_INFO           1A0 64  CHIP_ID
/// 04C  4  reserved           1E0  8  COMMITTED_TCB
/// 050 64  REPORT_DATA
/// 090 48  MEASUREMENT
/// 0C0 32  HOST_DATA
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Layout version.
    pub version: u32,
    /// SVN of the guest, from the ID block. Not the SVN of the utility VM.
    pub guest_svn: u32,
    /// What the owner of the guest allows.
    pub policy: GuestPolicy,
    /// From the ID block.
    pub family_id: [u8; 16],
    /// From the ID block.
    pub image_id: [u8; 16],
    /// Privilege level of the requester, 0 to 3; `0xffffffff` if the host asked.
    pub vmpl: u32,
    /// 1 is ECDSA P-384 with SHA-384.
    pub signature_algorithm: u32,
    /// Firmware in use.
    pub current_tcb: TcbVersion,
    /// Platform features.
    pub platform_info: u64,
    /// Which key signed.
    pub key_info: KeyInfo,
    /// Chosen by the guest.
    pub report_data: ReportData,
    /// Launch digest.
    pub measurement: Measurement,
    /// Chosen by the host at launch.
    pub host_data: HostData,
    /// Key that signed the ID block.
    pub id_key_digest: BlockKeyDigest,
    /// Key that signed the ID key; zero if none.
    pub author_key_digest: BlockKeyDigest,
    /// Identifies the guest instance.
    pub report_id: [u8; 32],
    /// Report id of the migration agent; all `ff` if none.
    pub report_id_ma: [u8; 32],
    /// The TCB from which the chip key was derived.
    pub reported_tcb: TcbVersion,
    /// Processor identification.
    pub cpuid: CpuId,
    /// The product of that processor.
    pub product: Product,
    /// Identifies the chip.
    pub chip_id: ChipId,
    /// The TCB below which the platform cannot be rolled back.
    pub committed_tcb: TcbVersion,
    /// Firmware in use.
    pub current_firmware: FirmwareVersion,
    /// Firmware below which the platform cannot be rolled back.
    pub committed_firmware: FirmwareVersion,
    /// The TCB when the guest was launched.
    pub launch_tcb: TcbVersion,
    /// Mitigations at launch; version 5 only.
    pub launch_mitigations: Option<u64>,
    /// Mitigations now; version 5 only.
    pub current_mitigations: Option<u64>,
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// SNP-01 (size), SNP-02 (version; version 2 has no CPUID in its signed part, so no root can be chosen from it), SNP-03
    /// (product).
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() != REPORT_SIZE {
            return Err(EvidenceError::new(
                Check::Snp01,
                format_args!("{} bytes", bytes.len()),
                format_args!("{REPORT_SIZE} bytes"),
            ));
        }
        Self::read(&mut Cursor(bytes)).ok_or_else(|| {
            EvidenceError::new(
                Check::Snp01,
                "too few bytes",
                format_args!("{REPORT_SIZE} bytes"),
            )
        })?
    }

    /// `None` if the cursor runs out, which the size check has excluded.
    fn read(c: &mut Cursor<'_>) -> Option<Result<Self, EvidenceError>> {
        let version = c.u32()?;
        if !(3..=5).contains(&version) {
            return Some(Err(EvidenceError::new(Check::Snp02, version, "3, 4 or 5")));
        }
        let guest_svn = c.u32()?;
        let policy = GuestPolicy(c.u64()?);
        let family_id = c.array()?;
        let image_id = c.array()?;
        let vmpl = c.u32()?;
        let signature_algorithm = c.u32()?;
        let current_tcb = c.tcb()?;
        let platform_info = c.u64()?;
        let key_info = KeyInfo(c.u32()?);
        c.skip(4)?;
        let report_data = c.array()?.into();
        let measurement = c.array()?.into();
        let host_data = c.array()?.into();
        let id_key_digest = c.array()?.into();
        let author_key_digest = c.array()?.into();
        let report_id = c.array()?;
        let report_id_ma = c.array()?;
        let reported_tcb = c.tcb()?;
        let [family, model, stepping] = c.array()?;
        let cpuid = CpuId {
            family,
            model,
            stepping,
        };
        c.skip(21)?;
        let chip_id = c.array()?.into();
        let committed_tcb = c.tcb()?;
        let current_firmware = c.firmware()?;
        let committed_firmware = c.firmware()?;
        let launch_tcb = c.tcb()?;
        let launch_mitigations = c.u64().map(|v| (version >= 5).then_some(v))?;
        let current_mitigations = c.u64().map(|v| (version >= 5).then_some(v))?;
        let Some(product) = cpuid.product() else {
            return Some(Err(EvidenceError::new(
                Check::Snp03,
                format_args!("family {family:#04x}, model {model:#04x}"),
                "Milan, Genoa or Turin",
            )));
        };
        Some(Ok(Self {
            version,
            guest_svn,
            policy,
            family_id,
            image_id,
            vmpl,
            signature_algorithm,
            current_tcb,
            platform_info,
            key_info,
            report_data,
            measurement,
            host_data,
            id_key_digest,
            author_key_digest,
            report_id,
            report_id_ma,
            reported_tcb,
            cpuid,
            product,
            chip_id,
            committed_tcb,
            current_firmware,
            committed_firmware,
            launch_tcb,
            launch_mitigations,
            current_mitigations,
        }))
    }
}

/// What the owner of the guest allows (AMD SEV-SNP ABI, guest policy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestPolicy(pub u64);

impl GuestPolicy {
    /// Bit 16: simultaneous multithreading may be on.
    pub fn smt_allowed(self) -> bool {
        self.bit(16)
    }

    /// Bit 18: a migration agent may be associated.
    pub fn migration_allowed(self) -> bool {
        self.bit(18)
    }

    /// Bit 19: the host may read and write guest memory.
    pub fn debug_allowed(self) -> bool {
        self.bit(19)
    }

    fn bit(self, n: u32) -> bool {
        self.0 >> n & 1 == 1
    }
}

/// Which key signed the report (attestation specification, section 1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyInfo(pub u32);

impl KeyInfo {
    /// Bit 1: the chip key is masked and the signature is empty.
    pub fn chip_key_masked(self) -> bool {
        self.0 >> 1 & 1 == 1
    }

    /// Bits 4:2: 0 VCEK, 1 VLEK, 7 none.
    pub fn signing_key(self) -> u32 {
        self.0 >> 2 & 7
    }
}

/// Version of the SNP firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirmwareVersion {
    /// Major number.
    pub major: u8,
    /// Minor number.
    pub minor: u8,
    /// Build number.
    pub build: u8,
}

/// Splits a report into the signed bytes and the signature as `r ‖ s`, big-endian, 48 bytes each.
///
/// # Errors
/// SNP-19: everything after the 48 significant bytes of either number must be zero. Those bytes are not signed, so a report
/// would otherwise have many spellings.
pub(crate) fn signature(bytes: &[u8]) -> Result<(&[u8], [u8; 96]), EvidenceError> {
    let padding = || EvidenceError::new(Check::Snp19, "non-zero bytes", "zero bytes");
    let mut c = Cursor(bytes);
    let mut fields = || {
        Some((
            c.take(SIGNED_SIZE)?,
            c.array::<48>()?,
            c.array::<24>()?,
            c.array::<48>()?,
            c.array::<24>()?,
        ))
    };
    let (signed, r, r_rest, s, s_rest) = fields().ok_or_else(padding)?;
    if !r_rest.iter().chain(&s_rest).chain(c.0).all(|b| *b == 0) {
        return Err(padding());
    }
    let mut out = [0; 96];
    for (to, from) in out.iter_mut().zip(r.iter().rev().chain(s.iter().rev())) {
        *to = *from;
    }
    Ok((signed, out))
}

/// Reads fixed-size fields and stops at the end.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }

    fn skip(&mut self, n: usize) -> Option<()> {
        self.take(n).map(|_| ())
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn tcb(&mut self) -> Option<TcbVersion> {
        self.array().map(TcbVersion::from_memory)
    }

    /// Build comes before minor and major; the fourth byte is reserved.
    fn firmware(&mut self) -> Option<FirmwareVersion> {
        let [build, minor, major, _] = self.array()?;
        Some(FirmwareVersion {
            major,
            minor,
            build,
        })
    }
}
