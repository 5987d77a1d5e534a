//! From the newest ledger secret of a service to all it ever had.

use std::sync::Arc;

use ccf_rs::Seqno;
use ledger::{
    Entry, HISTORICAL_SECRET_MAP, HistoricalSecretRow, LedgerSecret, LedgerSecrets, SINGLE_KEY,
    SecretError,
};

use crate::pipeline::History;

/// All secrets, from the newest and the rows that describe them with their positions, oldest first.
///
/// # Errors
/// A row that does not parse, or that the secret after it does not open.
pub fn all_secrets(
    newest: Arc<LedgerSecret>,
    rows: &[(ledger::Seqno, Vec<u8>)],
) -> Result<LedgerSecrets, SecretError> {
    let borrowed: Vec<(ledger::Seqno, &[u8])> = rows
        .iter()
        .map(|(seqno, row)| (*seqno, row.as_slice()))
        .collect();
    let mut secrets = LedgerSecrets::walk_back(Arc::clone(&newest), &borrowed)?;
    if rows.is_empty() {
        // A ledger from before there were such rows has one secret.
        secrets.insert(ledger::Seqno(1), newest);
    }
    Ok(secrets)
}

/// Adds the rows from before a snapshot, one after the other as each says where the one before it stands. Without the chunk
/// of one, what its secret and older ones cover cannot be looked back at.
pub(super) fn complete_rows(history: &History, rows: &mut Vec<(ledger::Seqno, Vec<u8>)>) {
    while let Some((at, before)) = rows.first().and_then(|(at, row)| {
        let row = HistoricalSecretRow::from_json(*at, row).ok()?;
        let before = row.previous_ledger_secret?.previous_secret_stored_version?;
        Some((*at, before))
    }) {
        let found = history.entry(Seqno(before.0)).ok().and_then(|bytes| {
            let entry = Entry::parse(&bytes).ok()?;
            let row = entry.section(HISTORICAL_SECRET_MAP)?.value(&SINGLE_KEY)?;
            (entry.seqno == before && before < at).then(|| row.to_vec())
        });
        let Some(row) = found else {
            tracing::warn!(
                seqno = before.0,
                "the row of an earlier ledger secret is not among the files: older private data cannot be looked back at"
            );
            break;
        };
        rows.insert(0, (before, row));
    }
}
