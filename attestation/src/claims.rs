//! Claims: what verified evidence says, in the names contract policies use.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{snp::Report, uvm::UvmStatement};

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

/// Names a policy for `snp-caci` may use, whether or not they are ever computed (application specification, section 5.2).
pub const POLICY_CLAIMS: [&str; 25] = [
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
