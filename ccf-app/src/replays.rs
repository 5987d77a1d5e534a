//! Signed requests that were seen before.
//!
//! The signature of a payload covers neither the target nor a time, so a captured request could be sent again: to undo a later
//! change, or to another target. Signatures are randomised; one that comes twice is a replay. To the same target it is answered as the first
//! time and changes nothing; to another target of the contract it is refused.
//!
//! The memory is bounded: each contract has [`SLOTS`] slots, and a signature's digest chooses its slot. Whoever signs can choose a slot by
//! signing often, so there is a memory for each [way of being admitted](Signer): code that a delegate policy admits, or whoever holds a token,
//! pushes out nothing that code of the contract's own policy signed. A signature is looked for in all of them.

use attestation::{Alternative, Sha256Digest};
use ccf_rs::{Context, Error, Result, Table, WriteContext};
use serde::{Deserialize, Serialize};

use crate::ids::{ContractId, composite};

/// Whether a request was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// For the first time; it is remembered from now on.
    First,
    /// Again, with the same target.
    Again,
}

/// How whoever signed was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signer {
    /// By the contract's policy.
    Contract,
    /// By a delegate policy only.
    Delegate,
    /// With a token.
    Token,
}

impl From<Alternative> for Signer {
    fn from(alternative: Alternative) -> Self {
        match alternative {
            Alternative::Contract => Self::Contract,
            Alternative::Delegate => Self::Delegate,
        }
    }
}

impl Signer {
    fn key(self, contract: &ContractId, slot: u16) -> String {
        let slot = slot.to_string();
        match self {
            // As earlier software stored all of them.
            Self::Contract => composite(&[contract.as_str(), &slot]),
            Self::Delegate => composite(&[contract.as_str(), "delegate", &slot]),
            Self::Token => composite(&[contract.as_str(), "token", &slot]),
        }
    }
}

/// Looks up and remembers a signature.
///
/// # Errors
/// 409 `RequestReplayed` when it was seen with another target.
pub(crate) fn check(
    ctx: &mut WriteContext<'_>,
    contract: &ContractId,
    signer: Signer,
    target: &str,
    signature: &[u8],
) -> Result<Seen> {
    let digest = Sha256Digest::of(signature);
    let [high, low, ..] = *digest.as_bytes();
    let slot = u16::from_be_bytes([high, low]) % SLOTS;
    for any in [Signer::Contract, Signer::Delegate, Signer::Token] {
        let seen = ctx.read(&SIGNED).get(&any.key(contract, slot))?;
        match seen.filter(|seen| seen.signature == digest) {
            Some(seen) if seen.target == target => return Ok(Seen::Again),
            Some(_) => {
                return Err(Error::refused(
                    409,
                    "RequestReplayed",
                    "This signed request was made for something else.",
                ));
            }
            None => {}
        }
    }
    let request = Signed {
        signature: digest,
        target: target.to_owned(),
    };
    ctx.table(&SIGNED)
        .put(&signer.key(contract, slot), &request)?;
    Ok(Seen::First)
}

/// Remembered signatures per contract and signer, a power of two.
const SLOTS: u16 = 1024;

static SIGNED: Table<String, Signed> = Table::json("public:cleanroom.signed_requests");

#[derive(Serialize, Deserialize)]
struct Signed {
    signature: Sha256Digest,
    target: String,
}
