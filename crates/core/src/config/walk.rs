//! The way through a document: each key is a setting, a group of settings, or
//! wrong, and what is wrong is told with its place and a way to mend it.

use std::ops::Range;

use toml_edit::{Item, Key, TableLike, Value};

use super::{
    check::{Refusal, check, refuse_found, shortened},
    families,
    keys::{bad_id, is_group, nearest_setting},
    parse::{Entry, MOST_PROBLEMS, Parsed},
    place::Places,
    renamed::new_name,
    setting::Setting,
    table::setting_of,
    wire::{Problem, SettingValue},
};

/// Members of an unknown table that are looked at to find out which it should be.
const MOST_TRIED: usize = 8;
/// Parts of the longest path that is looked at for that.
const DEEPEST: usize = 6;

/// Goes through a document and keeps what it finds.
pub(super) struct Walk<'a> {
    places: Places<'a>,
    text: &'a str,
    pub found: Parsed,
}

// === impl Walk ===

impl<'a> Walk<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { places: Places::of(text), text, found: Parsed::default() }
    }

    /// Reads a table and all that stand below it.
    pub fn table(&mut self, path: &mut Vec<String>, table: &dyn TableLike) {
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
        let member = families::every().find_map(|family| Some((family, family.id_in(path)?)));
        if let Some((family, (id, rest))) = member
            && plain
            && (!rest.is_empty() && setting.is_some() || setting.is_none() && group)
        {
            // Any word may be an id, but only as a table: a value there is a setting that was
            // spelt wrong.
            if rest.is_empty() && !item.is_table_like() && *family != families::RULES {
                return self.unknown(path, &full, item, &span);
            }
            if !family.is_id(id) {
                let (message, good) = bad_id(family, id);
                let mend = good.as_ref().and_then(|good| self.mend_key(&span, id, good));
                let hint = good.map(|good| format!("Write {good}."));
                return self.problem(&full, &span, message, hint, mend);
            }
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
                None => self.unknown(path, &full, item, &span),
            },
        }
    }

    fn value(
        &mut self,
        key: &str,
        setting: &'static Setting,
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

    fn unknown(&mut self, path: &[String], full: &str, item: &Item, span: &Range<usize>) {
        let name = path.last().map_or("", String::as_str);
        let shown: String = full.chars().take(80).collect();
        if let Some(new) = new_name(full) {
            let mend = place_of(&new, path, path).and_then(|last| self.mend_key(span, name, last));
            return self.problem(
                full,
                span,
                format!("{shown} is called {new} now."),
                Some(format!("Write {new} instead; the value stays as it is.")),
                mend,
            );
        }
        let near = nearest_within(path, item);
        let hint = match &near {
            Some((near, _)) => format!("Did you mean {near}?"),
            None if path.iter().any(|p| p.contains('.')) => {
                "Write the key without quotes: each dot begins a table.".into()
            }
            None => "`plimsoll config schema` lists all settings.".into(),
        };
        let meant = near.as_ref().and_then(|(near, written)| place_of(near, written, path));
        let mend = meant.and_then(|meant| self.mend_key(span, name, meant));
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

/// The setting that was most likely meant, and the path that it was meant by: for a
/// table that is unknown, the path of one that stands in it.
fn nearest_within(path: &[String], item: &Item) -> Option<(String, Vec<String>)> {
    let Some(table) = item.as_table_like() else {
        return Some((nearest_setting(path)?, path.to_vec()));
    };
    table.iter().take(MOST_TRIED).find_map(|(name, item)| {
        let mut path = path.to_vec();
        path.push(name.into());
        if path.len() > DEEPEST { None } else { nearest_within(&path, item) }
    })
}

/// What stands in `meant` where the last part of `path` stands in `written`, which
/// begins with it. `None` where more than this one part would have to change before.
fn place_of<'k>(meant: &'k str, written: &[String], path: &[String]) -> Option<&'k str> {
    let parts: Vec<&str> = meant.split('.').collect();
    let (last, before) = path.split_last()?;
    let same = parts.len() == written.len() && before.iter().zip(&parts).all(|(a, b)| a == b);
    parts.get(before.len()).copied().filter(|part| same && part != last)
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
