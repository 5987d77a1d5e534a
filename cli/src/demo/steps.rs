//! What the demonstration prints: numbered steps, facts beneath them.

use std::io::Write;

use crate::error::CliError;

const BOLD: &str = "\u{1b}[1m";
const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const PLAIN: &str = "\u{1b}[0m";

/// Prints the steps of a demonstration.
pub(crate) struct Steps<'a> {
    out: &'a mut dyn Write,
    colour: bool,
    number: u32,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(out: &'a mut dyn Write, colour: bool) -> Self {
        Self {
            out,
            colour,
            number: 0,
        }
    }

    /// Begins the next step.
    pub(crate) fn step(&mut self, title: &str) -> Result<(), CliError> {
        self.number += 1;
        let title = format!("{:2}. {title}", self.number);
        let title = self.paint(BOLD, &title);
        self.print(&format!("\n{title}"))
    }

    /// States a fact.
    pub(crate) fn fact(&mut self, text: &str) -> Result<(), CliError> {
        self.print(&format!("    {text}"))
    }

    /// States a fact that was checked and holds.
    pub(crate) fn held(&mut self, text: &str) -> Result<(), CliError> {
        let mark = self.paint(GREEN, "ok");
        self.print(&format!("    {mark}  {text}"))
    }

    /// Warns.
    pub(crate) fn warning(&mut self, text: &str) -> Result<(), CliError> {
        let mark = self.paint(YELLOW, "WARNING");
        self.print(&format!("    {mark}  {text}"))
    }

    /// Checks that something is as expected, and says so; otherwise the demonstration fails.
    pub(crate) fn expect<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: &str,
        got: &T,
        want: &T,
    ) -> Result<(), CliError> {
        if got == want {
            return self.held(what);
        }
        Err(CliError::Expectation {
            what: what.to_owned(),
            got: format!("{got:?}"),
            want: format!("{want:?}"),
        })
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("{colour}{text}{PLAIN}")
        } else {
            text.to_owned()
        }
    }

    fn print(&mut self, line: &str) -> Result<(), CliError> {
        writeln!(self.out, "{line}")
            .and_then(|()| self.out.flush())
            .map_err(CliError::Print)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_and_colour_is_optional() {
        let mut plain = Vec::new();
        let mut steps = Steps::new(&mut plain, false);
        steps.step("One").unwrap();
        steps.expect("two is two", &2, &2).unwrap();
        steps.step("Two").unwrap();
        assert_eq!(
            String::from_utf8(plain).unwrap(),
            "\n 1. One\n    ok  two is two\n\n 2. Two\n"
        );
        let mut coloured = Vec::new();
        Steps::new(&mut coloured, true).step("One").unwrap();
        assert!(String::from_utf8(coloured).unwrap().contains("\u{1b}[1m"));
    }

    #[test]
    fn what_does_not_hold_ends_the_demonstration() {
        let mut out = Vec::new();
        let error = Steps::new(&mut out, false)
            .expect("one is two", &1, &2)
            .unwrap_err();
        assert!(
            matches!(error, CliError::Expectation { got, want, .. } if got == "1" && want == "2")
        );
        assert!(out.is_empty());
    }
}
