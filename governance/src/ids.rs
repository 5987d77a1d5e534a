//! Identifiers of parties and proposals; transaction ids are the ledger's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use ledger::TxId;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_ids_are_64_characters_and_lower_case() {
        let id: ProposalId = "AB".repeat(32).parse().unwrap();
        assert_eq!(id.as_str(), "ab".repeat(32));
        assert!("ab".repeat(31).parse::<ProposalId>().is_err());
        assert!("zz".repeat(32).parse::<IdentityId>().is_err());
    }
}
