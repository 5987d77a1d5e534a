//! Looking back at one key: pages of the positions at which it was written (application specification, E7 range mode and E43).
//!
//! A page covers positions, not writes, as existing clients expect: `from` to `from + max_seqno_per_page`, both included. The host's
//! index says which of them wrote the key, so only those are loaded, and the next page begins where the next write is.
//!
//! A range ends at the last committed position. When the key's own last write is not committed yet the caller is told to ask
//! again, so that nobody misses what was just written.

use ccf_rs::{Context, Error, Historical, Positions, Reply, Result, Seqno};
use serde_json::json;

/// Positions on one page unless the caller wants fewer.
const PAGE: u64 = 2000;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    from: Option<u64>,
    to: Option<u64>,
    page: Option<u64>,
}

/// One page.
pub(crate) struct Page {
    /// Position and value of each write, ascending.
    pub(crate) writes: Vec<(Seqno, Vec<u8>)>,
    /// First and last position of what follows.
    pub(crate) next: Option<(Seqno, Seqno)>,
}

impl Range {
    /// Reads `from_seqno`, `to_seqno` and `max_seqno_per_page`. Digits at the start of the text suffice; empty is absent.
    ///
    /// # Errors
    /// 400 `InvalidRange` for text without a number, or when the end is before the start.
    pub(crate) fn of<C: Context>(ctx: &C) -> Result<Self> {
        let number = |name: &str| match ctx.query(name)?.filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => leading_number(&text)
                .map(Some)
                .ok_or_else(|| invalid("A bound of the range is not a number.", name, &text)),
        };
        let range = Self {
            from: number("from_seqno")?,
            to: number("to_seqno")?,
            page: number("max_seqno_per_page")?,
        };
        match (range.from, range.to) {
            (Some(from), Some(to)) if to < from => Err(invalid(
                "The range ends before it begins.",
                "to_seqno",
                &to.to_string(),
            )),
            _ => Ok(range),
        }
    }

    /// Whether a bound was given.
    pub(crate) fn is_bounded(&self) -> bool {
        self.from.is_some() || self.to.is_some()
    }

    /// Query of the page that follows, without what the endpoint adds.
    pub(crate) fn query(&self, (from, to): (Seqno, Seqno)) -> String {
        format!("from_seqno={from}&to_seqno={to}")
    }

    /// What carries the page size into the next page.
    pub(crate) fn page_query(&self) -> String {
        self.page
            .map_or_else(String::new, |page| format!("&max_seqno_per_page={page}"))
    }

    /// Reads a page of the past of `key`; `None` when the host has not loaded it yet.
    pub(crate) fn read<C: Context>(
        &self,
        ctx: &mut C,
        table: &str,
        key: &[u8],
    ) -> Result<Option<Page>> {
        let committed = ctx.last_committed()?.seqno;
        let last_write = ctx.reader().previous_write(table, key)?;
        let from = Seqno(self.from.unwrap_or(1).max(1));
        let to = self.to.map_or(last_write.unwrap_or(committed), Seqno);
        if last_write.is_some_and(|last| last <= to && last > committed) {
            return Ok(None);
        }
        let to = to.min(committed);
        if from > to {
            return Ok(Some(Page {
                writes: Vec::new(),
                next: None,
            }));
        }
        let page = self.page.unwrap_or(PAGE).min(PAGE);
        let end = Seqno(from.0.saturating_add(page)).min(to);
        let behind = Seqno(end.0 + 1);
        let (states, next) = match ctx.positions(table, key, from..=end, usize::MAX)? {
            Positions::Pending => return Ok(None),
            Positions::NotIndexed => (
                ctx.historical(from..=end)?,
                (behind <= to).then_some((behind, to)),
            ),
            Positions::At(positions) => {
                let next = match ctx.positions(table, key, behind..=to, 1)? {
                    Positions::At(next) => next.first().map(|next| (*next, to)),
                    _ => (behind <= to).then_some((behind, to)),
                };
                (ctx.historical_at(&positions)?, next)
            }
        };
        let Historical::Ready(states) = states else {
            return Ok(None);
        };
        let mut writes = Vec::new();
        for state in states {
            if let Some(value) = state.get(table, key)? {
                writes.push((state.id().seqno, value));
            }
        }
        Ok(Some(Page { writes, next }))
    }
}

/// The answer while past transactions are being loaded.
pub(crate) fn ask_again() -> Reply {
    Reply::status(202).with_header("retry-after", "1")
}

/// As existing clients may write numbers: white space, a sign, digits, and then anything. Numbers below zero are none.
fn leading_number(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, _) = text.split_at(end);
    if digits.is_empty() {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

fn invalid(message: &str, parameter: &str, got: &str) -> Error {
    let got: String = got.chars().take(64).collect();
    Error::bad_request("InvalidRange", message)
        .with_detail(json!({ "parameter": parameter, "got": got }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_clients_write_them() {
        for (text, want) in [
            ("12", Some(12)),
            (" 12abc", Some(12)),
            ("+7.9", Some(7)),
            ("0", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("-1", None),
            ("abc", None),
            ("", None),
        ] {
            assert_eq!(leading_number(text), want, "{text:?}");
        }
    }
}
