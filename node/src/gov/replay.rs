//! Replay protection of proposals (CCF interface, section 2.6).

use aws_lc_rs::digest::{SHA256, digest};
use ccf_rs::{CoseMessage, Error, Result, Singleton, WriteContext};

use super::tables::{COSE_RECENT_PROPOSALS, SERVICE_CONFIG};

const DEFAULT_WINDOW: usize = 100;
const LATEST: u64 = 9_999_999_999;

/// GOV-08: refuses a proposal that was seen, or that is older than half of those remembered;
/// remembers it otherwise.
pub(super) fn admit(
    ctx: &mut WriteContext<'_>,
    message: &CoseMessage,
    proposal_id: &str,
) -> Result<()> {
    let created_at = message.created_at.unwrap_or_default();
    if created_at > LATEST {
        return Err(Error::bad_request(
            "InvalidCreatedAt",
            format!("Header parameter created_at value is too large: {created_at}."),
        ));
    }
    let stamp = format!("{created_at:010}");
    let key = format!(
        "{stamp}:{}",
        hex::encode(digest(&SHA256, &message.signature))
    );
    if let Some(earlier) = ctx.table(&COSE_RECENT_PROPOSALS).get(&key)? {
        return Err(Error::bad_request(
            "ProposalReplay",
            format!("Proposal submission replay, already exists as proposal {earlier}."),
        ));
    }
    let mut keys = ctx.table(&COSE_RECENT_PROPOSALS).keys()?;
    keys.sort();
    let median = keys
        .get(keys.len() / 2)
        .and_then(|key| key.split(':').next());
    if let Some(median) = median.filter(|median| stamp.as_str() < *median) {
        return Err(Error::bad_request(
            "ProposalCreatedTooLongAgo",
            format!(
                "Proposal created too long ago, created_at must be greater than or equal to {median}."
            ),
        ));
    }
    let window = ctx
        .table(&SERVICE_CONFIG)
        .get(&Singleton)?
        .and_then(|config| config.recent_cose_proposals_window_size)
        .unwrap_or(DEFAULT_WINDOW);
    let surplus = (keys.len() + 1).saturating_sub(window);
    for old in keys.iter().take(surplus) {
        ctx.table(&COSE_RECENT_PROPOSALS).remove(old)?;
    }
    ctx.table(&COSE_RECENT_PROPOSALS)
        .put(&key, &proposal_id.to_owned())
}
