//! From the text of the file to checked values, or to everything that is wrong
//! with it, each with its place, what is allowed, and a way to mend it.

use toml_edit::Document;

use super::{
    place::Places,
    walk::Walk,
    wire::{Problem, SettingValue},
};

/// Longest text that is read: far beyond any real file.
pub const LONGEST: usize = 1 << 20;

/// Most problems that are listed of one text.
pub(super) const MOST_PROBLEMS: usize = 200;

/// Lines that are no TOML and are passed over to find what else is wrong.
const MOST_SYNTAX: usize = 20;

/// A checked value with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub value: SettingValue,
    pub line: u32,
    pub column: u32,
}

/// What a text holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    pub entries: Vec<Entry>,
    pub problems: Vec<Problem>,
}

/// Reads a text. Never fails: what is wrong stands in `problems`, all of it at once.
pub fn parse(text: &str) -> Parsed {
    if text.len() > LONGEST {
        return Parsed {
            entries: Vec::new(),
            problems: vec![Problem {
                message: format!(
                    "The file is {} bytes long; a configuration has at most {LONGEST}.",
                    text.len()
                ),
                hint: Some("Is this the right file?".into()),
                ..Problem::default()
            }],
        };
    }
    let places = Places::of(text);
    let mut walk = Walk::new(text);
    let mut patched = text.to_string();
    for _ in 0..MOST_SYNTAX {
        match Document::parse(patched.as_str()) {
            Ok(document) => {
                walk.table(&mut Vec::new(), document.as_table());
                break;
            }
            Err(error) => {
                let at = error.span().map_or(0, |s| s.start);
                walk.found.problems.push(no_toml(error.message(), places.at(at)));
                // A header that is no TOML would put what follows into the wrong
                // table, and so would an open text or list: stop there.
                let line = places.line_of(at);
                let whole = &patched[line.clone()];
                if whole.trim_start().starts_with('[') || !whole.contains('=') {
                    break;
                }
                if whole.contains("\"\"\"") || whole.contains("'''") || whole.contains('[') {
                    break;
                }
                let blank = " ".repeat(line.len());
                patched.replace_range(line, &blank);
            }
        }
    }
    walk.found.problems.sort_by_key(|p| (p.line, p.column));
    walk.found.problems.truncate(MOST_PROBLEMS);
    walk.found
}

