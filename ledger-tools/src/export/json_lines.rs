//! One JSON object a line.
//!
//! ```cddl
//! line = {
//!   transaction: tstr, size: uint, signature: bool, private: bool, ? claimsDigest: tstr,
//!   changes: [* { table: tstr, key: tstr, ? value: any }],   ; no value: removed
//! }
//! ```

use std::io::Write;

use ledger::Entry;
use serde::Serialize;

use super::{Export, ExportError};
use crate::history::{KeyChange, TransactionSummary, changes};

/// Writes JSON lines.
pub struct JsonLines<W>(pub W);

#[derive(Serialize)]
struct Change<'a> {
    table: &'a str,
    #[serde(flatten)]
    change: KeyChange,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    summary: TransactionSummary,
    changes: Vec<Change<'a>>,
}

impl<W: Write> Export for JsonLines<W> {
    fn transaction(&mut self, entry: &Entry<'_>) -> Result<(), ExportError> {
        let tables = entry.sections.iter().map(|section| section.name);
        let changes = tables.flat_map(|table| {
            let of_table = changes(entry, table, None).into_iter();
            of_table.map(move |change| Change { table, change })
        });
        let line = Line {
            summary: TransactionSummary::of(entry),
            changes: changes.collect(),
        };
        serde_json::to_writer(&mut self.0, &line).map_err(std::io::Error::from)?;
        Ok(self.0.write_all(b"\n")?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExportError> {
        Ok(self.0.flush()?)
    }
}
