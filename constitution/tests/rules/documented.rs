//! The rules in the text are the rules in the manual.

use std::collections::BTreeSet;

pub fn rules(text: &str) -> BTreeSet<&str> {
    let digits = |s: &str| s.len() == 6 && s[4..].bytes().all(|b| b.is_ascii_digit());
    text.match_indices("CON-")
        .filter_map(|(at, _)| text.get(at..at + 6))
        .filter(|rule| digits(rule))
        .collect()
}

#[test]
fn the_manual_lists_every_rule_and_no_other() {
    let module = constitution::default_module();
    let manual = include_str!("../../../docs/constitution.md");
    assert_eq!(rules(manual), rules(&module));
}
