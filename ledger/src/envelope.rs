//! Signed messages: COSE_Sign1 (RFC 9052) as CCF takes them from members and users (CCF interface, sections 2 and 2.7).
//!
//! ```cddl
//! message = #6.18([ protected: bstr .cbor headers, unprotected: {}, payload: bstr, signature: bstr ])
//! headers = {
//!   1: -7 / -35 / -36,                 ; alg, by the curve of the signer's key
//!   4: bstr,                           ; kid: the signer's id, 64 hexadecimal characters as text
//!   "ccf.gov.msg.type": tstr,
//!   "ccf.gov.msg.created_at": uint,    ; seconds since 1970
//!   ? "ccf.gov.msg.proposal_id": tstr, ; ballots and withdrawals
//! }
//! ```

use ciborium::Value;

use crate::key::{Curve, KeyError, PublicKey};

/// More parameters than any tool sends in one header map.
const MAX_PARAMETERS: usize = 16;

/// Names of the header parameters that are read beside `alg` and `kid`.
#[derive(Clone, Copy, Debug)]
pub struct HeaderNames {
    /// What the message is for.
    pub message_type: &'static str,
    /// The signer's clock.
    pub created_at: &'static str,
    /// The proposal it is about.
    pub proposal_id: Option<&'static str>,
    /// Whether a message without a creation time is none.
    pub created_at_required: bool,
}

impl HeaderNames {
    /// Those of members.
    pub const MEMBER: Self = Self {
        message_type: "ccf.gov.msg.type",
        created_at: "ccf.gov.msg.created_at",
        proposal_id: Some("ccf.gov.msg.proposal_id"),
        created_at_required: true,
    };

    /// Those of users.
    pub const USER: Self = Self {
        message_type: "ccf.msg.type",
        created_at: "ccf.msg.created_at",
        proposal_id: None,
        created_at_required: false,
    };
}

/// Bytes that are no such message. The texts are CCF's, which its clients compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not four items, of the right types and nothing behind them.
    #[error("Failed to parse COSE_Sign1 outer array")]
    Outer,
    /// Without tag 18, or with another.
    #[error("COSE_Sign1 is not tagged")]
    Untagged,
    /// The protected header is no map, or a value in it has another type than it must.
    #[error("Failed to decode protected header")]
    Header,
    /// No `alg`.
    #[error("Missing algorithm in protected header")]
    NoAlgorithm,
    /// No `kid`.
    #[error("Missing kid in protected header")]
    NoKid,
    /// No creation time where there must be one.
    #[error("Missing created_at in protected header")]
    NoCreatedAt,
    /// A creation time before 1970.
    #[error("Header parameter created_at must be positive")]
    CreatedAt,
}

/// A message that its signer's key does not vouch for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsignedError {
    /// A header parameter that occurs twice or is critical (RFC 9052, sections 3 and 3.1): none beyond those read here is
    /// understood.
    #[error("a header parameter occurs twice or is critical")]
    Inadmissible,
    /// The payload is elsewhere.
    #[error("no payload")]
    Detached,
    /// The algorithm does not fit the signer's key.
    #[error("algorithm {got} does not fit the signer's key")]
    Algorithm {
        /// COSE algorithm number.
        got: i64,
    },
    /// The certificate cannot be used, or the signature does not verify.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A message as read. Nothing in it is true before [`Self::verify`].
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// COSE algorithm number.
    pub algorithm: i64,
    /// Who it says signed it.
    pub kid: Vec<u8>,
    /// What it is for.
    pub message_type: Option<String>,
    /// The proposal it is about.
    pub proposal_id: Option<String>,
    /// The signer's clock, in seconds since 1970.
    pub created_at: Option<u64>,
    /// `r || s`.
    pub signature: Vec<u8>,
    /// As it was signed.
    protected: Vec<u8>,
    /// `None` when the payload is detached.
    payload: Option<Vec<u8>>,
    inadmissible: bool,
}

