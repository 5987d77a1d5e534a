//! Certificates of the simulated platform, in the formats of the real ones.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{self, RsaEncoding, RsaKeyPair},
};

use super::keys::Keys;
use crate::{
    der, pem,
    snp::{
        Product, TcbVersion,
        chain::{PSS_SHA384, PSS_SHA384_TRAILER},
    },
    time::UnixTime,
};

/// What goes into a certificate. Public to the tests of this crate, which put wrong things in.
#[derive(Clone, Debug)]
pub(crate) struct CertificateSpec {
    pub(crate) serial: u64,
    pub(crate) algorithm: Algorithm,
    /// AlgorithmIdentifier outside of the signed part, if another one.
    pub(crate) outer_algorithm: Option<Algorithm>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
    /// SubjectPublicKeyInfo in DER.
    pub(crate) spki: Vec<u8>,
    pub(crate) extensions: Vec<ExtensionSpec>,
}

/// An extension by dotted OID.
#[derive(Clone, Debug)]
pub(crate) struct ExtensionSpec {
    pub(crate) oid: String,
    pub(crate) critical: bool,
    pub(crate) value: Vec<u8>,
}

/// How a certificate is signed, and what it says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RSASSA-PSS, SHA-384, salt 48.
    Pss,
    /// The same with the trailer field spelled out.
    PssTrailer,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Pkcs1,
}

impl Algorithm {
    fn identifier(self) -> Vec<u8> {
        match self {
            Self::Pss => PSS_SHA384.to_vec(),
            Self::PssTrailer => PSS_SHA384_TRAILER.to_vec(),
            Self::Pkcs1 => der::sequence(&[&der::oid("1.2.840.113549.1.1.12"), &der::tlv(5, &[])]),
        }
    }

    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Pss | Self::PssTrailer => &signature::RSA_PSS_SHA384,
            Self::Pkcs1 => &signature::RSA_PKCS1_SHA384,
        }
    }
}

impl CertificateSpec {
    /// The certificate in DER, signed with the issuer's key.
    pub(crate) fn sign(&self, issuer: &RsaKeyPair) -> Vec<u8> {
        let extensions: Vec<u8> = self
            .extensions
            .iter()
            .flat_map(ExtensionSpec::to_der)
            .collect();
        let tbs = der::sequence(&[
            &der::tlv(0xa0, &der::integer(&[2])),
            &der::integer(&self.serial.to_be_bytes()),
            &self.algorithm.identifier(),
            &self.issuer,
            &der::sequence(&[&der::time(self.not_before), &der::time(self.not_after)]),
            &self.subject,
            &self.spki,
            &der::tlv(0xa3, &der::sequence(&[&extensions])),
        ]);
        let mut signature = vec![0; issuer.public_modulus_len()];
        issuer
            .sign(
                self.algorithm.encoding(),
                &SystemRandom::new(),
                &tbs,
                &mut signature,
            )
            .expect("invariant: the simulated keys are RSA keys that can sign");
        let outer = self.outer_algorithm.unwrap_or(self.algorithm).identifier();
        der::sequence(&[&tbs, &outer, &der::bit_string(&signature)])
    }
}

impl ExtensionSpec {
    pub(crate) fn new(oid: &str, critical: bool, value: Vec<u8>) -> Self {
        Self {
            oid: oid.to_owned(),
            critical,
            value,
        }
    }

    fn to_der(&self) -> Vec<u8> {
        let critical = if self.critical {
            der::boolean(true)
        } else {
            Vec::new()
        };
        der::sequence(&[
            &der::oid(&self.oid),
            &critical,
            &der::octet_string(&self.value),
        ])
    }
}

/// A name in the shape of AMD's, with an organisation that says what it is.
pub(crate) fn amd_name(common_name: &str) -> Vec<u8> {
    name(&[
        ("2.5.4.11", "Engineering"),
        ("2.5.4.6", "US"),
        ("2.5.4.10", "SIMULATED PLATFORM - PROVES NOTHING"),
        ("2.5.4.3", common_name),
    ])
}

/// A name in the shape of Microsoft's.
pub(crate) fn uvm_name(common_name: &str) -> Vec<u8> {
    name(&[
        ("2.5.4.6", "US"),
        ("2.5.4.10", "SIMULATED PLATFORM - PROVES NOTHING"),
        ("2.5.4.3", common_name),
    ])
}

fn name(attributes: &[(&str, &str)]) -> Vec<u8> {
    let parts: Vec<u8> = attributes
        .iter()
        .flat_map(|(oid, text)| {
            der::tlv(
                0x31,
                &der::sequence(&[&der::oid(oid), &der::utf8_string(text)]),
            )
        })
        .collect();
    der::sequence(&[&parts])
}

