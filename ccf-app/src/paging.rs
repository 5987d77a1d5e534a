//! Lists in pages. A list without `limit` is whole, as existing clients expect; with it, a page carries a link to the next.

use ccf_rs::{Context, Error, Result};
use schemars::JsonSchema;
use serde_json::json;

/// Most items on one page.
const LONGEST: usize = 1000;

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
        self.after.as_ref().map(|after| {
            // The next possible key.
            let mut start = after.clone().into_bytes();
            start.push(0);
            start
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
