//! A ledger as data for other tools: JSON lines, CSV, SQLite.
//!
//! Each form holds every verified transaction and every public row it wrote or removed. Private rows are encrypted and not part of it.

mod csv;
mod json_lines;
mod sqlite;

use std::io;

use ledger::Entry;

pub use csv::Csv;
pub use json_lines::JsonLines;
pub use sqlite::Sqlite;

/// An export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The output cannot be written.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
    /// The database cannot be written.
    #[error("database: {0}")]
    Database(#[from] rusqlite::Error),
}

/// Takes transactions in order and writes them.
pub trait Export {
    /// Writes the next transaction.
    ///
    /// # Errors
    /// [`ExportError`].
    fn transaction(&mut self, entry: &Entry<'_>) -> Result<(), ExportError>;

    /// Finishes the output.
    ///
    /// # Errors
    /// [`ExportError`].
    fn finish(self: Box<Self>) -> Result<(), ExportError>;
}

/// Writes and removes of a transaction: table, key, new value or `None` for a remove.
fn operations<'a>(
    entry: &'a Entry<'_>,
) -> impl Iterator<Item = (&'a str, &'a [u8], Option<&'a [u8]>)> {
    entry.sections.iter().flat_map(|section| {
        let written = section
            .writes
            .iter()
            .map(|(key, value)| (section.name, *key, Some(*value)));
        let removed = section.removes.iter().map(|key| (section.name, *key, None));
        written.chain(removed)
    })
}