pub(crate) mod extension {
    //! OIDs and values of extensions.

    use super::{ExtensionSpec, der};

    pub(crate) const BASIC_CONSTRAINTS: &str = "2.5.29.19";
    pub(crate) const KEY_USAGE: &str = "2.5.29.15";
    pub(crate) const EXTENDED_KEY_USAGE: &str = "2.5.29.37";

    pub(crate) fn authority() -> Vec<ExtensionSpec> {
        vec![
            ExtensionSpec::new(
                BASIC_CONSTRAINTS,
                true,
                der::sequence(&[&der::boolean(true)]),
            ),
            // keyCertSign is bit 5.
            ExtensionSpec::new(KEY_USAGE, true, der::tlv(3, &[2, 0x04])),
        ]
    }

    pub(crate) fn usages(oids: &[&str]) -> ExtensionSpec {
        let content: Vec<u8> = oids.iter().flat_map(|oid| der::oid(oid)).collect();
        ExtensionSpec::new(EXTENDED_KEY_USAGE, false, der::sequence(&[&content]))
    }
}

/// 2020-01-01 to 2045-01-01: the simulated certificates outlive everything that uses them.
pub(crate) const NOT_BEFORE: UnixTime = UnixTime::from_secs(1_577_836_800);
pub(crate) const NOT_AFTER: UnixTime = UnixTime::from_secs(2_366_841_600);

/// The three certificates of an endorsement chain.
#[derive(Clone, Debug)]
pub(crate) struct ChainSpec {
    pub(crate) vcek: CertificateSpec,
    pub(crate) ask: CertificateSpec,
    pub(crate) ark: CertificateSpec,
}

impl ChainSpec {
    pub(crate) fn new(product: Product, tcb: TcbVersion, chip_id: &[u8; 64]) -> Self {
        let keys = Keys::get();
        let (ark_name, ask_name) = (
            amd_name(&format!("ARK-{product}")),
            amd_name(&format!("SEV-{product}")),
        );
        let authority = |serial, issuer: &[u8], subject: &[u8], spki: &[u8]| CertificateSpec {
            serial,
            algorithm: Algorithm::PssTrailer,
            outer_algorithm: None,
            issuer: issuer.to_vec(),
            subject: subject.to_vec(),
            not_before: NOT_BEFORE,
            not_after: NOT_AFTER,
            spki: spki.to_vec(),
            extensions: extension::authority(),
        };
        Self {
            vcek: CertificateSpec {
                algorithm: Algorithm::Pss,
                extensions: vcek_extensions(product, tcb, chip_id),
                ..authority(0, &ask_name, &amd_name("SEV-VCEK"), &keys.vcek_spki)
            },
            ask: authority(0x10001, &ark_name, &ask_name, &keys.ask_spki),
            ark: authority(0x10000, &ark_name, &ark_name, &keys.ark_spki),
        }
    }

    /// PEM text: VCEK, ASK, ARK.
    pub(crate) fn to_pem(&self) -> Vec<u8> {
        let keys = Keys::get();
        let certificates = [
            self.vcek.sign(&keys.ask),
            self.ask.sign(&keys.ark),
            self.ark.sign(&keys.ark),
        ];
        let mut out = String::new();
        for certificate in &certificates {
            out.push_str(&pem::write("CERTIFICATE", certificate));
            out.push('\n');
        }
        out.into_bytes()
    }
}

/// The extensions of a chip certificate (attestation specification, section 2.5).
fn vcek_extensions(product: Product, tcb: TcbVersion, chip_id: &[u8; 64]) -> Vec<ExtensionSpec> {
    let components = tcb.components(product);
    let name = match product {
        Product::Milan => "Milan-B0",
        Product::Genoa | Product::Turin => product.as_str(),
    };
    let mut values = vec![
        ("1", der::integer(&[product.struct_version()])),
        ("2", der::ia5_string(name)),
        ("3.1", der::integer(&[components.boot_loader])),
        ("3.2", der::integer(&[components.tee])),
        ("3.3", der::integer(&[components.snp])),
        ("3.5", der::integer(&[0])),
        ("3.6", der::integer(&[0])),
        ("3.7", der::integer(&[0])),
        ("3.8", der::integer(&[components.microcode])),
        (
            "4",
            chip_id
                .iter()
                .take(product.chip_id_len())
                .copied()
                .collect(),
        ),
    ];
    match components.fmc {
        Some(fmc) => values.push(("3.9", der::integer(&[fmc]))),
        None => values.push(("3.4", der::integer(&[0]))),
    }
    values
        .into_iter()
        .map(|(arc, value)| ExtensionSpec::new(&format!("1.3.6.1.4.1.3704.1.{arc}"), false, value))
        .collect()
}
