//! One value against what its setting accepts.

use super::{
    items::check_item,
    setting::{Accepts, Items, Setting},
    typed::split_module,
    wire::SettingValue,
};
use crate::metric::Metric;

/// A value that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is allowed and what was found, with the key left to the caller:
    /// `is a whole number, 64 to 1048576. Found the text "lots".`
    pub message: String,
    pub hint: Option<String>,
    /// A value that would be accepted in its place, as TOML.
    pub mend: Option<String>,
}

/// The value as the setting keeps it (a whole number is a number, too), or why not.
pub fn check(setting: &Setting, value: SettingValue) -> Result<SettingValue, Refusal> {
    use SettingValue::{Integer, List, Number, Switch, Text};
    match (setting.accepts, value) {
        (Accepts::Switch, Switch(v)) => Ok(Switch(v)),
        (Accepts::Whole { min, max }, Integer(v)) if (min..=max).contains(&v) => Ok(Integer(v)),
        #[expect(clippy::cast_precision_loss, reason = "ranges end below 2^53")]
        (Accepts::Number { min, max }, Integer(v)) if (min..=max).contains(&(v as f64)) => {
            Ok(Number(v as f64))
        }
        (Accepts::WholeOr { min, max, .. }, Integer(v)) if (min..=max).contains(&v) => {
            Ok(Integer(v))
        }
        (Accepts::WholeOr { words, .. }, Text(v)) if words.contains(&v.as_str()) => Ok(Text(v)),
        (Accepts::Number { min, max }, Number(v)) if (min..=max).contains(&v) => Ok(Number(v)),
        (Accepts::Choice(options), Text(v)) if options.contains(&v.as_str()) => Ok(Text(v)),
        (Accepts::Text { max_length }, Text(v))
            if v.chars().count() <= max_length as usize && !v.chars().any(char::is_control) =>
        {
            Ok(Text(v))
        }
        (Accepts::Path, Text(v)) if !v.contains('\0') => Ok(Text(v)),
        (Accepts::List { max_items, of }, List(v)) if v.len() <= max_items as usize => {
            match v.iter().find_map(|text| check_item(of, text)) {
                Some(refusal) => Err(refusal),
                None => Ok(List(v)),
            }
        }
        (_, value) => Err(refuse(setting, &value)),
    }
}

/// Whether a metric of that name is in the catalogue; the refusal names the nearest.
pub fn check_metric(name: &str) -> Result<(), Refusal> {
    if Metric::named(name).is_some() {
        return Ok(());
    }
    let near = super::nearest::nearest(name, Metric::ALL.iter().map(|m| m.name()));
    Err(Refusal {
        message: format!("is a metric of the catalogue. Found {name:?}."),
        hint: Some(match near {
            Some(near) => format!("Did you mean {near}?"),
            None => "Explore lists all metrics; for example gpu.temperature.".into(),
        }),
        mend: near.map(|near| format!("{near:?}")),
    })
}

fn refuse(setting: &Setting, value: &SettingValue) -> Refusal {
    let found = match setting.accepts {
        // May be a secret.
        Accepts::List { of: Items::Variables, .. } if matches!(value, SettingValue::Text(_)) => {
            "a text".into()
        }
        _ => found(value),
    };
    refusal(setting, &found, mend(setting, value))
}

/// A refusal of something that no setting can be, e.g. `a date or time`.
pub(super) fn refuse_found(setting: &Setting, found: &str) -> Refusal {
    refusal(setting, found, None)
}

fn refusal(setting: &Setting, found: &str, mend: Option<String>) -> Refusal {
    let hint = match (&mend, setting.accepts) {
        (Some(mend), _) => Some(format!("Write {mend} instead.")),
        (None, Accepts::List { .. }) => Some("Write [\"…\", \"…\"].".into()),
        (None, _) => {
            Some(format!("The default is {}.", super::toml_value(&setting.default.value())))
        }
    };
    Refusal { message: format!("is {}. Found {found}.", allowed(setting)), hint, mend }
}

/// What a setting allows, in words: `a whole number, 64 to 1048576 MiB`.
pub fn allowed(setting: &Setting) -> String {
    let unit = setting.unit.map(|u| format!(" {u}")).unwrap_or_default();
    match setting.accepts {
        Accepts::Switch => "true or false".into(),
        Accepts::Whole { min, max } => format!("a whole number, {min} to {max}{unit}"),
        Accepts::WholeOr { min, max, words } => {
            let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
            format!("{} or a whole number, {min} to {max}{unit}", words.join(", "))
        }
        Accepts::Number { min, max } if max > 1e12 && min < -1e12 => "a number".into(),
        Accepts::Number { min, max } => format!("a number, {min} to {max}{unit}"),
        Accepts::Text { max_length } => format!("a text of at most {max_length} characters"),
        Accepts::Choice(options) => format!(
            "one of {}",
            options.iter().map(|o| format!("\"{o}\"")).collect::<Vec<_>>().join(", ")
        ),
        Accepts::Path => "a path, as text".into(),
        Accepts::List { max_items, .. } => format!("a list of at most {max_items} texts"),
    }
}

