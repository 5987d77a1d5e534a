//! Reading release records.

use std::borrow::Cow;

use ccf_rs::{Context, Endpoints, Error, ReadContext, Reply, Request, Result, TxId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Kind;
use super::record::{BY_SUBJECT, RELEASES, Record, key};
use crate::App;
use crate::callers::{NOT_REGISTERED, PEOPLE, Person, registered};
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

/// Which records. What is empty is as if it were not there.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    /// Only those about this secret.
    secret_id: Option<String>,
    /// Only those of this kind.
    kind: Option<String>,
    /// Only those about this: together with a kind. Found by an index.
    subject: Option<String>,
    /// `granted` or `denied`.
    outcome: Option<String>,
    /// Only those to code with this host data.
    host_data: Option<String>,
    /// `true`: only those about secrets that the caller stored.
    mine: Option<String>,
    /// Not older than this: milliseconds since 1970, by the host's clock.
    from: Option<String>,
    /// Not newer than this.
    to: Option<String>,
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

/// What a record is asked for, as far as filters look at it.
#[derive(Deserialize)]
struct About<'a> {
    kind: Kind,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(borrow)]
    code: CodeOf<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CodeOf<'a> {
    #[serde(borrow, default)]
    host_data: Option<Cow<'a, str>>,
}

/// A query that was understood.
struct Filter {
    /// Kind and subject: looked up in the index.
    about: Option<(Kind, String)>,
    kind: Option<Kind>,
    outcome: Option<String>,
    host_data: Option<String>,
    /// How the subjects of the caller's own secrets begin.
    owner: Option<String>,
    times: (u64, u64),
}

impl Filter {
    fn read(wanted: &Wanted, person: &Person) -> Result<Self> {
        let invalid = |message: &str| Error::bad_request("InvalidInput", message);
        let kind = match (given(&wanted.kind), given(&wanted.secret_id)) {
            (None, None) => None,
            (None, Some(_)) => Some(Kind::Secret),
            (Some(name), _) => Some(
                serde_json::from_value(name.into())
                    .map_err(|_| invalid("There is no such kind."))?,
            ),
        };
        let about = match (given(&wanted.subject).or(given(&wanted.secret_id)), kind) {
            (None, _) => None,
            (Some(subject), Some(kind)) => Some((kind, subject.to_owned())),
            (Some(_), None) => return Err(invalid("A subject is of a kind: name that too.")),
        };
        let time = |text: &Option<String>, default| match given(text) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| invalid("A time is a number of milliseconds.")),
        };
        Ok(Self {
            about,
            kind,
            outcome: given(&wanted.outcome).map(str::to_owned),
            host_data: given(&wanted.host_data).map(str::to_owned),
            owner: (given(&wanted.mine) == Some("true")).then(|| format!("{}_", person.id)),
            times: (time(&wanted.from, 0)?, time(&wanted.to, u64::MAX)?),
        })
    }

    fn wants(&self, record: &[u8]) -> bool {
        let Ok(about) = serde_json::from_slice::<About<'_>>(record) else {
            return false;
        };
        let is = |want: &Option<String>, got: Option<&str>| {
            want.as_deref().is_none_or(|want| got == Some(want))
        };
        self.kind.is_none_or(|kind| kind == about.kind)
            && is(&self.outcome, Some(&about.outcome))
            && is(&self.host_data, about.code.host_data.as_deref())
            && self
                .owner
                .as_deref()
                .is_none_or(|owner| about.kind == Kind::Secret && about.subject.starts_with(owner))
    }

    /// Whether every record between the bounds is wanted.
    fn is_exact(&self) -> bool {
        let by_index = self.about.is_some() || self.kind.is_none();
        by_index && self.outcome.is_none() && self.host_data.is_none() && self.owner.is_none()
    }
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn list(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let person = registered(ctx)?;
    let contract: ContractId = ctx.path("contractId")?;
    let wanted: Wanted = ctx.queries()?;
    let filter = Filter::read(&wanted, &person)?;
    let limit = match given(&wanted.limit) {
        None => PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LONGEST_PAGE).contains(limit))
            .ok_or_else(|| Error::bad_request("InvalidInput", "The limit is 1 to 200."))?,
    };
    let scan = if filter.is_exact() { limit } else { SCANNED };
    let ids = ids(ctx, &contract, &filter, given(&wanted.after), scan)?;
    let mut more = ids.len() == scan;
    let mut value = Vec::new();
    let mut last = None;
    for id in ids {
        if value.len() == limit {
            more = true;
            break;
        }
        let key = key(&contract, &id);
        let record = ctx.read(&RELEASES).get(&key)?;
        last = Some(id.clone());
        if let Some(record) = record.filter(|record| filter.is_exact() || filter.wants(record)) {
            value.push(shown(ctx, &key, id, &record)?);
        }
    }
    let next_link = last
        .filter(|_| more)
        .map(|last| next_link(&contract, ctx.request(), &last));
    Reply::json(&Page { value, next_link })
}

/// Ids of up to `most` records, newest first, behind the one last seen.
fn ids<C: Context>(
    ctx: &mut C,
    contract: &ContractId,
    filter: &Filter,
    after: Option<&str>,
    most: usize,
) -> Result<Vec<String>> {
    let prefix = match &filter.about {
        None => composite(&[contract.as_str()]),
        Some((kind, subject)) => composite(&[contract.as_str(), kind.as_str(), subject]),
    };
    let (oldest, newest) = filter.times;
    // Ids begin with the time, counted downwards.
    let first = match after {
        // The next possible key.
        Some(after) => format!("{prefix}{after}\0"),
        None => format!("{prefix}{:016x}", u64::MAX - newest),
    };
    let end = match oldest {
        0 => behind(&prefix),
        oldest => format!("{prefix}{:016x}", u64::MAX - oldest + 1).into_bytes(),
    };
    let table = if filter.about.is_some() {
        &BY_SUBJECT
    } else {
        &RELEASES
    };
    let found = ctx
        .read(table)
        .range(Some(first.as_bytes()), Some(&end), most)?;
    let id = |key: String| key.strip_prefix(&prefix).unwrap_or_default().to_owned();
    Ok(found.into_iter().map(|(key, _)| id(key)).collect())
}

/// The same query, behind the last record seen.
fn next_link(contract: &ContractId, request: &Request, last: &str) -> String {
    let kept: Vec<&str> = request
        .query
        .split('&')
        .filter(|part| !part.is_empty() && part.split('=').next() != Some("after"))
        .collect();
    let kept = kept.join("&");
    let and = if kept.is_empty() { "" } else { "&" };
    format!("/app/contracts/{contract}/releases?{kept}{and}after={last}")
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
