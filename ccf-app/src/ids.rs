//! Names that callers choose, checked before they become keys or parts of table names.
//!
//! Path components are used as sent: percent-escapes stay as they are (application specification, section 2.1).

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;

/// Text that is no name of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("want 1 to {most} printable ASCII characters without / and spaces")]
pub(crate) struct InvalidName {
    most: usize,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident up to $most:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
        #[serde(transparent)]
        #[schemars(extend("minLength" = 1, "maxLength" = $most))]
        pub(crate) struct $name(String);

        #[allow(dead_code, reason = "one macro, not every name is looked at")]
        impl $name {
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if is_name(text, $most) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidName { most: $most })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// A contract.
    ContractId up to 256;
    /// A secret as its owner names it.
    SecretName up to 256;
    /// A secret within its contract: owner, underscore, name.
    SecretId up to 640;
    /// What a delegate policy is for.
    DelegateType up to 256;
    /// For whom, or for which of these, a delegate policy is.
    DelegateId up to 640;
    /// A release record within its contract.
    ReleaseId up to 64;
    /// A document.
    DocumentId up to 256;
    /// A proposal of users, named by its proposer.
    UserProposalId up to 256;
    /// A proposal of the consortium.
    ProposalId up to 256;
    /// A registered user: the object id in the user's tokens.
    IdentityId up to 256;
    /// An invitation.
    InvitationId up to 256;
}

fn is_name(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
}

/// A key made of several texts, unambiguous whatever they contain: netstrings, one after the other.
pub(crate) fn composite(parts: &[&str]) -> String {
    parts.iter().fold(String::new(), |key, part| {
        format!("{key}{}:{part},", part.len())
    })
}

/// The first key behind all that begin with `prefix`, a [`composite`].
pub(crate) fn behind(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        // A composite ends with a comma.
        *last += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printable_and_bounded() {
        for good in [
            "c1",
            "a_b-c.d",
            "%20",
            "cömposite".replace('ö', "o").as_str(),
        ] {
            assert!(good.parse::<ContractId>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "a\nb", "\u{7f}", "ä", &"x".repeat(257)] {
            assert!(bad.parse::<ContractId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn w12_composite_keys_do_not_collide() {
        assert_ne!(composite(&["a", "b_c"]), composite(&["a_b", "c"]));
        assert_ne!(composite(&["a,1:b"]), composite(&["a", "b"]));
        let (prefix, longer) = (composite(&["c1"]), composite(&["c1", "x"]));
        assert!(longer.as_bytes() < behind(&prefix).as_slice());
        assert!(composite(&["c2"]).as_bytes() >= behind(&prefix).as_slice());
    }
}
