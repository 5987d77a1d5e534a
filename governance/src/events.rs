//! Events: what clean rooms wrote, read by people.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Client, ClientError, contract_path, query};

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

impl EventFilter {
    fn query(&self) -> String {
        query([
            ("id", self.id.clone()),
            ("scope", self.scope.clone()),
            ("from_seqno", self.from.map(|from| from.to_string())),
            ("to_seqno", self.to.map(|to| to.to_string())),
        ])
    }
}

impl Client {
    /// Events of a contract: the newest of an id, or with bounds all of the range, oldest first.
    ///
    /// # Errors
    /// [`ClientError::Service`] when the caller may not read them or the range is none (`InvalidRange`); [`ClientError::Timeout`] when past
    /// transactions are not loaded in time.
    pub fn events(&self, contract: &str, filter: &EventFilter) -> Result<Vec<Event>, ClientError> {
        let path = contract_path(contract, &["events"])?;
        self.pages(&path, &filter.query())
    }
}
