//! Claims: what verified evidence says, in the names contract policies use.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{cvm::Registers, request, snp::Report, uvm::UvmStatement};

/// Claims of verified evidence (attestation specification, section 4.2).
///
/// Serialized as a JSON object of all claims, including those a policy cannot name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Claims {
    /// Claims a policy may name.
    #[serde(flatten)]
    named: BTreeMap<&'static str, Value>,
    /// Claims for people and records only.
    #[serde(flatten)]
    shown: BTreeMap<&'static str, Value>,
}

impl Claims {
    pub(crate) fn new(report: &Report, bytes: &[u8], uvm: Option<&UvmStatement>) -> Self {
        let tcb = report.reported_tcb.components(report.product);
        let named = BTreeMap::from([
            ("x-ms-ver", json!(report.version.to_string())),
            ("x-ms-sevsnpvm-guestsvn", json!(report.guest_svn)),
            (
                "x-ms-sevsnpvm-smt-allowed",
                json!(report.policy.smt_allowed()),
            ),
            (IS_DEBUGGABLE, json!(report.policy.debug_allowed())),
            (
                "x-ms-sevsnpvm-familyId",
                json!(hex::encode(report.family_id)),
            ),
            ("x-ms-sevsnpvm-imageId", json!(hex::encode(report.image_id))),
            ("x-ms-sevsnpvm-vmpl", json!(report.vmpl)),
            ("x-ms-sevsnpvm-reportdata", json!(report.report_data)),
            ("x-ms-sevsnpvm-launchmeasurement", json!(report.measurement)),
            (HOST_DATA, json!(report.host_data)),
            ("x-ms-sevsnpvm-idkeydigest", json!(report.id_key_digest)),
            (
                "x-ms-sevsnpvm-authorkeydigest",
                json!(report.author_key_digest),
            ),
            (
                "x-ms-sevsnpvm-reportid",
                json!(hex::encode(report.report_id)),
            ),
            // Additive: upstream accepts these names in policies and never computes them, so such a policy never matched.
            ("x-ms-sevsnpvm-bootloader-svn", json!(tcb.boot_loader)),
            ("x-ms-sevsnpvm-tee-svn", json!(tcb.tee)),
            ("x-ms-sevsnpvm-snpfw-svn", json!(tcb.snp)),
            ("x-ms-sevsnpvm-microcode-svn", json!(tcb.microcode)),
            (
                "x-ms-sevsnpvm-migration-allowed",
                json!(report.policy.migration_allowed()),
            ),
        ]);
        let mut shown = BTreeMap::new();
        for (name, at) in [("signature-r", 0x2a0), ("signature-s", 0x2e8)] {
            shown.insert(
                name,
                json!(hex::encode(bytes.get(at..at + 72).unwrap_or_default())),
            );
        }
        if let Some(uvm) = uvm {
            shown.insert("uvm_endorsements-did", json!(uvm.did));
            shown.insert("uvm_endorsements-feed", json!(uvm.feed));
            shown.insert("uvm_endorsements-svn", json!(uvm.svn.to_string()));
        }
        Self { named, shown }
    }

    /// Claims of a confidential VM: `pcrN` in base64, as existing policies have them.
    pub(crate) fn of_vm(
        report: &Report,
        registers: &Registers,
        configuration: Vec<(&'static str, Value)>,
    ) -> Self {
        let mut named: BTreeMap<_, _> = CVM_CLAIMS
            .into_iter()
            .zip(registers)
            .filter_map(|(name, value)| Some((name, request::encode(value.as_ref()?))))
            .collect();
        named.extend([
            ("cvm-launchmeasurement", json!(report.measurement)),
            ("cvm-idkeydigest", json!(report.id_key_digest)),
            ("cvm-guestsvn", json!(report.guest_svn)),
        ]);
        named.extend(configuration);
        Self {
            named,
            shown: BTreeMap::new(),
        }
    }

    /// The value of a claim a policy may name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.named.get(name)
    }

    /// Claims a policy may name, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.named.iter().map(|(name, value)| (*name, value))
    }
}

/// HOST_DATA in lower-case hexadecimal digits.
pub(crate) const HOST_DATA: &str = "x-ms-sevsnpvm-hostdata";