fn found(value: &SettingValue) -> String {
    match value {
        SettingValue::Switch(v) => v.to_string(),
        SettingValue::Integer(v) => v.to_string(),
        SettingValue::Number(v) => format!("{v:?}"),
        SettingValue::Text(v) => format!("the text {}", shortened(v)),
        SettingValue::List(v) => format!("a list of {}", v.len()),
    }
}

/// Quoted, and cut where it is long: a message is one sentence.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        None => format!("{text:?}"),
        Some((at, _)) => format!("{:?}…", &text[..at]),
    }
}

/// The nearest value that is accepted, where one suggests itself.
fn mend(setting: &Setting, value: &SettingValue) -> Option<String> {
    match (setting.accepts, value) {
        (Accepts::Switch, SettingValue::Text(v)) => match v.trim().to_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some("true".into()),
            "false" | "no" | "off" | "0" => Some("false".into()),
            _ => None,
        },
        (Accepts::Switch, SettingValue::Integer(v @ (0 | 1))) => Some((*v == 1).to_string()),
        (Accepts::Whole { min, max }, SettingValue::Integer(v)) => {
            Some((*v).clamp(min, max).to_string())
        }
        #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
        (Accepts::Whole { min, max }, SettingValue::Number(v)) if v.is_finite() => {
            Some((v.round() as i64).clamp(min, max).to_string())
        }
        (Accepts::Whole { min, max }, SettingValue::Text(v)) => {
            let v: i64 = v.trim().replace('_', "").parse().ok()?;
            Some(v.clamp(min, max).to_string())
        }
        (Accepts::WholeOr { min, max, .. }, SettingValue::Integer(v)) => {
            Some((*v).clamp(min, max).to_string())
        }
        (Accepts::WholeOr { min, max, words }, SettingValue::Text(v)) => {
            match v.trim().replace('_', "").parse::<i64>() {
                Ok(number) => Some(number.clamp(min, max).to_string()),
                Err(_) => near_word(v, words),
            }
        }
        (Accepts::Number { min, max }, SettingValue::Number(v)) if v.is_finite() => {
            Some(format!("{:?}", v.clamp(min, max)))
        }
        #[expect(clippy::cast_precision_loss, reason = "out of range anyway")]
        (Accepts::Number { min, max }, SettingValue::Integer(v)) => {
            Some(format!("{:?}", (*v as f64).clamp(min, max)))
        }
        (Accepts::Number { min, max }, SettingValue::Text(v)) => {
            let v: f64 = v.trim().replace(',', ".").parse().ok()?;
            v.is_finite().then(|| format!("{:?}", v.clamp(min, max)))
        }
        (Accepts::Choice(options), SettingValue::Text(v)) => near_word(v, options),
        (Accepts::List { of: Items::Modules, .. }, SettingValue::Text(v))
            if split_module(v).is_some() =>
        {
            Some(format!("[{v:?}]"))
        }
        _ => None,
    }
}

fn near_word(text: &str, words: &[&str]) -> Option<String> {
    super::nearest::nearest(&text.trim().to_lowercase(), words.iter().copied())
        .map(|near| format!("{near:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::setting;
    use SettingValue::{Integer, Number, Text};

    fn refused(key: &str, value: SettingValue) -> Refusal {
        check(setting(key).unwrap(), value).unwrap_err()
    }

    #[test]
    fn a_refusal_says_what_is_allowed_what_was_found_and_what_to_write() {
        let r = refused("history.max_mib", Text("lots".into()));
        assert_eq!(r.message, "is a whole number, 64 to 1048576 MiB. Found the text \"lots\".");
        assert_eq!(r.hint.as_deref(), Some("The default is 4096."));
        let r = refused("history.max_mib", Integer(3));
        assert_eq!(r.mend.as_deref(), Some("64"));
        let r = refused("log.level", Text("Debgu".into()));
        assert_eq!(r.mend.as_deref(), Some("\"debug\""));
        let r = refused("gpu.enabled", Text("yes".into()));
        assert_eq!(r.mend.as_deref(), Some("true"));
    }

    #[test]
    fn not_a_number_is_in_no_range() {
        for v in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let r = refused("power.price_per_kwh", Number(v));
            assert_eq!(r.mend, None);
        }
    }

    #[test]
    fn a_whole_number_is_a_number_but_not_the_other_way_round() {
        let price = setting("power.price_per_kwh").unwrap();
        assert_eq!(check(price, Integer(1)), Ok(Number(1.0)));
        assert_eq!(refused("history.max_mib", Number(128.4)).mend.as_deref(), Some("128"));
    }

    #[test]
    fn a_long_text_is_cut_in_the_message() {
        let r = refused("power.currency", Text("é".repeat(10_000)));
        assert!(r.message.len() < 300, "{}", r.message);
    }
}
