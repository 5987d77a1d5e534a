//! What `snp_attestation.verifySnpAttestation` asks of whoever runs scripts: this crate cannot verify evidence.

/// The arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnpEvidence {
    /// The attestation report.
    pub evidence: Vec<u8>,
    /// The certificates that endorse its key, PEM.
    pub endorsements: Vec<u8>,
    /// COSE_Sign1 statement about the utility VM.
    pub uvm_endorsements: Option<Vec<u8>>,
    /// The TCB that the report must have, 16 hexadecimal digits.
    pub endorsed_tcb: Option<String>,
}

/// A part of what is told to the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnpField {
    /// A number.
    Number(u32),
    /// A text.
    Text(String),
    /// An `ArrayBuffer`.
    Bytes(Vec<u8>),
    /// An object.
    Object(SnpObject),
}

/// Names and values, in order.
pub type SnpObject = Vec<(&'static str, SnpField)>;

/// Verifies evidence as CCF does (CCF interface, section 4.5), and tells what it says; an `Err` becomes a `RangeError` with that
/// text.
pub type VerifySnp = fn(&SnpEvidence) -> Result<SnpObject, String>;
