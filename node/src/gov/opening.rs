//! Opening a service: its recovery shares, the row that describes its ledger secret, the endorsement of the identity before
//! (ledger format, sections 7.1, 12 and 16.4). A new service opens when members say so, a recovered one when its private
//! tables are there.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use ccf_rs::{Error, WriteHost};
use constitution::Kv;
use ledger::{
    Digest, ENDORSEMENT_MAP, EndorsementRow, HISTORICAL_SECRET_MAP, HistoricalSecretRow,
    LAST_SIGNED_ROOT_MAP, LedgerSecret, SINGLE_KEY, Seqno, TxId, canonical,
};

use super::kv::HostKv;
use super::rows::{read, text, write};
use super::tables::{ENCRYPTED_SUBMITTED_SHARES, RECOVERIES, SERVICE_INFO, ServiceInfo};
use super::{NodeServices, shares};

/// How the ledger secrets of the last recovery came back: `RECOVERY_SHARES` or `LOCAL_UNSEALING`.
pub(super) const LAST_RECOVERY_TYPE_MAP: &str = "public:ccf.internal.last_recovery_type";

/// Opens a new service. `now` is the time since the Unix epoch.
pub(super) fn open_new(
    kv: &mut dyn Kv,
    services: &dyn NodeServices,
    service: ServiceInfo,
    now: Duration,
) -> Result<(), String> {
    let (_, secret) = services
        .ledger_secret()
        .ok_or("the ledger secret is not available")?;
    shares::issue(kv, &secret)?;
    if !kv.has(HISTORICAL_SECRET_MAP, &SINGLE_KEY).map_err(text)? {
        write(kv, HISTORICAL_SECRET_MAP, &HistoricalSecretRow::first())?;
    }
    if !kv.has(ENDORSEMENT_MAP, &SINGLE_KEY).map_err(text)? {
        let row = self_endorsement(services, &service, now)?;
        write(kv, ENDORSEMENT_MAP, &row)?;
    }
    opened(kv, services, service)
}

/// Opens a recovered service whose private tables are there. `before` is the newest ledger secret of the earlier service.
///
/// # Errors
/// Why it cannot be opened.
pub fn open_recovered(
    host: &mut dyn WriteHost,
    services: &dyn NodeServices,
    before: (Seqno, &LedgerSecret),
) -> Result<Result<(), String>, Error> {
    let now = host.untrusted_time();
    let mut kv = HostKv::new(host);
    let result = recovered(&mut kv, services, before, now);
    kv.finish(result)
}

fn recovered(
    kv: &mut dyn Kv,
    services: &dyn NodeServices,
    before: (Seqno, &LedgerSecret),
    now: Duration,
) -> Result<(), String> {
    let service: ServiceInfo =
        read(kv, SERVICE_INFO.name())?.ok_or("Service information cannot be found")?;
    if service.status != "WaitingForRecoveryShares" {
        return Err(format!("the service is {}", service.status));
    }
    let (from, secret) = services
        .ledger_secret()
        .ok_or("the ledger secret is not available")?;
    shares::issue(kv, &secret)?;
    let stored_at = kv
        .version_of_previous_write(HISTORICAL_SECRET_MAP, &SINGLE_KEY)
        .map_err(text)?
        .map(Seqno);
    let from = Some(Seqno(from.0));
    let row =
        HistoricalSecretRow::replacing(before, &secret, from, stored_at, &SystemRandom::new())
            .map_err(|e| e.to_string())?;
    write(kv, HISTORICAL_SECRET_MAP, &row)?;
    let row = endorsement(kv, services, &service, now)?;
    write(kv, ENDORSEMENT_MAP, &row)?;
    record_opening(kv, service.recovery_count)?;
    kv.clear(ENCRYPTED_SUBMITTED_SHARES.name()).map_err(text)?;
    opened(kv, services, service)
}

/// Adds to the record of the recovery, if members' constitution keeps one, how the secrets came back, and from whom.
fn record_opening(kv: &mut dyn Kv, count: u64) -> Result<(), String> {
    let key = count.to_string();
    let Some(row) = kv.get(RECOVERIES.name(), key.as_bytes()).map_err(text)? else {
        return Ok(());
    };
    let mut record: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&row).map_err(|_| "the record of the recovery cannot be read")?;
    let mut members = Vec::new();
    kv.for_each(ENCRYPTED_SUBMITTED_SHARES.name(), &mut |member, _| {
        members.push(String::from_utf8_lossy(member).into_owned());
    })
    .map_err(text)?;
    let by = read::<String>(kv, LAST_RECOVERY_TYPE_MAP)?;
    record.insert("opened_by".to_owned(), serde_json::json!(by));
    record.insert("shares_of".to_owned(), serde_json::json!(members));
    let row = canonical(&record).map_err(|e| e.to_string())?;
    kv.put(RECOVERIES.name(), key.as_bytes(), &row)
        .map_err(text)
}

fn opened(
    kv: &mut dyn Kv,
    services: &dyn NodeServices,
    mut service: ServiceInfo,
) -> Result<(), String> {
    "Open".clone_into(&mut service.status);
    write(kv, SERVICE_INFO.name(), &service)?;
    services.request_snapshot();
    Ok(())
}

/// The new identity endorses the one before. A service from before there were endorsements begins a chain of its own.
fn endorsement(
    kv: &mut dyn Kv,
    services: &dyn NodeServices,
    service: &ServiceInfo,
    now: Duration,
) -> Result<EndorsementRow, String> {
    let Some(previous) = read::<EndorsementRow>(kv, ENDORSEMENT_MAP)? else {
        return self_endorsement(services, service, now);
    };
    let at = kv
        .version_of_previous_write(ENDORSEMENT_MAP, &SINGLE_KEY)
        .map_err(text)?
        .ok_or("the endorsement before has no position")?;
    let root: Digest = read(kv, LAST_SIGNED_ROOT_MAP)?.ok_or("no root of the service before")?;
    let key = services.service_key();
    EndorsementRow::of_previous(
        key,
        &previous,
        Seqno(at),
        created(service),
        &root,
        seconds(now),
    )
    .map_err(|e| e.to_string())
}

/// The endorsement of a service identity by itself (ledger format, section 12).
fn self_endorsement(
    services: &dyn NodeServices,
    service: &ServiceInfo,
    now: Duration,
) -> Result<EndorsementRow, String> {
    let key = services.service_key();
    EndorsementRow::self_endorsement(key, created(service), seconds(now)).map_err(|e| e.to_string())
}

fn created(service: &ServiceInfo) -> TxId {
    let id = service.current_service_create_txid;
    TxId::new(id.view.0, id.seqno.0)
}

fn seconds(now: Duration) -> i64 {
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
