//! Signed governance messages: COSE_Sign1 (RFC 9052) as CCF takes them (CCF interface, section 2).
//!
//! ```cddl
//! message = #6.18([ protected: bstr .cbor headers, unprotected: {}, payload: bstr, signature: bstr ])
//! headers = {
//!   1: -7 / -35 / -36,                 ; alg: ES256, ES384 or ES512, by the signer's curve
//!   4: bstr,                           ; kid: the signer's id, 64 hexadecimal characters as text
//!   "ccf.gov.msg.type": tstr,
//!   "ccf.gov.msg.created_at": uint,    ; seconds since 1970
//!   ? "ccf.gov.msg.proposal_id": tstr, ; ballots and withdrawals
//! }
//! ```
//!
//! Headers are written in the order of RFC 8949 section 4.2.1, so that equal inputs give equal signed bytes.

use ciborium::value::Value;
use coset::{
    CoseSign1, CoseSign1Builder, Header, HeaderBuilder, Label, RegisteredLabelWithPrivate,
    TaggedCborSerializable as _, iana::Algorithm,
};

use crate::identity::{Certificate, Curve, Identity, IdentityError};
use crate::ids::{IdError, IdentityId, ProposalId};

/// The content type of a signed message. It takes no parameters.
pub const CONTENT_TYPE: &str = "application/cose";

const TYPE: &str = "ccf.gov.msg.type";
const CREATED_AT: &str = "ccf.gov.msg.created_at";
const PROPOSAL_ID: &str = "ccf.gov.msg.proposal_id";

/// What a signed message is for. The service takes each type on its own endpoint only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// Acknowledges a state digest; an accepted member becomes active.
    Ack,
    /// A ballot on a proposal.
    Ballot(ProposalId),
    /// A proposal.
    Proposal,
    /// A decrypted recovery share.
    RecoveryShare,
    /// Asks for a fresh state digest.
    StateDigest,
    /// Withdraws the signer's own proposal.
    Withdrawal(ProposalId),
}

impl MessageType {
    /// The value of the header `ccf.gov.msg.type`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Ballot(_) => "ballot",
            Self::Proposal => "proposal",
            Self::RecoveryShare => "recovery_share",
            Self::StateDigest => "state_digest",
            Self::Withdrawal(_) => "withdrawal",
        }
    }

    fn proposal_id(&self) -> Option<&ProposalId> {
        match self {
            Self::Ballot(id) | Self::Withdrawal(id) => Some(id),
            Self::Ack | Self::Proposal | Self::RecoveryShare | Self::StateDigest => None,
        }
    }
}

/// Signs a governance message. `created_at` is in seconds since 1970.
///
/// # Errors
/// [`CoseError::Identity`] when the signature cannot be made; [`CoseError::CreatedAt`] for times that do not fit the format.
pub fn sign(
    signer: &Identity,
    kind: &MessageType,
    created_at: u64,
    payload: &[u8],
) -> Result<Vec<u8>, CoseError> {
    let created_at = i64::try_from(created_at).map_err(|_| CoseError::CreatedAt)?;
    let mut headers = HeaderBuilder::new()
        .algorithm(algorithm(signer.certificate().curve()))
        .key_id(signer.id().as_str().as_bytes().to_vec())
        .text_value(TYPE.to_owned(), Value::from(kind.as_str()))
        .text_value(CREATED_AT.to_owned(), Value::from(created_at));
    if let Some(id) = kind.proposal_id() {
        headers = headers.text_value(PROPOSAL_ID.to_owned(), Value::from(id.as_str()));
    }
    CoseSign1Builder::new()
        .protected(headers.build())
        .payload(payload.to_vec())
        .try_create_signature(&[], |bytes| signer.sign(bytes))?
        .build()
        .to_tagged_vec()
        .map_err(|error| CoseError::Malformed {
            reason: error.to_string(),
        })
}

/// A governance message as received: parsed, its signature not yet checked.
#[derive(Clone, Debug)]
pub struct UnverifiedMessage {
    envelope: CoseSign1,
    headers: Headers,
}

/// The headers of a message, true only if the message verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Headers {
    algorithm: Algorithm,
    signer: IdentityId,
    kind: MessageType,
    created_at: u64,
}

/// A governance message whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedMessage {
    /// Who signed.
    pub signer: IdentityId,
    /// What the message is for.
    pub kind: MessageType,
    /// The signer's clock, in seconds since 1970.
    pub created_at: u64,
    /// The signed bytes.
    pub payload: Vec<u8>,
}

