//! What governance requires of confidential VMs beyond what it requires of every platform.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ak;
use crate::{bytes::BlockKeyDigest, certificate::Certificate, pem, simulated};

/// Whose word makes the paravisor Microsoft's (attestation specification, section 5.6). In JSON, a member that is absent has its
/// production value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct CvmPolicy {
    /// Authorities that certify attestation keys of virtual TPMs, each signed by the pinned root. Without any, no certificate is
    /// accepted.
    pub authorities: Vec<VtpmAuthority>,
    /// Paravisors accepted without a certificate of their attestation key. Ignored when there is one: a bad one is always an error.
    pub id_keys: Vec<FirmwareIdentity>,
}

/// A paravisor by the key that signed its launch: digest of the ID key, and the lowest SVN it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FirmwareIdentity {
    /// SHA-384 of the ID key.
    pub digest: BlockKeyDigest,
    /// Lowest GUEST_SVN.
    pub min_guest_svn: u32,
}

/// The certificate of an authority, written as PEM text.
///
/// Any text is read, because a policy that cannot be read closes every release; one that is no certificate of an authority with an
/// RSA key of 2048 to 4096 bits certifies nothing.
#[derive(Clone, Debug)]
pub struct VtpmAuthority {
    pem: String,
    certificate: Option<Box<Certificate>>,
}

impl VtpmAuthority {
    /// From PEM text.
    pub fn from_pem(pem: String) -> Self {
        let blocks = pem::read(pem.as_bytes(), "CERTIFICATE", 1).unwrap_or_default();
        let certificate = blocks.first().and_then(|der| Certificate::parse(der).ok());
        Self {
            pem,
            certificate: certificate.filter(ak::may_certify).map(Box::new),
        }
    }

    pub(crate) fn from_der(der: &[u8]) -> Self {
        Self::from_pem(pem::write("CERTIFICATE", der))
    }

    /// Whether it can certify anything.
    pub fn is_usable(&self) -> bool {
        self.certificate.is_some()
    }

    pub(super) fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref()
    }
}

impl PartialEq for VtpmAuthority {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

impl Eq for VtpmAuthority {}

impl Serialize for VtpmAuthority {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.pem)
    }
}

impl<'de> Deserialize<'de> for VtpmAuthority {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from_pem)
    }
}

impl CvmPolicy {
    /// Microsoft's current authority, no paravisor without a certified key.
    pub fn production() -> Self {
        Self {
            authorities: vec![VtpmAuthority::from_der(GLOBAL_CA_03)],
            id_keys: Vec::new(),
        }
    }

    /// The authority of the simulated platform.
    pub fn simulated() -> Self {
        Self {
            authorities: vec![VtpmAuthority::from_der(simulated::vtpm::authority())],
            id_keys: Vec::new(),
        }
    }
}

impl Default for CvmPolicy {
    /// [`CvmPolicy::production`].
    fn default() -> Self {
        Self::production()
    }
}

/// *Global Virtual TPM CA - 03*, valid to 2027-04-24.
const GLOBAL_CA_03: &[u8] = include_bytes!("data/global-vtpm-ca-03.der");

/// *Azure Virtual TPM Root Certificate Authority 2023*, valid to 2048-06-01.
pub(crate) const AZURE_ROOT: &[u8] = include_bytes!("data/azure-vtpm-root-2023.der");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Sha256Digest;

    /// The digests are those of the attestation specification, section 5.6.
    #[test]
    fn the_published_certificates_are_the_pinned_ones() {
        for (der, digest) in [
            (
                AZURE_ROOT,
                "e6c596b17f8ffefba5c300f714cfb1260c6028704ecf7becc4ab5018efb00e95",
            ),
            (
                GLOBAL_CA_03,
                "fd7c92dabce4dcec9feaa30f8b087ada0598413189182152b881f5564064a29c",
            ),
        ] {
            assert_eq!(Sha256Digest::of(der).to_string(), digest);
            assert!(VtpmAuthority::from_der(der).is_usable());
        }
        for policy in [CvmPolicy::production(), CvmPolicy::simulated()] {
            assert!(policy.authorities[0].is_usable());
        }
    }

    #[test]
    fn only_authorities_certify() {
        let leaf = simulated::CvmGuest::default().evidence().ak_certificate;
        let leaf = pem::write("CERTIFICATE", &leaf.unwrap());
        for text in ["", "x", leaf.as_str()] {
            let authority: VtpmAuthority = serde_json::from_value(text.into()).unwrap();
            assert!(!authority.is_usable());
            assert_eq!(serde_json::to_value(&authority).unwrap(), text);
        }
    }
}
