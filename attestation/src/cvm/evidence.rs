//! Evidence of a confidential VM as it arrives: bytes nobody has looked at yet.

use serde_json::{Map, Value};

use crate::{
    error::{Check, EvidenceError},
    request::{self, Members},
};

/// Number of platform configuration registers.
pub(crate) const REGISTERS: usize = 24;

/// Values of platform configuration registers (SHA-256 bank), by index; `None` where none was presented.
pub type Registers = [Option<[u8; 32]>; REGISTERS];

/// Untrusted evidence of a confidential VM (platform `snp-cvm`).
///
/// It becomes [`VerifiedEvidence`](crate::VerifiedEvidence) by [`Verifier::verify_cvm`](crate::Verifier::verify_cvm) and in no
/// other way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CvmEvidence {
    /// TPM2B_ATTEST and TPMT_SIGNATURE.
    pub quote: Vec<u8>,
    /// The report blob of the paravisor, which contains the SNP report and the runtime claims.
    pub hcl_report: Vec<u8>,
    /// The SNP report once more.
    pub report: Vec<u8>,
    /// Certificate of the attestation key, DER with zeros after it; `None` if absent or empty.
    pub ak_certificate: Option<Vec<u8>>,
    /// What the quote is said to be about.
    pub registers: Registers,
    /// What the quote is said to be fresh for.
    pub nonce: Vec<u8>,
    /// PEM text of the VCEK, ASK and ARK certificates, in this order.
    pub endorsements: Vec<u8>,
}

impl CvmEvidence {
    /// Reads the `attestation` member of a request.
    ///
    /// ```cddl
    /// attestation = {
    ///   evidence: {
    ///     tpmQuote: tstr, hclReport: tstr, snpReport: tstr,   ; base64
    ///     ? aikCert: tstr,                                    ; base64
    ///     pcrs: { * tstr => tstr },                           ; "0".."23" => base64 of 32 bytes
    ///     * tstr => any
    ///   },
    ///   nonce: tstr,                    ; base64
    ///   platformCertificates: tstr,     ; PEM text
    ///   * tstr => any
    /// }
    /// ```
    ///
    /// Base64 is the standard alphabet, padded, without white space, unused bits zero.
    ///
    /// # Errors
    /// REQ-01 to REQ-03 and CVM-01, class `MalformedRequest`.
    pub fn from_request(attestation: &Value) -> Result<Self, EvidenceError> {
        let outer = Members::of("attestation", attestation)?;
        let inner = Members::of("evidence", outer.get("evidence"))?;
        let ak_certificate = match inner.text("aikCert")? {
            None | Some("") => None,
            Some(text) => Some(request::decode("aikCert", text, LONGEST)?),
        };
        let endorsements = outer.required("platformCertificates")?;
        if endorsements.len() > LONGEST_ENDORSEMENTS {
            return Err(request::too_long(
                "platformCertificates",
                endorsements,
                LONGEST_ENDORSEMENTS,
            ));
        }
        Ok(Self {
            quote: request::decode("tpmQuote", inner.required("tpmQuote")?, LONGEST)?,
            hcl_report: request::decode("hclReport", inner.required("hclReport")?, LONGEST)?,
            report: request::decode("snpReport", inner.required("snpReport")?, LONGEST)?,
            ak_certificate,
            registers: registers(inner.get("pcrs"))?,
            nonce: request::decode("nonce", outer.required("nonce")?, LONGEST_NONCE)?,
            endorsements: endorsements.as_bytes().to_vec(),
        })
    }

    /// The `attestation` member of a request, as [`from_request`](Self::from_request) reads it. For clients.
    pub fn to_request(&self) -> Value {
        let pcrs: Map<String, Value> = self
            .registers
            .iter()
            .enumerate()
            .filter_map(|(index, value)| {
                let value = value.as_ref()?;
                Some((index.to_string(), request::encode(value)))
            })
            .collect();
        let mut evidence = serde_json::json!({
            "tpmQuote": request::encode(&self.quote),
            "hclReport": request::encode(&self.hcl_report),
            "snpReport": request::encode(&self.report),
            "pcrs": pcrs,
        });
        if let Some(certificate) = &self.ak_certificate {
            evidence["aikCert"] = request::encode(certificate);
        }
        serde_json::json!({
            "evidence": evidence,
            "nonce": request::encode(&self.nonce),
            "platformCertificates": String::from_utf8_lossy(&self.endorsements),
        })
    }

    /// SHA-256 over all parts, each with its length. Identifies these bytes, not the platform.
    pub fn digest(&self) -> [u8; 32] {
        let mut parts: Vec<Option<&[u8]>> = vec![
            Some(b"snp-cvm"),
            Some(&self.quote),
            Some(&self.hcl_report),
            Some(&self.report),
            self.ak_certificate.as_deref(),
            Some(&self.nonce),
            Some(&self.endorsements),
        ];
        parts.extend(self.registers.iter().map(|r| r.as_ref().map(|r| &r[..])));
        request::digest(parts)
    }
}

/// Base64 characters of one part; the largest real one is the 4096 bytes of the AK certificate's NV index.
const LONGEST: usize = 8 * 1024;
const LONGEST_NONCE: usize = 128;
const LONGEST_ENDORSEMENTS: usize = 22 * 1024;

/// CVM-01. One spelling per index: a second one could be hashed for one register and matched as another.
fn registers(pcrs: &Value) -> Result<Registers, EvidenceError> {
    let refused = |got: &str| {
        EvidenceError::new(
            Check::Cvm01,
            format_args!("pcrs: {got}"),
            "members \"0\" to \"23\", each base64 of 32 bytes",
        )
    };
    let members = pcrs.as_object().ok_or_else(|| refused("no object"))?;
    let mut registers = [None; REGISTERS];
    for (name, value) in members {
        let index = name.parse::<usize>().ok();
        let slot = index
            .filter(|index| index.to_string() == *name)
            .and_then(|index| registers.get_mut(index))
            .ok_or_else(|| refused(name))?;
        let text = value.as_str().ok_or_else(|| refused(name))?;
        let bytes = request::decode("pcrs", text, LONGEST_NONCE)?;
        *slot = Some(bytes.try_into().map_err(|_| refused(name))?);
    }
    Ok(registers)
}
