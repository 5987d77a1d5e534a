//! A simulated platform: evidence in the real formats, checked by the same verifier, made on any machine.
//!
//! Its keys are published with this crate, so its evidence proves nothing. It is accepted under
//! [`TrustAnchors::simulated`](crate::TrustAnchors::simulated) and refused under
//! [`TrustAnchors::production`](crate::TrustAnchors::production); the verifier itself has no insecure mode.
//!
//! ```
//! use attestation::{PlatformPolicy, ReportData, TrustAnchors, UnixTime, Verifier, simulated};
//!
//! let platform = simulated::Platform::default();
//! let key = attestation::ClientKey::generate()?;
//! let evidence = platform.evidence(&simulated::Guest {
//!     host_data: [1; 32].into(),
//!     report_data: ReportData::binding(key.public_key_pem().as_bytes()),
//!     ..simulated::Guest::default()
//! });
//! let verifier = Verifier::new(TrustAnchors::simulated());
//! let verified = verifier.verify(&evidence, &PlatformPolicy::simulated(), UnixTime::from_secs(1_800_000_000))?;
//! assert_eq!(verified.host_data(), [1; 32].into());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod certificates;
pub(crate) mod keys;
pub(crate) mod uvm;
pub(crate) mod vtpm;

use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;

pub(crate) use self::keys::{ARK_KEY, UVM_KEYS, UVM_ROOT_KEY};
pub use self::vtpm::CvmGuest;
use self::{certificates::ChainSpec, keys::Keys};
use crate::{
    bytes::{ChipId, HostData, Measurement, ReportData, Sha256Digest},
    client::ClientKey,
    evidence::Evidence,
    snp::{Product, REPORT_SIZE, SIGNED_SIZE, TcbVersion},
    uvm::UvmForm,
};

/// A simulated machine with its firmware and utility VM.
#[derive(Clone, Debug)]
pub struct Platform {
    product: Product,
    tcb: TcbVersion,
    chip_id: ChipId,
    uvm_measurement: Measurement,
    uvm_svn: u64,
    uvm_form: UvmForm,
    endorsements: OnceLock<Vec<u8>>,
    uvm_endorsements: OnceLock<Vec<u8>>,
}

impl Platform {
    /// A machine that meets [`PlatformPolicy::simulated`](crate::PlatformPolicy::simulated): minimum TCB, UVM release 103.
    pub fn new(product: Product) -> Self {
        let mut chip_id = [0; 64];
        for (i, byte) in chip_id.iter_mut().take(product.chip_id_len()).enumerate() {
            *byte = 0xc0 ^ i as u8;
        }
        let mut measurement = [0; 48];
        measurement.copy_from_slice(
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA384, b"simulated utility VM").as_ref(),
        );
        Self {
            product,
            tcb: default_tcb(product),
            chip_id: chip_id.into(),
            uvm_measurement: measurement.into(),
            uvm_svn: 103,
            uvm_form: UvmForm::Legacy,
            endorsements: OnceLock::new(),
            uvm_endorsements: OnceLock::new(),
        }
    }

    /// With this TCB in chip certificate and report.
    pub fn with_tcb(mut self, tcb: TcbVersion) -> Self {
        self.tcb = tcb;
        self.endorsements = OnceLock::new();
        self
    }

    /// With this chip id. On Turin only the first 8 bytes may be non-zero.
    pub fn with_chip_id(mut self, chip_id: ChipId) -> Self {
        self.chip_id = chip_id;
        self.endorsements = OnceLock::new();
        self
    }

    /// With a utility VM of this measurement and release, endorsed in this form.
    pub fn with_uvm(mut self, measurement: Measurement, svn: u64, form: UvmForm) -> Self {
        (self.uvm_measurement, self.uvm_svn, self.uvm_form) = (measurement, svn, form);
        self.uvm_endorsements = OnceLock::new();
        self
    }

    /// The launch measurement of its utility VM.
    pub fn uvm_measurement(&self) -> Measurement {
        self.uvm_measurement
    }

    /// Evidence for a guest on this machine.
    pub fn evidence(&self, guest: &Guest) -> Evidence {
        Evidence {
            report: sign_report(self.report(guest)).to_vec(),
            endorsements: self.endorsements().to_vec(),
            uvm_endorsements: Some(self.uvm_endorsements().to_vec()),
            endorsed_tcb: Some(self.tcb.to_string()),
        }
    }

    /// The PEM text of the chip certificate, intermediate and root. Made once.
    pub fn endorsements(&self) -> &[u8] {
        self.endorsements.get_or_init(|| self.chain().to_pem())
    }

    /// The signed statement about the utility VM. Made once.
    pub fn uvm_endorsements(&self) -> &[u8] {
        self.uvm_endorsements.get_or_init(|| {
            uvm::EndorsementSpec::new(self.uvm_form, self.uvm_svn, self.uvm_measurement).sign()
        })
    }

    pub(crate) fn chain(&self) -> ChainSpec {
        ChainSpec::new(self.product, self.tcb, self.chip_id.as_bytes())
    }

    /// A report without signature (layout: [`Report`](crate::snp::Report)).
    pub(crate) fn report(&self, guest: &Guest) -> [u8; REPORT_SIZE] {
        let measurement = guest.measurement.unwrap_or(self.uvm_measurement);
        let (version, cpuid): (u32, [u8; 3]) = match self.product {
            Product::Milan => (3, [0x19, 0x01, 1]),
            Product::Genoa => (3, [0x19, 0x11, 1]),
            Product::Turin => (5, [0x1a, 0x02, 1]),
        };
        let tcb = self.tcb.to_memory();
        let report_id = Sha256Digest::of(
            &[
                guest.host_data.as_bytes().as_slice(),
                guest.report_data.as_bytes(),
            ]
            .concat(),
        );
        let mut report = [0; REPORT_SIZE];
        let mut put = |at: usize, bytes: &[u8]| {
            for (to, from) in report.iter_mut().skip(at).zip(bytes) {
                *to = *from;
            }
        };
        put(0x000, &version.to_le_bytes());
        put(0x004, &2_u32.to_le_bytes());
        put(0x008, &guest.policy.to_le_bytes());
        put(0x010, &[1]);
        put(0x020, &[2]);
        put(0x030, &guest.vmpl.to_le_bytes());
        put(0x034, &1_u32.to_le_bytes());
        put(0x038, &tcb);
        put(0x040, &0x25_u64.to_le_bytes());
        put(0x050, guest.report_data.as_bytes());
        put(0x090, measurement.as_bytes());
        put(0x0c0, guest.host_data.as_bytes());
        put(0x140, report_id.as_bytes());
        put(0x160, &[0xff; 32]);
        put(0x180, &tcb);
        put(0x188, &cpuid);
        put(0x1a0, self.chip_id.as_bytes());
        put(0x1e0, &tcb);
        put(0x1e8, &[29, 55, 1, 0, 29, 55, 1, 0]);
        put(0x1f0, &tcb);
        report
    }
}

