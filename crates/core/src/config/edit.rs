//! Changing single settings in a person's text, keeping its comments and order.

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use super::{
    remove::unset,
    wire::{Change, SettingValue},
};

/// The text is no TOML, or a key leads through something that is no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EditError(pub String);

/// The text with the changes made, in order. Keys and values are not judged here. A change
/// without a value may name a whole table, such as `services.llama`.
pub fn edit(text: &str, changes: &[Change]) -> Result<String, EditError> {
    // toml_edit writes plain line ends; a file from Windows keeps its own.
    let crlf = text.contains("\r\n");
    let mut text = text.to_string();
    for change in changes {
        text = match &change.value {
            Some(value) => set(&text, &change.key, value)?,
            None => unset(&text, &change.key)?,
        };
    }
    if crlf {
        text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    }
    Ok(text)
}

fn parsed(text: &str) -> Result<DocumentMut, EditError> {
    text.parse().map_err(|_| no_toml())
}

pub(super) fn no_toml() -> EditError {
    EditError("The file is not TOML as it is now; mend it before changing a setting.".into())
}

fn set(text: &str, key: &str, value: &SettingValue) -> Result<String, EditError> {
    let mut document = parsed(text)?;
    let parts: Vec<&str> = key.split('.').collect();
    let Some((last, groups)) = parts.split_last() else { return Ok(text.into()) };
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for (depth, group) in groups.iter().enumerate() {
        if !table.contains_key(group) {
            let mut new = Table::new();
            // Only the innermost gets a [header]; the ones around it follow from it.
            new.set_implicit(depth + 1 < groups.len());
            table.insert(group, Item::Table(new));
        }
        table = table
            .get_mut(group)
            .and_then(Item::as_table_like_mut)
            .ok_or_else(|| EditError(format!("{} is no table.", groups[..=depth].join("."))))?;
    }
    let mut value: Value = super::to_toml(value);
    match table.get_mut(last) {
        Some(item) => {
            if let Some(old) = item.as_value() {
                *value.decor_mut() = old.decor().clone();
            }
            *item = Item::Value(value);
        }
        None => {
            table.insert(last, Item::Value(value));
        }
    }
    Ok(appended_last(text, &mut document).unwrap_or_else(|| document.to_string()))
}

/// Where something was only added at the end, it goes behind the comments that
/// stand there: toml_edit would put it before them.
fn appended_last(text: &str, edited: &mut DocumentMut) -> Option<String> {
    let mut before = parsed(text).ok()?;
    if before.trailing().as_str().is_some_and(|t| t.trim().is_empty()) && !before.is_empty() {
        return None;
    }
    let trailing = edited.trailing().clone();
    before.set_trailing("");
    edited.set_trailing("");
    let (old, new) = (before.to_string(), edited.to_string());
    edited.set_trailing(trailing);
    let added = new.strip_prefix(&old)?;
    let kept = text.trim_end();
    if kept.is_empty() {
        return Some(added.trim_start().to_string());
    }
    let space = if added.trim_start().starts_with('[') { "\n\n" } else { "\n" };
    Some(format!("{kept}{space}{}", added.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, value: Option<SettingValue>) -> Change {
        Change { key: key.into(), value }
    }

    fn with(text: &str, key: &str, value: i64) -> String {
        edit(text, &[change(key, Some(SettingValue::Integer(value)))]).unwrap()
    }

    const MINE: &str = "\
# My workstation.

[window]           # how it looks
theme = \"dark\"

# Disk is small here.
[history]
max_mib = 1024     # half of the default
keep.raw_hours = 24
";

    #[test]
    fn a_change_keeps_comments_spacing_and_order() {
        assert_eq!(with(MINE, "history.max_mib", 512), MINE.replace("1024", "512"));
        assert_eq!(with(MINE, "history.keep.raw_hours", 6), MINE.replace("24\n", "6\n"));
    }

    #[test]
    fn a_missing_table_is_made_beside_its_kin() {
        assert_eq!(with("", "history.keep.raw_hours", 6), "[history.keep]\nraw_hours = 6\n");
        assert_eq!(
            with("[history]\nmax_mib = 64\n\n[log]\nfiles = 2\n", "history.keep.raw_hours", 6),
            "[history]\nmax_mib = 64\n\n[history.keep]\nraw_hours = 6\n\n[log]\nfiles = 2\n"
        );
        let text = with("", "alerts.rules.gpu-hot.for_s", 3);
        assert_eq!(text, "[alerts.rules.gpu-hot]\nfor_s = 3\n");
        assert_eq!(
            with("history = { max_mib = 64 }", "history.checkpoint_s", 3),
            "history = { max_mib = 64 , checkpoint_s = 3 }\n"
        );
    }

    #[test]
    fn comments_at_the_end_stay_before_what_is_added() {
        assert_eq!(
            with("# mine\n", "history.keep.raw_hours", 6),
            "# mine\n\n[history.keep]\nraw_hours = 6\n"
        );
        assert_eq!(
            with("[log]\nfiles = 2\n# that is all\n", "log.file_mib", 6),
            "[log]\nfiles = 2\n# that is all\nfile_mib = 6\n"
        );
        assert_eq!(
            with("[history]\nmax_mib = 64\n\n[log]\n# later\n", "history.checkpoint_s", 6),
            "[history]\nmax_mib = 64\ncheckpoint_s = 6\n\n[log]\n# later\n"
        );
    }

    #[test]
    fn line_ends_stay_what_they_are() {
        assert_eq!(
            with("# x\r\n[log]\r\nfiles = 2\r\n", "log.file_mib", 6),
            "# x\r\n[log]\r\nfiles = 2\r\nfile_mib = 6\r\n"
        );
    }

    #[test]
    fn a_text_that_is_no_toml_is_left_alone() {
        assert!(edit("= 3", &[change("log.files", None)]).is_err());
        assert!(
            edit("history = 3", &[change("history.max_mib", Some(SettingValue::Integer(64)))])
                .is_err()
        );
    }
}
