//! An SQLite database.
//!
//! ```sql
//! CREATE TABLE transactions (seqno INTEGER PRIMARY KEY, view INTEGER, size INTEGER, signature INTEGER, private INTEGER, claims_digest TEXT);
//! CREATE TABLE changes (seqno INTEGER, tbl TEXT, key BLOB, value BLOB);  -- value NULL: removed
//! CREATE VIEW rows AS ...;                                               -- the tables as they stand at the end, as text
//! ```

use std::path::Path;

use ledger::Entry;
use rusqlite::{Connection, params};

use super::{Export, ExportError, operations};
use crate::history::TransactionSummary;

/// Writes a database, all in one transaction of it: an export that fails leaves no half of a ledger.
pub struct Sqlite {
    connection: Connection,
}

const SCHEMA: &str = "
PRAGMA journal_mode = OFF;
CREATE TABLE transactions (
  seqno INTEGER PRIMARY KEY, view INTEGER NOT NULL, size INTEGER NOT NULL,
  signature INTEGER NOT NULL, private INTEGER NOT NULL, claims_digest TEXT
);
CREATE TABLE changes (seqno INTEGER NOT NULL REFERENCES transactions, tbl TEXT NOT NULL, key BLOB NOT NULL, value BLOB);
BEGIN;
";

const INDEX: &str = "
CREATE INDEX changes_by_key ON changes (tbl, key, seqno);
CREATE VIEW rows AS
  SELECT tbl, CAST(key AS TEXT) AS key, CAST(value AS TEXT) AS value, seqno FROM changes AS c
  WHERE value IS NOT NULL
    AND seqno = (SELECT max(seqno) FROM changes AS l WHERE l.tbl = c.tbl AND l.key = c.key);
COMMIT;
";

impl Sqlite {
    /// Makes the database, which must not be there.
    ///
    /// # Errors
    /// [`ExportError::Write`] when the file exists, [`ExportError::Database`].
    pub fn create(path: &Path) -> Result<Self, ExportError> {
        // Creating it here first keeps an existing file from being added to.
        std::fs::File::create_new(path)?;
        let connection = Connection::open(path)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection })
    }
}

impl Export for Sqlite {
    fn transaction(&mut self, entry: &Entry<'_>) -> Result<(), ExportError> {
        let summary = TransactionSummary::of(entry);
        let id = summary.transaction;
        self.connection
            .prepare_cached("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?)")?
            .execute(params![
                integer(id.seqno.0),
                integer(id.view.0),
                integer(summary.size as u64),
                summary.signature,
                summary.private,
                summary.claims_digest,
            ])?;
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO changes VALUES (?, ?, ?, ?)")?;
        for (table, key, value) in operations(entry) {
            insert.execute(params![integer(id.seqno.0), table, key, value])?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), ExportError> {
        Ok(self.connection.execute_batch(INDEX)?)
    }
}

/// SQLite's integers are signed; no ledger reaches the end of them.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
