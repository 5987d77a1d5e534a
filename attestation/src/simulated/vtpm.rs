//! Confidential VMs of the simulated platform: paravisor, virtual TPM, and the authority behind its key.

use std::sync::OnceLock;

use aws_lc_rs::{digest, rand::SystemRandom, signature};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use x509_parser::{asn1_rs::FromDer, public_key::PublicKey, x509::SubjectPublicKeyInfo};

use super::{
    Guest, Platform,
    certificates::{Algorithm, CertificateSpec, NOT_AFTER, NOT_BEFORE, extension, uvm_name},
    keys::{Keys, rsa_spki},
    sign_report,
};
use crate::{
    bytes::{BlockKeyDigest, Measurement, ReportData, Sha256Digest},
    cvm::{CvmEvidence, QuoteNonce, Registers},
};

/// A simulated confidential VM and what booted on it.
#[derive(Clone, Debug)]
pub struct CvmGuest {
    /// The machine.
    pub platform: Platform,
    /// PEM text of the key that the guest asks to be bound.
    pub key_pem: Vec<u8>,
    /// What the registers say.
    pub registers: Registers,
    /// Launch measurement of the paravisor.
    pub measurement: Measurement,
    /// Digest of the key that signed the paravisor's launch.
    pub id_key: BlockKeyDigest,
}

impl CvmGuest {
    /// A VM that binds a key. Registers 0 to 15 hold the digest of their number, 16 to 23 are as after a reset.
    pub fn new(key_pem: &[u8]) -> Self {
        let mut registers: Registers = [Some([0; 32]); 24];
        for (index, register) in registers.iter_mut().take(16).enumerate() {
            *register = Some(*Sha256Digest::of(&[index as u8]).as_bytes());
        }
        Self {
            platform: Platform::default(),
            key_pem: key_pem.to_vec(),
            registers,
            measurement: Measurement::new([0x9a; 48]),
            id_key: BlockKeyDigest::new([0x1d; 48]),
        }
    }

    /// With this value in a register, 0 to 23: what boots decides it.
    pub fn with_register(mut self, index: usize, value: [u8; 32]) -> Self {
        if let Some(register) = self.registers.get_mut(index) {
            *register = Some(value);
        }
        self
    }

    /// Evidence whose quote is bound to the key.
    pub fn evidence(&self) -> CvmEvidence {
        self.evidence_for(QuoteNonce::Key)
    }

    /// Evidence whose quote has another nonce.
    pub fn evidence_for(&self, nonce: QuoteNonce<'_>) -> CvmEvidence {
        let nonce = nonce.for_key(Sha256Digest::of(&self.key_pem));
        let claims = self.claims().to_string();
        let hcl_report = self.hcl_report(claims.as_bytes());
        let report = hcl_report.get(32..32 + 1184).unwrap_or_default().to_vec();
        CvmEvidence {
            quote: QuoteSpec::new(&nonce, &self.registers).sign(),
            hcl_report,
            report,
            ak_certificate: Some(ak_certificate().sign(&Keys::get().vtpm_ca)),
            registers: self.registers,
            nonce,
            endorsements: self.platform.endorsements().to_vec(),
        }
    }

    /// The runtime claims.
    pub(crate) fn claims(&self) -> Value {
        let modulus = modulus(&rsa_spki(&Keys::get().vtpm_ak));
        json!({
            "keys": [{
                "kid": "HCLAkPub", "key_ops": ["sign"], "kty": "RSA", "e": "AQAB",
                "n": BASE64_URL_SAFE_NO_PAD.encode(modulus),
            }],
            "vm-configuration": {
                "console-enabled": true, "secure-boot": true, "tpm-enabled": true,
                "vmUniqueId": "00000000-0000-0000-0000-000000000000",
            },
            "user-data": hex::encode_upper(ReportData::binding(&self.key_pem).as_bytes()),
        })
    }

    /// The blob of the paravisor around these claims.
    pub(crate) fn hcl_report(&self, claims: &[u8]) -> Vec<u8> {
        let guest = Guest {
            report_data: ReportData::binding(claims),
            measurement: Some(self.measurement),
            ..Guest::default()
        };
        let mut report = self.platform.report(&guest);
        for (to, from) in report.iter_mut().skip(0xe0).zip(self.id_key.as_bytes()) {
            *to = *from;
        }
        hcl_blob(&sign_report(report), claims)
    }
}

impl Default for CvmGuest {
    fn default() -> Self {
        Self::new(super::client_key().public_key_pem().as_bytes())
    }
}

fn modulus(spki: &[u8]) -> Vec<u8> {
    let info = SubjectPublicKeyInfo::from_der(spki).ok();
    match info.as_ref().and_then(|(_, info)| info.parsed().ok()) {
        Some(PublicKey::RSA(key)) => key
            .modulus
            .iter()
            .copied()
            .skip_while(|b| *b == 0)
            .collect(),
        _ => Vec::new(),
    }
}