const IS_DEBUGGABLE: &str = "x-ms-sevsnpvm-is-debuggable";

/// A kind of proof of identity, and the claims it is made of.
///
/// A policy is one map of claims; each family is compared with its own part of it, so a policy can admit container groups, virtual
/// machines and tokens side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// A confidential container group.
    #[serde(rename = "snp-caci")]
    Caci,
    /// A confidential VM.
    #[serde(rename = "snp-cvm")]
    Cvm,
    /// A bearer token.
    #[serde(rename = "jwt")]
    Jwt,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 3] = [Self::Caci, Self::Cvm, Self::Jwt];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caci => "snp-caci",
            Self::Cvm => "snp-cvm",
            Self::Jwt => "jwt",
        }
    }

    /// The claims a policy of this family may be written with, whether or not they are ever computed (application specification,
    /// sections 5.2 to 5.4).
    pub fn claims(self) -> &'static [&'static str] {
        match self {
            Self::Caci => &CACI_CLAIMS,
            Self::Cvm => &CVM_CLAIMS,
            Self::Jwt => &JWT_CLAIMS,
        }
    }

    /// Whether evidence of this family is compared with what a policy says about a claim.
    ///
    /// The configuration of a VM concerns both families of reports: a container group has none, so a policy that names it
    /// admits no container group. So do claims that no family knows.
    pub fn compares(self, claim: &str) -> bool {
        let (vm, token) = (CVM_CLAIMS.contains(&claim), JWT_CLAIMS.contains(&claim));
        match self {
            Self::Caci => !token && (!vm || CACI_CLAIMS.contains(&claim)),
            Self::Cvm => vm,
            Self::Jwt => token,
        }
    }
}

const CACI_CLAIMS: [&str; 25] = [
    "vm-configuration-secure-boot",
    "vm-configuration-secure-boot-template-id",
    "vm-configuration-tpm-enabled",
    "vm-configuration-vmUniqueId",
    "x-ms-attestation-type",
    "x-ms-compliance-status",
    "x-ms-policy-hash",
    "x-ms-sevsnpvm-authorkeydigest",
    "x-ms-sevsnpvm-bootloader-svn",
    "x-ms-sevsnpvm-familyId",
    "x-ms-sevsnpvm-guestsvn",
    HOST_DATA,
    "x-ms-sevsnpvm-idkeydigest",
    "x-ms-sevsnpvm-imageId",
    IS_DEBUGGABLE,
    "x-ms-sevsnpvm-launchmeasurement",
    "x-ms-sevsnpvm-microcode-svn",
    "x-ms-sevsnpvm-migration-allowed",
    "x-ms-sevsnpvm-reportdata",
    "x-ms-sevsnpvm-reportid",
    "x-ms-sevsnpvm-smt-allowed",
    "x-ms-sevsnpvm-snpfw-svn",
    "x-ms-sevsnpvm-tee-svn",
    "x-ms-sevsnpvm-vmpl",
    "x-ms-ver",
];

/// The registers, the configuration, and of the report what says which paravisor runs (additive).
const CVM_CLAIMS: [&str; 30] = [
    "pcr0",
    "pcr1",
    "pcr2",
    "pcr3",
    "pcr4",
    "pcr5",
    "pcr6",
    "pcr7",
    "pcr8",
    "pcr9",
    "pcr10",
    "pcr11",
    "pcr12",
    "pcr13",
    "pcr14",
    "pcr15",
    "pcr16",
    "pcr17",
    "pcr18",
    "pcr19",
    "pcr20",
    "pcr21",
    "pcr22",
    "pcr23",
    "cvm-launchmeasurement",
    "cvm-idkeydigest",
    "cvm-guestsvn",
    "vm-configuration-secure-boot",
    "vm-configuration-tpm-enabled",
    "vm-configuration-vmUniqueId",
];

const JWT_CLAIMS: [&str; 5] = ["oid", "appid", "tid", "sub", "iss"];

/// Whether a claim is a register that a guest cannot reset (TCG PC Client Platform TPM Profile, section 4.6): 16 to 23 can be set
/// to anything by whoever runs.
pub(crate) fn pins_boot(claim: &str) -> bool {
    CVM_CLAIMS.iter().take(16).any(|name| *name == claim)
}
