//! Reading release records.

use std::borrow::Cow;

use ccf_rs::{Context, Endpoints, Error, ReadContext, Reply, Result, TxId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Kind;
use super::record::{RELEASES, Record, key};
use crate::App;
use crate::callers::{NOT_REGISTERED, PEOPLE, registered};
use crate::ids::{ContractId, ReleaseId, behind, composite};

pub(super) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .get("/contracts/{contractId}/releases", list)
        .auth(PEOPLE)
        .summary("List the release records of a contract, newest first")
        .query::<Wanted>()
        .reply::<Page>()
        .refuses(NOT_REGISTERED)
        .get("/contracts/{contractId}/releases/{releaseId}", show)
        .auth(PEOPLE)
        .summary("Read a release record")
        .reply::<Shown>()
        .refuses(NOT_REGISTERED)
        .refuses([(404, "ReleaseNotFound")])
}

/// Records on one page unless the caller says otherwise, and at most.
const PAGE: usize = 50;
const LONGEST_PAGE: usize = 200;
/// Records looked at for one page when only some are wanted.
const SCANNED: usize = 2000;

/// Which records.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    /// Only those about this secret.
    secret_id: Option<String>,
    /// Records on the page, 1 to 200.
    limit: Option<String>,
    /// The id of the last record seen.
    after: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Releases")]
struct Page {
    value: Vec<Shown>,
    /// Where the next page is; absent on the last.
    #[serde(rename = "nextLink", skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Release")]
struct Shown {
    id: String,
    /// The transaction whose receipt proves the record.
    transaction_id: Option<TxId>,
    /// Exactly as stored: its SHA-256 is the claims digest of the transaction.
    #[schemars(with = "Record<'static>")]
    record: Box<RawValue>,
}

#[derive(Deserialize)]
struct About<'a> {
    kind: Kind,
    #[serde(borrow)]
    subject: Cow<'a, str>,
}

fn list(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let contract: ContractId = ctx.path("contractId")?;
    let wanted: Wanted = ctx.queries()?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let secret = given(wanted.secret_id);
    let limit = match given(wanted.limit) {
        None => PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LONGEST_PAGE).contains(limit))
            .ok_or_else(|| Error::bad_request("InvalidInput", "The limit is 1 to 200."))?,
    };
    let prefix = composite(&[contract.as_str()]);
    let from = match given(wanted.after) {
        // The next possible key.
        Some(after) => format!("{prefix}{after}\0"),
        None => prefix.clone(),
    };
    let scan = if secret.is_some() { SCANNED } else { limit };
    let entries = ctx
        .read(&RELEASES)
        .range(Some(from.as_bytes()), Some(&behind(&prefix)), scan)?;
    let mut more = entries.len() == scan;
    let mut value = Vec::new();
    let mut last = None;
    for (key, bytes) in entries {
        if value.len() == limit {
            more = true;
            break;
        }
        let id = key.strip_prefix(&prefix).unwrap_or_default().to_owned();
        last = Some(id.clone());
        let is_wanted = secret.as_deref().is_none_or(|want| {
            serde_json::from_slice::<About<'_>>(&bytes)
                .is_ok_and(|about| about.kind == Kind::Secret && about.subject == want)
        });
        if is_wanted {
            value.push(shown(ctx, &key, id, &bytes)?);
        }
    }
    let next_link = last.filter(|_| more).map(|last| {
        let secret = secret.map_or_else(String::new, |id| format!("&secretId={}", escape(&id)));
        format!("/app/contracts/{contract}/releases?limit={limit}{secret}&after={last}")
    });
    Reply::json(&Page { value, next_link })
}

fn show(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    registered(ctx)?;
    let contract: ContractId = ctx.path("contractId")?;
    let id: ReleaseId = ctx.path("releaseId")?;
    let key = key(&contract, id.as_str());
    match ctx.read(&RELEASES).get(&key)? {
        Some(bytes) => Reply::json(&shown(ctx, &key, id.to_string(), &bytes)?),
        None => Err(Error::not_found(
            "ReleaseNotFound",
            "There is no such release record.",
        )),
    }
}

fn shown<C: Context>(ctx: &mut C, key: &String, id: String, bytes: &[u8]) -> Result<Shown> {
    let record = serde_json::from_slice(bytes).map_err(|e| Error::Stored {
        table: RELEASES.name().to_owned(),
        reason: e.to_string(),
    })?;
    let transaction_id = match ctx.read(&RELEASES).previous_write(key)? {
        Some(seqno) => ctx.view_of(seqno)?.map(|view| TxId { view, seqno }),
        None => None,
    };
    Ok(Shown {
        id,
        transaction_id,
        record,
    })
}

/// Percent-escapes what would mean something in a query.
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
