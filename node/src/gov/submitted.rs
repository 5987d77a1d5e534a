//! Submitted recovery shares, put together. Nothing authenticates a share, so a wrong one shows only when what it is
//! combined with does not open the wrapped secret. Once there are more shares than needed, the wrong ones can be told.

use std::collections::BTreeMap;

use ledger::{LedgerSecret, RecoverySharesRow, Share};

/// How many combinations are tried for one submission. With 20 shares of which 10 are needed all are.
const MAX_ATTEMPTS: usize = 100_000;

/// Shares by the id of the member who submitted them.
pub(crate) type Submitted = BTreeMap<String, Share>;

/// What came of putting shares together.
pub(crate) enum Combined {
    /// Too few.
    TooFew,
    /// The newest ledger secret. The shares of these members do not fit.
    Secret(Box<LedgerSecret>, Vec<String>),
    /// No combination opens the wrapped secret.
    Mismatch,
}

/// Tries the combinations that contain the newest share; the others were tried before.
pub(crate) fn combine(
    row: &RecoverySharesRow,
    submitted: &Submitted,
    newest: &str,
    threshold: usize,
) -> Combined {
    let Some(own) = submitted.get(newest) else {
        return Combined::TooFew;
    };
    if own.is_full() {
        return match row.latest_secret(std::slice::from_ref(own), 1) {
            Ok(secret) => Combined::Secret(Box::new(secret), Vec::new()),
            Err(_) => Combined::Mismatch,
        };
    }
    let others: Vec<(&String, &Share)> = submitted
        .iter()
        .filter(|(member, share)| *member != newest && !share.is_full())
        .collect();
    let Some(wanted) = threshold.checked_sub(1).filter(|n| *n <= others.len()) else {
        return Combined::TooFew;
    };
    let mut chosen: Vec<usize> = (0..wanted).collect();
    for _ in 0..MAX_ATTEMPTS {
        let mut shares = vec![own.clone()];
        shares.extend(
            chosen
                .iter()
                .filter_map(|at| Some((*others.get(*at)?.1).clone())),
        );
        if let Ok(secret) = row.latest_secret(&shares, threshold) {
            let wrong = misfits(row, &shares, &others, &chosen, threshold);
            return Combined::Secret(Box::new(secret), wrong);
        }
        if !next_combination(&mut chosen, others.len()) {
            break;
        }
    }
    Combined::Mismatch
}

/// Members whose share cannot stand for one of those that fit.
fn misfits(
    row: &RecoverySharesRow,
    good: &[Share],
    others: &[(&String, &Share)],
    chosen: &[usize],
    threshold: usize,
) -> Vec<String> {
    let fits = |share: &Share| {
        let mut shares = good.to_vec();
        shares.pop();
        shares.push(share.clone());
        row.latest_secret(&shares, threshold).is_ok()
    };
    others
        .iter()
        .enumerate()
        .filter(|(at, (_, share))| !chosen.contains(at) && !fits(share))
        .map(|(_, (member, _))| (*member).clone())
        .collect()
}

/// The next ascending choice of indexes below `n`; false after the last.
fn next_combination(chosen: &mut [usize], n: usize) -> bool {
    let k = chosen.len();
    for at in (0..k).rev() {
        let Some(index) = chosen.get(at).copied() else {
            return false;
        };
        if index + k - at < n {
            let following = (index + 1)..;
            chosen
                .iter_mut()
                .skip(at)
                .zip(following)
                .for_each(|(slot, index)| *slot = index);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use ledger::{Base64, WrappingSecret};

    use super::*;

    #[test]
    fn all_combinations_come_once() {
        let mut chosen = vec![0, 1];
        let mut all = vec![chosen.clone()];
        while next_combination(&mut chosen, 4) {
            all.push(chosen.clone());
        }
        assert_eq!(
            all,
            [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]].map(Vec::from)
        );
        assert!(!next_combination(&mut [], 3));
    }

    #[test]
    fn with_a_share_too_many_the_wrong_one_is_named() {
        let rng = SystemRandom::new();
        let wrapping = WrappingSecret::generate(&rng).unwrap();
        let foreign = WrappingSecret::generate(&rng).unwrap();
        let secret = LedgerSecret::generate(&rng).unwrap();
        let row = RecoverySharesRow {
            encrypted_shares: BTreeMap::new(),
            previous_secret_stored_version: None,
            wrapped_latest_ledger_secret: Base64(wrapping.wrap(&secret).unwrap()),
        };
        let shares = wrapping.split(3, 5, &rng).unwrap();
        let wrong = foreign.split(3, 5, &rng).unwrap();
        let mut submitted = Submitted::new();
        let add = |submitted: &mut Submitted, member: &str, share: &Share| {
            submitted.insert(member.to_owned(), share.clone());
            combine(&row, submitted, member, 3)
        };
        assert!(matches!(
            add(&mut submitted, "a", &shares[0]),
            Combined::TooFew
        ));
        assert!(matches!(
            add(&mut submitted, "b", &wrong[1]),
            Combined::TooFew
        ));
        assert!(matches!(
            add(&mut submitted, "c", &shares[2]),
            Combined::Mismatch
        ));
        let Combined::Secret(found, named) = add(&mut submitted, "d", &shares[3]) else {
            panic!("three of four fit")
        };
        assert_eq!(found.expose_bytes(), secret.expose_bytes());
        assert_eq!(named, ["b"]);
        let full = foreign.full_share();
        assert!(matches!(
            add(&mut submitted, "e", &full),
            Combined::Mismatch
        ));
        let full = wrapping.full_share();
        assert!(
            matches!(add(&mut submitted, "e", &full), Combined::Secret(_, named) if named.is_empty())
        );
    }
}
