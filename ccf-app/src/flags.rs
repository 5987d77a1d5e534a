//! Flags of several people about one thing, stored as existing readers of the ledger expect: a JSON text that holds an array of pairs of
//! id and status.

use ccf_rs::{Error, Result};

/// The status of what nobody disabled.
pub(crate) const ENABLED: &str = "enabled";
/// The status of what somebody disabled.
pub(crate) const DISABLED: &str = "disabled";

/// Status by id, in the order in which the flags were first set.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(Vec<(String, String)>);

impl Flags {
    /// From the stored text of `table`.
    pub(crate) fn of_text(table: &str, text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map(Self)
            .map_err(|e| Error::Stored {
                table: table.to_owned(),
                reason: format!("{:?} error at column {}", e.classify(), e.column()),
            })
    }

    /// The text to store.
    pub(crate) fn to_text(&self) -> Result<String> {
        serde_json::to_string(&self.0).map_err(|e| Error::Internal(e.to_string()))
    }

    /// Sets the flag of somebody.
    pub(crate) fn set(&mut self, id: &str, status: &str) {
        match self.0.iter_mut().find(|(known, _)| known == id) {
            Some((_, flag)) => status.clone_into(flag),
            None => self.0.push((id.to_owned(), status.to_owned())),
        }
    }

    /// Who disabled it.
    pub(crate) fn disabled(&self) -> impl Iterator<Item = &String> {
        self.0
            .iter()
            .filter(|(_, status)| status == DISABLED)
            .map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_of_one_person_and_the_text_is_what_readers_of_the_ledger_know() {
        let mut flags = Flags::default();
        flags.set("a", DISABLED);
        flags.set("b", DISABLED);
        flags.set("a", ENABLED);
        let text = flags.to_text().unwrap();
        assert_eq!(text, r#"[["a","enabled"],["b","disabled"]]"#);
        assert_eq!(Flags::of_text("t", &text).unwrap(), flags);
        assert_eq!(flags.disabled().collect::<Vec<_>>(), ["b"]);
        assert!(Flags::of_text("t", "{}").is_err());
    }
}
