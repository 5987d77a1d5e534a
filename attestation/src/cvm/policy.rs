//! What governance requires of confidential VMs beyond what it requires of every platform.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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
#[derive(Clone, Debug)]
pub struct VtpmAuthority(Box<Certificate>);

/// The text is not one PEM certificate of an authority with an RSA key of 2048 to 4096 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one PEM certificate of a certificate authority with an RSA key of 2048 to 4096 bits")]
pub struct VtpmAuthorityError;

impl VtpmAuthority {
    /// From PEM text.
    ///
    /// # Errors
    /// If it is no such certificate.
    pub fn from_pem(text: &str) -> Result<Self, VtpmAuthorityError> {
        let blocks =
            pem::read(text.as_bytes(), "CERTIFICATE", 1).map_err(|_| VtpmAuthorityError)?;
        Self::from_der(blocks.first().ok_or(VtpmAuthorityError)?)
    }

    pub(crate) fn from_der(der: &[u8]) -> Result<Self, VtpmAuthorityError> {
        let certificate = Certificate::parse(der).map_err(|_| VtpmAuthorityError)?;
        if !ak::may_certify(&certificate) {
            return Err(VtpmAuthorityError);
        }
        Ok(Self(Box::new(certificate)))
    }

    /// PEM text.
    pub fn to_pem(&self) -> String {
        pem::write("CERTIFICATE", &self.0.der)
    }

    pub(super) fn certificate(&self) -> &Certificate {
        &self.0
    }
}

impl PartialEq for VtpmAuthority {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for VtpmAuthority {}

impl Serialize for VtpmAuthority {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_pem())
    }
}

impl<'de> Deserialize<'de> for VtpmAuthority {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_pem(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl CvmPolicy {
    /// Microsoft's current authority, no paravisor without a certified key.
    pub fn production() -> Self {
        Self {
            authorities: VtpmAuthority::from_der(GLOBAL_CA_03).into_iter().collect(),
            id_keys: Vec::new(),
        }
    }

    /// The authority of the simulated platform.
    pub fn simulated() -> Self {
        Self {
            authorities: VtpmAuthority::from_der(simulated::vtpm::authority())
                .into_iter()
                .collect(),
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
            assert!(VtpmAuthority::from_der(der).is_ok());
        }
        assert_eq!(CvmPolicy::production().authorities.len(), 1);
        assert_eq!(CvmPolicy::simulated().authorities.len(), 1);
    }

    #[test]
    fn only_authorities_are_read() {
        let leaf = simulated::CvmGuest::default().evidence().ak_certificate;
        let leaf = pem::write("CERTIFICATE", &leaf.unwrap());
        for text in ["", "x", leaf.as_str()] {
            assert_eq!(VtpmAuthority::from_pem(text), Err(VtpmAuthorityError));
        }
    }
}
