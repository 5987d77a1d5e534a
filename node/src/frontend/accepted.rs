//! Which endpoints an interface serves (CCF interface, section 0.2: `accepted_endpoints`).

use std::sync::Arc;

use regex::RegexSet;

/// The endpoints that requests on one interface may reach.
#[derive(Clone, Debug, Default)]
pub struct AcceptedEndpoints(Option<Arc<RegexSet>>);

/// Text that is no regular expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PatternError {
    /// What the parser said.
    pub reason: String,
}

impl AcceptedEndpoints {
    /// All endpoints.
    #[must_use]
    pub const fn all() -> Self {
        Self(None)
    }

    /// Endpoints whose whole template (`/app/contracts/{contractId}`) is matched by one of these regular expressions.
    ///
    /// # Errors
    /// [`PatternError`] when one of them is none.
    pub fn matching<T: AsRef<str>>(patterns: &[T]) -> Result<Self, PatternError> {
        let whole = patterns
            .iter()
            .map(|pattern| format!("^(?:{})$", pattern.as_ref()));
        match RegexSet::new(whole) {
            Ok(set) => Ok(Self(Some(Arc::new(set)))),
            Err(error) => Err(PatternError {
                reason: error.to_string(),
            }),
        }
    }

    /// Whether the endpoint of this template is among them.
    pub(crate) fn has(&self, frontend: &str, template: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|set| set.is_match(&format!("/{frontend}{template}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_templates_are_matched() {
        let some =
            AcceptedEndpoints::matching(&["/app/a/{id}".replace('{', "\\{"), "/node/.*".into()])
                .unwrap();
        assert!(some.has("app", "/a/{id}") && some.has("node", "/state"));
        assert!(!some.has("app", "/a/{id}/b") && !some.has("gov", "/node/x"));
        assert!(AcceptedEndpoints::all().has("app", "/anything"));
        assert!(
            !AcceptedEndpoints::matching::<&str>(&[])
                .unwrap()
                .has("app", "/a")
        );
        assert!(AcceptedEndpoints::matching(&["("]).is_err());
    }
}
