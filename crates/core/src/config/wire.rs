//! Configuration as it travels to the window and the terminal.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A setting's value. Lists hold text only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(untagged)]
pub enum SettingValue {
    Switch(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    List(Vec<String>),
}

/// What a setting accepts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SettingType {
    Switch,
    Integer {
        min: i64,
        max: i64,
    },
    /// A whole number, or one of the words, e.g. `auto`.
    IntegerOr {
        min: i64,
        max: i64,
        words: Vec<String>,
    },
    Number {
        min: f64,
        max: f64,
    },
    /// Free text of at most `max_length` characters; may be empty.
    Text {
        max_length: u32,
    },
    Choice {
        options: Vec<String>,
    },
    /// A file or folder; may be empty.
    Path,
    List {
        max_items: u32,
    },
}

/// One setting, declared once. Everything that is said of it anywhere comes from here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct SettingSpec {
    /// Dotted key; a segment `*` stands for any id of `[a-z0-9-]{1,32}`.
    pub key: String,
    /// Section of the form, e.g. `History, storage`.
    pub section: String,
    /// Short name, e.g. `Keep every second`.
    pub label: String,
    /// One or two sentences: what it does, and why the default is what it is.
    pub meaning: String,
    #[serde(rename = "accepts")]
    pub accepts: SettingType,
    /// As shown beside the field, e.g. `h`.
    pub unit: Option<String>,
    pub default: SettingValue,
    pub conservative: Option<SettingValue>,
    pub aggressive: Option<SettingValue>,
    /// Applies at once; `false` needs a restart of Plimsoll.
    pub live: bool,
}

/// Where a value in force comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    Default,
    File {
        line: u32,
    },
    /// Locked: an environment variable overrides the file.
    Environment {
        variable: String,
    },
}

/// A setting as it stands now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct SettingState {
    /// Concrete key; equals `spec` unless that has a `*`.
    pub key: String,
    /// Key of its [`SettingSpec`].
    pub spec: String,
    pub value: SettingValue,
    /// Of this very key: built-in alert rules have defaults of their own.
    pub default: SettingValue,
    pub origin: Origin,
}

/// What is wrong with a configuration, and what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Problem {
    /// From 1; `None` for a value that does not come from the file.
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub key: Option<String>,
    /// One sentence, e.g. `history.max_mib is a whole number, 64 to 1048576. Found the text "lots".`
    pub message: String,
    /// The next step, e.g. `Did you mean history.max_mib?`
    pub hint: Option<String>,
    /// Text that would mend the line, where it is known.
    pub mend: Option<String>,
}

/// One line of a diff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct DiffLine {
    pub sign: DiffSign,
    pub text: String,
    pub old_line: Option<u32>,
    pub new_line: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum DiffSign {
    Context,
    Removed,
    Added,
}

/// A change of one setting. `value: None` takes it out of the file: back to the default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Change {
    pub key: String,
    pub value: Option<SettingValue>,
}

/// The whole configuration as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct ConfigView {
    pub path: String,
    /// The file as it is on disk now; empty where there is none.
    pub text: String,
    /// Revision in force.
    pub revision: i64,
    /// Digest of `text`: changes are applied only on the text they started from.
    pub digest: String,
    pub settings: Vec<SettingState>,
    /// What is wrong with the file; the revision in force is then an older text.
    pub problems: Vec<Problem>,
}

/// What applying some changes, or a new text, would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Preview {
    pub text: String,
    pub diff: Vec<DiffLine>,
    pub problems: Vec<Problem>,
    /// Keys that need a restart of Plimsoll.
    pub restart: Vec<String>,
}

/// One setting's value before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Changed {
    pub key: String,
    pub old: SettingValue,
    pub new: SettingValue,
}

/// An applied change, numbered from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct Revision {
    pub number: i64,
    pub at_ms: i64,
    /// Who applied it: `window`, `terminal`, `browser`, `file` or `start`.
    pub by: String,
    /// Number of the revision it went back to.
    pub rolled_back_to: Option<i64>,
    pub changed: Vec<Changed>,
    pub diff: Vec<DiffLine>,
}
