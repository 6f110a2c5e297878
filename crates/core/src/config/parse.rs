//! From the text of the file to checked values, or to everything that is wrong
//! with it, each with its place, what is allowed, and a way to mend it.

use std::ops::Range;

use toml_edit::{Document, Item, Key, TableLike, Value};

use super::{
    check::{Refusal, check, refuse_found, shortened},
    ids,
    keys::{is_group, known_beside},
    nearest::nearest,
    place::Places,
    renamed::new_name,
    table::setting_of,
    wire::{Problem, SettingValue},
};

/// Longest text that is read: far beyond any real file.
pub const LONGEST: usize = 1 << 20;

/// Most problems that are listed of one text.
const MOST_PROBLEMS: usize = 200;

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
    let mut walk = Walk { places: Places::of(text), text, found: Parsed::default() };
    let mut patched = text.to_string();
    for _ in 0..MOST_SYNTAX {
        match Document::parse(patched.as_str()) {
            Ok(document) => {
                walk.table(&mut Vec::new(), document.as_table());
                break;
            }
            Err(error) => {
                let at = error.span().map_or(0, |s| s.start);
                walk.syntax(error.message(), at);
                // A header that is no TOML would put what follows into the wrong
                // table, and so would an open text or list: stop there.
                let line = walk.places.line_of(at);
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

struct Walk<'a> {
    places: Places<'a>,
    text: &'a str,
    found: Parsed,
}

// === impl Walk ===

impl Walk<'_> {
    fn syntax(&mut self, message: &str, at: usize) {
        let (line, column) = self.places.at(at);
        let message = message.lines().next().unwrap_or_default();
        let what = match message {
            "duplicate key" => {
                "This key stands in the file a second time; each stands once.".to_string()
            }
            other => format!("This line is not TOML: {other}."),
        };
        let hint = match message {
            "duplicate key" => "Take one of the two out.",
            _ => "A line is `key = value`; texts stand in double quotes, tables in [brackets].",
        };
        self.found.problems.push(Problem {
            line: Some(line),
            column: Some(column),
            key: None,
            message: what,
            hint: Some(hint.into()),
            mend: None,
        });
    }

    fn table(&mut self, path: &mut Vec<String>, table: &dyn TableLike) {
        for (name, item) in table.iter() {
            if self.found.problems.len() >= MOST_PROBLEMS {
                return;
            }
            let Some((key, _)) = table.get_key_value(name) else { continue };
            path.push(name.to_string());
            self.item(path, key, item);
            path.pop();
        }
    }

    fn item(&mut self, path: &mut Vec<String>, key: &Key, item: &Item) {
        let span = key.span().or_else(|| item.span()).unwrap_or(0..0);
        let full = path.join(".");
        // A quoted key may hold dots: it is one name then, and never a setting.
        let plain = path.iter().all(|part| !part.contains('.') && !part.is_empty());
        let setting = setting_of(&full).filter(|_| plain);
        let group = plain && is_group(path);
        if let [a, r, id, ..] = path.as_slice()
            && plain
            && a == "alerts"
            && r == "rules"
            && (setting.is_some() || group)
            && !ids::is_id(id)
        {
            return self.bad_id(&full, id, &span);
        }
        match (item.as_table_like(), item.as_value()) {
            (Some(table), _) if group => self.table(path, table),
            (_, Some(value)) if setting.is_some() => {
                let Some(setting) = setting else { return };
                self.value(&full, setting, value, &span);
            }
            _ => match setting {
                Some(setting) => {
                    let found = if item.is_array_of_tables() { "tables" } else { "a table" };
                    self.refused(&full, &span, None, refuse_found(setting, found));
                }
                None if group => self.problem(
                    &full,
                    &span,
                    format!("{full} is a group of settings. Found {}.", words_of(item)),
                    Some(format!("Write a table: [{full}].")),
                    None,
                ),
                None => self.unknown(path, &full, &span),
            },
        }
    }

    fn value(
        &mut self,
        key: &str,
        setting: &'static super::setting::Setting,
        value: &Value,
        key_span: &Range<usize>,
    ) {
        let span = value.span().unwrap_or_else(|| key_span.clone());
        let (line, column) = self.places.at(key_span.start);
        let checked = match from_toml(value) {
            Some(found) => check(setting, found),
            None => Err(refuse_found(setting, &words_of_value(value))),
        };
        match checked {
            Ok(value) => self.found.entries.push(Entry { key: key.into(), value, line, column }),
            Err(refusal) => self.refused(key, &span, Some(span.clone()), refusal),
        }
    }

    fn refused(
        &mut self,
        key: &str,
        at: &Range<usize>,
        replace: Option<Range<usize>>,
        refusal: Refusal,
    ) {
        let mend = match (replace, &refusal.mend) {
            (Some(span), Some(by)) => self.places.mended(span, by),
            _ => None,
        };
        self.problem(key, at, format!("{key} {}", refusal.message), refusal.hint, mend);
    }

    fn bad_id(&mut self, full: &str, id: &str, span: &Range<usize>) {
        let good = ids::mend(id);
        let mend = good.as_ref().and_then(|good| self.mend_key(span, id, good));
        self.problem(
            full,
            span,
            format!(
                "The id of a rule is 1 to {} of a-z, 0-9 and -. Found {}.",
                ids::LONGEST,
                shortened(id)
            ),
            good.map(|good| format!("Write {good}.")),
            mend,
        );
    }

    fn unknown(&mut self, path: &[String], full: &str, span: &Range<usize>) {
        let name = path.last().map_or("", String::as_str);
        let shown: String = full.chars().take(80).collect();
        if let Some(new) = new_name(full) {
            let same_table =
                new.rsplit_once('.').map(|p| p.0) == full.rsplit_once('.').map(|p| p.0);
            let last = new.rsplit('.').next().unwrap_or_default();
            let mend = if same_table { self.mend_key(span, name, last) } else { None };
            return self.problem(
                full,
                span,
                format!("{shown} is called {new} now."),
                Some(format!("Write {new} instead; the value stays as it is.")),
                mend,
            );
        }
        let known = known_beside(path);
        let near = nearest(full, known.iter().map(String::as_str));
        let hint = match near {
            Some(near) => format!("Did you mean {near}?"),
            None if path.iter().any(|p| p.contains('.')) => {
                "Write the key without quotes: each dot begins a table.".into()
            }
            None => "`plimsoll config schema` lists all settings.".into(),
        };
        let mend = near.and_then(|near| {
            let (parent, last) = near.rsplit_once('.').unwrap_or(("", near));
            let here = full.rsplit_once('.').map_or("", |p| p.0);
            if parent == here { self.mend_key(span, name, last) } else { None }
        });
        self.problem(full, span, format!("There is no setting {shown}."), Some(hint), mend);
    }

    fn mend_key(&self, span: &Range<usize>, old: &str, new: &str) -> Option<String> {
        let written = self.text.get(span.clone())?;
        (written.trim_matches(['"', '\'']) == old)
            .then(|| self.places.mended(span.clone(), new))
            .flatten()
    }

    fn problem(
        &mut self,
        key: &str,
        at: &Range<usize>,
        message: String,
        hint: Option<String>,
        mend: Option<String>,
    ) {
        let (line, column) = self.places.at(at.start);
        self.found.problems.push(Problem {
            line: Some(line),
            column: Some(column),
            key: Some(key.chars().take(120).collect()),
            message,
            hint,
            mend,
        });
    }
}

/// A value of the file, where it has a type that any setting has.
fn from_toml(value: &Value) -> Option<SettingValue> {
    Some(match value {
        Value::Boolean(v) => SettingValue::Switch(*v.value()),
        Value::Integer(v) => SettingValue::Integer(*v.value()),
        Value::Float(v) => SettingValue::Number(*v.value()),
        Value::String(v) => SettingValue::Text(v.value().clone()),
        Value::Array(list) => SettingValue::List(
            list.iter().map(|v| v.as_str().map(Into::into)).collect::<Option<Vec<String>>>()?,
        ),
        Value::Datetime(_) | Value::InlineTable(_) => return None,
    })
}

fn words_of(item: &Item) -> String {
    match item {
        Item::Value(value) => words_of_value(value),
        Item::ArrayOfTables(_) => "tables in [[double brackets]]".into(),
        _ => "a table".into(),
    }
}

fn words_of_value(value: &Value) -> String {
    match value {
        Value::Boolean(v) => v.value().to_string(),
        Value::Integer(v) => v.value().to_string(),
        Value::Float(v) => format!("{:?}", v.value()),
        Value::String(v) => format!("the text {}", shortened(v.value())),
        Value::Array(_) => "a list".into(),
        Value::Datetime(_) => "a date or time".into(),
        Value::InlineTable(_) => "a table".into(),
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
        assert_eq!(p.mend.as_deref(), Some("[history]"));
        let p = only("[alerts.rules.gpu-hot]\ntreshold = 1\n");
        assert_eq!(p.hint.as_deref(), Some("Did you mean alerts.rules.gpu-hot.threshold?"));
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
