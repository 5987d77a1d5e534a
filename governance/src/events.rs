//! Events: what clean rooms wrote, read by people.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Client, ClientError, escape, segment};

/// Which events of a contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The event's id; the contract's when absent.
    pub id: Option<String>,
    /// The scope; none when absent.
    pub scope: Option<String>,
    /// From this position of the ledger on; without bounds only the newest is read.
    pub from: Option<u64>,
    /// Up to this position.
    pub to: Option<u64>,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Event {
    /// Its scope; empty if it has none.
    pub scope: String,
    /// Its id.
    pub id: String,
    /// Where it stands in the ledger.
    pub seqno: u64,
    /// When the writer says it was: milliseconds since 1970, in digits.
    pub timestamp: String,
    /// When it arrived by the host's clock.
    #[serde(
        default,
        rename = "receivedAt",
        skip_serializing_if = "Option::is_none"
    )]
    pub received_at: Option<u64>,
    /// Whether the writer signed the timestamp too.
    #[serde(default, rename = "timestampSigned")]
    pub timestamp_signed: bool,
    /// What it says.
    pub data: Value,
    /// Who wrote it.
    #[serde(default)]
    pub writer: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    value: Vec<Event>,
    next_link: Option<String>,
}

impl EventFilter {
    fn query(&self) -> String {
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        let parts = [
            ("id", self.id.clone()),
            ("scope", self.scope.clone()),
            ("from_seqno", number(self.from)),
            ("to_seqno", number(self.to)),
        ];
        let given = parts
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", escape(&value?))));
        given.collect::<Vec<_>>().join("&")
    }
}

impl Client {
    /// Events of a contract: the newest of an id, or with bounds all of the range, oldest first.
    ///
    /// # Errors
    /// [`ClientError::Service`] when the caller may not read them or the range is none (`InvalidRange`); [`ClientError::Timeout`] when past
    /// transactions are not loaded in time.
    pub fn events(&self, contract: &str, filter: &EventFilter) -> Result<Vec<Event>, ClientError> {
        let here = format!("/app/contracts/{}/events", segment(contract)?);
        let mut next = Some(format!("{here}?{}", filter.query()));
        let mut found = Vec::new();
        while let Some(path) = next {
            let page: Page = self.fetch(&path)?.json()?;
            found.extend(page.value);
            next = page.next_link;
            if next.as_ref().is_some_and(|link| !link.starts_with(&here)) {
                return Err(ClientError::Answer {
                    reason: "the next page is elsewhere".to_owned(),
                });
            }
        }
        Ok(found)
    }
}