/// Layout: attestation specification, section 5.2.
fn hcl_blob(report: &[u8], claims: &[u8]) -> Vec<u8> {
    let claim_size = claims.len() as u32;
    let mut blob = b"HCLA".to_vec();
    for number in [1, 1216 + 20 + claim_size, 2, 0, 0, 0, 0] {
        blob.extend(u32::to_le_bytes(number));
    }
    blob.extend(report);
    for number in [20 + claim_size, 1, 2, 1, claim_size] {
        blob.extend(u32::to_le_bytes(number));
    }
    blob.extend(claims);
    blob.resize(blob.len().max(2600), 0);
    blob
}

/// What goes into a quote. Public to the tests of this crate, which put wrong things in.
#[derive(Clone, Debug)]
pub(crate) struct QuoteSpec {
    pub(crate) magic: u32,
    pub(crate) nonce: Vec<u8>,
    /// Hash algorithm and bitmap of each bank.
    pub(crate) banks: Vec<(u16, Vec<u8>)>,
    pub(crate) digest: Vec<u8>,
}

impl QuoteSpec {
    pub(crate) fn new(nonce: &[u8], registers: &Registers) -> Self {
        let mut bitmap = vec![0; 3];
        let mut values = Vec::new();
        for (index, value) in registers.iter().enumerate() {
            if let (Some(value), Some(byte)) = (value, bitmap.get_mut(index / 8)) {
                *byte |= 1 << (index % 8);
                values.extend(value);
            }
        }
        Self {
            magic: 0xff54_4347,
            nonce: nonce.to_vec(),
            banks: vec![(0x000b, bitmap)],
            digest: digest::digest(&digest::SHA256, &values).as_ref().to_vec(),
        }
    }

    /// TPMS_ATTEST.
    pub(crate) fn attest(&self) -> Vec<u8> {
        let mut out = self.magic.to_be_bytes().to_vec();
        out.extend(0x8018_u16.to_be_bytes());
        out.extend(sized(&[0; 34]));
        out.extend(sized(&self.nonce));
        // Clock, counters, firmware version.
        out.extend([0; 25]);
        out.extend((self.banks.len() as u32).to_be_bytes());
        for (hash, bitmap) in &self.banks {
            out.extend(hash.to_be_bytes());
            out.push(bitmap.len() as u8);
            out.extend(bitmap);
        }
        out.extend(sized(&self.digest));
        out
    }

    /// The whole quote, signed with the simulated attestation key.
    pub(crate) fn sign(&self) -> Vec<u8> {
        let attest = self.attest();
        let mut signature = vec![0; 256];
        Keys::get()
            .vtpm_ak
            .sign(
                &signature::RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                &attest,
                &mut signature,
            )
            .expect("invariant: the simulated keys are RSA keys that can sign");
        let mut out = sized(&attest);
        out.extend([0x00, 0x14, 0x00, 0x0b]);
        out.extend(sized(&signature));
        out
    }
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut out = (bytes.len() as u16).to_be_bytes().to_vec();
    out.extend(bytes);
    out
}

const ROOT_NAME: &str = "Simulated Virtual TPM Root";
const AUTHORITY_NAME: &str = "Simulated Virtual TPM CA";

/// The root of [`TrustAnchors::simulated`](crate::TrustAnchors::simulated), in DER.
pub(crate) fn root() -> &'static [u8] {
    static ROOT: OnceLock<Vec<u8>> = OnceLock::new();
    ROOT.get_or_init(|| {
        let keys = Keys::get();
        let spki = rsa_spki(&keys.vtpm_root);
        spec(ROOT_NAME, ROOT_NAME, spki).sign(&keys.vtpm_root)
    })
}

/// The authority under the root, in DER.
pub(crate) fn authority() -> &'static [u8] {
    static AUTHORITY: OnceLock<Vec<u8>> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let keys = Keys::get();
        let spki = rsa_spki(&keys.vtpm_ca);
        spec(ROOT_NAME, AUTHORITY_NAME, spki).sign(&keys.vtpm_root)
    })
}

/// The certificate of the attestation key, to be signed with the authority's key.
pub(crate) fn ak_certificate() -> CertificateSpec {
    CertificateSpec {
        extensions: vec![extension::usages(&[
            "1.3.6.1.4.1.311.10.3.12",
            "2.23.133.8.3",
        ])],
        ..spec(
            AUTHORITY_NAME,
            "simulated.ConfidentialVM.Azure.windows.net",
            rsa_spki(&Keys::get().vtpm_ak),
        )
    }
}

fn spec(issuer: &str, subject: &str, spki: Vec<u8>) -> CertificateSpec {
    CertificateSpec {
        serial: 1,
        algorithm: Algorithm::Pkcs1,
        outer_algorithm: None,
        issuer: uvm_name(issuer),
        subject: uvm_name(subject),
        not_before: NOT_BEFORE,
        not_after: NOT_AFTER,
        spki,
        extensions: extension::authority(),
    }
}
