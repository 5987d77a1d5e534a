//! The platform policy: what governance requires of every platform, whatever the contract.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    anchors::TrustAnchors,
    bytes::{BlockKeyDigest, ChipId, HostData, Measurement, Sha256Digest},
    cvm::CvmPolicy,
    simulated,
    snp::{CpuId, Product, Report, TcbVersion},
    uvm::UvmForm,
};

/// Governed requirements on platforms (attestation specification, section 4.5).
///
/// In JSON, a member that is absent has its [production](Self::production) value, so leaving a deny list out does not lift it;
/// an unknown member is an error. What is not here cannot be relaxed: signatures, VCEK-signed reports, no debugging, no
/// migration, and a utility VM that is endorsed or pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct PlatformPolicy {
    /// Products that may run clean rooms.
    pub products: BTreeSet<Product>,
    /// Lowest TCB by product. A product without an entry is refused.
    #[serde(rename = "minimumTcb")]
    pub minimum_tcb: BTreeMap<Product, TcbVersion>,
    /// Overrides by exact CPUID, for compatibility with CCF's table.
    #[serde(rename = "minimumTcbByCpuid")]
    pub minimum_tcb_by_cpuid: BTreeMap<CpuId, TcbVersion>,
    /// The committed TCB must reach the minimum too: then the host cannot roll back without a reset.
    #[serde(rename = "committedTcb")]
    pub committed_tcb: bool,
    /// Privilege levels from which a report may be requested.
    pub vmpl: BTreeSet<u32>,
    /// Who may endorse utility VMs.
    pub uvm: Vec<UvmIssuer>,
    /// Forms of UVM endorsements that are read.
    pub uvm_forms: BTreeSet<UvmForm>,
    /// Launch measurements that need no endorsement. Ignored when an endorsement is present: a bad one is always an error.
    pub pinned_measurements: BTreeSet<Measurement>,
    /// Host data that proves nothing, such as that of policies that allow everything.
    pub denied_host_data: BTreeSet<HostData>,
    /// SHA-256 of the PEM text of keys whose private part is published.
    pub denied_keys: BTreeSet<Sha256Digest>,
    /// Chips that are no longer trusted.
    pub denied_chips: BTreeSet<ChipId>,
    /// SHA-256 of the SubjectPublicKeyInfo of accepted intermediates; removing one revokes it. `null`: all under the root.
    pub intermediates: Option<BTreeSet<Sha256Digest>>,
    /// Bits of PLATFORM_INFO that must be set.
    pub platform_info: u64,
    /// Accepted ID keys. `null`: all. For confidential containers these change with each UVM release.
    pub id_keys: Option<BTreeSet<BlockKeyDigest>>,
    /// Confidential VMs.
    pub cvm: CvmPolicy,
}

/// An issuer of UVM endorsements: a statement matches if issuer and feed are equal and its SVN is not below the minimum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UvmIssuer {
    /// Complete did:x509, compared as text.
    pub did: String,
    /// Feed, compared as text.
    pub feed: String,
    /// Lowest SVN.
    pub min_svn: u64,
}

impl PlatformPolicy {
    /// The policy a service on AMD's processors in Azure starts with.
    pub fn production() -> Self {
        Self {
            products: [Product::Milan, Product::Genoa].into(),
            minimum_tcb: [
                (
                    Product::Milan,
                    TcbVersion::from_memory(0xdb18_0000_0000_0004_u64.to_le_bytes()),
                ),
                (
                    Product::Genoa,
                    TcbVersion::from_memory(0x5417_0000_0000_000a_u64.to_le_bytes()),
                ),
            ]
            .into(),
            minimum_tcb_by_cpuid: BTreeMap::new(),
            committed_tcb: false,
            vmpl: [0].into(),
            uvm: vec![UvmIssuer {
                did: CACI_ISSUER.to_owned(),
                feed: CACI_FEED.to_owned(),
                min_svn: 103,
            }],
            uvm_forms: [UvmForm::Legacy, UvmForm::Cwt].into(),
            pinned_measurements: BTreeSet::new(),
            denied_host_data: known(ALLOW_EVERYTHING),
            denied_keys: known(PUBLISHED_KEYS),
            denied_chips: BTreeSet::new(),
            intermediates: Some(known(AMD_INTERMEDIATES)),
            platform_info: 0,
            id_keys: None,
            cvm: CvmPolicy::production(),
        }
    }

