//! The files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub struct Transcript {
    pub scenario: String,
    pub setup: Setup,
    pub steps: Vec<Step>,
}

#[derive(Deserialize)]
pub struct Setup {
    pub members: usize,
    pub identities: BTreeMap<String, Person>,
}

/// Somebody who acts.
#[derive(Clone, Deserialize)]
pub struct Person {
    pub kind: String,
    #[serde(default)]
    pub header: Value,
    #[serde(default)]
    pub claims: Value,
    #[serde(default, rename = "signedBy")]
    pub signed_by: String,
    /// `altered`, or nothing.
    #[serde(default)]
    pub signature: String,
}

#[derive(Deserialize)]
pub struct Step {
    pub step: String,
    pub gov: Option<String>,
    pub method: Option<String>,
    pub path: Option<String>,
    #[serde(rename = "as")]
    pub caller: Option<String>,
    pub request: Option<Value>,
    #[serde(rename = "rawRequest")]
    pub raw_request: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub follow: Option<String>,
    pub actions: Option<Value>,
    #[serde(default)]
    pub voters: Vec<String>,
    #[serde(rename = "votesCast")]
    pub votes_cast: Option<Vec<String>>,
    pub proposal: Option<String>,
    pub ballot: Option<String>,
    pub envelope: Option<String>,
    pub needs: Option<String>,
    pub note: Option<String>,
    pub status: u16,
    #[serde(rename = "contentType", default, deserialize_with = "present")]
    pub content_type: Option<Option<String>>,
    #[serde(default)]
    pub response: Value,
    pub unwrapped: Option<Value>,
}

/// Tells a member that is null from one that is absent.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Transcript {
    pub fn all(folder: &Path) -> Vec<Self> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .filter(|path| !path.ends_with("allowed.json"))
            .collect();
        files.sort();
        files
            .iter()
            .map(|file| {
                serde_json::from_slice(&fs::read(file).unwrap())
                    .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
            })
            .collect()
    }
}

impl Step {
    /// Whether its answer is meant to be compared.
    pub fn is_compared(&self) -> bool {
        self.needs.is_none()
    }
}
