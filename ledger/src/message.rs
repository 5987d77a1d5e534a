//! Signed governance messages, as a ledger keeps them (CCF interface, sections 2.1 and 2.3).
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
use coset::iana::{self, EnumI64 as _};
use coset::{CoseSign1, Header, Label, RegisteredLabelWithPrivate, TaggedCborSerializable as _};

use crate::hash::Digest;
use crate::key::{Curve, KeyError, PublicKey};

const TYPE: &str = "ccf.gov.msg.type";
const CREATED_AT: &str = "ccf.gov.msg.created_at";
const PROPOSAL_ID: &str = "ccf.gov.msg.proposal_id";

/// A message that is not of the form, or that nobody signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not a COSE_Sign1 with the headers it must have.
    #[error("not a governance message: {0}")]
    Form(&'static str),
    /// The algorithm does not fit the signer's key.
    #[error("algorithm {got} does not fit the signer's key")]
    Algorithm {
        /// COSE algorithm number.
        got: i64,
    },
    /// The certificate is another member's.
    #[error("signed by {got}, the certificate is that of {want}")]
    Signer {
        /// Who the message says signed it.
        got: String,
        /// Whose certificate it is.
        want: String,
    },
    /// The certificate cannot be used, or the signature does not verify.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A message as read. Nothing in it is true before [`Self::verify`].
#[derive(Clone, Debug)]
pub struct GovernanceMessage {
    /// Who it says signed it.
    pub signer: String,
    /// What it is for: `proposal`, `ballot`, `withdrawal`, `ack` and others.
    pub kind: String,
    /// The signer's clock, in seconds since 1970.
    pub created_at: u64,
    /// The proposal it is about.
    pub proposal_id: Option<String>,
    /// What was signed.
    pub payload: Vec<u8>,
    message: CoseSign1,
    algorithm: i64,
}

impl GovernanceMessage {
    /// Reads a message, to its last byte.
    ///
    /// # Errors
    /// [`MessageError::Form`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut message = CoseSign1::from_tagged_slice(bytes)
            .map_err(|_| MessageError::Form("not a tagged COSE_Sign1"))?;
        let header = &message.protected.header;
        // Parameters that must be understood, while none beyond those read here is (RFC 9052, section 3.1).
        if !header.crit.is_empty() || !message.unprotected.crit.is_empty() {
            return Err(MessageError::Form("critical parameters"));
        }
        let Some(RegisteredLabelWithPrivate::Assigned(algorithm)) = &header.alg else {
            return Err(MessageError::Form("no algorithm"));
        };
        let algorithm = algorithm.to_i64();
        let signer = String::from_utf8(header.key_id.clone())
            .map_err(|_| MessageError::Form("kid is not text"))?;
        let kind = text(header, TYPE)?.ok_or(MessageError::Form("no message type"))?;
        let proposal_id = text(header, PROPOSAL_ID)?;
        let created_at = named(header, CREATED_AT)
            .and_then(Value::as_integer)
            .and_then(|stamp| u64::try_from(stamp).ok())
            .ok_or(MessageError::Form("no creation time"))?;
        let payload = message.payload.take();
        Ok(Self {
            signer,
            kind,
            created_at,
            proposal_id,
            payload: payload.ok_or(MessageError::Form("no payload"))?,
            message,
            algorithm,
        })
    }

    /// Checks that the member with this certificate (PEM) signed it. Validity dates are not looked at, as CCF does not.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn verify(&self, certificate: &str) -> Result<(), MessageError> {
        let (_, der) = crate::pem::decode(certificate, &["CERTIFICATE"]).map_err(KeyError::from)?;
        let want = Digest::of(&der).to_hex();
        if self.signer != want {
            return Err(MessageError::Signer {
                got: self.signer.clone(),
                want,
            });
        }
        let key = PublicKey::of_certificate(certificate)?;
        let algorithm = match key.curve() {
            Curve::P256 => iana::Algorithm::ES256,
            Curve::P384 => iana::Algorithm::ES384,
            Curve::P521 => iana::Algorithm::ES512,
        };
        if self.algorithm != algorithm.to_i64() {
            return Err(MessageError::Algorithm {
                got: self.algorithm,
            });
        }
        let mut message = self.message.clone();
        message.payload = Some(self.payload.clone());
        message.verify_signature(&[], |signature, signed| key.verify_fixed(signed, signature))?;
        Ok(())
    }

    /// The raw signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.message.signature
    }
}

fn named<'h>(header: &'h Header, name: &str) -> Option<&'h Value> {
    header
        .rest
        .iter()
        .find(|(label, _)| matches!(label, Label::Text(text) if text == name))
        .map(|(_, value)| value)
}

fn text(header: &Header, name: &str) -> Result<Option<String>, MessageError> {
    named(header, name)
        .map(|value| {
            value
                .as_text()
                .map(str::to_owned)
                .ok_or(MessageError::Form("a header is not text"))
        })
        .transpose()
}
