//! Identifiers that CCF gives to transactions and to people.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An election epoch of the service. The first is 2.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct View(pub u64);

/// A position in the ledger, from 1, without gaps. 0 means "before the first transaction".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seqno(pub u64);

/// A transaction id, `view.seqno` in decimal on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxId {
    /// The view in which the transaction was executed.
    pub view: View,
    /// Its position in the ledger.
    pub seqno: Seqno,
}

/// What a node knows of a transaction id (CCF interface, section 6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxStatus {
    /// Committed for good.
    Committed,
    /// Can never be committed.
    Invalid,
    /// Executed, not yet committed.
    Pending,
    /// Not known here.
    Unknown,
}

/// Text that is not a transaction id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a transaction id (want VIEW.SEQNO, two positive decimal numbers): {got:?}")]
pub struct ParseTxIdError {
    /// The text as given.
    pub got: String,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

text_id! {
    /// A consortium member: lower-case hex SHA-256 of the DER of the member's certificate.
    MemberId
}
text_id! {
    /// A user: lower-case hex SHA-256 of the DER of the user's certificate.
    UserId
}

impl TxId {
    /// The transaction id with these numbers.
    pub const fn new(view: u64, seqno: u64) -> Self {
        Self {
            view: View(view),
            seqno: Seqno(seqno),
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Seqno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.view, self.seqno)
    }
}

impl FromStr for TxId {
    type Err = ParseTxIdError;

    /// Two decimal 64-bit numbers, neither 0, nothing trailing. Leading zeros are accepted.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseTxIdError {
            got: text.chars().take(64).collect(),
        };
        let number = |part: &str| -> Option<u64> {
            (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
                .then(|| part.parse().ok())
                .flatten()
                .filter(|n| *n != 0)
        };
        let (view, seqno) = text.split_once('.').ok_or_else(error)?;
        let view = number(view).ok_or_else(error)?;
        let seqno = number(seqno).ok_or_else(error)?;
        Ok(Self::new(view, seqno))
    }
}

impl Serialize for TxId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TxId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for TxId {
    fn schema_name() -> Cow<'static, str> {
        "TransactionId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+\\.[0-9]+$",
            "description": "View and position of a transaction, in decimal.",
        })
    }
}

impl TxStatus {
    /// The name used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "Committed",
            Self::Invalid => "Invalid",
            Self::Pending => "Pending",
            Self::Unknown => "Unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_ids_are_two_positive_decimal_numbers() {
        assert_eq!("2.15".parse(), Ok(TxId::new(2, 15)));
        assert_eq!("002.015".parse::<TxId>().unwrap().to_string(), "2.15");
        for bad in [
            "",
            ".",
            "2",
            "2.",
            ".3",
            "0.1",
            "1.0",
            "2.3.4",
            "+2.3",
            " 2.3",
            "2.3 ",
            "2.18446744073709551616",
        ] {
            assert!(bad.parse::<TxId>().is_err(), "{bad:?} was accepted");
        }
    }
}
