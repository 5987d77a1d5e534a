//! Opening a ledger's private tables with the keys of recovery members.
//!
//! The members' shares open the newest ledger secret, and each secret opens the one before it (ledger format, section 14). Nothing but
//! the ledger and the members' private keys is needed, which is why those keys must be guarded as the secrets themselves.

use std::path::Path;
use std::sync::Arc;

use ledger::{
    Entry, HISTORICAL_SECRET_MAP, LedgerSecrets, RECOVERY_SHARES_MAP, RecoverySharesRow, Report,
    RsaError, RsaPrivateKey, SINGLE_KEY, SecretError, SectionError, Seqno, ShareError, TxId,
    parse_sections,
};
use zeroize::Zeroizing;

use crate::error::AuditError;
use crate::replay::Replay;
use crate::rows::{ServiceConfig, table};
use crate::values::read;
use crate::verify::VerifyOptions;

/// Private tables cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DecryptError {
    /// The ledger has no recovery shares: it was never opened.
    #[error("the ledger has no recovery shares")]
    NoShares,
    /// A key belongs to none of the members with a share.
    #[error("key {index} opens no share; shares are held by {}", holders.join(", "))]
    NotAHolder {
        /// Number of the key as given, from 1.
        index: usize,
        /// Members with a share.
        holders: Vec<String>,
    },
    /// Shares do not make the secret: too few of them, or the threshold in the ledger is not the one they were made for.
    #[error("{got} shares, want {want} or an owner's: {source}")]
    Shares {
        /// Shares opened.
        got: usize,
        /// The threshold.
        want: usize,
        /// What failed.
        source: ShareError,
    },
    /// A secret in the chain.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A key.
    #[error(transparent)]
    Key(#[from] RsaError),
    /// The ledger.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A private domain that was opened and does not parse.
    #[error("private tables at {seqno}: {source}")]
    Sections {
        /// Where.
        seqno: Seqno,
        /// What.
        source: SectionError,
    },
}

/// Gathers what the secrets are recovered from.
#[derive(Default)]
pub struct SealedSecrets {
    shares: Option<RecoverySharesRow>,
    threshold: usize,
    history: Vec<(Seqno, Vec<u8>)>,
}

impl SealedSecrets {
    /// Takes the next transaction.
    pub fn transaction(&mut self, entry: &Entry<'_>) {
        let only = |map: &str| entry.section(map).and_then(|s| s.value(&SINGLE_KEY));
        if let Some(row) = only(HISTORICAL_SECRET_MAP) {
            self.history.push((entry.seqno, row.to_vec()));
        }
        if let Some(row) = only(RECOVERY_SHARES_MAP).and_then(read) {
            self.shares = Some(row);
        }
        if let Some(config) = only(table::SERVICE_CONFIG).and_then(read::<ServiceConfig>) {
            let threshold = config.recovery_threshold.unwrap_or(1);
            self.threshold = usize::try_from(threshold).unwrap_or(usize::MAX);
        }
    }

    /// Opens the secrets with private encryption keys of members; whose they are shows by the shares they open.
    ///
    /// # Errors
    /// [`DecryptError`].
    pub fn open(&self, keys: &[RsaPrivateKey]) -> Result<LedgerSecrets, DecryptError> {
        let row = self.shares.as_ref().ok_or(DecryptError::NoShares)?;
        let mut shares = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let opened = row
                .encrypted_shares
                .keys()
                .find_map(|member| row.open_share(member, key).ok());
            shares.push(opened.ok_or_else(|| DecryptError::NotAHolder {
                index: index + 1,
                holders: row.encrypted_shares.keys().cloned().collect(),
            })?);
        }
        let latest = row
            .latest_secret(&shares, self.threshold)
            .map_err(|source| DecryptError::Shares {
                got: shares.len(),
                want: self.threshold,
                source,
            })?;
        let history: Vec<_> = self
            .history
            .iter()
            .map(|(seqno, row)| (*seqno, row.as_slice()))
            .collect();
        Ok(LedgerSecrets::walk_back(Arc::new(latest), &history)?)
    }
}

/// Verifies a ledger and shows what it wrote to private tables. The newest secret opens those before it: so the ledger is
/// verified once, then read once for the secrets and once for the rows.
///
/// # Errors
/// [`DecryptError`]; what was shown is worth nothing when the ledger changed meanwhile ([`AuditError::Changed`]).
pub fn decrypt_directory(
    directory: &Path,
    options: &VerifyOptions,
    keys: &[RsaPrivateKey],
    mut show: impl FnMut(TxId, PrivateChange),
) -> Result<Report, DecryptError> {
    let mut replay = Replay::open(directory, options)?;
    let mut sealed = SealedSecrets::default();
    while let Some(transaction) = replay.next_transaction()? {
        if transaction.signed {
            sealed.transaction(&transaction.entry);
        }
    }
    let secrets = sealed.open(keys)?;
    let mut replay = replay.again();
    while let Some(transaction) = replay.next_transaction()? {
        if transaction.signed {
            for change in private_changes(&transaction.entry, &secrets)? {
                show(transaction.entry.id(), change);
            }
        }
    }
    Ok(replay.report().clone())
}

/// What one transaction did to one key of a private table. Wiped when dropped.
pub struct PrivateChange {
    /// The table.
    pub table: String,
    /// The key.
    pub key: Zeroizing<Vec<u8>>,
    /// The new value; `None` when the key was removed.
    pub value: Option<Zeroizing<Vec<u8>>>,
}

/// The private part of a transaction.
///
/// # Errors
/// [`DecryptError::Secret`] where the secrets do not open it.
pub fn private_changes(
    entry: &Entry<'_>,
    secrets: &LedgerSecrets,
) -> Result<Vec<PrivateChange>, DecryptError> {
    if !entry.has_private_domain() {
        return Ok(Vec::new());
    }
    let plain = Zeroizing::new(entry.open(secrets.covering(entry.seqno)?)?);
    let sections = parse_sections(&plain, false).map_err(|source| DecryptError::Sections {
        seqno: entry.seqno,
        source,
    })?;
    let mut changes = Vec::new();
    for section in sections {
        let table = section.name.to_owned();
        let written = section
            .writes
            .iter()
            .map(|(key, value)| (*key, Some(*value)));
        let removed = section.removes.iter().map(|key| (*key, None));
        changes.extend(written.chain(removed).map(|(key, value)| PrivateChange {
            table: table.clone(),
            key: Zeroizing::new(key.to_vec()),
            value: value.map(|value| Zeroizing::new(value.to_vec())),
        }));
    }
    Ok(changes)
}
