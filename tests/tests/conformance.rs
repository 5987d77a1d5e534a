//! `docs/conformance.md` and `docs/ledger-conformance.md` name tests that exist, and leave none out.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The checklist of CCF's interface, and its lines.
const INTERFACE: (&str, u32) = (include_str!("../../docs/conformance.md"), 50);
/// The checklist of the ledger format.
const LEDGER: (&str, u32) = (include_str!("../../docs/ledger-conformance.md"), 43);

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

fn sources(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                sources(&path, all);
            }
        } else if name.ends_with(".rs") {
            all.push(path);
        }
    }
}

/// Names of all tests of the repository.
fn tests() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        &mut files,
    );
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some((_, rest)) = line
                .split_once("fn ")
                // Those of both hosts are functions of one.
                .filter(|(_, rest)| is_test || rest.contains("(host: &Host)"))
            {
                names.insert(rest.split('(').next().unwrap().to_owned());
                is_test = false;
            }
        }
    }
    names
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
