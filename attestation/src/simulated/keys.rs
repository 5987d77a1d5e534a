//! The fixed keys. Public, worthless, and refused by production anchors.

use std::sync::OnceLock;

use aws_lc_rs::{
    encoding::AsDer,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RsaKeyPair},
};

use crate::{bytes::Sha256Digest, der};

/// Key pairs, read once.
pub(crate) struct Keys {
    pub(crate) ark: RsaKeyPair,
    pub(crate) ask: RsaKeyPair,
    pub(crate) vcek: EcdsaKeyPair,
    pub(crate) uvm_root: RsaKeyPair,
    pub(crate) uvm_ca: RsaKeyPair,
    pub(crate) uvm_leaf: RsaKeyPair,
    pub(crate) vtpm_root: RsaKeyPair,
    pub(crate) vtpm_ca: RsaKeyPair,
    pub(crate) vtpm_ak: RsaKeyPair,
    pub(crate) ark_spki: Vec<u8>,
    pub(crate) ask_spki: Vec<u8>,
    pub(crate) vcek_spki: Vec<u8>,
}

impl Keys {
    pub(crate) fn get() -> &'static Self {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        KEYS.get_or_init(|| {
            let (ark, ask) = (
                rsa(include_bytes!("data/ark.pk8")),
                rsa(include_bytes!("data/ask.pk8")),
            );
            let vcek = EcdsaKeyPair::from_pkcs8(
                &ECDSA_P384_SHA384_FIXED_SIGNING,
                include_bytes!("data/vcek.pk8"),
            )
            .expect("invariant: the key file in this crate is an EC P-384 key in PKCS #8");
            Self {
                ark_spki: rsa_spki(&ark),
                ask_spki: rsa_spki(&ask),
                vcek_spki: ec_spki("1.3.132.0.34", vcek.public_key().as_ref()),
                ark,
                ask,
                vcek,
                uvm_root: rsa(include_bytes!("data/uvm-root.pk8")),
                uvm_ca: rsa(include_bytes!("data/uvm-ca.pk8")),
                uvm_leaf: rsa(include_bytes!("data/uvm-leaf.pk8")),
                vtpm_root: rsa(include_bytes!("data/vtpm-root.pk8")),
                vtpm_ca: rsa(include_bytes!("data/vtpm-ca.pk8")),
                vtpm_ak: rsa(include_bytes!("data/vtpm-ak.pk8")),
            }
        })
    }
}

fn rsa(pkcs8: &[u8]) -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(pkcs8)
        .expect("invariant: the key file in this crate is an RSA key in PKCS #8")
}

/// SubjectPublicKeyInfo of an RSA key.
pub(crate) fn rsa_spki(key: &RsaKeyPair) -> Vec<u8> {
    key.public_key()
        .as_der()
        .expect("invariant: a valid RSA key has an encoding")
        .as_ref()
        .to_vec()
}

/// SubjectPublicKeyInfo of a point on a curve.
pub(crate) fn ec_spki(curve: &str, point: &[u8]) -> Vec<u8> {
    let algorithm = der::sequence(&[&der::oid("1.2.840.10045.2.1"), &der::oid(curve)]);
    der::sequence(&[&algorithm, &der::bit_string(point)])
}

/// SHA-256 of the simulated ARK key: the only root of [`TrustAnchors::simulated`](crate::TrustAnchors::simulated).
pub(crate) const ARK_KEY: Sha256Digest = Sha256Digest::new(
    *b"\x39\x78\x15\x5e\xe0\x70\xd3\x9d\xb9\x82\x4f\xca\xe0\x50\x3c\x17\
       \x92\x1c\xf5\x51\xa8\x87\x1b\xf9\xe7\x26\xed\x83\xc9\x15\x1f\x89",
);

/// SHA-256 of the simulated UVM root key.
pub(crate) const UVM_ROOT_KEY: Sha256Digest = Sha256Digest::new(
    *b"\x91\x6e\x5c\x02\xd7\xdd\xb2\x66\xab\x8c\x4d\x13\xdf\xd4\x62\x38\
       \x49\x68\x77\x8f\x4a\xca\x88\x02\x1f\xad\xdb\xc6\x6a\xfe\x4e\x91",
);

/// SHA-256 of the simulated UVM intermediate key.
pub(crate) const UVM_CA_KEY: Sha256Digest = Sha256Digest::new(
    *b"\x5b\xe4\x4e\xdf\x32\x09\xf5\x83\x69\xf1\x0b\x2a\xbe\x25\x5e\xc0\
       \x4a\xbc\x0d\x20\x59\x87\x87\x5b\xe3\x92\xdd\xb6\xf0\xda\x78\x70",
);

/// SHA-256 of the simulated UVM leaf key.
pub(crate) const UVM_LEAF_KEY: Sha256Digest = Sha256Digest::new(
    *b"\xe0\xfd\x66\xe5\x6e\x60\xfc\xdc\x90\x7d\x11\x98\xfa\xa4\x96\x5c\
       \x16\xab\xeb\xdd\xb7\xd1\xae\x47\x9d\x65\x78\xe8\x57\x9c\x0a\xca",
);

/// All keys of the simulated UVM chain. Production anchors refuse a chain that contains any of them.
pub(crate) const UVM_KEYS: [Sha256Digest; 3] = [UVM_ROOT_KEY, UVM_CA_KEY, UVM_LEAF_KEY];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pins_are_those_of_the_keys() {
        let keys = Keys::get();
        assert_eq!(Sha256Digest::of(&keys.ark_spki), ARK_KEY);
        assert_eq!(Sha256Digest::of(&rsa_spki(&keys.uvm_root)), UVM_ROOT_KEY);
        assert_eq!(Sha256Digest::of(&rsa_spki(&keys.uvm_ca)), UVM_CA_KEY);
        assert_eq!(Sha256Digest::of(&rsa_spki(&keys.uvm_leaf)), UVM_LEAF_KEY);
    }
}
