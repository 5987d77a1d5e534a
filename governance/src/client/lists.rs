//! Lists: what narrows them, and the pages they come in.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Client, ClientError, escape};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<T> {
    value: Vec<T>,
    next_link: Option<String>,
}

/// The query of those parameters that have a value, with its question mark; empty when none has.
pub(crate) fn query<const N: usize>(parameters: [(&str, Option<String>); N]) -> String {
    let given = parameters
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", escape(&value?))));
    match given.collect::<Vec<_>>() {
        none if none.is_empty() => String::new(),
        given => format!("?{}", given.join("&")),
    }
}

impl Client {
    /// Everything on the list at `path`, narrowed by a query: its first page and those that this one leads to.
    ///
    /// # Errors
    /// As [`Client::fetch`]; [`ClientError::Answer`] when a page leads to another list.
    pub(crate) fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &str,
    ) -> Result<Vec<T>, ClientError> {
        let mut next = Some(format!("{path}{query}"));
        let mut found = Vec::new();
        while let Some(page) = next {
            let page: Page<T> = self.fetch(&page)?.json()?;
            found.extend(page.value);
            next = page.next_link;
            if next.as_ref().is_some_and(|link| !link.starts_with(path)) {
                return Err(ClientError::Answer {
                    reason: "the next page is elsewhere".to_owned(),
                });
            }
        }
        Ok(found)
    }
}
