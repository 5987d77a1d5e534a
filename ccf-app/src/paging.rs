//! Lists in pages. A list without `limit` is whole, as existing clients expect; with it, a page carries a link to the next.

use std::collections::BTreeMap;

use ccf_rs::{Context, Error, Result};
use schemars::JsonSchema;
use serde_json::json;

/// Most items on one page.
const LONGEST: usize = 1000;

/// Rows of one of several tables looked at for one page.
const SCANNED: usize = 2000;

/// Part of a list.
pub(crate) struct Page<V> {
    /// Keys and what they stand for.
    pub(crate) items: Vec<(String, V)>,
    /// The query of the next page, if there is one.
    pub(crate) next: Option<String>,
}

/// What part of a list was asked for.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
pub(crate) struct Paging {
    /// At most so many items, 1 to 1000; all when absent.
    pub(crate) limit: Option<usize>,
    /// Only what comes behind this key.
    pub(crate) after: Option<String>,
}

impl Paging {
    /// Reads `limit` (1 to 1000) and `after` (the key of the last item seen).
    ///
    /// # Errors
    /// 400 `InvalidInput`.
    pub(crate) fn of<C: Context>(ctx: &C) -> Result<Self> {
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        let limit = text(ctx.query("limit")?).map(|text| limit(&text));
        Ok(Self {
            limit: limit.transpose()?,
            after: text(ctx.query("after")?),
        })
    }

    /// Where to begin reading: behind the key seen last.
    pub(crate) fn start(&self) -> Option<Vec<u8>> {
        self.start_below("")
    }

    /// The same where all keys begin with `prefix`, which is no part of what was seen; behind it when nothing was.
    pub(crate) fn start_below(&self, prefix: &str) -> Option<Vec<u8>> {
        match &self.after {
            // The next possible key.
            Some(after) => Some(format!("{prefix}{after}\0").into_bytes()),
            None => Some(prefix.as_bytes().to_vec()).filter(|start| !start.is_empty()),
        }
    }

    /// How many rows of each of several tables to read for [`Paging::merged`].
    pub(crate) fn scanned(&self) -> usize {
        self.limit.map_or(usize::MAX, |_| SCANNED)
    }

    /// The page of what two tables hold together, each read from [`Paging::start`] for [`Paging::scanned`] rows: of a key that both have,
    /// the row of the second counts. `wanted` says what is in the list at all.
    pub(crate) fn merged<V>(
        &self,
        tables: [Vec<(String, V)>; 2],
        mut wanted: impl FnMut(&str, &V) -> Result<bool>,
    ) -> Result<Page<V>> {
        let scanned = self.scanned();
        // Where one table was not read to its end, nothing behind is known.
        let cut = |rows: &Vec<(String, V)>| {
            let last = rows.last().filter(|_| rows.len() == scanned);
            last.map(|(key, _)| key.clone())
        };
        let horizon = tables.iter().filter_map(cut).min();
        let rows: BTreeMap<String, V> = tables.into_iter().flatten().collect();
        let mut items = Vec::new();
        let mut next = None;
        let mut last = None;
        for (key, row) in rows {
            if horizon.as_ref().is_some_and(|horizon| key > *horizon) {
                break;
            }
            if items.len() == self.limit.unwrap_or(usize::MAX) {
                next = last.take();
                break;
            }
            last = Some(key.clone());
            if wanted(&key, &row)? {
                items.push((key, row));
            }
        }
        let next = next.or(horizon).zip(self.limit);
        let query =
            |(after, limit): (String, usize)| format!("limit={limit}&after={}", escape(&after));
        Ok(Page {
            items,
            next: next.map(query),
        })
    }

    /// How many items to read: one more than the page holds, which tells whether there is a next one.
    pub(crate) fn wanted(&self) -> usize {
        self.limit.map_or(usize::MAX, |limit| limit + 1)
    }

    /// Cuts a list that was read by [`Paging::wanted`] to its page; the query of the next page, if there is one.
    pub(crate) fn cut<T>(&self, items: &mut Vec<T>, key: impl Fn(&T) -> &str) -> Option<String> {
        let limit = self.limit?;
        if items.len() <= limit {
            return None;
        }
        items.truncate(limit);
        let last = items.last()?;
        Some(format!("limit={limit}&after={}", escape(key(last))))
    }
}

fn limit(text: &str) -> Result<usize> {
    text.parse()
        .ok()
        .filter(|limit| (1..=LONGEST).contains(limit))
        .ok_or_else(|| {
            let got: String = text.chars().take(64).collect();
            Error::bad_request("InvalidInput", "The limit is 1 to 1000.")
                .with_detail(json!({ "parameter": "limit", "got": got, "want": LONGEST }))
        })
}

/// Percent-escapes what would mean something in a query (RFC 3986, section 2.3).
pub(crate) fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
