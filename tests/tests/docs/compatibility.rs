//! The table of weaknesses in `docs/compatibility.md` is complete and names tests that exist.

use crate::names::tests;

/// The items of the specifications, in their order: numbers that were never given are left out.
fn items() -> Vec<String> {
    let w = (1..=44).filter(|n| *n != 19 && !(37..=39).contains(n));
    let w = w.map(|n| format!("W{n}"));
    w.chain((1..=17).map(|n| format!("H{n}"))).collect()
}

/// One line of the table.
struct Row<'a> {
    item: &'a str,
    state: &'a str,
    tests: Vec<&'a str>,
    what: &'a str,
}

fn table(page: &str) -> Vec<Row<'_>> {
    let (_, table) = page.split_once("<!-- weaknesses -->").unwrap();
    let (table, _) = table.split_once("<!-- end -->").unwrap();
    let lines = table.lines().filter(|line| line.starts_with('|')).skip(2);
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [item, state, tests, what] = cells[..] else {
                panic!("four cells: {line}")
            };
            let tests = tests.split('`').skip(1).step_by(2).collect();
            Row {
                item,
                state,
                tests,
                what,
            }
        })
        .collect()
}

#[test]
fn every_weakness_has_its_line_and_its_tests_exist() {
    let rows = table(include_str!("../../../docs/compatibility.md"));
    let listed: Vec<&str> = rows.iter().map(|row| row.item).collect();
    assert_eq!(listed, items());
    let known = tests();
    for row in &rows {
        let Row {
            item,
            state,
            tests,
            what,
        } = row;
        assert!(!what.is_empty(), "{item}: says nothing");
        for test in tests {
            assert!(known.contains(*test), "{item}: there is no test {test}");
        }
        match *state {
            "closed" | "switch" => assert!(!tests.is_empty(), "{item}: no test shows it"),
            "not applicable" | "open" => {}
            other => panic!("{item}: no state is called {other}"),
        }
    }
}