/// A line that is no TOML at all.
fn no_toml(message: &str, (line, column): (u32, u32)) -> Problem {
    let message = message.lines().next().unwrap_or_default();
    let (message, hint) = match message {
        "duplicate key" => (
            "This key stands in the file a second time; each stands once.".into(),
            "Take one of the two out.",
        ),
        other => (
            format!("This line is not TOML: {other}."),
            "A line is `key = value`; texts stand in double quotes, tables in [brackets].",
        ),
    };
    Problem {
        line: Some(line),
        column: Some(column),
        message,
        hint: Some(hint.into()),
        ..Problem::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Problem {
        let found = parse(text);
        assert_eq!(found.problems.len(), 1, "{found:#?}");
        found.problems[0].clone()
    }

    #[test]
    fn a_value_out_of_range_names_line_column_key_value_range_and_a_way_out() {
        let p = only("# mine\n[history]\n  max_mib = 3 # small\n");
        assert_eq!((p.line, p.column), (Some(3), Some(13)));
        assert_eq!(p.key.as_deref(), Some("history.max_mib"));
        assert_eq!(p.message, "history.max_mib is a whole number, 64 to 1048576 MiB. Found 3.");
        assert_eq!(p.hint.as_deref(), Some("Write 64 instead."));
        assert_eq!(p.mend.as_deref(), Some("  max_mib = 64 # small"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let p = only("[history.keep]\nraw_hour = 3\n");
        assert_eq!(p.message, "There is no setting history.keep.raw_hour.");
        assert_eq!(p.hint.as_deref(), Some("Did you mean history.keep.raw_hours?"));
        assert_eq!(p.mend.as_deref(), Some("raw_hours = 3"));
        let p = only("[histry]\nmax_mib = 100\n");
        assert_eq!(p.hint.as_deref(), Some("Did you mean history.max_mib?"));
        assert_eq!(p.mend.as_deref(), Some("[history]"));
        let p = only("histry.kep.raw_hour = 3\n");
        assert_eq!(p.hint.as_deref(), Some("Did you mean history.keep.raw_hours?"));
        assert_eq!(p.mend.as_deref(), Some("history.kep.raw_hour = 3"));
        let p = only("[alerts.rules.gpu-hot]\ntreshold = 1\n");
        assert_eq!(p.hint.as_deref(), Some("Did you mean alerts.rules.gpu-hot.threshold?"));
    }

    #[test]
    fn a_table_is_never_offered_for_a_setting_nor_what_is_not_near() {
        for text in ["[history]\nspeed = 3\n", "history.kepe = 3\n", "[nothing.like.it]\nx = 1\n"] {
            let p = only(text);
            assert_eq!(p.hint.as_deref(), Some("`plimsoll config schema` lists all settings."));
            assert_eq!(p.mend, None, "{text}");
        }
        // Near, and in another table: told, and not mended by half.
        let p = only("[history]\nraw_hours = 3\n");
        assert_eq!(p.hint.as_deref(), Some("Did you mean history.keep.raw_hours?"));
        assert_eq!(p.mend, None);
    }

    #[test]
    fn a_renamed_key_is_greeted_with_its_new_name() {
        let p = only("[history]\nmax_size_mib = 512\n");
        assert_eq!(p.message, "history.max_size_mib is called history.max_mib now.");
        assert_eq!(p.mend.as_deref(), Some("max_mib = 512"));
    }

    #[test]
    fn all_problems_are_told_at_once_in_the_order_of_the_file() {
        let found = parse(
            "[log]\nlevel = \"loud\"\nmodules = \"a=debug\"\nfiles =\n\
             [window]\ntheme = dark\nclos = \"ask\"\n[sampling]\ninterval_ms = 700\n",
        );
        let at: Vec<_> = found.problems.iter().map(|p| p.line.unwrap()).collect();
        assert_eq!(at, [2, 3, 4, 6, 7], "{:#?}", found.problems);
        assert_eq!(found.entries.len(), 1, "what is right is still read");
        assert_eq!(found.problems[1].mend.as_deref(), Some("modules = [\"a=debug\"]"));
    }

    #[test]
    fn a_quoted_key_with_dots_is_not_the_setting() {
        let p = only("\"history.max_mib\" = 512\n");
        assert!(p.message.starts_with("There is no setting"), "{p:?}");
    }

    #[test]
    fn every_way_to_write_a_table_is_understood() {
        for text in [
            "history.keep.raw_hours = 24",
            "[history]\nkeep.raw_hours = 24",
            "[history]\nkeep = { raw_hours = 24 }",
            "history = { keep = { raw_hours = 24 } }",
        ] {
            let found = parse(text);
            assert_eq!(found.problems, [], "{text}");
            assert_eq!(found.entries[0].key, "history.keep.raw_hours");
            assert_eq!(found.entries[0].value, SettingValue::Integer(24));
        }
    }

    #[test]
    fn wrong_shapes_are_named() {
        assert!(only("history = 3").message.contains("is a group of settings. Found 3."));
        assert!(only("[[history]]\n").message.contains("[[double brackets]]"));
        assert!(only("[history.max_mib]\nx = 1").message.contains("Found a table."));
        assert!(only("[log]\nmodules = [1]").message.contains("Found a list."));
        assert!(only("[power]\nprice_per_kwh = 1979-05-27").message.contains("a date or time"));
        assert!(
            only("[alerts.rules.GPU_hot]\nthreshold = 1")
                .mend
                .unwrap()
                .contains("[alerts.rules.gpu-hot]")
        );
    }

    #[test]
    fn very_deep_and_very_long_texts_are_refused_not_followed() {
        let deep = format!("{} = 1", vec!["a"; 20_000].join("."));
        assert!(!parse(&deep).problems.is_empty());
        let nested = format!("a = {}", "[".repeat(50_000));
        assert!(!parse(&nested).problems.is_empty());
        let headers = format!("[{}]", vec!["history"; 5000].join("."));
        assert!(!parse(&headers).problems.is_empty());
        assert!(parse(&"#".repeat(LONGEST + 1)).problems[0].message.contains("bytes long"));
        let many = "[history]\n".to_string()
            + &(0..5000).map(|i| format!("x{i} = 1\n")).collect::<String>();
        assert_eq!(parse(&many).problems.len(), MOST_PROBLEMS);
    }
}
