//! Whether releases are held after a recovery (constitution, CON-93 and CON-94).
//!
//! A recovery policy may ask that after a break-glass recovery nothing is released before some time has passed, or before members have
//! acknowledged it. Governance records both; this reads them.

use std::time::Duration;

use ccf_rs::{Context, Error, Result, Singleton, Table};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How a release is refused while it is held.
pub(crate) const HELD: (u16, &str) = (423, "RecoveryNotAcknowledged");

/// # Errors
/// [`HELD`], with what is missing.
pub(crate) fn check_not_held<C: Context>(ctx: &mut C) -> Result<()> {
    let service = ctx.read(&SERVICE).get(&Singleton)?;
    let count = service.map_or(0, |service| service.recovery_count);
    let Some(recovery) = ctx.read(&RECOVERIES).get(&count.to_string())? else {
        return Ok(());
    };
    let now = ctx.untrusted_time();
    let needs_acknowledgement = recovery.needs_acknowledgement();
    if !needs_acknowledgement && now >= recovery.notice_ends() {
        return Ok(());
    }
    let (status, code) = HELD;
    Err(Error::refused(
        status,
        code,
        "The service was recovered by breaking glass; releases are held until the terms of its members are met.",
    )
    .with_detail(json!({
        "recoveryCount": count,
        "reason": recovery.reason,
        "proposalId": recovery.proposal_id,
        "needsAcknowledgement": needs_acknowledgement,
        "noticeEnds": recovery.notice_ends().as_secs(),
    })))
}

static SERVICE: Table<Singleton, Service> = Table::json("public:ccf.gov.service.info");
static RECOVERIES: Table<String, Recovery> = Table::json("public:ccf.gov.recoveries");

#[derive(Serialize, Deserialize)]
struct Service {
    #[serde(default)]
    recovery_count: u64,
}

#[derive(Serialize, Deserialize)]
struct Recovery {
    reason: Option<String>,
    proposal_id: Option<String>,
    acknowledged_by: Option<String>,
    /// Milliseconds since 1970.
    #[serde(default)]
    opened_at: u64,
    #[serde(default)]
    notice_seconds: u64,
    #[serde(default)]
    requires_member_ack: bool,
}

impl Recovery {
    fn needs_acknowledgement(&self) -> bool {
        self.requires_member_ack && self.acknowledged_by.is_none()
    }

    fn notice_ends(&self) -> Duration {
        if self.notice_seconds == 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(self.opened_at)
            .saturating_add(Duration::from_secs(self.notice_seconds))
    }
}
