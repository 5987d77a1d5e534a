//! Lists of documents: drafts and accepted ones, by id.

use std::collections::BTreeMap;

use ccf_rs::{Context, Error, Result, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::target::scope;
use super::user::Labels;
use crate::callers::Person;
use crate::membership;
use crate::paging::Paging;

/// What a list needs of a stored document.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    contract_id: Option<String>,
    labels: Option<Labels>,
}

/// One item.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UserDocumentReference")]
pub(super) struct Item {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) labels: Option<Labels>,
}

/// Documents of the route's contract, or of all that the reader takes part in, with these labels, and the query of the next page; what is
/// accepted stands before its draft.
pub(super) fn list<C: Context>(
    ctx: &mut C,
    reader: &Person,
    drafts: &Table<String, Row>,
    accepted: &Table<String, Row>,
    labels: &Labels,
) -> Result<(Vec<Item>, Option<String>)> {
    let scope = scope(ctx)?;
    let paging = Paging::of(ctx)?;
    let start = paging.start();
    let scanned = paging.scanned();
    let drafts = ctx.read(drafts).range(start.as_deref(), None, scanned)?;
    let accepted = ctx.read(accepted).range(start.as_deref(), None, scanned)?;
    let wanted = |row: &Row| {
        let ours = scope
            .as_ref()
            .is_none_or(|scope| row.contract_id.as_deref() == Some(scope.as_str()));
        ours && labels.iter().all(|(name, value)| {
            let stored = row.labels.as_ref().and_then(|labels| labels.get(name));
            stored == Some(value)
        })
    };
    let mut visible = Visible::default();
    let page = paging.merged([drafts, accepted], |_, row| {
        Ok(wanted(row) && visible.admits(ctx, reader, row.contract_id.as_deref())?)
    })?;
    let item = |(id, row): (String, Row)| Item {
        id,
        labels: row.labels,
    };
    Ok((page.items.into_iter().map(item).collect(), page.next))
}

/// Whether a reader takes part in contracts, asked once for each.
#[derive(Default)]
struct Visible(BTreeMap<String, bool>);

impl Visible {
    fn admits<C: Context>(
        &mut self,
        ctx: &mut C,
        reader: &Person,
        contract: Option<&str>,
    ) -> Result<bool> {
        let Some(name) = contract else {
            return Ok(true);
        };
        if let Some(known) = self.0.get(name) {
            return Ok(*known);
        }
        let takes_part = match name.parse() {
            Ok(contract) => membership::takes_part(ctx, reader, &contract)?,
            Err(_) => true,
        };
        self.0.insert(name.to_owned(), takes_part);
        Ok(takes_part)
    }
}

/// Query `labelSelector`: `name:value` pairs, separated by commas; all must match. The last of several for one name counts.
///
/// # Errors
/// 400 `InvalidParameter`.
pub(super) fn selector<C: Context>(ctx: &C) -> Result<Labels> {
    let Some(text) = ctx.query("labelSelector")? else {
        return Ok(Labels::new());
    };
    text.split(',')
        .map(|pair| {
            let mut parts = pair.split(':').map(str::trim);
            match (parts.next(), parts.next(), parts.next()) {
                (Some(name), Some(value), None) if !name.is_empty() && !value.is_empty() => {
                    Ok((name.to_owned(), value.to_owned()))
                }
                _ => Err(Error::bad_request(
                    "InvalidParameter",
                    "A label selector is name:value pairs separated by commas.",
                )
                .with_detail(json!({ "parameter": "labelSelector" }))),
            }
        })
        .collect()
}