impl Envelope {
    /// Reads a message, to its last byte.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn decode(bytes: &[u8], names: &HeaderNames) -> Result<Self, EnvelopeError> {
        use EnvelopeError as E;
        let parts = match item(bytes).ok_or(E::Outer)? {
            Value::Tag(18, inner) => inner.into_array().map_err(|_| E::Outer)?,
            Value::Tag(..) | Value::Array(_) => return Err(E::Untagged),
            _ => return Err(E::Outer),
        };
        let [protected, unprotected, payload, signature] =
            <[Value; 4]>::try_from(parts).map_err(|_| E::Outer)?;
        let protected = protected.into_bytes().map_err(|_| E::Header)?;
        let unprotected = unprotected.into_map().map_err(|_| E::Outer)?;
        let payload = match payload {
            Value::Null => None,
            Value::Bytes(bytes) => Some(bytes),
            _ => return Err(E::Outer),
        };
        let signature = signature.into_bytes().map_err(|_| E::Outer)?;
        let map = item(&protected)
            .and_then(|value| value.into_map().ok())
            .filter(|map| map.len() <= MAX_PARAMETERS)
            .ok_or(E::Header)?;
        let inadmissible = inadmissible(&map, &unprotected);
        let headers = Headers::read(map, names)?;
        if names.created_at_required && headers.created_at.is_none() {
            return Err(E::NoCreatedAt);
        }
        Ok(Self {
            algorithm: headers.algorithm,
            kid: headers.kid,
            message_type: headers.message_type,
            proposal_id: headers.proposal_id,
            created_at: headers.created_at,
            signature,
            protected,
            payload,
            inadmissible,
        })
    }

    /// The payload, if the key of this certificate (PEM) signed it. Whose certificate it is, and its dates, are not looked at.
    ///
    /// # Errors
    /// [`UnsignedError`].
    pub fn verify(&self, certificate: &str) -> Result<&[u8], UnsignedError> {
        let payload = self.payload()?;
        let key = PublicKey::of_certificate(certificate)?;
        let algorithm = match key.curve() {
            Curve::P256 => -7,
            Curve::P384 => -35,
            Curve::P521 => -36,
        };
        if self.algorithm != algorithm {
            return Err(UnsignedError::Algorithm {
                got: self.algorithm,
            });
        }
        key.verify_fixed(&sig_structure(&self.protected, payload), &self.signature)?;
        Ok(payload)
    }

    /// The payload of a message that may be verified.
    pub(crate) fn payload(&self) -> Result<&[u8], UnsignedError> {
        if self.inadmissible {
            return Err(UnsignedError::Inadmissible);
        }
        self.payload.as_deref().ok_or(UnsignedError::Detached)
    }
}

/// The parameters of a protected header that are read.
struct Headers {
    algorithm: i64,
    kid: Vec<u8>,
    message_type: Option<String>,
    proposal_id: Option<String>,
    created_at: Option<u64>,
}

impl Headers {
    fn read(map: Vec<(Value, Value)>, names: &HeaderNames) -> Result<Self, EnvelopeError> {
        use EnvelopeError as E;
        let (mut algorithm, mut kid) = (None, None);
        let (mut message_type, mut proposal_id, mut created_at) = (None, None, None);
        for (label, value) in map {
            match label {
                Value::Integer(label) if label == 1.into() => {
                    let value = value.into_integer().map_err(|_| E::Header)?;
                    algorithm = Some(i64::try_from(value).map_err(|_| E::Header)?);
                }
                Value::Integer(label) if label == 4.into() => {
                    kid = Some(value.into_bytes().map_err(|_| E::Header)?);
                }
                Value::Text(name) if name == names.message_type => {
                    message_type = Some(value.into_text().map_err(|_| E::Header)?);
                }
                Value::Text(name) if Some(name.as_str()) == names.proposal_id => {
                    proposal_id = Some(value.into_text().map_err(|_| E::Header)?);
                }
                Value::Text(name) if name == names.created_at => {
                    let value = value.into_integer().map_err(|_| E::Header)?;
                    created_at = match u64::try_from(value) {
                        Ok(stamp) => Some(stamp),
                        Err(_) if names.created_at_required => return Err(E::CreatedAt),
                        Err(_) => None,
                    };
                }
                _ => {}
            }
        }
        Ok(Self {
            algorithm: algorithm.ok_or(E::NoAlgorithm)?,
            kid: kid.ok_or(E::NoKid)?,
            message_type,
            proposal_id,
            created_at,
        })
    }
}

/// One CBOR item and nothing behind it.
fn item(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    let value = ciborium::from_reader(&mut rest).ok()?;
    rest.is_empty().then_some(value)
}

/// Whether the header maps break a rule of COSE: a label twice, or `crit` (2), which names parameters that must be understood.
fn inadmissible(protected: &[(Value, Value)], unprotected: &[(Value, Value)]) -> bool {
    if unprotected.len() > MAX_PARAMETERS {
        return true;
    }
    let labels: Vec<&Value> = protected
        .iter()
        .chain(unprotected)
        .map(|(label, _)| label)
        .collect();
    let crit = Value::Integer(2.into());
    labels
        .iter()
        .enumerate()
        .any(|(at, label)| **label == crit || labels.iter().skip(at + 1).any(|l| l == label))
}

/// What is signed: `["Signature1", protected, h'', payload]` (RFC 9052, section 4.4).
fn sig_structure(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut signed = Vec::with_capacity(payload.len() + protected.len() + 32);
    signed.push(0x84);
    string(&mut signed, 0x60, b"Signature1");
    string(&mut signed, 0x40, protected);
    string(&mut signed, 0x40, b"");
    string(&mut signed, 0x40, payload);
    signed
}

/// Appends a definite-length CBOR string of this major type, shortest head (RFC 8949, section 3).
fn string(out: &mut Vec<u8>, major: u8, bytes: &[u8]) {
    let len = bytes.len() as u64;
    match len {
        0..=23 => out.push(major | len as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, len as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_those_of_the_cbor_library() {
        for len in [0, 1, 23, 24, 255, 256, 65_535, 65_536, 70_000] {
            let (protected, payload) = (vec![7; len], vec![8; len]);
            let value = Value::Array(vec![
                Value::from("Signature1"),
                Value::Bytes(protected.clone()),
                Value::Bytes(Vec::new()),
                Value::Bytes(payload.clone()),
            ]);
            let mut want = Vec::new();
            ciborium::into_writer(&value, &mut want).unwrap();
            assert_eq!(sig_structure(&protected, &payload), want, "{len}");
        }
    }
}
