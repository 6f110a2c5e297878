//! Printing. Whoever reads our output may stop reading at any time (`| head`);
//! that ends the program quietly and is no error.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use plimsoll_app::api::{Fault, FaultCode};

/// Why the program ends other than well.
#[derive(Debug)]
pub enum Failure {
    /// Said on standard error, exit code 1.
    Fault(Fault),
    /// Wrong usage, exit code 2.
    Usage(String),
    /// It was said that nothing runs: exit code 3, and no further word.
    NotRunning,
    /// Nobody reads any more: exit code 0 and no word.
    Closed,
}

/// As service managers have it: asked how it is, the answer is that it is not.
const NOT_RUNNING: u8 = 3;

pub type Outcome = Result<(), Failure>;

// === impl Failure ===

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Fault(Fault::new(
                FaultCode::Unavailable,
                format!("The output cannot be written: {error}."),
            )),
        }
    }
}

impl Failure {
    /// Says it, and answers the exit code.
    pub fn report(&self, json: bool) -> u8 {
        let mut err = io::stderr().lock();
        match self {
            Self::Closed => 0,
            Self::NotRunning => NOT_RUNNING,
            Self::Usage(message) => {
                let message = tame(message, &LAYOUT);
                let _ = writeln!(err, "plimsoll: {message}\nTry `plimsoll --help`.");
                2
            }
            Self::Fault(fault) => {
                let _ = if json {
                    let text = serde_json::json!({ "fault": fault }).to_string();
                    writeln!(err, "{}", escaped(&text))
                } else {
                    let message = tame(&fault.message, &LAYOUT);
                    match &fault.hint {
                        Some(hint) => {
                            let hint = tame(hint, &LAYOUT);
                            writeln!(err, "plimsoll: {message}\n  {hint}")
                        }
                        None => writeln!(err, "plimsoll: {message}"),
                    }
                };
                1
            }
        }
    }
}

/// A remark beside the answer, on standard error.
pub fn aside(text: impl std::fmt::Display) {
    let text = text.to_string();
    let _ = writeln!(io::stderr().lock(), "plimsoll: {}", tame(&text, &LAYOUT));
}

/// A line, at once: who follows a pipe sees it now. Some texts are several lines.
pub fn line(text: impl std::fmt::Display) -> Outcome {
    let text = text.to_string();
    let mut out = io::stdout().lock();
    writeln!(out, "{}", tame(&text, &LAYOUT))?;
    out.flush()?;
    Ok(())
}

pub fn json(value: &impl serde::Serialize) -> Outcome {
    let text = serde_json::to_string(value).map_err(|error| {
        Fault::new(FaultCode::Internal, format!("An answer has no JSON: {error}."))
    })?;
    line(escaped(&text))
}

/// Others' words as they may stand in a terminal: a name that a client sends, or what a server
/// says, could otherwise clear the screen, forge a line or set the title. One replacement for
/// each control character.
pub fn plain(text: &str) -> Cow<'_, str> {
    tame(text, &[])
}

/// What may stand in a text of several lines.
const LAYOUT: [char; 2] = ['\n', '\t'];

fn tame<'a>(text: &'a str, but: &[char]) -> Cow<'a, str> {
    let is_wild = |c: char| c.is_control() && !but.contains(&c);
    match text.contains(is_wild) {
        false => Cow::Borrowed(text),
        true => text.replace(is_wild, "\u{fffd}").into(),
    }
}

/// JSON in which those control characters are escaped that it lets stand: some begin a
/// terminal's commands.
fn escaped(json: &str) -> Cow<'_, str> {
    if !json.contains(char::is_control) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        match c.is_control() {
            true => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => text.push(c),
        }
    }
    text.into()
}

/// A number as people write it: without a fraction where there is none. `null` is unknown.
pub fn number(value: Option<f64>) -> serde_json::Value {
    /// Up to here every whole number has a form of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within range")]
        Some(value) if value.fract() == 0.0 && value.abs() <= EXACT => (value as i64).into(),
        Some(value) => value.into(),
        None => serde_json::Value::Null,
    }
}

/// Columns as wide as their widest cell; the last one is left as it is.
pub fn table(rows: &[Vec<String>]) -> Outcome {
    let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(|c| plain(c)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = io::stdout().lock();
    for row in &rows {
        let mut text = String::new();
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                let gap = widths[column] - cell.chars().count() + 2;
                text.extend(std::iter::repeat_n(' ', gap));
            }
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_no_fraction_and_unknown_is_null() {
        assert_eq!(number(Some(65536.0)).to_string(), "65536");
        assert_eq!(number(Some(0.5)).to_string(), "0.5");
        assert_eq!(number(Some(-3.0)).to_string(), "-3");
        assert_eq!(number(None).to_string(), "null");
        assert_eq!(number(Some(f64::NAN)).to_string(), "null");
    }

    #[test]
    fn what_others_say_moves_no_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(plain("qwen3:4b – ü"), "qwen3:4b – ü");
        // Lines stay lines where a text has several.
        assert_eq!(tame("a\n\tb\r\u{9b}2J\u{7f}", &LAYOUT), "a\n\tb\u{fffd}\u{fffd}2J\u{fffd}");
    }

    #[test]
    fn json_means_the_same_and_moves_no_terminal_either() {
        let value = serde_json::json!({"model": "a\u{1b}[2Jb\n\u{9b}2J\u{7f}"});
        let text = serde_json::to_string(&value).unwrap();
        let text = escaped(&text);
        assert!(!text.contains(char::is_control), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