impl UnverifiedMessage {
    /// Parses a message.
    ///
    /// # Errors
    /// [`CoseError::Malformed`] or [`CoseError::Header`]. Bytes after the message are an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, CoseError> {
        let envelope =
            CoseSign1::from_tagged_slice(bytes).map_err(|error| CoseError::Malformed {
                reason: error.to_string(),
            })?;
        let headers = headers(&envelope.protected.header)?;
        Ok(Self { envelope, headers })
    }

    /// Who the message says signed it: whose certificate to verify with.
    pub fn claimed_signer(&self) -> &IdentityId {
        &self.headers.signer
    }

    /// Checks the signature against the signer's certificate.
    ///
    /// # Errors
    /// [`CoseError::Signer`] for another party's certificate; [`CoseError::Algorithm`] when the algorithm is not that of the
    /// certificate's curve; [`CoseError::Signature`] when it does not verify.
    pub fn verify(self, certificate: &Certificate) -> Result<VerifiedMessage, CoseError> {
        let id = certificate.id();
        if self.headers.signer != id {
            return Err(CoseError::Signer {
                got: self.headers.signer,
                want: id,
            });
        }
        if self.headers.algorithm != algorithm(certificate.curve()) {
            return Err(CoseError::Algorithm);
        }
        let payload = self
            .envelope
            .payload
            .clone()
            .ok_or(CoseError::Header { name: "payload" })?;
        self.envelope.verify_signature(&[], |signature, bytes| {
            if certificate.verifies(bytes, signature) {
                Ok(())
            } else {
                Err(CoseError::Signature)
            }
        })?;
        Ok(VerifiedMessage {
            signer: id,
            kind: self.headers.kind,
            created_at: self.headers.created_at,
            payload,
        })
    }
}

/// Why a message could not be signed, parsed or verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoseError {
    /// The algorithm is not ES256, ES384 or ES512, or not that of the certificate's curve.
    #[error("the algorithm is not the one of the signer's curve")]
    Algorithm,
    /// A creation time outside the format's range.
    #[error("the creation time is out of range")]
    CreatedAt,
    /// A header is missing or has another type than it must.
    #[error("header {name} is missing or of the wrong type")]
    Header {
        /// The header.
        name: &'static str,
    },
    /// An id in a header is malformed.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The signer's identity failed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Not a tagged COSE_Sign1.
    #[error("not a tagged COSE_Sign1: {reason}")]
    Malformed {
        /// What the decoder said.
        reason: String,
    },
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// The message names another signer than the certificate.
    #[error("signed by {got}, not by {want}")]
    Signer {
        /// The signer the message names.
        got: IdentityId,
        /// The certificate's id.
        want: IdentityId,
    },
    /// An unknown message type.
    #[error("unknown message type {got:?}")]
    Type {
        /// The type.
        got: String,
    },
}

fn algorithm(curve: Curve) -> Algorithm {
    match curve {
        Curve::P256 => Algorithm::ES256,
        Curve::P384 => Algorithm::ES384,
        Curve::P521 => Algorithm::ES512,
    }
}

