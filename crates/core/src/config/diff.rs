//! What changed between two texts, line by line, with three lines around.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use super::wire::{DiffLine, DiffSign};

/// Most lines of a diff that are shown and kept.
const MOST_LINES: usize = 2000;

/// Longest search for the shortest diff: two large texts without a line in common
/// take minutes, and a longer diff is as true.
const SEARCH: Duration = Duration::from_millis(200);

/// The lines that changed and their surroundings; empty where nothing did.
pub fn diff(old: &str, new: &str) -> Vec<DiffLine> {
    let number = |i: Option<usize>| i.and_then(|i| u32::try_from(i + 1).ok());
    let diff = TextDiff::configure().timeout(SEARCH).diff_lines(old, new);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(3) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            if lines.len() == MOST_LINES {
                return lines;
            }
            lines.push(DiffLine {
                sign: match change.tag() {
                    ChangeTag::Equal => DiffSign::Context,
                    ChangeTag::Delete => DiffSign::Removed,
                    ChangeTag::Insert => DiffSign::Added,
                },
                text: change.value().trim_end_matches(['\n', '\r']).to_string(),
                old_line: number(change.old_index()),
                new_line: number(change.new_index()),
            });
        }
    }
    lines
}

/// A diff as text, each line with its sign.
pub fn as_text(lines: &[DiffLine]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push(match line.sign {
            DiffSign::Context => ' ',
            DiffSign::Removed => '-',
            DiffSign::Added => '+',
        });
        text.push_str(&line.text);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_has_line_numbers_of_both_sides_and_three_lines_around() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let lines = diff(old, &old.replace("5\n", "five\n"));
        assert_eq!(as_text(&lines), " 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
        assert_eq!((lines[3].old_line, lines[3].new_line), (Some(5), None));
        assert_eq!((lines[4].old_line, lines[4].new_line), (None, Some(5)));
        assert_eq!(diff(old, old), []);
    }

    #[test]
    fn texts_that_have_nothing_in_common_are_cut_and_not_searched_for_ever() {
        let text = |word: &str| -> String { (0..60_000).map(|n| format!("{word}{n}\n")).collect() };
        let lines = diff(&text("a"), &text("b"));
        assert_eq!(lines.len(), MOST_LINES);
        assert!(lines.iter().all(|line| line.sign == DiffSign::Removed));
    }
}
