//! Identifiers of parties, proposals and transactions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A member or user id: the SHA-256 of the DER certificate, as 64 lower-case hexadecimal characters (CCF interface, section 7.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdentityId(String);

impl IdentityId {
    /// The id of the holder of this certificate.
    pub fn of_certificate(der: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(der)))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A proposal id: 64 hexadecimal characters (CCF interface, section 1.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProposalId(String);

impl ProposalId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A transaction id: the view of a primary and a sequence number in it. Written `view.seqno`, both decimal and at least 1
/// (CCF interface, section 6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TxId {
    /// The view.
    pub view: u64,
    /// The sequence number.
    pub seqno: u64,
}

/// A text is not the identifier it is used as.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: {got:?}")]
pub struct IdError {
    /// What was expected.
    pub what: &'static str,
    /// What was given.
    pub got: String,
}

impl IdError {
    fn new(what: &'static str, got: &str) -> Self {
        Self {
            what,
            got: got.to_owned(),
        }
    }
}

fn hex_id(what: &'static str, text: &str) -> Result<String, IdError> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(IdError::new(what, text))
    }
}

macro_rules! hex_id {
    ($name:ident, $what:literal) => {
        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                hex_id($what, text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

hex_id!(IdentityId, "member or user id (64 hexadecimal characters)");
hex_id!(ProposalId, "proposal id (64 hexadecimal characters)");

impl FromStr for TxId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError::new("transaction id (view.seqno)", text);
        let number = |part: &str| -> Option<u64> {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits
                .then(|| part.parse().ok())
                .flatten()
                .filter(|number| *number > 0)
        };
        let (view, seqno) = text.split_once('.').ok_or_else(error)?;
        Ok(Self {
            view: number(view).ok_or_else(error)?,
            seqno: number(seqno).ok_or_else(error)?,
        })
    }
}

impl TryFrom<String> for TxId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<TxId> for String {
    fn from(id: TxId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.view, self.seqno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_ids_are_two_positive_decimals() {
        assert_eq!("2.10".parse(), Ok(TxId { view: 2, seqno: 10 }));
        assert_eq!(
            "2.10".parse::<TxId>().map(|id| id.to_string()),
            Ok("2.10".to_owned())
        );
        for bad in [
            "",
            "2",
            "2.",
            ".2",
            "0.1",
            "1.0",
            "1.2.3",
            "+1.2",
            "1. 2",
            "-1.2",
            "18446744073709551616.1",
        ] {
            assert!(bad.parse::<TxId>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn hexadecimal_ids_are_64_characters_and_lower_case() {
        let id: ProposalId = "AB".repeat(32).parse().unwrap();
        assert_eq!(id.as_str(), "ab".repeat(32));
        assert!("ab".repeat(31).parse::<ProposalId>().is_err());
        assert!("zz".repeat(32).parse::<IdentityId>().is_err());
    }
}
