//! Positions in a ledger: views, sequence numbers and transaction ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A position in the ledger, counted from 1 without gaps (ledger format, section 1). Zero means "before the first".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seqno(pub u64);

impl Seqno {
    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The position before this one; zero stays zero.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Seqno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u64> for Seqno {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

/// An election epoch. The first view of a service is 2 (ledger format, section 16.1).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct View(pub u64);

impl View {
    /// The view in which every service starts.
    pub const FIRST: Self = Self(2);
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u64> for View {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

/// A transaction id, written `view.seqno` in decimal (ledger format, section 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxId {
    /// The epoch in which the transaction was ordered.
    pub view: View,
    /// The position of the transaction.
    pub seqno: Seqno,
}

impl TxId {
    /// A transaction id from its two numbers.
    #[must_use]
    pub const fn new(view: u64, seqno: u64) -> Self {
        Self {
            view: View(view),
            seqno: Seqno(seqno),
        }
    }
}

impl fmt::Display for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.view, self.seqno)
    }
}

/// The text is not a transaction id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a transaction id: {got:?}")]
pub struct ParseTxIdError {
    /// The text that was given.
    pub got: String,
}

impl FromStr for TxId {
    type Err = ParseTxIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (view, seqno) = text.split_once('.')?;
            Some(Self::new(decimal(view)?, decimal(seqno)?))
        };
        parse().ok_or_else(|| ParseTxIdError {
            got: text.to_owned(),
        })
    }
}

/// Plain decimal digits only: no sign, no spaces.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

impl Serialize for TxId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TxId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn txid_text_both_ways() {
        let id = TxId::new(2, 15);
        assert_eq!(id.to_string(), "2.15");
        assert_eq!("2.15".parse::<TxId>().unwrap(), id);
        for bad in [
            "",
            ".",
            "2.",
            ".2",
            "+2.1",
            "2.1.1",
            " 2.1",
            "2.-1",
            "99999999999999999999.1",
        ] {
            assert!(bad.parse::<TxId>().is_err(), "{bad:?} accepted");
        }
    }
}
