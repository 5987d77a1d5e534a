//! Signing governance messages: COSE_Sign1 (RFC 9052) as CCF takes them; [`ledger::GovernanceMessage`] reads them, and says what
//! is in one.
//!
//! Headers are written in the order of RFC 8949 section 4.2.1, so that equal inputs give equal signed bytes.

use ciborium::value::Value;
use coset::iana::Algorithm;
use coset::{CoseSign1Builder, HeaderBuilder, TaggedCborSerializable as _};
use ledger::HeaderNames;

use crate::identity::{Curve, Identity, IdentityError};
use crate::ids::ProposalId;

/// The content type of a signed message. It takes no parameters.
pub const CONTENT_TYPE: &str = "application/cose";

const NAMES: HeaderNames = HeaderNames::MEMBER;

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
        .text_value(NAMES.message_type.to_owned(), Value::from(kind.as_str()))
        .text_value(NAMES.created_at.to_owned(), Value::from(created_at));
    if let (Some(name), Some(id)) = (NAMES.proposal_id, kind.proposal_id()) {
        headers = headers.text_value(name.to_owned(), Value::from(id.as_str()));
    }
    CoseSign1Builder::new()
        .protected(headers.build())
        .payload(payload.to_vec())
        .try_create_signature(&[], |bytes| signer.sign(bytes))?
        .build()
        .to_tagged_vec()
        .map_err(|error| CoseError::Encode {
            reason: error.to_string(),
        })
}

/// Why a message could not be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoseError {
    /// A creation time outside the format's range.
    #[error("the creation time is out of range")]
    CreatedAt,
    /// The headers cannot be written.
    #[error("the message cannot be written: {reason}")]
    Encode {
        /// What the encoder said.
        reason: String,
    },
    /// The signer's identity failed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

fn algorithm(curve: Curve) -> Algorithm {
    match curve {
        Curve::P256 => Algorithm::ES256,
        Curve::P384 => Algorithm::ES384,
        Curve::P521 => Algorithm::ES512,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ledger::{GovernanceMessage, MessageError};

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
                let message = GovernanceMessage::from_bytes(&bytes).unwrap();
                message.verify(&signer.certificate().to_pem()).unwrap();
                assert_eq!(message.signer, signer.id().as_str());
                assert_eq!(message.kind, kind.as_str());
                assert_eq!(message.created_at, 1_700_000_000);
                assert_eq!(
                    message.proposal_id,
                    kind.proposal_id().map(ToString::to_string)
                );
                assert_eq!(message.payload, b"{}");
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
        let verifies = |bytes: &[u8]| {
            GovernanceMessage::from_bytes(bytes)
                .is_ok_and(|message| message.verify(&signer.certificate().to_pem()).is_ok())
        };
        assert!(verifies(&bytes));
        for position in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[position] ^= 1;
            assert!(!verifies(&bad), "byte {position}");
            assert!(!verifies(&bytes[..position]), "cut to {position}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(!verifies(&longer));
    }

    #[test]
    fn another_partys_certificate_does_not_verify() {
        let signer = identity(Curve::P384);
        let other = identity(Curve::P384);
        let bytes = sign(&signer, &MessageType::Ack, 1, b"{}").unwrap();
        let outcome = GovernanceMessage::from_bytes(&bytes)
            .unwrap()
            .verify(&other.certificate().to_pem());
        let (got, want) = (signer.id().to_string(), other.id().to_string());
        assert_eq!(outcome, Err(MessageError::Signer { got, want }));
    }
}
