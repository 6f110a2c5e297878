//! `docs/ledger.md` names the tests that show each row; this keeps it true.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// How many rows each letter pair has in the source documents.
const ROWS: [(&str, usize); 5] = [("AR", 9), ("DE", 5), ("MA", 12), ("MV", 20), ("AA", 11)];

/// Row id → names of tests, as the last column of the ledger says.
fn ledger(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix('|')?.trim_end().split('|').collect();
            let id = cells.first()?.trim();
            if !is_row_id(id) {
                return None;
            }
            // The last cell is empty: the line ends with a bar.
            let tests = cells.get(cells.len().checked_sub(2)?)?;
            let names = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            Some((id.to_owned(), names))
        })
        .collect()
}

fn is_row_id(word: &str) -> bool {
    ROWS.iter().any(|(letters, count)| {
        word.strip_prefix(letters)
            .and_then(|number| number.parse::<usize>().ok())
            .is_some_and(|number| (1..=*count).contains(&number))
    })
}

/// The name of the test that a line begins, in Rust or in TypeScript.
fn test_name(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("async ").unwrap_or(line);
    if let Some(rest) = line.strip_prefix("fn ") {
        return rest.split('(').next().filter(|name| !name.is_empty());
    }
    let rest = line.strip_prefix("it(").or_else(|| line.strip_prefix("test("))?;
    let quote = rest.chars().next().filter(|c| "'\"`".contains(*c))?;
    rest[1..].split(quote).next()
}

/// Row id → names of tests that carry it in a comment above them.
fn carried(source: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut waiting = BTreeSet::new();
    for line in source.lines() {
        let trimmed = line.trim();
        if let Some(comment) = trimmed.strip_prefix("//") {
            let words = comment.split(|c: char| !c.is_ascii_alphanumeric());
            waiting.extend(words.filter(|word| is_row_id(word)).map(str::to_owned));
        } else if let Some(name) = test_name(line) {
            for id in std::mem::take(&mut waiting) {
                found.entry(id).or_default().insert(name.to_owned());
            }
        } else if !trimmed.starts_with("#[") && !trimmed.is_empty() {
            // The comment stood above something else, e.g. a table of defaults.
            waiting.clear();
        }
    }
    found
}

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap();
    for entry in entries.map(Result::unwrap) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().unwrap().is_dir() {
            if !["target", "node_modules", "dist"].contains(&&*name) && !name.starts_with('.') {
                sources(&path, out);
            }
        } else if name.ends_with(".rs") || name.ends_with(".test.ts") {
            out.push(path);
        }
    }
}

#[test]
fn ledger_and_tests_name_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let ledger = ledger(&std::fs::read_to_string(root.join("docs/ledger.md")).unwrap());
    let expected: usize = ROWS.iter().map(|(_, count)| count).sum();
    assert_eq!(ledger.len(), expected, "rows in docs/ledger.md");

    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut tests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files.iter().filter(|f| !f.ends_with("tests/ledger.rs")) {
        for (id, names) in carried(&std::fs::read_to_string(file).unwrap()) {
            tests.entry(id).or_default().extend(names);
        }
    }

    let mut wrong = Vec::new();
    for (id, named) in &ledger {
        let carrying = tests.remove(id).unwrap_or_default();
        wrong
            .extend(named.difference(&carrying).map(|t| format!("{id}: no test `{t}` carries it")));
        wrong.extend(
            carrying.difference(named).map(|t| format!("{id}: `{t}` is not in the ledger")),
        );
    }
    assert!(wrong.is_empty(), "docs/ledger.md is not true:\n  {}", wrong.join("\n  "));
}

#[test]
fn a_comment_binds_to_the_test_below_it_only() {
    let source = "
        // AR7
        #[test]
        fn one() {}
        // MA6, MV13: both
        const X: u8 = 1;
        fn two() {}
        // MV13 and AR99
        it('three', () => {})
    ";
    let found = carried(source);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["AR7", "MV13"]);
    assert!(found["AR7"].contains("one"));
    assert!(found["MV13"].contains("three"));
}
