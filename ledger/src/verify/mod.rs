//! Walking a ledger and checking all of it that is public (ledger format, section 10.4).
//!
//! Every signature covers everything before it, so what the last signature covers is verified and nothing behind it is. The
//! walk needs no secrets.
//!
//! Chunks are cut into pieces ([`Pieces`]). What needs nothing of what came before, parsing and hashing, is
//! [`Stretch::scan`], and may be done for several pieces at once; [`Walk`] then follows the results in order; and the
//! signatures it leaves ([`PendingSignature`]) may be verified anywhere. [`LedgerVerifier`] does all three in turn.

mod check;
mod report;
mod scan;
mod service;
mod signature;
mod tree;
mod walk;

pub use check::{Check, Fault, Located, Place};
pub use report::{Anchor, Report, Verdict};
pub use scan::Stretch;
pub(crate) use service::{FOLLOWED_BY_SNAPSHOTS, recorded_certificates};
pub use signature::PendingSignature;
pub use walk::{Trust, Walk, entry_fault, layout_fault};

use crate::chunk::ChunkName;
use crate::key::PublicKey;
use crate::pieces::{Piece, Pieces};

/// Bytes that are looked at together.
const PIECE: usize = 1 << 20;

/// A walk over chunks in memory. Feed it chunks in order, then [`Self::finish`].
pub struct LedgerVerifier {
    walk: Walk,
}

impl LedgerVerifier {
    /// A walk from the first transaction. `pinned` is the service key the caller trusts, from outside the ledger.
    #[must_use]
    pub fn new(pinned: Option<PublicKey>) -> Self {
        Self::trusting(Trust {
            service: pinned,
            ..Trust::default()
        })
    }

    /// A walk from the first transaction, with everything the caller knows from outside.
    #[must_use]
    pub fn trusting(trust: Trust) -> Self {
        Self::walking(Walk::new(trust))
    }

    /// Goes on with a walk, from a snapshot for instance.
    #[must_use]
    pub const fn walking(walk: Walk) -> Self {
        Self { walk }
    }

    /// Checks the next chunk.
    ///
    /// # Errors
    /// The first thing that is wrong with it. The walk cannot go on behind it.
    pub fn chunk(&mut self, name: &ChunkName, bytes: &[u8]) -> Result<(), Box<Located>> {
        self.walk.begin_chunk(name)?;
        let mut pieces = Pieces::new(bytes).map_err(|e| layout_fault(name, 0, &e))?;
        let mut piece = Piece::default();
        let mut pending = Vec::new();
        loop {
            let offset = pieces.offset();
            let more = pieces
                .next_piece(&mut piece, PIECE)
                .map_err(|e| layout_fault(name, offset, &e))?;
            if !more {
                break;
            }
            let stretch = Stretch::scan(piece.bytes(), self.walk.stop());
            let walked =
                self.walk
                    .stretch(name, piece.offset, piece.bytes(), &stretch, &mut pending);
            pending.drain(..).try_for_each(PendingSignature::verify)?;
            walked?;
        }
        let (finished, torn) = (pieces.finished(), pieces.torn_bytes());
        self.walk.end_chunk(name, pieces.offset(), finished, torn)
    }

    /// The result.
    ///
    /// # Errors
    /// See [`Walk::finish`].
    pub fn finish(self) -> Result<Report, Fault> {
        self.walk.finish()
    }
}
