//! Where a command's results go.

use std::borrow::Cow;
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
        writeln!(self.out, "{}", printable(text.trim_end())).map_err(CliError::Print)
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
        writeln!(self.out, "{}", printable(&line)).map_err(CliError::Print)?;
        self.out.flush().map_err(CliError::Print)
    }

    /// Where results go, for commands that print as they go on.
    pub(crate) fn stream(&mut self) -> &mut dyn Write {
        self.out
    }

    /// Says something beside the data.
    pub(crate) fn note(&mut self, text: &str) {
        // Notes are not the result: if standard error is closed the command still does its work.
        let _ = writeln!(self.err, "{}", printable(text));
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

/// Text that a terminal shows as it is. What a ledger or a service says is written by others, who may want to move the cursor, erase a
/// line or turn the direction of writing: such characters are written as JSON escapes, so that JSON stays JSON.
fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |c| acts(c) && !matches!(c, '\n' | '\t'))
}

/// The same for what has to be one line.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, acts)
}

/// Whether a character does something else than being shown: control characters, ends of lines, and those of bidirectional text.
fn acts(c: char) -> bool {
    let bidirectional = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || bidirectional || matches!(c, '\u{2028}' | '\u{2029}')
}

fn escaped(text: &str, acts: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&acts) {
        return text.into();
    }
    let escape = |out: String, c: char| match acts(c) {
        true => out + &format!("\\u{:04x}", u32::from(c)),
        false => out + c.encode_utf8(&mut [0; 4]),
    };
    text.chars().fold(String::new(), escape).into()
}

/// Lines, one for each item, whatever the item says.
pub(crate) fn lines<'i, T: 'i>(
    items: impl IntoIterator<Item = &'i T>,
    line: impl Fn(&T) -> String,
) -> String {
    let lines = items
        .into_iter()
        .map(|item| one_line(&line(item)).into_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// The first line about something that members enable.
pub(crate) fn enabled(it_is: bool) -> String {
    let text = if it_is { "enabled\n" } else { "not enabled\n" };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_neither_moves_the_cursor_nor_begins_a_line() {
        let subject = "x\u{1b}[2K\r 2.77  granted\u{9b}1A\u{202e}\n 2.78  granted";
        let shown = lines(&[subject], |subject| format!("refused {subject}"));
        assert_eq!(
            shown,
            "refused x\\u001b[2K\\u000d 2.77  granted\\u009b1A\\u202e\\u000a 2.78  granted"
        );
        assert_eq!(printable("a\tb\nc\u{7f}"), "a\tb\nc\\u007f");
        let json = serde_json::to_string(&subject).unwrap();
        let read: String = serde_json::from_str(&printable(&json)).unwrap();
        assert_eq!(read, subject);
    }
}
