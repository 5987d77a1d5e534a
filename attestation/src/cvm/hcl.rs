//! The report blob of the paravisor (HCL), and the runtime claims in it.
//!
//! ```text
//!    0    4  "HCLA"                     1216  4  u32 data size = 20 + claim size
//!    4    4  u32 version: 1 or 2        1220  4  u32 version: 1
//!    8    4  u32 size = 1216 + data     1224  4  u32 report type: 2 (SNP)
//!   12    4  u32 request type: 2        1228  4  u32 hash type: 1 (SHA-256)
//!   16   16  status, reserved           1232  4  u32 claim size
//!   32 1184  SNP report                 1236     runtime claims, JSON; then zeros
//! ```
//!
//! All little-endian, at most 4096 bytes (attestation specification, section 5.2).

use serde_json::Value;

use super::ak::AttestationKey;
use crate::{
    bytes::{ReportData, Sha256Digest},
    error::{Check, EvidenceError},
    json,
    snp::REPORT_SIZE,
};

const LONGEST: usize = 4096;
const REPORT_AT: usize = 32;
const CLAIMS_AT: usize = 1236;

/// The two parts of a blob that matter.
#[derive(Clone, Copy, Debug)]
pub(super) struct HclReport<'a> {
    /// The SNP report, [`REPORT_SIZE`] bytes.
    pub(super) report: &'a [u8],
    /// The runtime claims exactly as the report's data binds them.
    pub(super) claims: &'a [u8],
}

impl<'a> HclReport<'a> {
    /// CVM-02.
    pub(super) fn parse(blob: &'a [u8]) -> Result<Self, EvidenceError> {
        let refused =
            |got: &str| EvidenceError::new(Check::Cvm02, got, "an HCL report of an SNP machine");
        if blob.len() > LONGEST {
            return Err(refused("more than 4096 bytes"));
        }
        let report = blob.get(REPORT_AT..REPORT_AT + REPORT_SIZE);
        let (Some(report), Some(claim_size)) = (report, number(blob, 1232)) else {
            return Err(refused("too few bytes"));
        };
        if !blob.starts_with(b"HCLA") || !matches!(number(blob, 4), Some(1 | 2)) {
            return Err(refused("another format"));
        }
        let fields = [(12, 2), (1220, 1), (1224, 2), (1228, 1)];
        if let Some((at, _)) = fields
            .into_iter()
            .find(|(at, want)| number(blob, *at) != Some(*want))
        {
            return Err(refused(&format!("another value at {at}")));
        }
        let data_size = claim_size.checked_add(20);
        let size = data_size.and_then(|size| size.checked_add(1216));
        if number(blob, 1216) != data_size || number(blob, 8) != size {
            return Err(refused("sizes that do not agree"));
        }
        let rest = blob.get(CLAIMS_AT..).unwrap_or_default();
        let claims = usize::try_from(claim_size)
            .ok()
            .and_then(|size| rest.split_at_checked(size));
        let Some((claims, padding)) = claims else {
            return Err(refused("claims beyond the end"));
        };
        if padding.iter().any(|byte| *byte != 0) {
            return Err(refused("something after the claims"));
        }
        Ok(Self { report, claims })
    }
}

fn number(blob: &[u8], at: usize) -> Option<u32> {
    let bytes = blob.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// What the runtime claims say.
#[derive(Clone, Debug)]
pub(super) struct RuntimeClaims {
    /// The key that signs quotes.
    pub(super) ak: AttestationKey,
    /// 64 bytes that the guest chose; `None` if there are none, or not in 128 hexadecimal digits.
    pub(super) user_data: Option<ReportData>,
    /// Members of `vm-configuration` that a policy may name.
    pub(super) configuration: Vec<(&'static str, Value)>,
}

/// Members of `vm-configuration`, with the names policies use.
pub(super) const CONFIGURATION: [(&str, &str); 3] = [
    ("secure-boot", "vm-configuration-secure-boot"),
    ("tpm-enabled", "vm-configuration-tpm-enabled"),
    ("vmUniqueId", "vm-configuration-vmUniqueId"),
];

impl RuntimeClaims {
    /// CVM-04: the claims are those that the report binds.
    pub(super) fn check_binding(claims: &[u8], got: ReportData) -> Result<(), EvidenceError> {
        let want = ReportData::binding(claims);
        if got == want {
            return Ok(());
        }
        Err(EvidenceError::new(Check::Cvm04, got, want))
    }

    /// CVM-05. Repeated members are refused: two readers could take different ones.
    pub(super) fn parse(claims: &[u8]) -> Result<Self, EvidenceError> {
        let refused = |got: &str| {
            EvidenceError::new(
                Check::Cvm05,
                got,
                "runtime claims with one RSA-2048 key HCLAkPub",
            )
        };
        let claims = json::decode(claims)
            .map_err(|_| refused("claims that are not JSON, or repeat a member"))?;
        let keys = claims["keys"].as_array().map_or(&[][..], Vec::as_slice);
        let mut named = keys.iter().filter(|key| key["kid"] == "HCLAkPub");
        let (Some(key), None) = (named.next(), named.next()) else {
            return Err(refused("no such key, or several"));
        };
        let ak = AttestationKey::from_jwk(key).ok_or_else(|| refused("another kind of key"))?;
        let configuration = &claims["vm-configuration"];
        Ok(Self {
            ak,
            user_data: claims["user-data"].as_str().and_then(user_data),
            configuration: CONFIGURATION
                .into_iter()
                .filter_map(|(member, claim)| {
                    let value = &configuration[member];
                    (value.is_boolean() || value.is_string()).then(|| (claim, value.clone()))
                })
                .collect(),
        })
    }
}

fn user_data(text: &str) -> Option<ReportData> {
    let mut bytes = [0; 64];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes.into())
}

/// SHA-256 of the attested key, as far as user-data says.
pub(super) fn key_digest(user_data: Option<ReportData>) -> Option<Sha256Digest> {
    let digest = user_data?.as_bytes().first_chunk::<32>().copied()?;
    Some(digest.into())
}
