//! The text of our constitution.

/// One file of the constitution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// File name under `js/`.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! parts {
    ($($name:literal),* $(,)?) => {
        &[$(Part { name: $name, text: include_str!(concat!("../js/", $name)) }),*]
    };
}

/// The files of the constitution, in the order they are joined.
#[must_use]
pub fn parts() -> &'static [Part] {
    parts![
        "checks.js",
        "tables.js",
        "action.js",
        "open_proposals.js",
        "members.js",
        "users.js",
        "constitution.js",
        "service.js",
        "nodes.js",
        "join_policy.js",
        "tokens.js",
        "contracts.js",
        "claims.js",
        "policies.js",
        "platform.js",
        "options.js",
        "recovery.js",
        "keys.js",
        "identities.js",
        "refused.js",
        "voting.js",
        "entry.js",
    ]
}

/// Our constitution as one ES module: the files of [`parts`], with one newline between.
#[must_use]
pub fn default_module() -> String {
    let texts: Vec<&str> = parts().iter().map(|part| part.text).collect();
    texts.join("\n")
}