    /// The policy for the simulated platform: as production, but for its own UVM issuer and vTPM authority, all products, and without the deny
    /// list of host data, since simulated evidence proves nothing in any case.
    pub fn simulated() -> Self {
        Self {
            products: Product::ALL.into(),
            minimum_tcb: Product::ALL
                .into_iter()
                .map(|p| (p, simulated::default_tcb(p)))
                .collect(),
            uvm: vec![UvmIssuer {
                did: simulated::uvm_issuer().to_owned(),
                feed: CACI_FEED.to_owned(),
                min_svn: 103,
            }],
            denied_host_data: BTreeSet::new(),
            intermediates: None,
            cvm: CvmPolicy::simulated(),
            ..Self::production()
        }
    }

    /// The policy to start with under some trust anchors.
    pub fn for_anchors(anchors: &TrustAnchors) -> Self {
        if anchors.is_simulated() {
            Self::simulated()
        } else {
            Self::production()
        }
    }

    pub(crate) fn minimum_tcb_for(&self, report: &Report) -> Option<TcbVersion> {
        self.minimum_tcb_by_cpuid
            .get(&report.cpuid)
            .or_else(|| self.minimum_tcb.get(&report.product))
            .copied()
    }
}

impl Default for PlatformPolicy {
    /// [`PlatformPolicy::production`].
    fn default() -> Self {
        Self::production()
    }
}

/// Constants of this file are well formed; the tests count what this keeps.
fn known<T: core::str::FromStr + Ord>(texts: &[&str]) -> BTreeSet<T> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// Microsoft's issuer of utility VMs for confidential container groups (attestation specification, section 3.6).
const CACI_ISSUER: &str =
    "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.2";

/// Feed of the utility VMs for confidential container groups.
pub(crate) const CACI_FEED: &str = "ContainerPlat-AMD-UVM";

/// Host data under which the host may run anything: four published policies, zero, and the digest of nothing
/// (attestation specification, section 4.4).
const ALLOW_EVERYTHING: &[&str] = &[
    "73973b78d70cc68353426de188db5dfc57e5b766e399935fb73a61127ea26d20",
    "7ec5120f0f497e22b18e59ed702ed82e2732562245c9a944f54cd41db4f491af",
    "4f4448c67f3c8dfc8de8a5e37125d807dadcc41f06cf23f615dbd52eec777d10",
    "cadd74f71ebb8fbf9782baab649612520f3c416bc5ce9ac768808ddc8d9b031c",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

/// Keys of published development evidence (attestation specification, section 6).
const PUBLISHED_KEYS: &[&str] = &[
    "2097b3fdd5aba9a1812c0c3adf575d4ff385ea5e08efb002a75b5c3f5bd2b787",
    "8ce0f68ae1efa1678eec0d8a6c6239a0996e1f84b01f644841155d4c06ce3637",
    "e2f9ee8d99958ba5aeb74c84ec26ff7425e601b8fa7aa743faca7ad039afab9f",
    "65570d7b3e5a9eb0d2875bbcb7c918e96d1e6ff7c4a3d534f0c8bb17160e8672",
];

/// AMD's intermediate keys for VCEKs (attestation specification, section 2.2).
const AMD_INTERMEDIATES: &[&str] = &[
    "42491669ccb851d627ea9846cd24eccbeb7de7c2a62740120fff88001d38ebb6",
    "0324d55bcd48ba877a8fd87c0e1b4934dec8448e3807a24384a34dc6a6c9ebb8",
    "0000ead352025f208bf55297c4192c34cd1b878002107366d8f2065a9ae7d3a9",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_lists_are_complete() {
        let policy = PlatformPolicy::production();
        assert_eq!(policy.denied_host_data.len(), ALLOW_EVERYTHING.len());
        assert_eq!(policy.denied_keys.len(), PUBLISHED_KEYS.len());
        assert_eq!(policy.intermediates.unwrap().len(), AMD_INTERMEDIATES.len());
    }

    #[test]
    fn absent_members_have_production_values_and_unknown_ones_are_errors() {
        let policy: PlatformPolicy = serde_json::from_str(r#"{"vmpl":[0,1]}"#).unwrap();
        assert_eq!(
            policy,
            PlatformPolicy {
                vmpl: [0, 1].into(),
                ..PlatformPolicy::production()
            }
        );
        assert!(serde_json::from_str::<PlatformPolicy>(r#"{"vmlp":[0]}"#).is_err());
    }

    #[test]
    fn json_is_read_back() {
        for policy in [PlatformPolicy::production(), PlatformPolicy::simulated()] {
            let text = serde_json::to_string(&policy).unwrap();
            assert_eq!(
                serde_json::from_str::<PlatformPolicy>(&text).unwrap(),
                policy
            );
        }
    }

    #[test]
    fn minimum_tcb_text_is_big_endian() {
        let policy = serde_json::to_value(PlatformPolicy::production()).unwrap();
        assert_eq!(policy["minimumTcb"]["Milan"], "db18000000000004");
        assert_eq!(policy["minimumTcb"]["Genoa"], "541700000000000a");
    }
}
