//! Roots of trust: data a host chooses once, never something a request or a policy can change.

use std::{collections::BTreeMap, sync::Arc};

use crate::{bytes::Sha256Digest, certificate::Certificate, cvm, simulated, snp::Product};

/// The roots that evidence must lead to.
///
/// There are two sets, and neither accepts what the other accepts: AMD's processors in Azure, and the simulated platform whose keys
/// are published with this crate. There is no set that accepts unsigned evidence and no way to mix the two.
#[derive(Clone, Debug)]
pub struct TrustAnchors {
    kind: Kind,
    /// SHA-256 of the SubjectPublicKeyInfo of the root, by product.
    arks: BTreeMap<Product, Sha256Digest>,
    /// The root of the authorities that certify attestation keys of virtual TPMs.
    vtpm_root: Arc<Certificate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Production,
    Simulated,
    #[cfg(test)]
    Vectors,
}

impl TrustAnchors {
    /// AMD's root keys for Milan, Genoa and Turin (attestation specification, section 2.2), and Azure's root of virtual TPMs.
    ///
    /// Issuers of UVM endorsements are governed data in the [`PlatformPolicy`](crate::PlatformPolicy); these anchors refuse the
    /// simulated issuer even if governance lists it.
    pub fn production() -> Self {
        Self {
            kind: Kind::Production,
            arks: AMD_ROOTS
                .into_iter()
                .map(|(product, digest)| (product, digest.into()))
                .collect(),
            vtpm_root: root(cvm::AZURE_ROOT),
        }
    }

    /// Only the [`simulated`] platform. Its keys are public, so evidence under these anchors proves nothing:
    /// a service that uses them must say so in every answer.
    pub fn simulated() -> Self {
        Self {
            kind: Kind::Simulated,
            arks: Product::ALL
                .into_iter()
                .map(|product| (product, simulated::ARK_KEY))
                .collect(),
            vtpm_root: root(simulated::vtpm::root()),
        }
    }

    /// True for [`simulated`](Self::simulated).
    pub fn is_simulated(&self) -> bool {
        self.kind == Kind::Simulated
    }

    pub(crate) fn trusts_ark(&self, product: Product, key: Sha256Digest) -> bool {
        self.arks.get(&product) == Some(&key)
    }

    pub(crate) fn vtpm_root(&self) -> &Certificate {
        &self.vtpm_root
    }

    /// `keys` are those of the whole chain of a UVM endorsement, leaf first.
    pub(crate) fn trusts_uvm(&self, keys: &[Sha256Digest]) -> bool {
        match self.kind {
            Kind::Production => !keys.iter().any(|key| simulated::UVM_KEYS.contains(key)),
            Kind::Simulated => keys.last() == Some(&simulated::UVM_ROOT_KEY),
            #[cfg(test)]
            Kind::Vectors => true,
        }
    }

    /// Roots of the test vectors. Not built outside of this crate's own tests.
    #[cfg(test)]
    pub(crate) fn vectors(arks: BTreeMap<Product, Sha256Digest>) -> Self {
        Self {
            kind: Kind::Vectors,
            arks,
            vtpm_root: root(cvm::AZURE_ROOT),
        }
    }
}

fn root(der: &[u8]) -> Arc<Certificate> {
    let root =
        Certificate::parse(der).expect("invariant: the roots in this crate are certificates");
    Arc::new(root)
}

const AMD_ROOTS: [(Product, [u8; 32]); 3] = [
    (
        Product::Milan,
        *b"\x9f\x05\x6b\xee\x44\x37\x7e\x29\x30\x8c\xb5\xff\xa8\x95\xbd\xfb\
           \x62\xd1\x88\x81\xfa\x6b\xed\x8d\x6f\x07\x5b\x02\x04\x08\x9c\xb9",
    ),
    (
        Product::Genoa,
        *b"\x42\x9a\x69\xc9\x42\x2a\xa2\x58\xee\x4d\x8d\xb5\xfc\xda\x9c\x64\
           \x70\xef\x15\xf8\xcd\x5a\x9c\xeb\xd6\xcb\xc7\xd9\x0b\x86\x38\x31",
    ),
    (
        Product::Turin,
        *b"\x4f\x12\x54\x10\x56\x3a\x2a\xb9\xa5\x03\x56\xf9\x24\x3f\x6f\xe0\
           \xb6\xf7\x3d\xe9\x86\x03\xf5\x3f\x90\x33\x9c\x70\xe9\xd7\xad\x08",
    ),
];
