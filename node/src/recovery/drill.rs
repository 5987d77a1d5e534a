//! A recovery for practice: what would come back, how long it takes, and who would be needed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use ledger::{PublicKey, RECOVERY_SHARES_MAP, RecoverySharesRow, Share, TxId};
use serde::Serialize;

use super::secrets::all_secrets;
use super::{LedgerSource, Progress, PublicLedger, RecoveryError};
use crate::gov::submitted::{Combined, Submitted, combine};
use crate::pipeline::History;

const CONFIG: &str = "public:ccf.gov.service.config";
const MEMBERS: &str = "public:ccf.gov.members.info";

/// What a drill found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrillReport {
    /// The last transaction that would be there.
    pub recovered_until: TxId,
    /// The first transaction of the recovered service.
    pub would_continue_at: TxId,
    /// Position of the snapshot that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_snapshot: Option<u64>,
    /// Ids of the service's identities, oldest first.
    pub identities: Vec<String>,
    /// What stands behind the last signature and would be set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail: Option<DrillTail>,
    /// Checkpoints that the ledger does not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rollbacks: Vec<String>,
    /// Seconds for the public tables.
    pub public_seconds: f64,
    /// Number of public tables.
    pub public_tables: usize,
    /// Who would be needed.
    pub shares: DrillShares,
    /// The private tables, if the shares at hand were enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private: Option<DrillPrivate>,
}

/// What would be set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DrillTail {
    /// The file.
    pub file: String,
    /// Where in it.
    pub offset: u64,
    /// How many bytes.
    pub bytes: usize,
    /// Why they do not count.
    pub reason: String,
}

/// Who holds shares, and whose were at hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrillShares {
    /// How many participants are needed.
    pub threshold: usize,
    /// Members with one share each.
    pub participants: Vec<String>,
    /// Members with the whole key each.
    pub owners: Vec<String>,
    /// Members whose shares were at hand.
    pub opened: Vec<String>,
    /// Members whose shares do not fit the others.
    pub wrong: Vec<String>,
}

/// The private tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DrillPrivate {
    /// Seconds to read them.
    pub seconds: f64,
    /// Ledger secrets, by the first position each covers.
    pub secrets_from: Vec<u64>,
    /// Number of private tables.
    pub tables: usize,
    /// Number of their rows.
    pub rows: usize,
}

/// Decrypts the share of a member, if there is a key for it at hand.
pub type OpenShare<'a> = dyn Fn(&str, &[u8]) -> Option<Vec<u8>> + 'a;

/// Recovers a copy. `open_share` gives the shares for which there is a key at hand.
///
/// # Errors
/// [`RecoveryError`], as a recovery would end with.
pub fn drill(
    source: &LedgerSource,
    identity: &PublicKey,
    open_share: &OpenShare<'_>,
) -> Result<DrillReport, RecoveryError> {
    let begun = Instant::now();
    let mut public = PublicLedger::read(source, identity)?;
    let public_seconds = begun.elapsed().as_secs_f64();
    public.settle()?;
    let row: RecoverySharesRow = public.row(RECOVERY_SHARES_MAP)?;
    let (mut shares, submitted) = shares(&public, &row, open_share)?;
    let private = restore(&mut public, &row, &submitted, &mut shares)?;
    let last = public.last;
    Ok(DrillReport {
        recovered_until: last,
        would_continue_at: TxId::new(last.view.0 + 2, last.seqno.0 + 1),
        from_snapshot: public.snapshot.as_ref().map(|s| s.id.seqno.0),
        identities: public
            .identities
            .iter()
            .filter_map(|pem| PublicKey::of_certificate(pem).ok())
            .map(|key| key.id())
            .collect(),
        tail: public.tail.take().map(|tail| DrillTail {
            file: tail.file,
            offset: tail.offset,
            bytes: tail.bytes.len(),
            reason: tail.reason,
        }),
        rollbacks: public.rollbacks.iter().map(ToString::to_string).collect(),
        public_seconds,
        public_tables: public.state.tables().count(),
        shares,
        private,
    })
}

fn shares(
    public: &PublicLedger,
    row: &RecoverySharesRow,
    open_share: &OpenShare<'_>,
) -> Result<(DrillShares, Submitted), RecoveryError> {
    let config: serde_json::Value = public.row(CONFIG)?;
    let threshold = config.get("recovery_threshold").and_then(|n| n.as_u64());
    let mut shares = DrillShares {
        threshold: threshold
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(1)
            .max(1),
        ..DrillShares::default()
    };
    let mut submitted: Submitted = BTreeMap::new();
    for (member, sealed) in &row.encrypted_shares {
        let role = public
            .state
            .value(MEMBERS, member.as_bytes())
            .and_then(|row| serde_json::from_slice::<serde_json::Value>(row).ok())
            .and_then(|info| info.get("recovery_role")?.as_str().map(str::to_owned));
        let list = match role.as_deref() {
            Some("Owner") => &mut shares.owners,
            _ => &mut shares.participants,
        };
        list.push(member.clone());
        let share = open_share(member, &sealed.0);
        if let Some(share) = share.and_then(|share| Share::from_bytes(&share).ok()) {
            shares.opened.push(member.clone());
            submitted.insert(member.clone(), share);
        }
    }
    Ok((shares, submitted))
}

fn restore(
    public: &mut PublicLedger,
    row: &RecoverySharesRow,
    submitted: &Submitted,
    shares: &mut DrillShares,
) -> Result<Option<DrillPrivate>, RecoveryError> {
    let combined = submitted
        .keys()
        .map(|newest| combine(row, submitted, newest, shares.threshold))
        .find_map(|combined| match combined {
            Combined::Secret(secret, wrong) => Some((secret, wrong)),
            _ => None,
        });
    let Some((newest, wrong)) = combined else {
        return Ok(None);
    };
    shares.wrong = wrong;
    let begun = Instant::now();
    let bad = |reason: String| RecoveryError::Private { reason };
    let history = History::default();
    let private = public.hand_over(&history);
    let secrets =
        all_secrets(Arc::new(*newest), &public.secret_rows).map_err(|e| bad(e.to_string()))?;
    let secrets_from = secrets.starts().map(|from| from.0).collect();
    let state = private
        .run(&secrets, &Progress::default())
        .map_err(|e| bad(e.to_string()))?;
    let tables: Vec<_> = state.tables().map(|(name, _)| Arc::clone(name)).collect();
    Ok(Some(DrillPrivate {
        seconds: begun.elapsed().as_secs_f64(),
        secrets_from,
        tables: tables.len(),
        rows: tables.iter().map(|name| state.len(name)).sum(),
    }))
}
