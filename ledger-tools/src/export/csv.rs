//! Comma-separated values (RFC 4180): `transaction,table,key,operation,value`.

use std::io::Write;

use ledger::Entry;

use super::{Export, ExportError, operations};
use crate::values::readable;

/// Writes CSV with a header line.
pub struct Csv<W> {
    out: W,
}

impl<W: Write> Csv<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// [`ExportError::Write`].
    pub fn new(mut out: W) -> Result<Self, ExportError> {
        out.write_all(b"transaction,table,key,operation,value\r\n")?;
        Ok(Self { out })
    }
}

impl<W: Write> Export for Csv<W> {
    fn transaction(&mut self, entry: &Entry<'_>) -> Result<(), ExportError> {
        let id = entry.id().to_string();
        for (table, key, value) in operations(entry) {
            let key = readable(key);
            let operation = if value.is_some() { "write" } else { "remove" };
            let value = value.map(readable).unwrap_or_default();
            let fields = [id.as_str(), table, &key, operation, &value].map(field);
            write!(self.out, "{}\r\n", fields.join(","))?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExportError> {
        Ok(self.out.flush()?)
    }
}

/// A field; quoted where it has to be. A spreadsheet would run what begins like a formula, so such text is led in by an apostrophe.
fn field(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn fields_are_quoted_and_defused() {
        assert_eq!(field("plain"), "plain");
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("say \"x\""), "\"say \"\"x\"\"\"");
        assert_eq!(field("=cmd()"), "'=cmd()");
        assert_eq!(field("two\nlines"), "\"two\nlines\"");
    }
}
