//! Evidence of either platform: read as existing clients send it, verified under the governed platform policy.
//!
//! Base64 is read in both alphabets, padding and other characters ignored.

use std::sync::Arc;

use attestation::{
    Check, CvmEvidence, Evidence, EvidenceError, Family, PlatformPolicy, QuoteNonce, UnixTime,
    VerifiedEvidence, Verifier,
};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

/// Evidence as it was presented.
pub(crate) enum Presented {
    Group(Box<Evidence>),
    Machine(Box<CvmEvidence>),
}

impl Presented {
    /// Reads the `attestation` member of a request. `family` is not that of tokens.
    ///
    /// The strict reader first; what it refuses for its base64 alone is spelled canonically and read again.
    pub(crate) fn read(family: Family, attestation: &Value) -> Result<Self, EvidenceError> {
        let strict = Self::read_strictly(family, attestation);
        match &strict {
            Err(error) if matches!(error.check(), Check::Req02 | Check::Req03) => {}
            _ => return strict,
        }
        let mut canonical = attestation.clone();
        let spelled = match family {
            Family::Cvm => {
                spell(&mut canonical, &["nonce"])
                    && spell(
                        &mut canonical["evidence"],
                        &["tpmQuote", "hclReport", "snpReport", "aikCert"],
                    )
            }
            _ => spell(
                &mut canonical,
                &["evidence", "endorsements", "uvm_endorsements"],
            ),
        };
        if spelled {
            Self::read_strictly(family, &canonical)
        } else {
            strict
        }
    }

    fn read_strictly(family: Family, attestation: &Value) -> Result<Self, EvidenceError> {
        Ok(match family {
            Family::Cvm => Self::Machine(Box::new(CvmEvidence::from_request(attestation)?)),
            _ => Self::Group(Box::new(Evidence::from_request(attestation)?)),
        })
    }

    /// Verifies it. `nonce` is what a quote must have been made for.
    pub(crate) fn verify(
        &self,
        verifier: &Verifier,
        policy: &PlatformPolicy,
        nonce: QuoteNonce<'_>,
        now: UnixTime,
    ) -> Result<Arc<VerifiedEvidence>, EvidenceError> {
        match self {
            Self::Group(evidence) => verifier.verify(evidence, policy, now),
            Self::Machine(evidence) => verifier.verify_cvm(evidence, policy, nonce, now),
        }
    }
}

/// Spells members canonically; false when one cannot be.
fn spell(object: &mut Value, members: &[&str]) -> bool {
    members.iter().all(|name| {
        let Some(Value::String(text)) = object.get_mut(*name) else {
            return true;
        };
        match decode(text).filter(|_| text.len() <= LONGEST) {
            Some(bytes) => {
                *text = base64::engine::general_purpose::STANDARD.encode(bytes);
                true
            }
            None => false,
        }
    })
}

/// Longest text that is worth spelling anew; twice what the strict reader accepts at most.
const LONGEST: usize = 96 * 1024;

/// Base64 in either alphabet; other characters, padding included, are dropped. `None` when one character is left over.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .bytes()
        .filter_map(|byte| match byte {
            b'-' => Some(b'+'),
            b'_' => Some(b'/'),
            b'+' | b'/' => Some(byte),
            _ => byte.is_ascii_alphanumeric().then_some(byte),
        })
        .collect();
    LENIENT.decode(digits).ok()
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_clients_send_it() {
        for text in ["+/+/YQ==", "-_-_YQ", "+/ +/\nYQ=", "=+/+/YR"] {
            assert_eq!(
                decode(text).as_deref(),
                Some(&b"\xfb\xff\xbfa"[..]),
                "{text}"
            );
        }
        assert_eq!(decode("%%%").as_deref(), Some(&b""[..]));
        assert_eq!(decode("AAAAA"), None);
    }
}
