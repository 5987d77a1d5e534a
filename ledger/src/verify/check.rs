//! The numbered rules, and what is said when one does not hold.

use std::fmt;

use crate::id::Seqno;

/// The rules a ledger is held to. The numbers are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// Chunk header, positions table and entry framing.
    ChunkLayout,
    /// The file's name agrees with what it holds, and chunks follow each other without gap.
    ChunkName,
    /// Positions count up by one.
    Seqno,
    /// The IV names the entry's own position and is not a snapshot's.
    Iv,
    /// Views never decrease.
    View,
    /// The entry type is one of a ledger.
    EntryType,
    /// A signature entry writes the signature tables only.
    SignatureMaps,
    /// A signature row parses.
    SignatureRow,
    /// The root in the row is the root of everything before.
    Root,
    /// The row names the entry's own view and position.
    SignatureId,
    /// The signing node is known and was trusted.
    Node,
    /// The node's certificate holds the key the node is named after.
    NodeCertificate,
    /// The node's certificate was issued by the service.
    NodeEndorsement,
    /// The node's signature over the root.
    NodeSignature,
    /// The serialised tree is the tree.
    Tree,
    /// The service's COSE signature over the root.
    CoseSignature,
    /// A service information row parses and its status follows from the one before.
    ServiceStatus,
    /// A node information row parses.
    NodeInfo,
    /// A chunk ends only after a signature.
    ChunkEnd,
    /// The pinned service identity is that of the ledger, or endorses it.
    PinnedIdentity,
    /// There is a signature at all.
    Signed,
    /// An endorsement of a service identity is signed by the service of its time and names what the ledger holds.
    Endorsement,
    /// The ledger holds the saved checkpoint: it goes on from there, and has not been cut behind it.
    Checkpoint,
    /// The evidence of a snapshot claims the digest that it names.
    SnapshotEvidence,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: got {got}, want {want}", .check.id())]
pub struct Fault {
    /// The rule.
    pub check: Check,
    /// What stands there.
    pub got: String,
    /// What should.
    pub want: String,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct Located {
    /// Where.
    pub place: Place,
    /// What.
    pub fault: Fault,
}

/// A place in a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// File name.
    pub file: String,
    /// Offset in the file.
    pub offset: u64,
    /// Position of the entry, where it could be read.
    pub seqno: Option<Seqno>,
}

impl Check {
    /// Number of the rule, `LED-01` and so on.
    #[must_use]
    pub fn id(self) -> String {
        format!("LED-{:02}", self as u8 + 1)
    }

    pub(crate) fn fault(self, got: impl Into<String>, want: impl Into<String>) -> Fault {
        Fault {
            check: self,
            got: got.into(),
            want: want.into(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.file, self.offset)?;
        if let Some(seqno) = self.seqno {
            write!(f, " (seqno {seqno})")?;
        }
        Ok(())
    }
}
