//! Where each view began.

use std::sync::Arc;

use ccf_rs::{Seqno, TxId, View};

/// The first position of each view, from view 1 on (ledger format, section 13.3). The last one is the view of this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Views(Arc<[Seqno]>);

impl Views {
    /// A new service: it begins in view 2, and view 1 is counted as if it had begun with it.
    pub fn of_new_service() -> Self {
        Self(Arc::new([Seqno(1), Seqno(1)]))
    }

    /// A service whose ledger had these views and ends at `last`, continued after a recovery: two views on.
    pub fn after_recovery(before: &[Seqno], last: TxId) -> Self {
        let known = before.iter().copied().take(view_count(last.view));
        let missing = view_count(last.view).saturating_sub(before.len());
        let next = Seqno(last.seqno.0 + 1);
        // A view in which nothing was signed has no beginning of its own.
        let unsigned = before.last().copied().unwrap_or(Seqno(1));
        let views = known
            .chain(std::iter::repeat_n(unsigned, missing))
            .chain([next, next])
            .collect();
        Self(views)
    }

    /// The view of this run.
    pub fn current(&self) -> View {
        View(self.0.len() as u64)
    }

    /// The view in which a position was executed; for positions to come the current one.
    pub fn of(&self, seqno: Seqno) -> View {
        View(self.0.partition_point(|first| *first <= seqno) as u64)
    }

    /// The first positions, from view 1 on.
    pub fn firsts(&self) -> &[Seqno] {
        &self.0
    }

    /// The first transaction of each view, from view 1 on, as `/commit` shows them.
    pub fn as_transactions(&self) -> Vec<TxId> {
        (1..)
            .zip(self.0.iter())
            .map(|(view, first)| TxId {
                view: View(view),
                seqno: *first,
            })
            .collect()
    }
}

/// Views in a ledger are below 2^31 (section 5.1).
fn view_count(view: View) -> usize {
    usize::try_from(view.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_of_a_service_recovered_twice() {
        let first = Views::of_new_service();
        assert_eq!((first.current(), first.of(Seqno(9))), (View(2), View(2)));
        let second = Views::after_recovery(first.firsts(), TxId::new(2, 140));
        let shown: Vec<_> = second
            .as_transactions()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(shown, ["1.1", "2.1", "3.141", "4.141"]);
        for (seqno, view) in [(1, 2), (140, 2), (141, 4), (999, 4)] {
            assert_eq!(second.of(Seqno(seqno)), View(view), "{seqno}");
        }
        let third = Views::after_recovery(second.firsts(), TxId::new(4, 200));
        assert_eq!((third.current(), third.of(Seqno(200))), (View(6), View(4)));
    }
}