impl Default for Platform {
    /// A Milan machine.
    fn default() -> Self {
        Self::new(Product::Milan)
    }
}

/// What runs on a simulated machine, and what it asked its report for.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Digest of the policy the utility VM enforces.
    pub host_data: HostData,
    /// See [`ReportData::binding`].
    pub report_data: ReportData,
    /// Launch measurement; `None`: that of the endorsed utility VM.
    pub measurement: Option<Measurement>,
    /// Guest policy; `0x3001f` for real container groups. Bit 19 allows debugging, bit 18 migration.
    pub policy: u64,
    /// Privilege level of the requester.
    pub vmpl: u32,
}

impl Guest {
    /// A guest whose report binds a key.
    pub fn new(host_data: HostData, key_pem: &[u8]) -> Self {
        Self {
            host_data,
            report_data: ReportData::binding(key_pem),
            ..Self::default()
        }
    }
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            host_data: HostData::new([0; 32]),
            report_data: ReportData::new([0; 64]),
            measurement: None,
            policy: 0x3001f,
            vmpl: 0,
        }
    }
}

/// A fixed key of a clean room, for tests: making one takes a tenth of a second. Its private part is public.
pub fn client_key() -> ClientKey {
    ClientKey::from_pkcs8(include_bytes!("data/client.pk8"))
        .expect("invariant: the key file in this crate is an RSA key in PKCS #8")
}

/// Lowest TCB of the default platform policy, by product.
pub(crate) fn default_tcb(product: Product) -> TcbVersion {
    let number: u64 = match product {
        Product::Milan => 0xdb18_0000_0000_0004,
        Product::Genoa => 0x5417_0000_0000_000a,
        Product::Turin => 0x5100_0000_0401_0101,
    };
    TcbVersion::from_memory(number.to_le_bytes())
}

/// The did:x509 that issues simulated UVM endorsements.
pub fn uvm_issuer() -> &'static str {
    uvm::issuer()
}

/// Signs a report with the simulated chip key: `r` and `s` little-endian, 48 bytes each in fields of 72.
pub(crate) fn sign_report(mut report: [u8; REPORT_SIZE]) -> [u8; REPORT_SIZE] {
    let signed = report
        .first_chunk::<SIGNED_SIZE>()
        .map(|bytes| bytes.as_slice())
        .unwrap_or_default();
    let signature = Keys::get()
        .vcek
        .sign(&SystemRandom::new(), signed)
        .expect("invariant: the simulated chip key is an EC key that can sign");
    let (r, s) = signature.as_ref().split_at(48);
    for (at, scalar) in [(0x2a0, r), (0x2e8, s)] {
        for (to, from) in report.iter_mut().skip(at).zip(scalar.iter().rev()) {
            *to = *from;
        }
    }
    report
}
