//! Denials, and how repeated ones are folded.
//!
//! Whoever has any genuine evidence can be denied as often as they like. Denials are alike when contract, kind, subject, reason and host data
//! are the same, where a contract that is not accepted and a subject that no member made count as one; so the sorts of denials are as many as
//! what members made, not as what a caller can spell. The 1st, 2nd, 4th, 8th ... of a sort is recorded, with the count. Counting is in memory
//! and bounded; the count at the last record is stored, so that neither a restart nor a transaction that has to be run again loses a
//! record or adds many.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use attestation::Sha256Digest;
use ccf_rs::{Context, Error, Reply, Result, Table, WriteContext};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Attempt, record};
use crate::App;
use crate::contracts;
use crate::ids::composite;

/// Answers a denial, and writes its record unless it repeats earlier ones.
pub(super) fn deny(
    app: &App,
    ctx: &mut WriteContext<'_>,
    attempt: &Attempt<'_>,
    denial: &Error,
) -> Result<Reply> {
    let reply = Reply::error(denial);
    let reason = detail(denial, "class").unwrap_or_else(|| denial.code());
    let sort = sort(ctx, attempt, reason)?;
    let recorded = ctx
        .read(&DENIALS)
        .get(&sort)?
        .map_or(0, |denied| denied.count);
    let count = app.denials.next(&sort, recorded);
    if recorded > 0 && count < recorded.saturating_mul(2) {
        return Ok(reply);
    }
    let check = detail(denial, "check");
    let unique = Sha256Digest::of(format!("{sort}{count}").as_bytes());
    record::denial(app, ctx, attempt, reason, check, count, unique)?;
    ctx.table(&DENIALS).put(&sort, &Denied { count })?;
    Ok(reply.keeping_writes())
}

/// How often each sort of denial happened; bounded.
#[derive(Default)]
pub(crate) struct Counters(Mutex<HashMap<String, u64>>);

impl Counters {
    /// More sorts than this are forgotten, all at once; counting then goes on from the last record.
    const SORTS: usize = 4096;

    fn next(&self, sort: &str, recorded: u64) -> u64 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= Self::SORTS && !counts.contains_key(sort) {
            counts.clear();
        }
        let count = counts.entry(sort.to_owned()).or_insert(recorded);
        *count = (*count).max(recorded).saturating_add(1);
        *count
    }
}

static DENIALS: Table<String, Denied> = Table::json("public:cleanroom.denials");

#[derive(Serialize, Deserialize)]
struct Denied {
    count: u64,
}

/// Text that the answer's details have under this name.
fn detail<'e>(denial: &'e Error, name: &str) -> Option<&'e str> {
    let Error::Refused { details, .. } = denial else {
        return None;
    };
    details
        .iter()
        .find_map(|detail| detail.get(name).and_then(Value::as_str))
}

/// What makes denials alike.
fn sort(ctx: &mut WriteContext<'_>, attempt: &Attempt<'_>, reason: &str) -> Result<String> {
    let asked = attempt.asked;
    let accepted = contracts::is_accepted(ctx, asked.contract)?;
    let contract = if accepted {
        asked.contract.as_str()
    } else {
        ""
    };
    let made = accepted && (asked.made)(ctx, asked.contract, asked.subject)?;
    let subject = if made { asked.subject } else { "" };
    let kind = asked.kind.as_str();
    let host_data = attempt.verified.host_data().to_string();
    Ok(composite(&[contract, kind, subject, reason, &host_data]))
}
