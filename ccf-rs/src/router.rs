//! From verb and path to endpoint (CCF interface, section 0.2, "Path routing").

use std::collections::HashMap;

use crate::endpoint::Endpoint;
use crate::request::Verb;

/// The endpoints of one frontend, ready for look-up. Paths have no frontend prefix.
pub struct Router {
    endpoints: Vec<Endpoint>,
    exact: HashMap<String, Vec<usize>>,
    templates: Vec<(Template, Vec<usize>)>,
}

/// Result of a look-up.
pub enum Match<'r> {
    /// The endpoint and the values of its template's components, as sent.
    Found(&'r Endpoint, Vec<(String, String)>),
    /// The path exists with other verbs.
    OtherVerbs(Vec<Verb>),
    /// No endpoint has this path.
    Unknown,
}

/// A path template such as `/contracts/{contractId}`.
///
/// A component matches one or more characters other than `/`, and other than the character
/// that follows its closing brace, so that `{id}:update` never swallows the colon.
struct Template {
    parts: Vec<Part>,
}

enum Part {
    Literal(String),
    Component { name: String, stop: Option<u8> },
}

impl Router {
    /// A router over these endpoints.
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        let mut exact: HashMap<String, Vec<usize>> = HashMap::new();
        let mut templates: Vec<(&str, Vec<usize>)> = Vec::new();
        for (index, endpoint) in endpoints.iter().enumerate() {
            if !endpoint.template.contains('{') {
                exact
                    .entry(endpoint.template.to_owned())
                    .or_default()
                    .push(index);
            } else if let Some((_, known)) =
                templates.iter_mut().find(|(t, _)| *t == endpoint.template)
            {
                known.push(index);
            } else {
                templates.push((endpoint.template, vec![index]));
            }
        }
        let templates = templates
            .into_iter()
            .map(|(text, known)| (Template::parse(text), known))
            .collect();
        Self {
            endpoints,
            exact,
            templates,
        }
    }

    /// All endpoints.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Looks up verb and path: exact paths first, then templates in declared order.
    pub fn find(&self, verb: Verb, path: &str) -> Match<'_> {
        let mut others = Vec::new();
        let exact = self.exact.get(path).map(|known| (known, Vec::new()));
        let templated = self
            .templates
            .iter()
            .filter_map(|(template, known)| template.matches(path).map(|params| (known, params)));
        for (known, params) in exact.into_iter().chain(templated) {
            for index in known {
                let Some(endpoint) = self.endpoints.get(*index) else {
                    continue;
                };
                if endpoint.verb == verb {
                    return Match::Found(endpoint, params);
                }
                others.push(endpoint.verb);
            }
        }
        others.sort();
        others.dedup();
        if others.is_empty() {
            Match::Unknown
        } else {
            Match::OtherVerbs(others)
        }
    }
}

impl Template {
    fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, tail)) = rest.split_once('{') {
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let (name, after) = tail.split_once('}').unwrap_or((tail, ""));
            let stop = after.bytes().next().filter(|byte| *byte != b'/');
            parts.push(Part::Component {
                name: name.to_owned(),
                stop,
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Self { parts }
    }

    fn matches(&self, path: &str) -> Option<Vec<(String, String)>> {
        let mut params = Vec::new();
        let mut rest = path;
        for part in &self.parts {
            match part {
                Part::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
                Part::Component { name, stop } => {
                    let end = rest
                        .bytes()
                        .position(|b| b == b'/' || Some(b) == *stop)
                        .unwrap_or(rest.len());
                    let (value, tail) = rest
                        .split_at_checked(end)
                        .filter(|(value, _)| !value.is_empty())?;
                    params.push((name.clone(), value.to_owned()));
                    rest = tail;
                }
            }
        }
        rest.is_empty().then_some(params)
    }
}

/// Decodes `%XX` and turns `+` into a space; `None` when the result is not UTF-8. An escape
/// that is not two hex digits stands for itself.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => hex_digit(*high)
                .zip(hex_digit(*low))
                .map(|(h, l)| (h * 16 + l, tail)),
            _ => None,
        };
        let (byte, tail) = escaped.unwrap_or((if *first == b'+' { b' ' } else { *first }, tail));
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(template: &str, path: &str) -> Option<Vec<(String, String)>> {
        Template::parse(template).matches(path)
    }

    fn pairs(list: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(
            list.iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn components_match_one_segment() {
        assert_eq!(
            params("/contracts/{id}", "/contracts/c1"),
            pairs(&[("id", "c1")])
        );
        assert_eq!(params("/contracts/{id}", "/contracts/"), None);
        assert_eq!(params("/contracts/{id}", "/contracts/a/b"), None);
        assert_eq!(params("/contracts/{id}", "/contracts/a/"), None);
        assert_eq!(
            params("/c/{a}/s/{b}", "/c/1/s/2"),
            pairs(&[("a", "1"), ("b", "2")])
        );
    }

    #[test]
    fn a_component_stops_at_the_character_behind_it() {
        assert_eq!(
            params("/m/{id}:update", "/m/x:update"),
            pairs(&[("id", "x")])
        );
        assert_eq!(params("/m/{id}:update", "/m/x:y:update"), None);
        assert_eq!(
            params("/m/{id}", "/m/x:update"),
            pairs(&[("id", "x:update")])
        );
    }

    #[test]
    fn decoding_keeps_malformed_escapes() {
        assert_eq!(percent_decode("a%20b+c%3D").as_deref(), Some("a b c="));
        assert_eq!(percent_decode("%zz%4").as_deref(), Some("%zz%4"));
        assert_eq!(percent_decode("%ff"), None);
    }
}
