//! Release records, from the side of members, users and data owners: who received what, when, and under which decision.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Client, ClientError, contract_path, query};
use crate::ids::TxId;

/// Which records; without anything, all of a contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseFilter {
    /// `secret`, `token`, `certificate`, `signature`, `document`.
    pub kind: Option<String>,
    /// Id of the secret or document, subject of the token or certificate; needs a kind.
    pub subject: Option<String>,
    /// `granted` or `denied`.
    pub outcome: Option<String>,
    /// Only to code with this host data.
    pub host_data: Option<String>,
    /// Only secrets that the caller stored.
    pub mine: bool,
    /// Not older: milliseconds since 1970.
    pub from: Option<u64>,
    /// Not newer.
    pub to: Option<u64>,
}

/// A record, and the transaction whose receipt proves it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Names the record within its contract.
    pub id: String,
    /// The transaction; its claims digest is the SHA-256 of the record.
    pub transaction_id: Option<TxId>,
    /// The record.
    pub record: Value,
}

impl ReleaseFilter {
    fn query(&self) -> String {
        query([
            ("kind", self.kind.clone()),
            ("subject", self.subject.clone()),
            ("outcome", self.outcome.clone()),
            ("hostData", self.host_data.clone()),
            ("mine", self.mine.then(|| "true".to_owned())),
            ("from", self.from.map(|from| from.to_string())),
            ("to", self.to.map(|to| to.to_string())),
        ])
    }
}

impl Client {
    /// Release records of a contract, newest first, all pages.
    ///
    /// # Errors
    /// [`ClientError::Service`] when the caller may not list them, or the filter is not understood.
    pub fn releases(
        &self,
        contract: &str,
        filter: &ReleaseFilter,
    ) -> Result<Vec<Release>, ClientError> {
        let path = contract_path(contract, &["releases"])?;
        self.pages(&path, &filter.query())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_query_whatever_its_values_are() {
        assert_eq!(ReleaseFilter::default().query(), "");
        let filter = ReleaseFilter {
            kind: Some("secret".into()),
            subject: Some("a&b=c é".into()),
            mine: true,
            from: Some(5),
            ..ReleaseFilter::default()
        };
        assert_eq!(
            filter.query(),
            "?kind=secret&subject=a%26b%3Dc%20%C3%A9&mine=true&from=5"
        );
    }
}
