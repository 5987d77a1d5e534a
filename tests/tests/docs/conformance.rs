//! `docs/conformance.md` and `docs/ledger-conformance.md` name tests that exist, and leave none out.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::tests;

/// The checklist of CCF's interface, and its lines.
const INTERFACE: (&str, u32) = (include_str!("../../../docs/conformance.md"), 50);
/// The checklist of the ledger format.
const LEDGER: (&str, u32) = (include_str!("../../../docs/ledger-conformance.md"), 43);

/// The table: line number to the tests named and what else is said.
fn table(page: &str) -> BTreeMap<u32, (BTreeSet<String>, String)> {
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line
            .strip_prefix("| ")?
            .trim_end_matches(" |")
            .split(" | ")
            .collect();
        let [number, _, tests] = cells[..] else {
            return None;
        };
        let number: u32 = number.parse().ok()?;
        let mut names = BTreeSet::new();
        let mut words = String::new();
        for (index, part) in tests.split('`').enumerate() {
            if index % 2 == 1 && part.contains('_') && part != "all_of" {
                names.insert(part.to_owned());
            } else {
                words.push_str(part.trim());
            }
        }
        Some((number, (names, words)))
    });
    rows.collect()
}

#[test]
fn every_line_of_the_checklists_is_held_by_tests_that_exist() {
    let tests = tests();
    for (page, lines) in [INTERFACE, LEDGER] {
        let table = table(page);
        let numbers: Vec<u32> = table.keys().copied().collect();
        assert_eq!(numbers, (1..=lines).collect::<Vec<_>>());
        for (number, (names, words)) in &table {
            assert!(
                !names.is_empty() || !words.is_empty(),
                "line {number} says nothing"
            );
            for name in names {
                assert!(tests.contains(name), "line {number}: no test {name}");
            }
        }
    }
}

#[test]
fn no_test_of_the_checklist_is_left_out() {
    let table = table(INTERFACE.0);
    for name in tests() {
        let mut numbers = name.split('_').map_while(|part| {
            part.strip_prefix('d')
                .filter(|digits| digits.len() == 2)?
                .parse::<u32>()
                .ok()
        });
        if let Some(number) = numbers.next() {
            let listed = table
                .get(&number)
                .is_some_and(|(names, _)| names.contains(&name));
            assert!(listed, "{name} is not in line {number}");
        }
    }
}
