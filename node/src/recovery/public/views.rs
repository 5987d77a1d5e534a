//! When which view began.

use ccf_rs::Seqno;
use ledger::TxId;

/// View history as signatures tell it (ledger format, section 13.3).
#[derive(Default)]
pub(super) struct Views {
    firsts: Vec<Seqno>,
    last_signature: u64,
}

impl Views {
    /// As a snapshot tells it, taken at a signature.
    pub(super) fn at(firsts: &[ledger::Seqno], last_signature: Seqno) -> Self {
        Self {
            firsts: firsts.iter().map(|first| Seqno(first.0)).collect(),
            last_signature: last_signature.0,
        }
    }

    pub(super) fn signed(&mut self, id: TxId) {
        let view = usize::try_from(id.view.0).unwrap_or(usize::MAX);
        let first = Seqno(self.last_signature + 1);
        // A view is below 2^31, and a ledger that jumps over many was verified up to here.
        while self.firsts.len() < view.min(MAX_VIEWS) {
            self.firsts.push(first);
        }
        self.last_signature = id.seqno.0;
    }

    /// First position of each view, from view 1 on.
    pub(super) fn firsts(self) -> Vec<Seqno> {
        self.firsts
    }
}

/// More views than any service goes through: an election each second for a year.
const MAX_VIEWS: usize = 1 << 25;
