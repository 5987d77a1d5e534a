//! What can be wrong with a configuration. All of it is the operator's to mend.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A configuration that no node is started with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file did not appear.
    #[error("{}: no such file after {}s", file.display(), waited.as_secs_f32())]
    Absent {
        /// The configuration.
        file: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A file cannot be read.
    #[error("{}{}: {source}", prefix(path), file.display())]
    File {
        /// The key that names the file; empty for the configuration itself.
        path: String,
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {}: want {want}: {reason}", file.display())]
    FileContent {
        /// The key that names the file.
        path: String,
        /// The file.
        file: PathBuf,
        /// What it should hold.
        want: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A value that a key does not take.
    #[error("{path}: got {got}, want {want}")]
    InvalidValue {
        /// The key.
        path: String,
        /// Its value.
        got: String,
        /// What it takes.
        want: String,
    },
    /// `command.type` is not one this node can run.
    #[error("command.type: got {got}, want Start: {reason}")]
    CommandNotSupported {
        /// The command.
        got: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// A required key is not there.
    #[error("{}key {key:?} is missing", prefix(path))]
    MissingKey {
        /// The object; empty for the outermost.
        path: String,
        /// The key.
        key: String,
    },
    /// The text is not JSON.
    #[error("line {line}, column {column}: not JSON: {reason}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// Why.
        reason: String,
    },
    /// A key that nothing would look at.
    #[error("{}unknown key {key:?}, want one of {}", prefix(path), want.join(", "))]
    UnknownKey {
        /// The object; empty for the outermost.
        path: String,
        /// The key.
        key: String,
        /// The keys it takes.
        want: Vec<&'static str>,
    },
}

impl ConfigError {
    /// A name that does not change between versions.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Absent { .. } => "ConfigAbsent",
            Self::File { .. } => "ConfigFileUnreadable",
            Self::FileContent { .. } => "ConfigFileInvalid",
            Self::InvalidValue { .. } => "ConfigInvalidValue",
            Self::CommandNotSupported { .. } => "ConfigCommandNotSupported",
            Self::MissingKey { .. } => "ConfigMissingKey",
            Self::Syntax { .. } => "ConfigSyntax",
            Self::UnknownKey { .. } => "ConfigUnknownKey",
        }
    }

    pub(super) fn invalid(
        path: impl Into<String>,
        got: impl std::fmt::Display,
        want: impl Into<String>,
    ) -> Self {
        Self::InvalidValue {
            path: path.into(),
            got: got.to_string(),
            want: want.into(),
        }
    }
}

fn prefix(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("{path}: ")
    }
}
