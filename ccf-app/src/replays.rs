//! Signed requests that were seen before.
//!
//! The signature of a payload covers neither the target nor a time, so a captured request could be sent again: to undo a later
//! change, or to another target. Signatures are randomised; one that comes twice is a replay. To the same target it is answered as the first
//! time and changes nothing; to another target of the contract it is refused.
//!
//! The memory is bounded: each contract has [`SLOTS`] slots, and a signature's digest chooses its slot. Only signatures by code
//! that meets the contract's policy come here, so nobody else can push one out.

use attestation::Sha256Digest;
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

/// Looks up and remembers a signature.
///
/// # Errors
/// 409 `RequestReplayed` when it was seen with another target.
pub(crate) fn check(
    ctx: &mut WriteContext<'_>,
    contract: &ContractId,
    target: &str,
    signature: &[u8],
) -> Result<Seen> {
    let digest = Sha256Digest::of(signature);
    let [high, low, ..] = *digest.as_bytes();
    let slot = u16::from_be_bytes([high, low]) % SLOTS;
    let key = composite(&[contract.as_str(), &slot.to_string()]);
    match ctx.read(&SIGNED).get(&key)? {
        Some(seen) if seen.signature == digest => {
            if seen.target == target {
                return Ok(Seen::Again);
            }
            Err(Error::refused(
                409,
                "RequestReplayed",
                "This signed request was made for something else.",
            ))
        }
        _ => {
            let request = Signed {
                signature: digest,
                target: target.to_owned(),
            };
            ctx.table(&SIGNED).put(&key, &request)?;
            Ok(Seen::First)
        }
    }
}

/// Remembered signatures per contract, a power of two.
const SLOTS: u16 = 1024;

static SIGNED: Table<String, Signed> = Table::json("public:cleanroom.signed_requests");

#[derive(Serialize, Deserialize)]
struct Signed {
    signature: Sha256Digest,
    target: String,
}
