//! Reading events: the newest, or pages of the past.

use ccf_rs::{Context, Error, Raw, ReadContext, Reply, Result, Seqno, Table};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::{EVENTS, Event, Place, Writer};
use crate::App;
use crate::callers::registered;
use crate::history::{self, Range};
use crate::ids::ContractId;
use crate::paging::escape;

static ROWS: Table<String, Vec<u8>, Raw> = Table::raw(EVENTS);

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Events")]
pub(super) struct List<'a> {
    value: Vec<Shown<'a>>,
    #[serde(rename = "nextLink", skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

/// Existing clients know the time in one spelling when they ask for the newest and in another for a range; both are always
/// given (W24).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
struct Shown<'a> {
    scope: &'a str,
    id: &'a str,
    #[schemars(with = "u64")]
    seqno: Seqno,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_iso: Option<String>,
    #[serde(rename = "timestampIso", skip_serializing_if = "Option::is_none")]
    timestamp_iso_again: Option<String>,
    data: Box<RawValue>,
    /// Host's clock when the event arrived, ms since 1970; the operator controls it.
    #[serde(rename = "receivedAt")]
    received_at: u64,
    /// Whether the writer signed the timestamp too.
    #[serde(rename = "timestampSigned", skip_serializing_if = "std::ops::Not::not")]
    timestamp_signed: bool,
    writer: Writer,
}

pub(super) fn read(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let contract: ContractId = ctx.path("contractId")?;
    let place = Place::of(ctx, &contract)?;
    let range = Range::of(ctx)?;
    if range.is_bounded() {
        past(ctx, &contract, &place, &range)
    } else {
        newest(ctx, &contract, &place)
    }
}

fn newest(ctx: &mut ReadContext<'_>, contract: &ContractId, place: &Place) -> Result<Reply> {
    let key = place.key(contract);
    let value = match ctx.read(&ROWS).get(&key)? {
        None => Vec::new(),
        Some(row) => {
            let seqno = ctx.read(&ROWS).previous_write(&key)?.unwrap_or_default();
            vec![shown(place, seqno, &row)?]
        }
    };
    Reply::json(&List {
        value,
        next_link: None,
    })
}

fn past(
    ctx: &mut ReadContext<'_>,
    contract: &ContractId,
    place: &Place,
    range: &Range,
) -> Result<Reply> {
    let Some(page) = range.read(ctx, EVENTS, place.key(contract).as_bytes())? else {
        return Ok(history::ask_again());
    };
    let value = page
        .writes
        .iter()
        .map(|(seqno, row)| shown(place, *seqno, row))
        .collect::<Result<_>>()?;
    let next_link = page.next.map(|next| {
        format!(
            "/app/contracts/{contract}/events?{}&id={}&scope={}{}",
            range.query(next),
            escape(&place.id),
            escape(&place.scope),
            range.page_query(),
        )
    });
    Reply::json(&List { value, next_link })
}

fn shown<'a>(place: &'a Place, seqno: Seqno, row: &[u8]) -> Result<Shown<'a>> {
    let event: Event = serde_json::from_slice(row).map_err(|e| Error::Stored {
        table: EVENTS.to_owned(),
        reason: e.to_string(),
    })?;
    let iso = iso(&event.timestamp);
    Ok(Shown {
        scope: &place.scope,
        id: &place.id,
        seqno,
        timestamp: event.timestamp,
        timestamp_iso: iso.clone(),
        timestamp_iso_again: iso,
        data: event.data,
        received_at: event.received_at,
        timestamp_signed: event.timestamp_signed,
        writer: event.writer,
    })
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ`; `None` for what is no time.
fn iso(timestamp: &str) -> Option<String> {
    let millis: i64 = timestamp.parse().ok()?;
    let time = OffsetDateTime::from_unix_timestamp(millis.div_euclid(1000)).ok()?;
    Some(format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        millis.rem_euclid(1000),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        for (stamp, want) in [
            ("1700000000001", Some("2023-11-14T22:13:20.001Z")),
            ("0000000000005", Some("1970-01-01T00:00:00.005Z")),
            ("9999999999999", Some("2286-11-20T17:46:39.999Z")),
            ("junk", None),
        ] {
            assert_eq!(iso(stamp).as_deref(), want, "{stamp}");
        }
    }
}
