//! What a walk found.

use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::hash::Digest;
use crate::id::TxId;

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Last transaction covered by a signature; absent without any.
    pub verified_until: Option<TxId>,
    /// Last transaction present.
    pub last: Option<TxId>,
    /// Where the walk began, if not at the first transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_snapshot: Option<TxId>,
    /// Entries read.
    pub entries: u64,
    /// Entries behind the last signature. They are not verified.
    pub unsigned_tail: u64,
    /// Bytes behind the last whole entry of an open chunk: the beginning of an entry that a killed writer did not finish.
    pub torn_bytes: u64,
    /// Signature entries.
    pub signatures: u64,
    /// Those that carry a COSE signature too.
    pub cose_signatures: u64,
    /// Chunks read.
    pub chunks: u64,
    /// Id of the service key that signs at the end: hex SHA-256 of its public key.
    pub service_identity: Option<String>,
    /// Ids of all service keys that signed, in the order in which they did.
    pub identities: Vec<String>,
    /// Whether the identity that the caller pinned vouches for all of it. False: the ledger vouches for itself only, or the
    /// pinned identity is an earlier one.
    pub pinned: bool,
    /// How the pinned identity vouches for the ledger.
    pub anchor: Anchor,
    /// Endorsements of an earlier identity whose epoch ends before it begins; they vouch for nothing.
    pub empty_endorsements: u64,
    /// Merkle root over everything before the last signature, which that one signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_root: Option<Digest>,
    /// Leaf of the last signature, which nothing signs before the next one: what it is told from when it is read again.
    #[serde(skip)]
    pub signed_leaf: Option<Digest>,
    /// Merkle root over everything, the last signature included; absent when something is behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Digest>,
    /// The last signature, to be kept and compared with later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
}

/// What the trust in a ledger hangs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Anchor {
    /// Nothing was pinned.
    #[default]
    None,
    /// The pinned service signs the ledger at its end.
    Service {
        /// Id of its key.
        identity: String,
    },
    /// The pinned service signed the ledger until it was recovered under another identity. It cannot vouch for what follows.
    Predecessor {
        /// Id of its key.
        identity: String,
        /// Its last signature.
        until: TxId,
    },
    /// The pinned service is a later one, which endorses the one that signs here.
    Successor {
        /// Id of its key.
        identity: String,
        /// Number of endorsements between the two.
        endorsements: u64,
    },
}

/// What a report comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Every byte is vouched for by the pinned service.
    Verified,
    /// What is signed holds, but something stands behind the last signature that nobody has signed.
    Incomplete,
    /// It holds together, but the pinned service does not vouch for all of it, or none was pinned.
    Unanchored,
}

impl Report {
    /// The verdict.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        if !self.pinned {
            Verdict::Unanchored
        } else if self.unsigned_tail > 0 || self.torn_bytes > 0 {
            Verdict::Incomplete
        } else {
            Verdict::Verified
        }
    }
}
