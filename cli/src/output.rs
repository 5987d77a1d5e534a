//! Where a command's results go.

use std::io::Write;

use serde::Serialize;

use crate::error::CliError;

/// Data goes to one stream, as text or JSON; notes and errors go to the other.
pub(crate) struct Output<'a> {
    json: bool,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl<'a> Output<'a> {
    pub(crate) fn new(json: bool, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { json, out, err }
    }

    /// Prints a result: as indented JSON if asked for, else in words.
    pub(crate) fn show<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), CliError> {
        let text = if self.json {
            serde_json::to_string_pretty(value).map_err(|error| CliError::Print(error.into()))?
        } else {
            text(value)
        };
        writeln!(self.out, "{}", text.trim_end()).map_err(CliError::Print)
    }

    /// Prints one of many results as it comes: as JSON on a line of its own if asked for, else in words.
    pub(crate) fn line<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), CliError> {
        let line = if self.json {
            serde_json::to_string(value).map_err(|error| CliError::Print(error.into()))?
        } else {
            text(value)
        };
        writeln!(self.out, "{line}").map_err(CliError::Print)?;
        self.out.flush().map_err(CliError::Print)
    }

    /// Where results go, for commands that print as they go on.
    pub(crate) fn stream(&mut self) -> &mut dyn Write {
        self.out
    }

    /// Says something beside the data.
    pub(crate) fn note(&mut self, text: &str) {
        // Notes are not the result: if standard error is closed the command still does its work.
        let _ = writeln!(self.err, "{text}");
    }

    /// Explains a failure, as JSON if asked for.
    pub(crate) fn error(&mut self, error: &CliError) {
        if self.json {
            let service = match error {
                CliError::Client(error) => error.service(),
                _ => None,
            };
            let value = serde_json::json!({
                "error": {
                    "code": service.map_or("", |error| error.code.as_str()),
                    "status": service.map(|error| error.status.as_u16()),
                    "message": error.to_string(),
                    "details": service.map(|error| &error.details),
                }
            });
            self.note(&value.to_string());
        } else {
            self.note(&format!("error: {error}"));
            if let CliError::Client(error) = error {
                for detail in error.service().map_or(&[][..], |error| &error.details) {
                    self.note(&format!("  {detail}"));
                }
            }
        }
    }
}

/// The first line about something that members enable.
pub(crate) fn enabled(it_is: bool) -> String {
    let text = if it_is { "enabled\n" } else { "not enabled\n" };
    text.to_owned()
}
