//! Signed governance messages as a ledger keeps them (CCF interface, section 2.3).

use crate::envelope::{Envelope, EnvelopeError, HeaderNames, UnsignedError};
use crate::hash::Digest;
use crate::key::KeyError;

/// A message that is not of the form, or that nobody signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not a COSE_Sign1 that CCF would take.
    #[error("not a governance message: {0}")]
    Envelope(#[from] EnvelopeError),
    /// Without a header that every governance message has.
    #[error("not a governance message: {0}")]
    Form(&'static str),
    /// The certificate is another member's.
    #[error("signed by {got}, the certificate is that of {want}")]
    Signer {
        /// Who the message says signed it.
        got: String,
        /// Whose certificate it is.
        want: String,
    },
    /// The key of the certificate does not vouch for it.
    #[error(transparent)]
    Unsigned(#[from] UnsignedError),
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
    envelope: Envelope,
}

impl GovernanceMessage {
    /// Reads a message, to its last byte.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MessageError> {
        let envelope = Envelope::decode(bytes, &HeaderNames::MEMBER)?;
        let signer = String::from_utf8(envelope.kid.clone())
            .map_err(|_| MessageError::Form("kid is not text"))?;
        Ok(Self {
            signer,
            kind: envelope
                .message_type
                .clone()
                .ok_or(MessageError::Form("no message type"))?,
            created_at: envelope.created_at.ok_or(EnvelopeError::NoCreatedAt)?,
            proposal_id: envelope.proposal_id.clone(),
            payload: envelope.payload()?.to_vec(),
            envelope,
        })
    }

    /// Checks that the member with this certificate (PEM) signed it. Validity dates are not looked at, as CCF does not.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn verify(&self, certificate: &str) -> Result<(), MessageError> {
        let (_, der) = crate::pem::decode(certificate, &["CERTIFICATE"])
            .map_err(|error| UnsignedError::Key(KeyError::from(error)))?;
        let want = Digest::of(&der).to_hex();
        if self.signer != want {
            return Err(MessageError::Signer {
                got: self.signer.clone(),
                want,
            });
        }
        self.envelope.verify(certificate)?;
        Ok(())
    }

    /// The raw signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.envelope.signature
    }
}