fn headers(header: &Header) -> Result<Headers, CoseError> {
    let algorithm = match &header.alg {
        Some(RegisteredLabelWithPrivate::Assigned(
            algorithm @ (Algorithm::ES256 | Algorithm::ES384 | Algorithm::ES512),
        )) => *algorithm,
        _ => return Err(CoseError::Algorithm),
    };
    let signer = std::str::from_utf8(&header.key_id)
        .map_err(|_| CoseError::Header { name: "kid" })?
        .parse()?;
    let find = |name: &'static str| {
        header
            .rest
            .iter()
            .find(|(label, _)| matches!(label, Label::Text(text) if text == name))
            .map(|(_, value)| value)
    };
    let proposal = || -> Result<ProposalId, CoseError> {
        let text = find(PROPOSAL_ID)
            .and_then(Value::as_text)
            .ok_or(CoseError::Header { name: PROPOSAL_ID })?;
        Ok(text.parse()?)
    };
    let kind = match find(TYPE)
        .and_then(Value::as_text)
        .ok_or(CoseError::Header { name: TYPE })?
    {
        "ack" => MessageType::Ack,
        "ballot" => MessageType::Ballot(proposal()?),
        "proposal" => MessageType::Proposal,
        "recovery_share" => MessageType::RecoveryShare,
        "state_digest" => MessageType::StateDigest,
        "withdrawal" => MessageType::Withdrawal(proposal()?),
        other => {
            return Err(CoseError::Type {
                got: other.to_owned(),
            });
        }
    };
    let created_at = find(CREATED_AT)
        .and_then(Value::as_integer)
        .and_then(|integer| u64::try_from(integer).ok())
        .ok_or(CoseError::Header { name: CREATED_AT })?;
    Ok(Headers {
        algorithm,
        signer,
        kind,
        created_at,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn identity(curve: Curve) -> Identity {
        Identity::generate_on(curve, "party", Duration::from_secs(3600)).unwrap()
    }

    fn proposal_id() -> ProposalId {
        "01".repeat(32).parse().unwrap()
    }

    #[test]
    fn every_type_on_every_curve_verifies() {
        for curve in [Curve::P256, Curve::P384, Curve::P521] {
            let signer = identity(curve);
            for kind in [
                MessageType::Ack,
                MessageType::Ballot(proposal_id()),
                MessageType::Proposal,
                MessageType::RecoveryShare,
                MessageType::StateDigest,
                MessageType::Withdrawal(proposal_id()),
            ] {
                let bytes = sign(&signer, &kind, 1_700_000_000, b"{}").unwrap();
                let message = UnverifiedMessage::parse(&bytes).unwrap();
                assert_eq!(message.claimed_signer(), &signer.id());
                let message = message.verify(signer.certificate()).unwrap();
                let want = VerifiedMessage {
                    signer: signer.id(),
                    kind,
                    created_at: 1_700_000_000,
                    payload: b"{}".to_vec(),
                };
                assert_eq!(message, want);
            }
        }
    }

    #[test]
    fn headers_are_in_deterministic_order() {
        let signer = identity(Curve::P384);
        let bytes = sign(
            &signer,
            &MessageType::Ballot(proposal_id()),
            1_700_000_000,
            b"",
        )
        .unwrap();
        let mut want = vec![0xd2, 0x84, 0x58];
        let mut map = vec![0xa5, 0x01, 0x38, 0x22, 0x04, 0x58, 0x40];
        map.extend(signer.id().as_str().bytes());
        map.push(0x70);
        map.extend(b"ccf.gov.msg.type");
        map.push(0x66);
        map.extend(b"ballot");
        map.push(0x76);
        map.extend(b"ccf.gov.msg.created_at");
        map.extend([0x1a, 0x65, 0x53, 0xf1, 0x00]);
        map.push(0x77);
        map.extend(b"ccf.gov.msg.proposal_id");
        map.extend([0x78, 0x40]);
        map.extend("01".repeat(32).bytes());
        want.push(u8::try_from(map.len()).unwrap());
        want.extend(map);
        want.extend([0xa0, 0x40, 0x58, 0x60]);
        assert_eq!(bytes.get(..want.len()), Some(want.as_slice()));
        assert_eq!(bytes.len(), want.len() + 96);
    }

    #[test]
    fn any_altered_byte_is_noticed() {
        let signer = identity(Curve::P256);
        let bytes = sign(
            &signer,
            &MessageType::Proposal,
            1_700_000_000,
            br#"{"actions":[]}"#,
        )
        .unwrap();
        for position in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[position] ^= 1;
            let outcome = UnverifiedMessage::parse(&bad)
                .and_then(|message| message.verify(signer.certificate()));
            assert!(outcome.is_err(), "byte {position}");
        }
        for length in 0..bytes.len() {
            assert!(
                UnverifiedMessage::parse(&bytes[..length]).is_err(),
                "cut to {length}"
            );
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(UnverifiedMessage::parse(&longer).is_err());
    }

    #[test]
    fn another_partys_certificate_does_not_verify() {
        let signer = identity(Curve::P384);
        let other = identity(Curve::P384);
        let bytes = sign(&signer, &MessageType::Ack, 1, b"{}").unwrap();
        let outcome = UnverifiedMessage::parse(&bytes)
            .unwrap()
            .verify(other.certificate());
        assert!(
            matches!(outcome, Err(CoseError::Signer { got, want }) if got == signer.id() && want == other.id())
        );
    }

    #[test]
    fn a_ballot_must_name_its_proposal() {
        let signer = identity(Curve::P384);
        let protected = HeaderBuilder::new()
            .algorithm(Algorithm::ES384)
            .key_id(signer.id().as_str().as_bytes().to_vec())
            .text_value(TYPE.to_owned(), Value::from("ballot"))
            .text_value(CREATED_AT.to_owned(), Value::from(1))
            .build();
        let bytes = CoseSign1Builder::new()
            .protected(protected)
            .payload(Vec::new())
            .create_signature(&[], |bytes| signer.sign(bytes).unwrap())
            .build()
            .to_tagged_vec()
            .unwrap();
        assert!(matches!(
            UnverifiedMessage::parse(&bytes),
            Err(CoseError::Header { name: PROPOSAL_ID })
        ));
    }
}
